// The one matrix product behind every linear module: by oneDNN, whose kernels are made at run time for the
// processor at hand, in one pass with what the product is added to.
#pragma once
#include "../pch.h"

namespace cortune {

// start + x w^T: x [N, in], w [out, in] (any strides, so a transposed view is fine), start [N, out]
// contiguous or undefined for 0 -> [N, out]. Where w is bfloat16, x is rounded to it and the product made in
// it (sums in float32), then added to start in float32. Not differentiable.
at::Tensor times(const at::Tensor& x, const at::Tensor& w, const at::Tensor& start = {});

}  // namespace cortune
