// Beam search as transformers does it (version 5): one prompt.
#pragma once
#include <vector>

#include "search.h"

namespace cortune {

class BeamSearch : public Search {
 public:
  explicit BeamSearch(const SearchRules& rules);
  std::vector<Continuation> advance(const std::vector<float*>& logits, int64_t vocabulary) override;
  Written result() const override;

 private:
  struct Beam {
    std::vector<int32_t> tokens;
    Tail tail;
    float score = 0;
    Stop stop = Stop::kNone;
  };
  struct Candidate {
    int64_t row;
    int32_t token;
    float score;
  };
  std::vector<Candidate> best_candidates(const std::vector<float*>& logits, int64_t vocabulary) const;
  void finish(const std::vector<Beam>& candidates);
  bool can_improve() const;

  const SearchRules& rules_;
  std::vector<Beam> running_, finished_;  // finished: best first, at most as many as there are beams
  int64_t length_ = 0;                    // new tokens of every row
  bool diverged_ = false;
};

}  // namespace cortune
