// Sums of the bands' kernels: every gamma is a dual ridge of its own.
#include "banded.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "check.h"
#include "design.h"
#include "fold.h"
#include "parallel.h"
#include "score.h"
#include "screen.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Chosen gammas that a round of refinement starts from.
constexpr size_t kStarts = 6;

// Smaller alphas, as a share of the kernel's trace, are met through its eigenvectors.
constexpr double kTinyAlpha = 1e-9;

at::Tensor to_index(const std::vector<int64_t>& rows) { return at::tensor(rows, at::kLong); }

// The fit of one gamma to the training rows of one fold, at the alphas in use; what each band adds to it.
class BandFit {
 public:
  BandFit(const at::Tensor& kernel, const std::vector<at::Tensor>& bands, const std::vector<double>& gamma,
          const InnerFold& fold, const at::Tensor& alphas, const std::vector<bool>& used)
      : alphas_(alphas), lower_(used.size()) {
    const int64_t n = fold.train.size(0);
    const auto mean = at::full({n}, 1 / static_cast<double>(n), at::kDouble);
    for (size_t b = 0; b < bands.size(); ++b)
      crosses_.push_back(centred_kernel(bands[b], fold, mean).cross * gamma[b]);
    const auto block = centred_kernel(kernel, fold, mean).block;
    const double least = kTinyAlpha * block.trace().item<double>();
    for (size_t a = 0; a < used.size(); ++a) {
      if (!used[a]) continue;
      const double alpha = alphas[static_cast<int64_t>(a)].item<double>();
      if (alpha > least)
        lower_[a] = at::linalg_cholesky(block + alpha * at::eye(n, block.options()));
      else if (!spectrum_.vectors.defined())
        spectrum_ = eigendecompose(block, n);
    }
  }

  // Training responses y [w, n'] -> each band's part of the predictions [w, m], without intercept.
  std::vector<at::Tensor> predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const {
    const auto centred = y - y.mean(1, true);
    auto weights = at::empty_like(y);  // of the training rows, in the kernel
    for (size_t a = 0; a < lower_.size(); ++a) {
      std::vector<int64_t> own;
      for (size_t j = 0; j < chosen.size(); ++j)
        if (chosen[j] == static_cast<int64_t>(a)) own.push_back(static_cast<int64_t>(j));
      if (own.empty()) continue;
      const auto places = to_index(own);
      weights.index_copy_(0, places, solve(centred.index_select(0, places), a));
    }
    std::vector<at::Tensor> parts;
    for (const auto& cross : crosses_) parts.push_back(at::mm(weights, cross.t()));
    return parts;
  }

 private:
  // (K + alpha)^-1 y, by Cholesky; where alpha is next to nothing in the spectrum, without what is only
  // rounding.
  at::Tensor solve(const at::Tensor& y, size_t a) const {
    if (lower_[a].defined()) return at::cholesky_solve(y.t(), lower_[a]).t();
    const auto kept = (spectrum_.values > spectrum_.floor).to(at::kDouble);
    const auto filter = kept / (spectrum_.values.clamp_min(0) + alphas_[static_cast<int64_t>(a)]);
    return at::mm(at::mm(y, spectrum_.vectors) * filter, spectrum_.vectors.t());
  }

  at::Tensor alphas_;
  std::vector<at::Tensor> lower_;    // for each alpha in use
  std::vector<at::Tensor> crosses_;  // [m, n'] for each band
  Spectrum spectrum_;
};

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
        gammas_(spec.gammas) {
    const auto design = make_design(features, fold_.rows, spec.zscore);
    kernels_.resize(bands_);
    each(bands_, [&](int64_t b) {
      int64_t from = 0;
      for (int64_t before = 0; before < b; ++before) from += spec_.sizes[before];
      kernels_[b] = gram(design.rows.slice(1, from, from + spec_.sizes[b]));
    });
    std::vector<int64_t> position(responses.rows(), -1);
    for (int64_t i = 0; i < n_; ++i) position[fold_.rows.train[i]] = i;
    const auto places = [&](const std::vector<int64_t>& rows) {
      std::vector<int64_t> found;
      for (const int64_t row : rows) found.push_back(position[row]);
      return to_index(found);
    };
    for (const auto& inner : fold_.inner)
      inner_.push_back({places(inner.train), places(inner.test), places(held_rows(inner))});
    best_.assign(t_, std::numeric_limits<double>::infinity());
    chosen_gamma_.assign(t_, -1);
    chosen_alpha_.assign(t_, 0);
  }

  // All training rows that an inner fold is not fitted on, those it is scored on first.
  std::vector<int64_t> held_rows(const RowSplit& inner) const {
    std::vector<bool> seen(responses_.rows(), false);
    auto held = inner.test;
    for (const auto* rows : {&inner.train, &inner.test})
      for (const int64_t row : *rows) seen[row] = true;
    for (const int64_t row : fold_.rows.train)
      if (!seen[row]) held.push_back(row);
    return held;
  }

  void run() {
    const int64_t given = static_cast<int64_t>(gammas_.size()) / bands_;
    for (int64_t g = 0; g < given; ++g) search(g);
    for (int64_t round = 0; round < spec_.refine; ++round) refine(std::pow(3.0, std::pow(0.5, round)));
    finish();
  }

 private:
  at::Tensor kernel(int64_t g) const {
    auto sum = kernels_[0] * gammas_[g * bands_];
    for (int64_t b = 1; b < bands_; ++b) sum.add_(kernels_[b], gammas_[g * bands_ + b]);
    return sum;
  }

  std::vector<Refit> refits(const at::Tensor& products, const std::vector<InnerFold>& folds) const {
    std::vector<Refit> out(folds.size());
    each(static_cast<int64_t>(folds.size()), [&](int64_t i) {
      task_.check();
      out[i] = dual_refit(products, folds[i], {});
    });
    return out;
  }

  // Training responses [w, n], centred.
  at::Tensor read(int64_t from, int64_t to) const {
    const auto wide = responses_.read(fold_.rows.train, from, to).to(at::kDouble);
    return (wide - wide.mean(1, true)).to(dtype_).contiguous();
  }

  // Constant in the training rows.
  bool is_flat(const at::Tensor& y, int64_t j) const {
    const auto flat = [n = n_](const auto* row) {
      return std::all_of(row, row + n, [first = row[0]](auto value) { return value == first; });
    };
    return spec_.single ? flat(y.data_ptr<float>() + j * n_) : flat(y.data_ptr<double>() + j * n_);
  }

  template <typename Function>
  void each_tile(const Function& work) const {
    each((t_ + kTileTargets - 1) / kTileTargets, [&](int64_t i) {
      task_.check();
      work(i * kTileTargets, std::min(t_, (i + 1) * kTileTargets));
    });
  }

  // One spectrum for all inner folds where that keeps its digits, else one for each.
  std::unique_ptr<Screen> screen_of(const at::Tensor& products) const {
    if (Screen::closed_is_cheaper(sizes())) {
      const auto train = products.slice(0, 0, n_).slice(1, 0, n_);
      const double lift = train.trace().item<double>() / static_cast<double>(n_);
      Spectrum spectrum;
      each(1, [&](int64_t) { spectrum = eigendecompose(train + lift / static_cast<double>(n_), longest_); });
      if (HeldOutMaps::safe(spectrum, lift, inner_, alphas_))
        return std::make_unique<Screen>(HeldOutMaps(spectrum, lift, inner_, alphas_), spectrum, alphas_,
                                        task_);
    }
    return std::make_unique<Screen>(refits(products, inner_), n_, at::Tensor(), alphas_, t_, task_);
  }

  FoldSizes sizes() const {
    FoldSizes out{n_, 0, longest_, t_, alphas_.size(0), {}, {}};
    for (const auto& inner : inner_) {
      out.inner_train.push_back(inner.train.size(0));
      out.inner_test.push_back(inner.test.size(0));
    }
    return out;
  }

  // Tries one gamma with every alpha.
  void search(int64_t g) {
    std::unique_ptr<Screen> screen;
    InnerFolds held_out;
    if (spec_.single)
      screen = screen_of(kernel(g));
    else
      held_out = InnerFolds(refits(kernel(g), inner_), alphas_, {});
    const int64_t A = alphas_.size(0);
    each_tile([&](int64_t from, int64_t to) {
      const auto y = read(from, to);
      const auto errors = (screen ? screen->errors(y) : held_out.errors(y.t())).t().contiguous();  // [w, A]
      for (int64_t j = from; j < to; ++j) {
        const double* e = errors.data_ptr<double>() + (j - from) * A;
        int64_t a = A - 1;
        for (int64_t other = A - 2; other >= 0; --other)
          if (e[other] < e[a]) a = other;
        if (!(e[a] < best_[j]) || is_flat(y, j - from)) continue;
        best_[j] = e[a];
        chosen_gamma_[j] = g;
        chosen_alpha_[j] = a;
      }
      progress_(to - from);
    });
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
    for (const auto& [votes_of, g] : order)
      for (int64_t b = 0; b < bands_; ++b)
        for (const double factor : {step, 1 / step}) {
          std::vector<double> gamma(gammas_.begin() + g * bands_, gammas_.begin() + (g + 1) * bands_);
          gamma[b] *= factor;
          double sum = 0;
          for (const double value : gamma) sum += value;
          for (double& value : gamma) value /= sum;
          gammas_.insert(gammas_.end(), gamma.begin(), gamma.end());
          search(static_cast<int64_t>(gammas_.size()) / bands_ - 1);
        }
  }

  // Scores every target with the gamma and alpha it chose, gamma by gamma.
  void finish() {
    std::map<int64_t, std::vector<int64_t>> targets;
    for (int64_t j = 0; j < t_; ++j) {
      out_.error[index_ * t_ + j] = best_[j];
      if (chosen_gamma_[j] < 0) continue;
      targets[chosen_gamma_[j]].push_back(j);
      out_.alpha[index_ * t_ + j] = spec_.alphas[chosen_alpha_[j]];
      for (int64_t b = 0; b < bands_; ++b)
        out_.gamma[(index_ * bands_ + b) * t_ + j] = gammas_[chosen_gamma_[j] * bands_ + b];
    }
    const std::vector<InnerFold> whole{{at::arange(n_), at::arange(n_, kernels_[0].size(0)), {}}};
    const auto& folds = spec_.fixed ? inner_ : whole;
    for (const auto& [g, list] : targets) {
      std::vector<bool> used(spec_.alphas.size(), false);
      for (const int64_t j : list) used[chosen_alpha_[j]] = true;
      const std::vector<double> gamma(gammas_.begin() + g * bands_, gammas_.begin() + (g + 1) * bands_);
      std::vector<std::unique_ptr<BandFit>> fits(folds.size());
      const auto products = kernel(g);
      each(static_cast<int64_t>(folds.size()), [&](int64_t f) {
        task_.check();
        fits[f] = std::make_unique<BandFit>(products, kernels_, gamma, folds[f], alphas_, used);
      });
      for (size_t f = 0; f < folds.size(); ++f)
        score_list(list, folds[f], spec_.fixed ? static_cast<int64_t>(f) : index_, *fits[f]);
    }
  }

  void score_list(const std::vector<int64_t>& list, const InnerFold& fold, int64_t f, const BandFit& fit) {
    each_tile([&](int64_t from, int64_t to) {
      const auto first = std::lower_bound(list.begin(), list.end(), from);
      const auto last = std::lower_bound(first, list.end(), to);
      if (first == last) return;
      std::vector<int64_t> places, alphas;
      for (auto it = first; it != last; ++it)
        places.push_back(*it - from), alphas.push_back(chosen_alpha_[*it]);
      const auto which = to_index(places);
      const auto raw = responses_.read(fold_.rows.train, from, to).index_select(0, which).to(at::kDouble);
      const auto mean = raw.mean(1, true);
      const auto y = raw - mean;
      const auto test =
          spec_.fixed
              ? y.index_select(1, fold.test)
              : responses_.read(fold_.rows.test, from, to).index_select(0, which).to(at::kDouble) - mean;
      const auto train = y.index_select(1, fold.train);
      put(std::vector<int64_t>(first, last), f, fit.predict(train, alphas), test.contiguous(),
          train.mean(1).contiguous());
    });
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
  int64_t index_, n_, t_, bands_, longest_ = 0;  // the longest sum behind an entry of a kernel
  at::Tensor alphas_;
  at::ScalarType dtype_;
  std::vector<double> gammas_;
  std::vector<at::Tensor> kernels_;  // of all rows, [n + m, n + m] each
  std::vector<InnerFold> inner_;
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
