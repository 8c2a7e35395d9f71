// The training loop: K lanes in lockstep on the same batches of sequences, no lane ever seeing another's
// gradient; or so many of them at a time, which takes less memory and, from some hundred rows in a pass on,
// no more time. A lane that diverges, stops early or falls behind leaves the batch; the others go on.
#pragma once
#include <string>
#include <vector>

#include "adamw.h"
#include "batch.h"

namespace cortune {

struct TrainArgs {
  Examples examples;
  std::vector<int32_t> order;  // [steps, passes, batch] sequence numbers, -1 for none
  int64_t steps = 0;
  int64_t passes = 1;  // forward and backward passes whose gradients add up to one update
  int64_t batch = 0;
  std::vector<double> schedule;  // [steps, K] factor on each lane's rate
  AdamWOptions optimiser{};
  int64_t together = 0;  // lanes of one pass at most; 0 for all. Others wait for their turn.
  bool checkpointing = false;
  bool half = false;  // products with weights in bfloat16

  Examples validation;         // may be empty
  int64_t every = 0;           // updates between evaluations; the last update is evaluated too
  int64_t patience = 0;        // evaluations without a better loss after which a lane stops; 0 for never
  std::vector<int32_t> rungs;  // ascending numbers of updates after which only the best lanes go on,
  std::vector<int32_t> keep;   // and how many
};

struct TrainResult {
  std::vector<double> losses;      // [steps, K]; NaN once a lane has left
  std::vector<int64_t> failed_at;  // [K] step at which loss or gradient was not finite, or -1
  // [K] updates after which a lane left for another reason, or -1; the reason: patience or halving
  std::vector<int64_t> stopped_at;
  std::vector<std::string> stopped_by;
  std::vector<double> validation;     // [E, K] losses; NaN once a lane has left
  std::vector<int64_t> validated_at;  // [E] updates before each evaluation
  std::vector<int64_t> best_at;  // [K] updates of a lane's kept state: with patience its best, else its last
  // [K] each lane's state when it left, or its best; empty for a lane that the set holds as it ended.
  std::vector<NamedTensors> states;
};

// `set` holds in the end the lanes that were not dropped. `objective` is the name of one (see
// make_objective).
TrainResult train(const Model& model, LaneSet& set, const std::string& objective, const TrainArgs& args,
                  const Task& task);

}  // namespace cortune
