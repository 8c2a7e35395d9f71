// How well the tokens of one text are found among those of another: the greedy matching of BERTScore (Zhang
// et al. 2020, arXiv:1904.09675).
#pragma once
#include <cstdint>
#include <vector>

#include "../pch.h"
#include "../task.h"

namespace cortune {

struct SoftMatchArgs {
  at::Tensor states;             // [.., n, C]: tokens of all texts, text after text
  std::vector<int32_t> lengths;  // tokens of each text
  std::vector<float> weights;    // [n] of the tokens, at least 0
  std::vector<int32_t> pairs;    // [P, 2]: numbers of a predicted text and of a reference
};

// [P, 2]: precision (each predicted token's largest cosine with a token of the reference, their weighted
// mean) and recall (the other way round); 0 for a text whose tokens have no weight.
std::vector<double> soft_match(const SoftMatchArgs& args, const Task& task);

}  // namespace cortune
