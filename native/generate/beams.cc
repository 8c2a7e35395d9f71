// Beam search. Scores are float32 sums, as in transformers, so that the same candidates win.
#include "beams.h"

#include <algorithm>
#include <cmath>

namespace cortune {
namespace {

constexpr float kNever = -1.0e9f;  // what transformers adds to rows that must not be chosen

// log softmax in place; false when a value is not finite.
bool log_softmax(float* logits, int64_t size) {
  float top = logits[0];
  for (int64_t i = 0; i < size; ++i) top = std::max(top, logits[i]);
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += std::exp(static_cast<double>(logits[i]) - top);
  const auto total = static_cast<float>(top + std::log(sum));
  for (int64_t i = 0; i < size; ++i) logits[i] -= total;
  return std::isfinite(total);
}

}  // namespace

BeamSearch::BeamSearch(const SearchRules& rules) : rules_(rules) {
  // The first step has one row: the others would find the same tokens.
  running_.emplace_back();
}

// Enough that `beams` rows go on even when all the best ones end.
std::vector<BeamSearch::Candidate> BeamSearch::best_candidates(const std::vector<float*>& logits,
                                                               int64_t vocabulary) const {
  const auto ends = static_cast<int64_t>(rules_.stops.ends.size());
  const int64_t rows = static_cast<int64_t>(logits.size());
  const auto wanted =
      static_cast<size_t>(std::min(std::max<int64_t>(2, 1 + ends) * rules_.beams, rows * vocabulary));
  // Of equals the first stays in front, as in a sort that is stable.
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.row != b.row ? a.row < b.row : a.token < b.token;
  };
  std::vector<Candidate> best;  // a heap whose front is the worst that is kept
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t token = 0; token < vocabulary; ++token) {
      const Candidate next{row, static_cast<int32_t>(token), running_[row].score + logits[row][token]};
      if (best.size() == wanted && !better(next, best.front())) continue;
      if (best.size() == wanted) {
        std::pop_heap(best.begin(), best.end(), better);
        best.pop_back();
      }
      best.push_back(next);
      std::push_heap(best.begin(), best.end(), better);
    }
  std::sort(best.begin(), best.end(), better);
  return best;
}

// Candidates that end, of the best `beams`, take a place among the finished ones if they are better.
void BeamSearch::finish(const std::vector<Beam>& candidates) {
  const auto beams = static_cast<size_t>(rules_.beams);
  if (rules_.early && finished_.size() == beams) return;
  for (size_t i = 0; i < candidates.size() && i < beams; ++i) {
    if (candidates[i].stop == Stop::kNone) continue;
    auto ended = candidates[i];
    ended.score /= static_cast<float>(std::pow(static_cast<double>(length_), rules_.length_penalty));
    const auto place = std::find_if(finished_.begin(), finished_.end(),
                                    [&](const Beam& other) { return other.score < ended.score; });
    finished_.insert(place, std::move(ended));
  }
  if (finished_.size() > beams) finished_.resize(beams);
}

// Can the best row still beat the worst finished text?
bool BeamSearch::can_improve() const {
  if (finished_.size() < static_cast<size_t>(rules_.beams)) return true;
  const bool by_any_length = rules_.never && rules_.length_penalty > 0;
  const auto length = static_cast<double>(by_any_length ? rules_.stops.longest : length_);
  const auto possible = running_[0].score / static_cast<float>(std::pow(length, rules_.length_penalty));
  return possible > finished_.back().score;
}

std::vector<Continuation> BeamSearch::advance(const std::vector<float*>& logits, int64_t vocabulary) {
  for (auto* row : logits) diverged_ = !log_softmax(row, vocabulary) || diverged_;
  if (diverged_) return {};
  const auto best = best_candidates(logits, vocabulary);
  ++length_;
  std::vector<Beam> candidates;
  for (const auto& [row, token, score] : best) {
    auto beam = running_[row];
    beam.tokens.push_back(token);
    beam.stop = beam.tail.add(rules_.stops, token, length_);
    beam.score = score;
    candidates.push_back(std::move(beam));
  }
  finish(candidates);

  std::vector<Continuation> going;
  running_.clear();
  for (size_t i = 0; i < candidates.size() && running_.size() < static_cast<size_t>(rules_.beams); ++i) {
    if (candidates[i].stop != Stop::kNone || candidates[i].score <= kNever) continue;
    going.push_back({best[i].row, best[i].token});
    running_.push_back(std::move(candidates[i]));
  }
  const bool full = rules_.early && finished_.size() == static_cast<size_t>(rules_.beams);
  if (running_.empty() || full || !can_improve()) return {};
  return going;
}

Written BeamSearch::result() const {
  if (diverged_ || finished_.empty()) return {{}, Stop::kDiverged, 0};
  const auto& best = finished_.front();
  return {best.tokens, best.stop, best.score};
}

}  // namespace cortune
