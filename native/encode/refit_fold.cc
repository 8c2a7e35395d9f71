// Features of a fold and its inner folds -> factors, and what predicts by them.
#include "refit_fold.h"

#include "design.h"
#include "inner.h"
#include "parallel.h"

namespace cortune {
namespace {

// The alphas that some target of fold f needs.
std::vector<bool> used_alphas(const RefitSpec& spec, size_t f, int64_t targets) {
  std::vector<bool> used(spec.alphas.size(), spec.chosen.empty());
  if (!spec.chosen.empty())
    for (int64_t j = 0; j < targets; ++j)
      if (const int32_t a = spec.chosen[f * targets + j]; a >= 0) used[a] = true;
  return used;
}

}  // namespace

RefitFold make_refit_fold(const at::Tensor& features, const RefitSpec& spec, size_t f, int64_t targets,
                          int64_t fits, const Task& task) {
  task.check();
  const auto& given = spec.folds[f];
  RefitFold fold{given.rows.train, given.rows.test, {}, {}, {}};
  const int64_t n = static_cast<int64_t>(fold.train.size());
  const auto design = make_design(features, given.rows, spec.zscore);
  const bool dual = design.rows.size(1) > n;
  const auto folds =
      spec.chosen.empty() ? inner_positions(given, features.size(0)) : std::vector<InnerFold>();
  std::vector<Refit> inner(folds.size());
  const auto products = dual ? gram(design.rows) : at::Tensor();
  each(static_cast<int64_t>(inner.size()) + 1, [&](int64_t i) {
    const bool last = i == static_cast<int64_t>(inner.size());
    const auto rows = last ? InnerFold{at::arange(n), at::arange(n, design.rows.size(0)), {}} : folds[i];
    auto fit = dual ? dual_refit(products, rows, {}) : primal_refit(design.rows, rows, {});
    if (last)
      fold.factor = fit.factor;
    else
      inner[i] = std::move(fit);
  });
  const auto alphas = at::tensor(spec.alphas, at::kDouble);
  fold.predictor.emplace(fold.factor, at::arange(n), n, alphas, used_alphas(spec, f, targets), fits,
                         spec.single ? at::kFloat : at::kDouble);
  if (!inner.empty()) fold.screen.emplace(inner, n, at::Tensor(), alphas, fits, task);
  return fold;
}

}  // namespace cortune
