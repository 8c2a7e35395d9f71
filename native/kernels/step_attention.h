// Attention of one new word in each of many sequences over the rows of a pool of keys and values, found by
// lists of row numbers:  s_j = q k_j / sqrt(D),  p = softmax(s),  o = sum_j p_j v_j.
#pragma once
#include <cstdint>

#include "platform.h"

namespace cortune {

struct StepShape {
  int64_t lanes, rows, heads, key_heads, width;
  int64_t pool_lane;      // values from one lane of the pool to the next
  const int32_t* list;    // rows of the pool, sequence after sequence, in the order of their positions
  const int64_t* starts;  // [lanes * rows + 1] into the list
  int64_t window;         // a word sees those less than this before it; 0 for all
};

// q, o [K, N, H, D]; keys, values [K, R, H_kv, D], contiguous but for `pool_lane`.
void step_attention_cpu(const float* q, const float* keys, const float* values, float* o,
                        const StepShape& shape);

}  // namespace cortune
