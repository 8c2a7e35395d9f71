// Scaled dot-product attention within the sequences of a layout.
#pragma once
#include <functional>
#include <vector>

#include "../model/layout.h"

namespace cortune {

struct AttentionRules {
  bool causal = true;
  int64_t window = 0;  // a query sees keys less than this before it; 0 for all
};

// Keys and values before those of every sequence; lane k has the first counts[k] of M.
struct Memory {
  at::Tensor keys, values;      // [K, M, H_kv, D], undefined for none
  std::vector<int64_t> counts;  // [K]
};

// q [1 or K, N, H, D]; k, v [1 or K, N, H_kv, D] -> [K, N, H * D]; H / H_kv queries share a key head. Rows of
// shared prompts attend among themselves only; where the layout has them, `memory` is theirs.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
                     const Memory& memory, const AttentionRules& rules);

// The same through the weights themselves, which `change` sees group by group, [K * B, H, T, M + T], and may
// put others in the place of. Slow, and not differentiable by hand: for looking.
at::Tensor attention_by_weights(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const Layout& layout, const Memory& memory, const AttentionRules& rules,
                                const std::function<at::Tensor(const at::Tensor&)>& change);

}  // namespace cortune
