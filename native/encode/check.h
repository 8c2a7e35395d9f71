// What encoding refuses, in sentences.
#pragma once
#include "encode.h"

namespace cortune {

// Shapes, alphas, folds and finiteness of contiguous float32 features [L, n, p] and responses [n, t].
void check_encoding(const at::Tensor& features, const at::Tensor& responses, const EncodeSpec& spec);

}  // namespace cortune
