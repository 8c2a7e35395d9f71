// How one prompt of one lane is continued. A search keeps one or several rows (texts that go on); every step
// it is shown what the model gives for each and says which rows go on, with which token.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "stops.h"

namespace cortune {

struct SearchRules {
  int64_t beams = 1;
  // Beams: scores are divided by (tokens ^ length_penalty); the search ends as soon as it has `beams` texts
  // (early), when the best row cannot get better by the same length (neither), or by any length (never).
  double length_penalty = 1;
  bool early = false, never = false;
  // One row, when `sample`: drawn from softmax(logits / temperature), of the top_k largest (0: all), of the
  // fewest that have top_p of the probability.
  bool sample = false;
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1;
  uint64_t seed = 0;
  StopRules stops;
};

struct Continuation {
  int64_t row;  // which of the rows so far
  int32_t token;
};

struct Written {
  std::vector<int32_t> tokens;  // with the one that ended it
  Stop stop = Stop::kNone;
  double score = 0;  // beams: the sum of log-probabilities, by the length; else 0
};

class Search {
 public:
  virtual ~Search() = default;
  // logits[r] [V] of each row that goes on; may be overwritten. None when the search is done.
  virtual std::vector<Continuation> advance(const std::vector<float*>& logits, int64_t vocabulary) = 0;
  virtual Written result() const = 0;
};

// `key` tells prompts apart: what is drawn depends on it, the seed and the place in the text alone.
std::unique_ptr<Search> make_search(const SearchRules& rules, uint64_t key);

}  // namespace cortune
