// What encoding refuses, in sentences.
#pragma once
#include "encode.h"
#include "permute.h"

namespace cortune {

// Shapes, alphas and folds, and finiteness of contiguous float32 features [L, n, p].
void check_encoding(const at::Tensor& features, const Responses& responses, const EncodeSpec& spec);

// Orders and phases of permutations, and alphas given for them.
void check_refit(const Responses& responses, const RefitSpec& spec);

// Names the first value that is not finite by its place along `axes`.
void check_finite(const at::Tensor& tensor, const std::string& name, const std::vector<std::string>& axes);

}  // namespace cortune
