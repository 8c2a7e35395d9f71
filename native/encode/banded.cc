// For every outer fold: search of the weights, refinement, scores with what was chosen.
#include "banded.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "band_fit.h"
#include "band_search.h"
#include "check.h"
#include "design.h"
#include "fold.h"
#include "parallel.h"
#include "score.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Chosen gammas that a round of refinement starts from.
constexpr size_t kStarts = 6;
// Of the responses that are scored at a time.
constexpr int64_t kFinishBytes = int64_t{128} << 20;

// Least and largest sum of the weights in a row, with those of refinement, 1.
std::pair<double, double> strengths(const std::vector<double>& gammas, int64_t bands) {
  std::pair<double, double> out{1, 1};
  for (size_t g = 0; g < gammas.size(); g += bands) {
    const double sum = std::accumulate(gammas.begin() + g, gammas.begin() + g + bands, 0.0);
    out = {std::min(out.first, sum), std::max(out.second, sum)};
  }
  return out;
}

class BandedFold {
 public:
  BandedFold(const at::Tensor& features, const Responses& responses, const BandedSpec& spec, const Task& task,
             int64_t index, BandedScores& out, const std::function<void(int64_t)>& progress)
      : responses_(responses),
        spec_(spec),
        task_(task),
        fold_(spec.folds[index]),
        out_(out),
        progress_(progress),
        index_(index),
        n_(static_cast<int64_t>(fold_.rows.train.size())),
        t_(responses.targets()),
        bands_(static_cast<int64_t>(spec.sizes.size())),
        alphas_(at::tensor(spec.alphas, at::kDouble)),
        dtype_(spec.single ? at::kFloat : at::kDouble),
        gammas_(spec.gammas),
        inner_(inner_positions(fold_, responses.rows())) {
    const auto design = make_design(features, fold_.rows, spec.zscore);
    kernels_.resize(bands_);
    each(bands_, [&](int64_t b) {
      int64_t from = 0;
      for (int64_t before = 0; before < b; ++before) from += spec_.sizes[before];
      kernels_[b] = gram(design.rows.slice(1, from, from + spec_.sizes[b]));
    });
    const auto columns = std::accumulate(spec.sizes.begin(), spec.sizes.end(), int64_t{0});
    search_ = std::make_unique<BandSearch>(
        kernels_, BandSizes{n_, columns, t_, spec.single, strengths(spec.gammas, bands_)}, inner_, alphas_,
        task);
    best_.assign(t_, std::numeric_limits<double>::infinity());
    chosen_gamma_.assign(t_, -1);
    chosen_alpha_.assign(t_, 0);
  }

  void run() {
    find_flat();
    search(0);
    for (int64_t round = 0; round < spec_.refine; ++round) refine(std::pow(3.0, std::pow(0.5, round)));
    finish();
  }

 private:
  // Training responses [w, n], centred.
  at::Tensor read(int64_t from, int64_t to) const {
    const auto wide = responses_.read(fold_.rows.train, from, to).to(at::kDouble);
    return (wide - wide.mean(1, true)).to(dtype_).contiguous();
  }

  // Targets that are constant in the training rows.
  void find_flat() {
    flat_.assign(t_, 0);
    each_tile([&](int64_t from, int64_t to) {
      const auto y = responses_.read(fold_.rows.train, from, to);
      for (int64_t j = from; j < to; ++j) {
        const float* row = y.data_ptr<float>() + (j - from) * n_;
        flat_[j] = std::all_of(row, row + n_, [first = row[0]](float value) { return value == first; });
      }
    });
  }

  template <typename Function>
  void each_tile(const Function& work) const {
    each((t_ + kTileTargets - 1) / kTileTargets, [&](int64_t i) {
      task_.check();
      work(i * kTileTargets, std::min(t_, (i + 1) * kTileTargets));
    });
  }

  // Tries gammas from number `first` on with every alpha.
  void search(int64_t first) {
    const std::vector<double> gammas(gammas_.begin() + first * bands_, gammas_.end());
    const auto read = [this](int64_t from, int64_t to) { return this->read(from, to); };
    const auto visit = [&](int64_t g, int64_t from, const at::Tensor& errors) {
      choose(first + g, from, errors.t().contiguous());
    };
    search_->run(gammas, read, visit, progress_);
  }

  // Errors [w, A] of one gamma for targets from `from` on.
  void choose(int64_t g, int64_t from, const at::Tensor& errors) {
    const int64_t A = errors.size(1);
    for (int64_t j = from; j < from + errors.size(0); ++j) {
      const double* e = errors.data_ptr<double>() + (j - from) * A;
      int64_t a = A - 1;
      for (int64_t other = A - 2; other >= 0; --other)
        if (e[other] < e[a]) a = other;
      if (!(e[a] < best_[j]) || flat_[j]) continue;
      best_[j] = e[a];
      chosen_gamma_[j] = g;
      chosen_alpha_[j] = a;
    }
  }

  // Weights next to those that most targets chose.
  void refine(double step) {
    std::map<int64_t, int64_t> votes;
    for (const int64_t g : chosen_gamma_)
      if (g >= 0) ++votes[g];
    std::vector<std::pair<int64_t, int64_t>> order;  // (-votes, gamma)
    for (const auto& [g, count] : votes) order.emplace_back(-count, g);
    std::sort(order.begin(), order.end());
    if (order.size() > kStarts) order.resize(kStarts);
    const auto first = static_cast<int64_t>(gammas_.size()) / bands_;
    for (const auto& [votes_of, g] : order)
      for (int64_t b = 0; b < bands_; ++b)
        for (const double factor : {step, 1 / step}) {
          std::vector<double> gamma(gammas_.begin() + g * bands_, gammas_.begin() + (g + 1) * bands_);
          gamma[b] *= factor;
          double sum = 0;
          for (const double value : gamma) sum += value;
          for (double& value : gamma) value /= sum;
          gammas_.insert(gammas_.end(), gamma.begin(), gamma.end());
        }
    search(first);
  }

  // Scores every target with the gamma and alpha it chose.
  void finish() {
    for (int64_t j = 0; j < t_; ++j) {
      out_.error[index_ * t_ + j] = best_[j];
      if (chosen_gamma_[j] < 0) continue;
      out_.alpha[index_ * t_ + j] = spec_.alphas[chosen_alpha_[j]];
      for (int64_t b = 0; b < bands_; ++b)
        out_.gamma[(index_ * bands_ + b) * t_ + j] = gammas_[chosen_gamma_[j] * bands_ + b];
    }
    const std::vector<InnerFold> whole{{at::arange(n_), at::arange(n_, kernels_[0].size(0)), {}}};
    const auto& folds = spec_.fixed ? inner_ : whole;
    const int64_t block =
        std::max<int64_t>(1, kFinishBytes / (8 * kernels_[0].size(0) * kTileTargets)) * kTileTargets;
    for (int64_t from = 0; from < t_; from += block) {
      const int64_t to = std::min(t_, from + block);
      const auto y = read_all(from, to);
      const auto groups = group(from, to);
      for (size_t f = 0; f < folds.size(); ++f) {
        const BandKernels kernels(kernels_, folds[f]);
        each(static_cast<int64_t>(groups.size()), [&](int64_t i) {
          task_.check();
          score_group(groups[i], y.index_select(0, to_index(groups[i]) - from), folds[f], kernels,
                      spec_.fixed ? static_cast<int64_t>(f) : index_);
        });
      }
    }
  }

  // Targets that chose the same gamma, a tile at most in one group.
  std::vector<std::vector<int64_t>> group(int64_t from, int64_t to) const {
    std::map<int64_t, std::vector<int64_t>> targets;
    std::vector<std::vector<int64_t>> out;
    for (int64_t j = from; j < to; ++j) {
      if (chosen_gamma_[j] < 0) continue;
      auto& own = targets[chosen_gamma_[j]];
      own.push_back(j);
      if (static_cast<int64_t>(own.size()) == kTileTargets) out.push_back(std::exchange(own, {}));
    }
    for (auto& [g, own] : targets)
      if (!own.empty()) out.push_back(std::move(own));
    return out;
  }

  // Responses of the training rows, and of the test rows where these are scored, as kernels have them, less
  // the training rows' mean [w, N].
  at::Tensor read_all(int64_t from, int64_t to) const {
    auto rows = fold_.rows.train;
    if (!spec_.fixed) rows.insert(rows.end(), fold_.rows.test.begin(), fold_.rows.test.end());
    auto out = at::empty({to - from, static_cast<int64_t>(rows.size())}, at::kDouble);
    each((to - from + kTileTargets - 1) / kTileTargets, [&](int64_t i) {
      task_.check();
      const int64_t first = i * kTileTargets, last = std::min(to - from, first + kTileTargets);
      const auto wide = responses_.read(rows, from + first, from + last).to(at::kDouble);
      out.slice(0, first, last).copy_(wide - wide.slice(1, 0, n_).mean(1, true));
    });
    return out;
  }

  // y [w, N]: responses of the targets in `list`, which all chose one gamma.
  void score_group(const std::vector<int64_t>& list, const at::Tensor& y, const InnerFold& fold,
                   const BandKernels& kernels, int64_t f) {
    const double* gamma = gammas_.data() + chosen_gamma_[list[0]] * bands_;
    std::vector<int64_t> alphas;
    for (const int64_t j : list) alphas.push_back(chosen_alpha_[j]);
    const BandFit fit(kernels, std::vector<double>(gamma, gamma + bands_), alphas_, alphas);
    const auto train = y.index_select(1, fold.train);
    put(list, f, fit.predict(train), y.index_select(1, fold.test), train.mean(1).contiguous());
  }

  void put(const std::vector<int64_t>& list, int64_t f, const std::vector<at::Tensor>& parts,
           const at::Tensor& test, const at::Tensor& shift) {
    auto joint = parts[0].clone();
    for (int64_t b = 1; b < bands_; ++b) joint += parts[b];
    const auto y = test - test.mean(1, true), p = joint - joint.mean(1, true);
    const auto total = y.square().sum(1);
    for (int64_t b = 0; b < bands_; ++b) {
      const auto own = parts[b] - parts[b].mean(1, true);
      const auto share = (((2 * y - p) * own).sum(1) / total).contiguous();
      for (size_t i = 0; i < list.size(); ++i)
        out_.split[(f * bands_ + b) * t_ + list[i]] = share.data_ptr<double>()[i];
    }
    const int64_t m = test.size(1);
    for (size_t i = 0; i < list.size(); ++i) {
      const auto scores = score(joint.data_ptr<double>() + i * m, test.data_ptr<double>() + i * m, m,
                                shift.data_ptr<double>()[i], false);
      out_.r[f * t_ + list[i]] = scores.r;
      out_.r2[f * t_ + list[i]] = scores.r2;
      if (std::isnan(scores.r2))
        for (int64_t b = 0; b < bands_; ++b) out_.split[(f * bands_ + b) * t_ + list[i]] = kNan;
    }
  }

  const Responses& responses_;
  const BandedSpec& spec_;
  const Task& task_;
  const OuterFold& fold_;
  BandedScores& out_;
  const std::function<void(int64_t)>& progress_;
  int64_t index_, n_, t_, bands_;
  at::Tensor alphas_;
  at::ScalarType dtype_;
  std::vector<double> gammas_;
  std::vector<at::Tensor> kernels_;  // of all rows, [n + m, n + m] each
  std::vector<InnerFold> inner_;
  std::unique_ptr<BandSearch> search_;
  std::vector<char> flat_;  // not bool: threads write side by side
  std::vector<double> best_;
  std::vector<int64_t> chosen_gamma_, chosen_alpha_;
};

void check_bands(int64_t p, const BandedSpec& spec) {
  int64_t sum = 0;
  for (const int64_t size : spec.sizes) {
    if (size < 1) fail(Code::kArgument, "Expected every band to have at least one column");
    sum += size;
  }
  if (spec.sizes.empty() || sum != p)
    fail(Code::kArgument, "Expected the bands' columns to add up to the " + std::to_string(p) +
                              " of the features, got " + std::to_string(sum));
  const size_t B = spec.sizes.size();
  if (spec.gammas.empty() || spec.gammas.size() % B != 0)
    fail(Code::kArgument, "Expected one weight for each band in every row of `gammas`");
  for (size_t g = 0; g < spec.gammas.size(); g += B) {
    double total = 0;
    for (size_t b = 0; b < B; ++b) {
      if (!(spec.gammas[g + b] >= 0) || !std::isfinite(spec.gammas[g + b]))
        fail(Code::kArgument, "Expected weights of bands to be finite and not negative");
      total += spec.gammas[g + b];
    }
    if (!(total > 0)) fail(Code::kArgument, "Expected a weight above 0 in every row of `gammas`");
  }
}

}  // namespace

BandedScores encode_banded(const at::Tensor& features, const Responses& responses, const BandedSpec& spec,
                           const Task& task) {
  const auto x = features.to(at::kFloat).contiguous();
  EncodeSpec checked;
  checked.folds = spec.folds;
  checked.alphas = spec.alphas;
  checked.fixed = spec.fixed;
  check_encoding(x.unsqueeze(0), responses, checked);
  for (const auto& fold : spec.folds)
    if (fold.inner.empty())
      fail(Code::kArgument, "Expected inner folds to choose the weights of bands with, got none");
  check_bands(x.size(1), spec);
  const int64_t t = responses.targets(), outer = static_cast<int64_t>(spec.folds.size());
  const int64_t B = static_cast<int64_t>(spec.sizes.size());
  BandedScores out;
  out.folds = spec.fixed ? static_cast<int64_t>(spec.folds[0].inner.size()) : outer;
  for (auto* scores : {&out.r, &out.r2}) scores->assign(out.folds * t, kNan);
  for (auto* values : {&out.alpha, &out.error}) values->assign(outer * t, kNan);
  out.split.assign(out.folds * B * t, kNan);
  out.gamma.assign(outer * B * t, kNan);
  const int64_t tried = static_cast<int64_t>(spec.gammas.size()) / B;
  std::atomic<int64_t> done{0};
  const auto progress = [&](int64_t targets) {
    const int64_t total = outer * tried * t;
    task.progress(std::min(total, done += targets), total, "banded ridge");
  };
  for (int64_t f = 0; f < outer; ++f) BandedFold(x, responses, spec, task, f, out, progress).run();
  return out;
}

}  // namespace cortune
