// Choosing one token.
#include "sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "../hash.h"

namespace cortune {
namespace {

// The `count` largest first, in falling order; of equals the one with the smaller number.
std::vector<int32_t> largest(const float* logits, int64_t vocabulary, int64_t count) {
  std::vector<int32_t> order(vocabulary);
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  order.resize(count);
  return order;
}

}  // namespace

int32_t most_likely(const float* logits, int64_t vocabulary) {
  int64_t best = 0;
  float sum = 0;
  for (int64_t i = 0; i < vocabulary; ++i) {
    sum += logits[i] * 0.0f;
    if (logits[i] > logits[best]) best = i;
  }
  return std::isfinite(sum) ? static_cast<int32_t>(best) : -1;
}

double uniform_of(uint64_t seed, uint64_t key, uint64_t step) {
  return static_cast<double>(mix(mix(mix(seed) ^ key) ^ step) >> 11) * 0x1p-53;
}

int32_t draw(const float* logits, int64_t vocabulary, const SearchRules& rules, double uniform) {
  const int32_t best = most_likely(logits, vocabulary);
  if (best < 0) return best;
  const auto weight = [&](int32_t i) {
    return std::exp((static_cast<double>(logits[i]) - logits[best]) / rules.temperature);
  };
  const int64_t kept = rules.top_k > 0 ? std::min(rules.top_k, vocabulary) : vocabulary;
  double total = 0;
  std::vector<int32_t> order;
  if (kept < vocabulary) {
    order = largest(logits, vocabulary, kept);
    for (const auto i : order) total += weight(i);
  } else {
    for (int64_t i = 0; i < vocabulary; ++i) total += weight(static_cast<int32_t>(i));
    // A nucleus is mostly small: its tokens are looked for among more and more of the largest.
    for (int64_t count = std::min<int64_t>(256, vocabulary);; count = std::min(8 * count, vocabulary)) {
      order = largest(logits, vocabulary, count);
      double held = 0;
      for (const auto i : order) held += weight(i);
      if (count == vocabulary || held >= rules.top_p * total) break;
    }
  }
  double nucleus = 0;
  size_t size = 0;
  while (size < order.size() && (size == 0 || nucleus < rules.top_p * total))
    nucleus += weight(order[size++]);
  double left = uniform * nucleus;
  for (size_t i = 0; i < size; ++i)
    if ((left -= weight(order[i])) < 0) return order[i];
  return order[size - 1];
}

}  // namespace cortune
