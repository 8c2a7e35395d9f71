// Products of the low-rank path of K lanes (native/kernels/low_rank.h).
#pragma once
#include "../pch.h"

namespace cortune {

// x [K, N, C], factor [K, r, C], scale [K, 1, 1] or undefined -> scale x factor^T [K, N, r]
at::Tensor low_project(const at::Tensor& x, const at::Tensor& factor, const at::Tensor& scale);
// y [K, N, C] (contiguous) += low [K, N, r] factor [K, r, C]
void low_expand(at::Tensor y, const at::Tensor& low, const at::Tensor& factor);
// y = start + low factor; start [1 or K, 1 or N, C], undefined for 0.
void low_expand_from(const at::Tensor& start, at::Tensor y, const at::Tensor& low, const at::Tensor& factor);
// low [K, N, r], x [K, N, C] -> low^T x [K, r, C]
at::Tensor low_outer(const at::Tensor& low, const at::Tensor& x);

}  // namespace cortune
