// Hidden states of stimuli at every layer, pooled over spans of tokens, in one pass over packed sequences.
#pragma once
#include <string>
#include <vector>

#include "../model/model.h"
#include "../task.h"

namespace cortune {

struct ExtractArgs {
  std::vector<std::vector<int32_t>> sequences;
  std::vector<int32_t>
      spans;               // [n, 2]: start and end of each stimulus in packed positions, inside one sequence
  std::string pool;        // last | mean | first
  int64_t max_tokens = 0;  // of one pass, unless a sequence alone is longer
  std::vector<int32_t> layers;                     // entries of hidden_states to keep
  bool half = false;                               // products with weights in bfloat16
  std::shared_ptr<const Images> images = nullptr;  // that sequences name; null for texts
};

// One [kept layers, n, C] for each lane of `delta` (one without).
std::vector<at::Tensor> extract(const Model& model, const Delta* delta, const ExtractArgs& args,
                                const Task& task);

// All of a few sequences: hidden states [layers + 1, N, C] and logits [N, V] (undefined for encoders) of one
// lane.
struct Forward {
  at::Tensor hidden;
  at::Tensor logits;
};
Forward forward(const Model& model, const Delta* delta, int64_t lane,
                const std::vector<std::vector<int32_t>>& sequences, std::shared_ptr<const Images> images,
                const Task& task);

}  // namespace cortune
