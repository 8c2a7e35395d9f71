// Products of the low-rank path of K lanes: skinny matrices of r rows, read along their rows.
#pragma once
#include "../pch.h"

namespace cortune {

// x [K, N, C], rows [K, r, C] -> x rows^T [K, N, r]
at::Tensor low_project(const at::Tensor& x, const at::Tensor& rows);
// into [K, N, C] (contiguous) += low [K, N, r] rows [K, r, C]
void low_expand_into(at::Tensor& into, const at::Tensor& low, const at::Tensor& rows);
// low [K, N, r], x [K, N, C] -> low^T x [K, r, C]
at::Tensor low_outer(const at::Tensor& low, const at::Tensor& x);

}  // namespace cortune
