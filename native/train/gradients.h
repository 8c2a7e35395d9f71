// The gradients of one batch by themselves: for tests, and for whoever wants to look at them.
#pragma once
#include "batch.h"

namespace cortune {

// Of the mean loss (with the method's own term, in training mode) over all `examples` in one pass, by lane
// `lane`'s tensors as LaneSet::state names them. Leaves no gradient behind.
NamedTensors gradients(const Model& model, LaneSet& set, int64_t lane, const Objective& objective,
                       const Examples& examples, const Task& task);

}  // namespace cortune
