// One row that goes on with the most likely token or a drawn one; and which search fits the rules.
#include "search.h"

#include "beams.h"
#include "sample.h"

namespace cortune {
namespace {

class OneRow : public Search {
 public:
  OneRow(const SearchRules& rules, uint64_t key) : rules_(rules), key_(key) {}

  std::vector<Continuation> advance(const std::vector<float*>& logits, int64_t vocabulary) override {
    const auto place = static_cast<uint64_t>(written_.tokens.size());
    const int32_t token = rules_.sample
                              ? draw(logits[0], vocabulary, rules_, uniform_of(rules_.seed, key_, place))
                              : most_likely(logits[0], vocabulary);
    if (token < 0) {
      written_.stop = Stop::kDiverged;
      return {};
    }
    written_.tokens.push_back(token);
    written_.stop = tail_.add(rules_.stops, token, static_cast<int64_t>(written_.tokens.size()));
    if (written_.stop != Stop::kNone) return {};
    return {{0, token}};
  }
  Written result() const override { return written_; }

 private:
  const SearchRules& rules_;
  uint64_t key_;
  Written written_;
  Tail tail_;
};

}  // namespace

std::unique_ptr<Search> make_search(const SearchRules& rules, uint64_t key) {
  if (rules.beams > 1) return std::make_unique<BeamSearch>(rules);
  return std::make_unique<OneRow>(rules, key);
}

}  // namespace cortune
