// The weights of one lane's model: the base's with the effect of the lane in them, for methods whose effect
// is one on weights.
#pragma once
#include "lane_set.h"

namespace cortune {

// Every parameter of the model under its own name (of heads that were drawn at random, those that the lane
// trained), and the lane's sequence head. Throws kArgument for lanes with virtual tokens.
NamedTensors merged(const Model& model, const LaneSet& set, int64_t lane);

}  // namespace cortune
