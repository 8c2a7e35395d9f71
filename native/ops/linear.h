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

// x [1 or K, N, in], weight [out, in], bias [out] or undefined -> [K, N, out], or [1, N, out] where x is
// shared by all lanes and there is nothing in which they differ. Weight and bias themselves are frozen.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const OwnWeights& own, const std::vector<LinearEffect>& effects, int64_t lanes);

}  // namespace cortune
