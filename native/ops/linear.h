// A linear module with the effects of tuning methods, forward and backward: the base weight is one GEMM over
// the rows of all lanes, has no gradient, and every effect is added in place.
#pragma once
#include <vector>

#include "../model/delta.h"

namespace cortune {

// Lanes that use their own weight and bias instead of the base's.
struct OwnWeights {
  std::vector<OwnParameter> weight;  // [k, out, in]
  std::vector<OwnParameter> bias;    // [k, out]
};

// A linear module of the model. Weight and bias themselves are frozen.
struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined
  OwnWeights own;
  std::vector<LinearEffect> effects;
};

// x [1 or K, N, in], residual [1 or K, N, out] or undefined -> residual + module(x) [K, N, out], or [1, N,
// out] where x and residual are shared by all lanes and there is nothing in which they differ.
at::Tensor linear(const Linear& module, const at::Tensor& x, const at::Tensor& residual, int64_t lanes);

}  // namespace cortune
