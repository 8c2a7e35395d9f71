// Outer training rows -> alphas by inner folds -> scores of the test rows.
#include "fold.h"

#include <algorithm>
#include <limits>

#include "design.h"
#include "factor.h"
#include "inner.h"
#include "score.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

at::Tensor to_index(const std::vector<int64_t>& rows) { return at::tensor(rows, at::kLong); }

FoldSizes sizes_of(const Study& study, const OuterFold& fold) {
  FoldSizes sizes{static_cast<int64_t>(fold.rows.train.size()),
                  static_cast<int64_t>(fold.rows.test.size()),
                  study.features.size(2),
                  study.targets(),
                  study.alphas.size(0),
                  {},
                  {}};
  for (const auto& inner : fold.inner) {
    sizes.inner_train.push_back(static_cast<int64_t>(inner.train.size()));
    sizes.inner_test.push_back(static_cast<int64_t>(inner.test.size()));
  }
  return sizes;
}

// Inner folds as positions in the outer training rows.
std::vector<InnerFold> inner_positions(const OuterFold& fold, int64_t rows) {
  std::vector<int64_t> position(rows, -1);
  for (size_t i = 0; i < fold.rows.train.size(); ++i) position[fold.rows.train[i]] = static_cast<int64_t>(i);
  std::vector<InnerFold> out;
  for (const auto& inner : fold.inner) {
    std::vector<int64_t> train, test, held;
    std::vector<bool> seen(fold.rows.train.size(), false);
    for (const int64_t row : inner.train) train.push_back(position[row]), seen[train.back()] = true;
    for (const int64_t row : inner.test) test.push_back(position[row]), seen[test.back()] = true;
    held = test;
    for (size_t i = 0; i < seen.size(); ++i)
      if (!seen[i]) held.push_back(static_cast<int64_t>(i));
    out.push_back({to_index(train), to_index(test), to_index(held)});
  }
  return out;
}

class Fold {
 public:
  Fold(const Study& study, int64_t layer, int64_t index)
      : study_(study),
        fold_(study.spec.folds[index]),
        layer_(layer),
        index_(index),
        n_(static_cast<int64_t>(fold_.rows.train.size())),
        train_(to_index(fold_.rows.train)),
        test_(to_index(fold_.rows.test)) {}

  void run() {
    factorise();
    const auto alpha = choose();  // [t]
    const int64_t step = study_.chunk(n_);
    for (int64_t from = 0; from < study_.targets(); from += step) {
      study_.task.check();
      finish(from, std::min(study_.targets(), from + step), alpha);
    }
  }

 private:
  // Leaves `factor_` (all training rows -> test rows) and `inner_`.
  void factorise() {
    const auto design = make_design(study_.features[layer_], fold_.rows, study_.spec.zscore);
    const auto sizes = sizes_of(study_, fold_);
    const auto folds = selects() ? inner_positions(fold_, study_.features.size(1)) : std::vector<InnerFold>{};
    study_.task.check();
    if (!dual_is_cheaper(sizes)) {
      factor_ = primal_factor(design.train, design.test);
      inner_ = InnerFolds::primal(design.train, folds, study_.alphas, study_.task);
      return;
    }
    const auto products = gram(design.train);
    // The constant vector is an eigenvector of value 0; lifted to the mean value it stays apart from the null
    // space, and centred responses never see it.
    const double lift = products.trace().item<double>() / static_cast<double>(n_);
    const auto lifted =
        eigendecompose(products + lift / static_cast<double>(n_), std::max(n_, design.train.size(1)));
    factor_ = dual_factor(lifted, at::mm(design.test, design.train.t()));
    inner_ = InnerFolds::dual(products, lifted, lift, folds, study_.alphas, sizes, study_.task);
  }

  bool selects() const { return study_.alphas.size(0) > 1; }

  // Raw responses of some rows and targets.
  at::Tensor rows_of(const at::Tensor& rows, int64_t from, int64_t to) const {
    return study_.responses.slice(1, from, to).index_select(0, rows);
  }

  // The chosen alpha of every target; NaN for one that is constant in the training rows.
  at::Tensor choose() const {
    const int64_t A = study_.alphas.size(0), t = study_.targets();
    auto errors = at::zeros({A, t}, at::kDouble);
    auto flat = at::empty({t}, at::kBool);
    const int64_t step = study_.chunk(n_);
    for (int64_t from = 0; from < t; from += step) {
      study_.task.check();
      const int64_t to = std::min(t, from + step);
      const auto y = rows_of(train_, from, to);
      flat.slice(0, from, to).copy_(is_flat(y));
      if (selects()) errors.slice(1, from, to).copy_(inner_.errors(centred(y)));
    }
    if (study_.spec.shared_alpha) errors = errors.masked_fill(flat, 0).sum(1, true).expand({A, t});
    // Of equal errors the last, largest alpha.
    const auto best = (A - 1) - errors.flip(0).argmin(0);
    return study_.alphas.index_select(0, best).masked_fill(flat, kNan);
  }

  static at::Tensor centred(const at::Tensor& y) {
    const auto wide = y.to(at::kDouble);
    return wide - wide.mean(0, true);
  }

  void finish(int64_t from, int64_t to, const at::Tensor& alpha) {
    const auto train = rows_of(train_, from, to), test = rows_of(test_, from, to);
    const auto mean = train.to(at::kDouble).mean(0, true);  // [1, t]
    const auto chosen = alpha.slice(0, from, to);
    const auto prediction = predict_chosen(factor_, centred(train), chosen);  // [m, t]
    const auto scores = score(prediction, test.to(at::kDouble) - mean, is_flat(test));
    store(study_.out.r, scores.r.masked_fill(chosen.isnan(), kNan), from);
    store(study_.out.r2, scores.r2.masked_fill(chosen.isnan(), kNan), from);
    store(study_.out.alpha, chosen, from);
    if (study_.spec.predictions)
      study_.out.predictions[layer_]
          .slice(1, from, to)
          .index_copy_(0, test_, (prediction + mean).to(at::kFloat));
  }

  void store(std::vector<double>& into, const at::Tensor& values, int64_t from) const {
    const auto flat = values.contiguous();
    const int64_t folds = static_cast<int64_t>(study_.spec.folds.size());
    std::copy_n(flat.data_ptr<double>(), flat.numel(),
                into.begin() + (layer_ * folds + index_) * study_.targets() + from);
  }

  const Study& study_;
  const OuterFold& fold_;
  int64_t layer_, index_, n_;
  at::Tensor train_, test_;
  Factor factor_;
  InnerFolds inner_;
};

}  // namespace

void encode_fold(const Study& study, int64_t layer, int64_t fold) { Fold(study, layer, fold).run(); }

}  // namespace cortune
