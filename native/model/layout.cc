// Packs sequences into rows.
#include "layout.h"

#include <algorithm>

namespace cortune {

Layout Layout::pack(const std::vector<std::vector<int32_t>>& sequences) {
  Layout layout;
  for (const auto& sequence : sequences) {
    const auto length = static_cast<int64_t>(sequence.size());
    if (!layout.groups.empty() && layout.groups.back().length == length)
      ++layout.groups.back().count;
    else
      layout.groups.push_back({layout.rows, 1, length});
    layout.rows += length;
    layout.longest = std::max(layout.longest, length);
  }
  layout.ids = at::empty({layout.rows}, at::kLong);
  layout.positions = at::empty({layout.rows}, at::kLong);
  auto* id = layout.ids.data_ptr<int64_t>();
  auto* position = layout.positions.data_ptr<int64_t>();
  for (const auto& sequence : sequences)
    for (size_t t = 0; t < sequence.size(); ++t) {
      *id++ = sequence[t];
      *position++ = static_cast<int64_t>(t);
    }
  return layout;
}

}  // namespace cortune
