// How much memory training takes, by trying: small passes are watched allocation by allocation, and what they
// hold at each moment grows linearly with the tokens and with the lanes.
#pragma once
#include <string>
#include <vector>

#include "../task.h"
#include "../tune/lane_set.h"
#include "objective.h"

namespace cortune {

struct Footprint {
  int64_t tokens = 0;   // N of the smaller passes
  int64_t state = 0;    // bytes of one lane: everything the method holds of it
  int64_t trained = 0;  // bytes of what of that is trained; the optimiser holds twice as much again
  // Most bytes that a forward and backward pass holds at each of its moments, gradients included:
  // (1 lane, N), (2 lanes, N), (1 lane, 2 N), (2 lanes, 2 N). [4, moments]
  std::vector<double> live;
};

// `spec` of one lane. The loss is taken over one row a sequence: what all rows add to it is the caller's to
// count. With `alone` a second lane, which would take as much memory again, is not tried but taken to be like
// the first.
Footprint footprint(const Model& model, const MethodSpec& spec, const std::string& objective, int64_t outputs,
                    bool checkpointing, bool alone, const Task& task);

}  // namespace cortune
