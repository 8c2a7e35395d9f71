// When a text ends.
#include "stops.h"

#include <algorithm>

namespace cortune {

const char* name_of(Stop stop) {
  switch (stop) {
    case Stop::kEnd:
      return "end";
    case Stop::kString:
      return "stop";
    case Stop::kLength:
      return "length";
    case Stop::kDiverged:
      return "diverged";
    case Stop::kNone:
      break;
  }
  return "";
}

size_t StopRules::reach() const {
  size_t most = 0;
  for (const auto& text : strings) most = std::max(most, text.size() - 1);
  return most;
}

Stop Tail::add(const StopRules& rules, int32_t token, int64_t count) {
  if (rules.ends.count(token)) return Stop::kEnd;
  if (!rules.strings.empty()) {
    bytes_ += rules.pieces[token];
    for (const auto& text : rules.strings)
      if (bytes_.find(text) != std::string::npos) return Stop::kString;
    const size_t reach = rules.reach();
    if (bytes_.size() > reach) bytes_.erase(0, bytes_.size() - reach);
  }
  return count >= rules.longest ? Stop::kLength : Stop::kNone;
}

}  // namespace cortune
