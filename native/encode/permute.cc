// Permutations of one tile of targets after the other; nothing of the size of permutations x targets unless
// asked for.
#include "permute.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>

#include "check.h"
#include "correlation.h"
#include "parallel.h"
#include "refit_fold.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLeast = -std::numeric_limits<double>::infinity();
// Targets worked on at a time: enough that those of one alpha fill panels.
constexpr int64_t kTile = 2048;
// Permutations that pass over a panel while it is in the cache.
constexpr int64_t kBatch = 16;
// Tiles whose errors are held at a time while one alpha is chosen for all targets.
constexpr int64_t kWave = 16;

template <typename Number>
void gather(const Number* __restrict from, const int32_t* __restrict places, int64_t count,
            Number* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[places[i]];
}

class Permuted {
 public:
  Permuted(const at::Tensor& features, const Responses& responses, const RefitSpec& spec, const Task& task)
      : responses_(responses),
        spec_(spec),
        task_(task),
        n_(responses.rows()),
        t_(responses.targets()),
        scored_(spec.block.width > 0 ? t_ / spec.block.width : t_),
        count_(spec.by_phases() ? spec.phases.count() : static_cast<int64_t>(spec.orders.size()) / n_),
        alphas_(at::tensor(spec.alphas, at::kDouble)) {
    // A permutation costs as much as another set of targets.
    for (size_t f = 0; f < spec.folds.size(); ++f)
      folds_.push_back(make_refit_fold(features, spec, f, t_, t_ * (count_ + 1), task));
  }

  RefitScores run() {
    out_.observed.assign(scored_, kNan);
    out_.reached.assign(scored_, 0);
    out_.largest.assign(count_, kLeast);
    if (spec_.keep) out_.scores = at::full({count_, scored_}, kNan, at::kFloat);
    if (spec_.shared_alpha && choosing()) spec_.single ? choose_shared<float>() : choose_shared<double>();
    if (spec_.block.width > 0)
      for (int64_t i = 0; i < scored_; ++i) score_block(i);
    else
      score_tiles();
    for (auto& value : out_.largest)
      if (value == kLeast) value = kNan;
    return std::move(out_);
  }

 private:
  void score_tiles() {
    each(tiles(), [&](int64_t i) {
      if (spec_.single && !spec_.chosen.empty() && !spec_.by_phases())
        panel_tile(i * kTile, end_of(i));
      else if (spec_.single)
        tile<float>(i * kTile, end_of(i));
      else
        tile<double>(i * kTile, end_of(i));
    });
  }

  int64_t tiles() const { return (t_ + kTile - 1) / kTile; }
  int64_t end_of(int64_t i) const { return std::min(t_, (i + 1) * kTile); }
  // Alphas are chosen by inner folds, anew for every permutation.
  bool choosing() const { return folds_[0].screen.has_value(); }
  at::ScalarType dtype() const { return spec_.single ? at::kFloat : at::kDouble; }

  // Targets [from, to) in the order of their alphas in fold f, so that groups lie together.
  std::vector<int64_t> order_of(size_t f, int64_t from, int64_t to) const {
    std::vector<int64_t> order(to - from);
    std::iota(order.begin(), order.end(), 0);
    if (!spec_.chosen.empty()) {
      const int32_t* chosen = spec_.chosen.data() + f * t_ + from;
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return chosen[a] < chosen[b]; });
    }
    return order;
  }

  std::vector<int64_t> alphas_of(size_t f, int64_t from, const std::vector<int64_t>& order,
                                 const at::Tensor& y, int64_t k) const {
    std::vector<int64_t> out;
    if (!spec_.chosen.empty()) {
      for (const int64_t j : order) out.push_back(spec_.chosen[f * t_ + from + j]);
      // Targets without an alpha are computed with one in use.
      const auto any = std::find_if(out.begin(), out.end(), [](int64_t a) { return a >= 0; });
      if (any != out.end())
        std::replace_if(
            out.begin(), out.end(), [](int64_t a) { return a < 0; }, *any);
      return out;
    }
    if (!folds_[f].screen) return std::vector<int64_t>(order.size(), 0);
    if (!shared_.empty()) return std::vector<int64_t>(order.size(), shared_[(k + 1) * folds_.size() + f]);
    const auto errors = folds_[f].screen->errors(y.to(at::kFloat)).flip(0).argmin(0);
    for (const int64_t back :
         std::vector<int64_t>(errors.data_ptr<int64_t>(), errors.data_ptr<int64_t>() + errors.numel()))
      out.push_back(alphas_.size(0) - 1 - back);
    return out;
  }

  // Targets `sorted` at some rows, which an order has exchanged [w, rows].
  template <typename Number>
  at::Tensor exchanged(const std::vector<int64_t>& rows, const std::vector<int64_t>& sorted,
                       const at::Tensor& y, const int32_t* order) const {
    const int64_t w = y.size(0), n = static_cast<int64_t>(rows.size());
    std::vector<int32_t> places(n);
    for (int64_t i = 0; i < n; ++i) places[i] = order[rows[i]];
    auto out = at::empty({w, n}, y.options());
    for (int64_t j = 0; j < w; ++j)
      gather(y.data_ptr<Number>() + sorted[j] * n_, places.data(), n, out.data_ptr<Number>() + j * n);
    return out;
  }

  // Adds fold f's r of every target under permutation k, one order of rows of y.
  template <typename Number>
  void fold_scores(size_t f, int64_t from, const std::vector<int64_t>& sorted, const at::Tensor& y,
                   const int32_t* order, int64_t k, std::vector<double>& sums,
                   std::vector<int>& counts) const {
    const auto& fold = folds_[f];
    const int64_t w = y.size(0), m = static_cast<int64_t>(fold.test.size());
    const at::Tensor permuted = exchanged<Number>(fold.train, sorted, y, order);
    const auto alphas = alphas_of(f, from, sorted, permuted, k);
    if (alphas.empty() || alphas.back() < 0) return;
    const at::Tensor predicted = fold.predictor->predict(permuted, alphas).contiguous();  // [w, m]
    const at::Tensor truth = exchanged<Number>(fold.test, sorted, y, order);
    for (int64_t j = 0; j < w; ++j) {
      if (!spec_.chosen.empty() && spec_.chosen[f * t_ + from + sorted[j]] < 0) continue;
      const double r = correlation(predicted.data_ptr<Number>() + j * m, truth.data_ptr<Number>() + j * m, m);
      if (std::isnan(r)) continue;
      sums[sorted[j]] += r;
      ++counts[sorted[j]];
    }
  }

  // Targets less their means [w, n], and these [w].
  std::pair<at::Tensor, at::Tensor> centred(int64_t from, int64_t to) const {
    std::vector<int64_t> rows(n_);
    std::iota(rows.begin(), rows.end(), 0);
    const auto wide = responses_.read(rows, from, to).to(at::kDouble);
    const auto mean = wide.mean(1, true);
    return {(wide - mean).to(dtype()).contiguous(), mean.squeeze(1)};
  }

  // Takes the mean over folds of every target of a tile under permutation k; -1 is the order of the data.
  void put(int64_t k, int64_t from, const std::vector<double>& sums, const std::vector<int>& counts) {
    double largest = kLeast;
    for (size_t j = 0; j < sums.size(); ++j) {
      const double r = counts[j] == 0 ? kNan : sums[j] / counts[j];
      const double size = spec_.two_sided ? std::abs(r) : r;
      if (k < 0) {
        out_.observed[from + j] = r;
        continue;
      }
      const double seen = out_.observed[from + j];
      if (size >= (spec_.two_sided ? std::abs(seen) : seen)) ++out_.reached[from + j];
      if (size > largest) largest = size;
      if (spec_.keep) out_.scores.data_ptr<float>()[k * scored_ + from + j] = static_cast<float>(r);
    }
    if (k < 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    out_.largest[k] = std::max(out_.largest[k], largest);
  }

  // The targets of a tile that have an alpha in one fold.
  struct Grouped {
    PanelGroups groups;
    at::Tensor panels;  // [P, n, 32]
  };

  Grouped group(size_t f, const at::Tensor& y, int64_t from) const {
    const int32_t* chosen = spec_.chosen.data() + f * t_ + from;
    const auto groups = group_panels({chosen, chosen + y.size(0)});
    return {groups, make_panels(y, groups.targets)};
  }

  // Adds fold f's r of every target under `many` orders of rows [many, n] to sums and counts [many][w].
  void panel_scores(size_t f, const Grouped& targets, const int32_t* orders, int64_t many,
                    std::vector<std::vector<double>>& sums, std::vector<std::vector<int>>& counts) const {
    const auto& fold = folds_[f];
    const size_t n = fold.train.size(), m = fold.test.size();
    std::vector<int32_t> train(many * n), test(many * m);
    for (int64_t k = 0; k < many; ++k) {
      for (size_t i = 0; i < n; ++i) train[k * n + i] = orders[k * n_ + fold.train[i]];
      for (size_t i = 0; i < m; ++i) test[k * m + i] = orders[k * n_ + fold.test[i]];
    }
    std::vector<float> work;
    double r[kPanelWidth];
    for (size_t p = 0; p < targets.groups.numbers.size(); ++p) {
      const float* panel = targets.panels.data_ptr<float>() + p * n_ * kPanelWidth;
      for (int64_t k = 0; k < many; ++k) {
        const float* predicted =
            fold.predictor->predict_panel(panel, train.data() + k * n, targets.groups.numbers[p], work);
        panel_correlations_cpu(predicted, panel, test.data() + k * m, static_cast<int64_t>(m), r);
        for (int64_t j = 0; j < kPanelWidth; ++j) {
          const int64_t target = targets.groups.targets[p * kPanelWidth + j];
          if (target < 0 || std::isnan(r[j])) continue;
          sums[k][target] += r[j];
          ++counts[k][target];
        }
      }
    }
  }

  // In float32, with alphas given: rows are exchanged by where the products look for them.
  void panel_tile(int64_t from, int64_t to) {
    const auto y = centred(from, to).first;
    const int64_t w = to - from;
    std::vector<Grouped> grouped;
    for (size_t f = 0; f < folds_.size(); ++f) grouped.push_back(group(f, y, from));
    std::vector<int32_t> same(n_);
    std::iota(same.begin(), same.end(), 0);
    for (int64_t k = -1; k < count_;) {
      const int64_t many = k < 0 ? 1 : std::min(kBatch, count_ - k);
      const int32_t* orders = k < 0 ? same.data() : spec_.orders.data() + k * n_;
      std::vector<std::vector<double>> sums(many, std::vector<double>(w, 0.0));
      std::vector<std::vector<int>> counts(many, std::vector<int>(w, 0));
      for (size_t f = 0; f < folds_.size(); ++f) {
        task_.check();
        panel_scores(f, grouped[f], orders, many, sums, counts);
      }
      for (int64_t i = 0; i < many; ++i) put(k + i, from, sums[i], counts[i]);
      report(many * w);
      k += many;
    }
  }

  // Calls work(k, responses, order of their rows) for the data (-1) and every permutation of a tile.
  template <typename Number, typename Work>
  void each_permutation(int64_t from, int64_t to, const Work& work) const {
    const auto y = centred(from, to).first;
    std::optional<Surrogates> surrogates;
    if (spec_.by_phases()) surrogates.emplace(spec_.phases, y);
    std::vector<int32_t> same(n_);
    std::iota(same.begin(), same.end(), 0);
    for (int64_t k = -1; k < count_; ++k) {
      task_.check();
      const bool turned = surrogates && k >= 0;
      work(k, turned ? surrogates->make(k) : y, k < 0 || turned ? same.data() : spec_.orders.data() + k * n_);
    }
  }

  template <typename Number>
  void tile(int64_t from, int64_t to) {
    std::vector<std::vector<int64_t>> sorted;
    for (size_t f = 0; f < folds_.size(); ++f) sorted.push_back(order_of(f, from, to));
    each_permutation<Number>(from, to, [&](int64_t k, const at::Tensor& y, const int32_t* order) {
      std::vector<double> sums(to - from, 0.0);
      std::vector<int> counts(to - from, 0);
      for (size_t f = 0; f < folds_.size(); ++f)
        fold_scores<Number>(f, from, sorted[f], y, order, k, sums, counts);
      put(k, from, sums, counts);
      report(to - from);
    });
  }

  // What a block of targets y [w, n] comes to in every fold, under permutation k.
  std::vector<HeldOut> held_out(int64_t from, const at::Tensor& y, const int32_t* order, int64_t k) const {
    std::vector<int64_t> own(y.size(0));
    std::iota(own.begin(), own.end(), 0);
    std::vector<HeldOut> out;
    for (size_t f = 0; f < folds_.size(); ++f) {
      task_.check();
      const auto& fold = folds_[f];
      const auto train = exchanged<float>(fold.train, own, y, order);
      const auto truth = exchanged<float>(fold.test, own, y, order);
      const auto alphas = alphas_of(f, from, own, train, k);
      std::vector<RowMoments> moments;
      for (int64_t j = 0; j < y.size(0); ++j)
        moments.push_back(row_moments(train.data_ptr<float>() + j * train.size(1), train.size(1)));
      out.push_back({fold.test, std::move(moments), truth,
                     alphas.back() < 0 ? at::zeros_like(truth) : fold.predictor->predict(train, alphas)});
    }
    return out;
  }

  // Permutations side by side: there may be one block alone, and each is work enough.
  void score_block(int64_t i) {
    const int64_t width = spec_.block.width, from = i * width;
    const auto parts = centred(from, from + width);
    const at::Tensor &y = parts.first, &centre = parts.second;
    std::optional<Surrogates> surrogates;
    if (spec_.by_phases()) surrogates.emplace(spec_.phases, y);
    std::vector<int32_t> same(n_);
    std::iota(same.begin(), same.end(), 0);
    std::vector<double> scores(count_ + 1);
    each(count_ + 1, [&](int64_t place) {
      const int64_t k = place - 1;
      const bool turned = surrogates && k >= 0;
      const int32_t* order = turned || k < 0 ? same.data() : spec_.orders.data() + k * n_;
      scores[place] =
          spec_.block.score(held_out(from, turned ? surrogates->make(k) : y, order, k), centre, task_);
      report(width);
    });
    for (int64_t k = -1; k < count_; ++k) put(k, i, {scores[k + 1]}, {std::isnan(scores[k + 1]) ? 0 : 1});
  }

  void report(int64_t scored) {
    const int64_t passes = shared_.empty() ? 1 : 2;
    task_.progress(done_ += scored, passes * t_ * (count_ + 1), "permutations");
  }

  // The sum over a tile's targets of each alpha's held-out error: [count + 1, F, A].
  template <typename Number>
  std::vector<double> errors_of_tile(int64_t from, int64_t to) {
    const size_t F = folds_.size(), A = static_cast<size_t>(alphas_.size(0));
    std::vector<double> out((count_ + 1) * F * A);
    std::vector<int64_t> all(to - from);
    std::iota(all.begin(), all.end(), 0);
    each_permutation<Number>(from, to, [&](int64_t k, const at::Tensor& y, const int32_t* order) {
      for (size_t f = 0; f < F; ++f) {
        const at::Tensor train = exchanged<Number>(folds_[f].train, all, y, order);
        const at::Tensor sums = folds_[f].screen->errors(train.to(at::kFloat)).sum(1).contiguous();  // [A]
        std::copy_n(sums.data_ptr<double>(), A, out.data() + ((k + 1) * F + f) * A);
      }
      report(to - from);
    });
    return out;
  }

  // One alpha for all targets of a fold, for the data and anew for every permutation; of equal errors the
  // largest. Sums go from tile to tile in their order, whatever ran side by side.
  template <typename Number>
  void choose_shared() {
    const size_t F = folds_.size(), A = static_cast<size_t>(alphas_.size(0));
    shared_.assign((count_ + 1) * F, 0);
    std::vector<double> total((count_ + 1) * F * A, 0.0);
    for (int64_t first = 0; first < tiles(); first += kWave) {
      std::vector<std::vector<double>> sums(std::min(kWave, tiles() - first));
      each(static_cast<int64_t>(sums.size()),
           [&](int64_t i) { sums[i] = errors_of_tile<Number>((first + i) * kTile, end_of(first + i)); });
      for (const auto& own : sums)
        for (size_t i = 0; i < own.size(); ++i) total[i] += own[i];
    }
    for (size_t i = 0; i < shared_.size(); ++i) {
      const double* errors = total.data() + i * A;
      int64_t best = static_cast<int64_t>(A) - 1;
      for (int64_t a = best - 1; a >= 0; --a)
        if (errors[a] < errors[best]) best = a;
      shared_[i] = best;
    }
  }

  const Responses& responses_;
  const RefitSpec& spec_;
  const Task& task_;
  int64_t n_, t_, scored_, count_;
  at::Tensor alphas_;
  std::vector<RefitFold> folds_;
  std::vector<int64_t> shared_;  // [count + 1, F]: the one alpha of all targets, or empty
  RefitScores out_;
  std::mutex mutex_;
  std::atomic<int64_t> done_{0};
};

}  // namespace

RefitScores refit_permuted(const at::Tensor& features, const Responses& responses, const RefitSpec& spec,
                           const Task& task) {
  const auto x = features.to(at::kFloat).contiguous();
  check_refit(responses, spec);
  EncodeSpec checked;
  checked.folds = spec.folds;
  checked.alphas = spec.alphas;
  // With alphas given, inner folds are not needed: the grid is checked as if it were one value.
  if (!spec.chosen.empty()) checked.alphas.resize(1);
  check_encoding(x.unsqueeze(0), responses, checked);
  return Permuted(x, responses, spec, task).run();
}

}  // namespace cortune
