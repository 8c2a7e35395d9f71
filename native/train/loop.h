// The training loop: K lanes in lockstep on the same batches of sequences, no lane ever seeing another's
// gradient.
#pragma once
#include <vector>

#include "../task.h"
#include "../tune/lane_set.h"
#include "adamw.h"

namespace cortune {

struct TrainArgs {
  std::vector<std::vector<int32_t>> sequences;
  std::vector<std::vector<uint8_t>> labels;  // of each sequence's tokens: 1 counts in the loss
  std::vector<int32_t> order;                // [steps, batch] sequence numbers, -1 for none
  int64_t steps = 0;
  int64_t batch = 0;
  std::vector<double> schedule;  // [steps] factor on each lane's rate
  AdamWOptions optimiser{};
};

struct TrainResult {
  std::vector<double> losses;      // [steps, K]; NaN from a lane's divergence on
  std::vector<int64_t> failed_at;  // [K] step, or -1
};

TrainResult train(const Model& model, LaneSet& set, const TrainArgs& args, const Task& task);

// Mean next-token loss of each lane (one for the base model, `set` null) over all sequences but their first
// words, weighted by tokens. [K]
std::vector<double> evaluate(const Model& model, const LaneSet* set,
                             const std::vector<std::vector<int32_t>>& sequences, const Task& task);

}  // namespace cortune
