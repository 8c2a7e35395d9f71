// What a pass has inside: states at a point of blocks, attention weights.
#pragma once
#include <vector>

#include "../model/model.h"
#include "../task.h"

namespace cortune {

// Of every token of the sequences, in their order: [layers, tokens, width], width H * D at kHeads, else C. At
// kResidual layer L is the last block's output.
at::Tensor capture(const Model& model, const Delta* delta, const std::vector<std::vector<int32_t>>& sequences,
                   Point point, const std::vector<int32_t>& layers, bool half, const Task& task);

// Mean over all tokens of the sequences, each read alone. [L, width]
at::Tensor mean_of(const Model& model, const Delta* delta, const std::vector<std::vector<int32_t>>& sequences,
                   Point point, bool half, const Task& task);

// Attention weights of every layer and head, the mean over sequences, which are equally long. What went to
// virtual tokens is not in it. [L, H, T (queries), T (keys)]
at::Tensor attention_maps(const Model& model, const Delta* delta,
                          const std::vector<std::vector<int32_t>>& sequences, const Task& task);

}  // namespace cortune
