// Pairs of alpha and weighting worked off a few at a time: their forms side by side, then all targets.
#include "band_search.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "../task.h"
#include "fold.h"
#include "parallel.h"
#include "screen.h"

namespace cortune {
namespace {

// Of the errors of all pairs that are held at a time, and of the forms.
constexpr int64_t kErrorBytes = int64_t{128} << 20;
constexpr int64_t kFormBytes = int64_t{64} << 20;
// Of two bands, about this share of the pairs is computed.
constexpr double kShare = 0.3;

Skeleton all_of(int64_t count) {
  Skeleton out;
  for (int64_t i = 0; i < count; ++i) out.kept.push_back(i);
  out.combine = at::eye(count, at::kDouble);
  return out;
}

int64_t tiles_of(int64_t targets) { return (targets + kTileTargets - 1) / kTileTargets; }

// Tells of targets times weightings as pairs are worked off; `finish` tells the rest.
class Teller {
 public:
  Teller(int64_t total, int64_t steps, const std::function<void(int64_t)>& progress)
      : share_(static_cast<double>(total) / static_cast<double>(steps)), total_(total), progress_(progress) {}
  void step(int64_t steps) {
    const auto done = static_cast<int64_t>(share_ * static_cast<double>(steps));
    told_ += done;
    progress_(done);
  }
  void finish() { progress_(total_ - told_); }

 private:
  double share_;
  int64_t total_;
  std::atomic<int64_t> told_{0};
  const std::function<void(int64_t)>& progress_;
};

}  // namespace

BandSearch::BandSearch(const std::vector<at::Tensor>& kernels, const BandSizes& sizes,
                       const std::vector<InnerFold>& folds, const at::Tensor& alphas, const Task& task)
    : kernels_(kernels),
      n_(sizes.n),
      bands_(static_cast<int64_t>(kernels.size())),
      targets_(sizes.targets),
      single_(sizes.single),
      folds_(folds),
      alphas_(alphas),
      task_(task),
      least_(kernels.size()),
      largest_(kernels.size()) {
  if (!single_) return;
  FoldSizes costs{n_, 0, sizes.columns, targets_, alphas_.size(0), {}, {}};
  for (const auto& fold : folds_) {
    costs.inner_train.push_back(fold.train.size(0));
    costs.inner_test.push_back(fold.test.size(0));
  }
  if (!Screen::closed_is_cheaper(costs, bands_ == 2 ? kShare : 1)) return;
  each(bands_, [&](int64_t b) {
    task_.check();
    const auto train = train_block(b);
    const auto values = at::linalg_eigvalsh(train + train.trace() / static_cast<double>(n_ * n_));
    least_[b] = std::max(0.0, values[0].item<double>());
    largest_[b] = values[-1].item<double>();
  });
  // Those of a weighted sum lie between.
  const double low = sizes.strengths.first * *std::min_element(least_.begin(), least_.end());
  const double high = sizes.strengths.second * *std::max_element(largest_.begin(), largest_.end());
  closed_ = high > 0 && held_out_is_safe(low, high, n_, folds_, alphas_);
  if (closed_) skeleton_ = skeleton(alphas_, low, high);
}

at::Tensor BandSearch::train_block(int64_t b) const { return kernels_[b].slice(0, 0, n_).slice(1, 0, n_); }

at::Tensor BandSearch::kernel(const double* gamma) const {
  auto sum = kernels_[0] * gamma[0];
  for (size_t b = 1; b < kernels_.size(); ++b) sum.add_(kernels_[b], gamma[b]);
  return sum;
}

void BandSearch::run(const std::vector<double>& gammas, const Read& read, const Visit& visit,
                     const std::function<void(int64_t)>& progress) const {
  if (closed_)
    by_plan(gammas, read, visit, progress);
  else
    one_by_one(gammas, read, visit, progress);
}

void BandSearch::one_by_one(const std::vector<double>& gammas, const Read& read, const Visit& visit,
                            const std::function<void(int64_t)>& progress) const {
  for (int64_t g = 0; g < static_cast<int64_t>(gammas.size()) / bands_; ++g) {
    const auto products = kernel(gammas.data() + g * bands_);
    std::vector<Refit> fits(folds_.size());
    each(static_cast<int64_t>(folds_.size()), [&](int64_t f) {
      task_.check();
      fits[f] = dual_refit(products, folds_[f], {});
    });
    std::unique_ptr<Screen> screen;
    if (single_) screen = std::make_unique<Screen>(fits, n_, at::Tensor(), alphas_, targets_, task_);
    const auto exact = single_ ? InnerFolds() : InnerFolds(fits, alphas_, {});
    each(tiles_of(targets_), [&](int64_t i) {
      task_.check();
      const int64_t from = i * kTileTargets, to = std::min(targets_, from + kTileTargets);
      const auto y = read(from, to);
      visit(g, from, screen ? screen->errors(y) : exact.errors(y.t()));
      progress(to - from);
    });
  }
}

BandSearch::Plan BandSearch::plan(const std::vector<double>& gammas) const {
  const auto count = static_cast<int64_t>(gammas.size()) / bands_;
  const double sum = bands_ == 2 ? gammas[0] + gammas[1] : 0;
  std::vector<double> ratios;  // infinite where the first band has no weight: its filters are 0, as they are
  for (int64_t g = 0; g < count && bands_ == 2; ++g) {
    const double first = gammas[2 * g], second = gammas[2 * g + 1];
    if (std::abs(first + second - sum) <= 1e-12 * sum) ratios.push_back(second / first);
  }
  Plan out;
  for (const int64_t a : skeleton_.kept) {
    const double alpha = alphas_[a].item<double>() / sum;
    if (static_cast<int64_t>(ratios.size()) == count)
      out.weightings.push_back(skeleton(at::tensor(ratios, at::kDouble),
                                        (least_[0] + alpha) / (largest_[1] + alpha),
                                        (largest_[0] + alpha) / (least_[1] + alpha), 0));
    else
      out.weightings.push_back(all_of(count));
    for (const int64_t g : out.weightings.back().kept) out.pairs.emplace_back(a, g);
  }
  return out;
}

at::Tensor BandSearch::joined(const double* gamma, double alpha) const {
  auto k = train_block(0) * gamma[0];
  for (int64_t b = 1; b < bands_; ++b) k.add_(train_block(b), gamma[b]);
  const double n = static_cast<double>(n_), lift = k.trace().item<double>() / n;
  k.add_(lift / n);  // along 1, where a centred kernel is 0
  k.diagonal().add_(alpha);
  const auto m = at::cholesky_inverse(at::linalg_cholesky(k)).sub_(1 / ((alpha + lift) * n));
  return joined_form(held_out_residuals(m, folds_));
}

void BandSearch::by_plan(const std::vector<double>& gammas, const Read& read, const Visit& visit,
                         const std::function<void(int64_t)>& progress) const {
  const auto count = static_cast<int64_t>(gammas.size()) / bands_;
  const auto plan = this->plan(gammas);
  const auto pairs = static_cast<int64_t>(plan.pairs.size());
  const int64_t some = std::clamp<int64_t>(kFormBytes / (8 * n_ * n_), at::get_num_threads(), 32);
  // Targets at a time: whole tiles.
  const int64_t block = std::max<int64_t>(1, kErrorBytes / (8 * pairs * kTileTargets)) * kTileTargets;
  Teller teller(count * targets_, pairs * targets_, progress);
  for (int64_t start = 0; start < targets_; start += block) {
    const int64_t width = std::min(block, targets_ - start);
    auto errors = at::empty({pairs, width}, at::kDouble);
    const auto each_tile = [&](const auto& work) {
      each(tiles_of(width), [&](int64_t i) {
        task_.check();
        const int64_t from = i * kTileTargets;
        work(from, std::min(width, from + kTileTargets));
      });
    };
    for (int64_t first = 0; first < pairs; first += some) {
      const int64_t last = std::min(pairs, first + some);
      std::vector<at::Tensor> triangles(last - first);
      each(last - first, [&](int64_t i) {
        task_.check();
        const auto [a, g] = plan.pairs[first + i];
        triangles[i] = joined(gammas.data() + g * bands_, alphas_[a].item<double>());
      });
      const SquareForms forms(triangles, true);
      each_tile([&](int64_t from, int64_t to) {
        const auto panels = make_panels(read(start + from, start + to));
        errors.slice(0, first, last).slice(1, from, to).copy_(forms.evaluate(panels, to - from));
        teller.step((last - first) * (to - from));
      });
    }
    each_tile([&](int64_t from, int64_t to) {
      std::vector<at::Tensor> all;  // for each alpha kept [G, w]
      int64_t at = 0;
      for (const auto& skeleton : plan.weightings) {
        const auto kept = static_cast<int64_t>(skeleton.kept.size());
        all.push_back(at::mm(skeleton.combine, errors.slice(0, at, at + kept).slice(1, from, to)));
        at += kept;
      }
      for (int64_t g = 0; g < count; ++g) {
        std::vector<at::Tensor> own;
        for (const auto& of_alpha : all) own.push_back(of_alpha[g]);
        visit(g, start + from, at::mm(skeleton_.combine, at::stack(own)));
      }
    });
  }
  teller.finish();
}

}  // namespace cortune
