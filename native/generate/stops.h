// When a text ends: at a token that says so, at a string, or when it is long enough.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace cortune {

enum class Stop { kNone, kEnd, kString, kLength, kDiverged };
const char* name_of(Stop stop);

struct StopRules {
  std::set<int32_t> ends;            // tokens that end a text
  std::vector<std::string> strings;  // bytes at which it ends
  std::vector<std::string> pieces;   // the bytes of each token; empty without `strings`
  int64_t longest = 0;               // most new tokens

  // Most bytes that a stop string may have begun before the last token.
  size_t reach() const;
};

// The end of one text, as bytes: as much of it as a stop string may reach back into.
class Tail {
 public:
  // Adds token number `count` (from 1) and says whether the text ends with it.
  Stop add(const StopRules& rules, int32_t token, int64_t count);

 private:
  std::string bytes_;
};

}  // namespace cortune
