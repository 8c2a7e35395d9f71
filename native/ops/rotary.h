// Rotary positions with their backward pass (native/kernels/rotary.h).
#pragma once
#include "../pch.h"

namespace cortune {

// Rotates the first R channels of each head of x [K, N, H, D] in place: x is taken over. cos, sin [N, 1, R],
// or [K, N, 1, R] where lanes number their rows differently.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace cortune
