// Batches of examples, and the loss of lanes on them.
#pragma once
#include <vector>

#include "../task.h"
#include "../tune/lane_set.h"
#include "objective.h"

namespace cortune {

// The sequences of one pass, longest first so that equal lengths attend together (a mean over rows does not
// see their order), and their labels one after the other.
struct Batch {
  std::vector<std::vector<int32_t>> sequences;
  std::vector<float> labels;
  std::shared_ptr<const Images> images;
};

// `numbers` name sequences of `examples`; negative ones are passed over.
Batch assemble(const Examples& examples, std::vector<int32_t> numbers);

// Throws kArgument for examples without a label for each token or each sequence.
void check_examples(const Objective& objective, const Examples& examples);

// Mean loss of each lane (one for the base model, `set` null) over all scored rows of `examples`, `batch`
// sequences a pass; with `half` products with weights are in bfloat16. [K]
std::vector<double> evaluate(const Model& model, const LaneSet* set, const Objective& objective,
                             const Examples& examples, int64_t batch, bool half, const Task& task);

// What each lane says of each sequence. All [K, S].
struct Judgements {
  std::vector<double> losses;  // sum over its scored rows
  std::vector<double> rows;    // how many those are; the first token of a sequence is none
  std::vector<double>
      correct;               // rows where the most likely token, or the class, is the right one; for values 0
  std::vector<double> said;  // the class or value itself; NaN where labels belong to tokens
};

// Judges every sequence of `examples` by the lanes of `set` (null: the base model), passes of about `tokens`
// tokens.
Judgements judge(const Model& model, const LaneSet* set, const Objective& objective, const Examples& examples,
                 int64_t tokens, bool half, const Task& task);

// What the heads of all lanes say of each sequence. [K, sequences, outputs]
at::Tensor predict(const Model& model, const LaneSet& set, const Objective& objective,
                   const Examples& examples, int64_t batch, bool half, const Task& task);

}  // namespace cortune
