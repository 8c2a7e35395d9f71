// The blocks of a model from the first to the finished state, with or without keeping what the backward pass
// needs.
#pragma once
#include "../model/model.h"
#include "../task.h"

namespace cortune {

// [1 or K, N, C]. With `checkpointing`, each block keeps its input only and is computed again in the backward
// pass (Chen et al. 2016, arXiv:1604.06174); `pass` must live until then.
at::Tensor run_blocks(const Model& model, const Pass& pass, bool checkpointing, const Task& task);

}  // namespace cortune
