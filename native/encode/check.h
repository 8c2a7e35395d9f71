// What encoding refuses, in sentences.
#pragma once
#include "encode.h"

namespace cortune {

// Shapes, alphas and folds, and finiteness of contiguous float32 features [L, n, p].
void check_encoding(const at::Tensor& features, const Responses& responses, const EncodeSpec& spec);

// Names the first value that is not finite by its place along `axes`.
void check_finite(const at::Tensor& tensor, const std::string& name, const std::vector<std::string>& axes);

}  // namespace cortune
