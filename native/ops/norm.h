// RMSNorm and LayerNorm with their backward passes (native/kernels/norm.h).
#pragma once
#include "../pch.h"

namespace cortune {

// x [1 or K, N, C]; weight and bias [C] or [1, 1, C] of all lanes, or [K, 1, C] where lanes own theirs; bias
// undefined: RMSNorm.
at::Tensor norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace cortune
