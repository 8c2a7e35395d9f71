// Ridge for every alpha through one eigendecomposition, in float64.
//
// Dual (n training rows): K = Xc Xc^T = Q diag(l) Q^T, predictions  K_test Q diag(1 / (l + alpha)) Q^T yc.
// Primal (p features):   Xc^T Xc = V diag(l) V^T, predictions  X_test V diag(1 / (l + alpha)) V^T Xc^T yc.
// Both are  basis * diag(1 / (l + alpha)) * (project * yc), which is what a Factor holds.
#pragma once
#include <ATen/ATen.h>

namespace cortune {

struct Spectrum {
  at::Tensor values;   // [k], ascending
  at::Tensor vectors;  // [k, k], columns
  // Below this a value is rounding. float32 features cannot tell such a direction from none, so fits leave it
  // out, as the minimum-norm solution does; this keeps tiny alphas exact for rank-deficient features.
  double floor = 0;
};

// `size`: the longest sum behind an entry.
Spectrum eigendecompose(const at::Tensor& symmetric, int64_t size);

struct Factor {
  at::Tensor values;   // [k], ascending
  at::Tensor project;  // [k, n]; its rows sum to 0, so responses need not be centred
  at::Tensor basis;    // [m, k]
  at::Tensor vectors;  // weights of eigenvector j: of the features [p, k] (primal), of the training rows [n,
                       // k] (dual)
};

// `spectrum` of the Gram matrix of centred training rows, `cross` [m, n] their products with the test rows.
Factor dual_factor(const Spectrum& spectrum, const at::Tensor& cross);
// Centred training rows [n, p] and test rows [m, p].
Factor primal_factor(const at::Tensor& train, const at::Tensor& test);
// The same with row weights: `train` [n, p] and `block` [n, n], `cross` [m, n] are centred on the weighted
// mean of the training rows, `roots` [n] are the square roots of the weights.
Factor weighted_primal_factor(const at::Tensor& train, const at::Tensor& test, const at::Tensor& roots);
Factor weighted_dual_factor(const at::Tensor& block, const at::Tensor& cross, const at::Tensor& roots);

// 1 / (l + alpha).
at::Tensor filters(const Factor& factor, const at::Tensor& alphas);  // [k, A]

// Predictions (without intercept) of responses y [n, t].
at::Tensor predict_path(const Factor& factor, const at::Tensor& y,
                        const at::Tensor& alphas);  // alphas [A] -> [m, A, t]
at::Tensor predict_chosen(const Factor& factor, const at::Tensor& y,
                          const at::Tensor& alpha);  // alpha [t]  -> [m, t]

}  // namespace cortune
