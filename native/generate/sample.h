// The most likely token, and nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751).
#pragma once
#include <cstdint>

#include "search.h"

namespace cortune {

// The first of the largest; -1 when one is not a number.
int32_t most_likely(const float* logits, int64_t vocabulary);
// `uniform` in [0, 1) chooses. Scales by temperature, keeps the top_k, then the top_p, as transformers does.
int32_t draw(const float* logits, int64_t vocabulary, const SearchRules& rules, double uniform);
// A number in [0, 1) that depends on the three only.
double uniform_of(uint64_t seed, uint64_t key, uint64_t step);

}  // namespace cortune
