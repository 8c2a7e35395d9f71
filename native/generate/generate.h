// Texts that a model writes after prompts: many prompts and lanes at once, each word computed once.
#pragma once
#include <vector>

#include "../model/model.h"
#include "../task.h"
#include "search.h"

namespace cortune {

struct GenerateArgs {
  std::vector<std::vector<int32_t>> prompts;
  SearchRules rules;
  int64_t batch = 0;  // rows (prompts, or beams of prompts) that are continued at once
  bool half = false;  // products with weights in bfloat16
};

// Of every prompt in each lane of `delta` (one without). [K][B]
std::vector<std::vector<Written>> generate(const Model& model, const Delta* delta, const GenerateArgs& args,
                                           const Task& task);

}  // namespace cortune
