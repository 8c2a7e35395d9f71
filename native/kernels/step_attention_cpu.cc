// Attention of new words on the CPU. A piece of work is one sequence of one lane and one key head: its keys
// and values are read once for all query heads that share them.
#include "step_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention.h"
#include "vec.h"

namespace cortune {
namespace {

// Turns scores into probabilities; a score that is not a number makes all of them so.
CORTUNE_BOTH void probabilities(float* scores, int64_t count) {
  float top = scores[0], sum = 0;
  for (int64_t j = 0; j < count; ++j) {
    top = scores[j] > top ? scores[j] : top;
    sum += scores[j] * 0.0f;
  }
  for (int64_t j = 0; j < count; ++j) sum += scores[j] = exp_of(scores[j] - top);
  const float share = 1 / sum;
  for (int64_t j = 0; j < count; ++j) scores[j] *= share;
}

// One query head over `count` rows `stride` apart; `scores` has room for them.
CORTUNE_SIMD void attend_one(const float* q, const float* keys, const float* values, float* o,
                             const int32_t* rows, int64_t count, int64_t stride, int64_t width,
                             float* scores) {
  const float scale = 1 / std::sqrt(static_cast<float>(width));
  for (int64_t j = 0; j < count; ++j) scores[j] = scale * dot(q, keys + rows[j] * stride, width);
  probabilities(scores, count);
  std::fill(o, o + width, 0.0f);
  for (int64_t j = 0; j < count; ++j) add_multiple(o, scores[j], values + rows[j] * stride, width);
}

}  // namespace

void step_attention_cpu(const float* q, const float* keys, const float* values, float* o,
                        const StepShape& a) {
  const int64_t shared = a.heads / a.key_heads, stride = a.key_heads * a.width;
  at::parallel_for(0, a.lanes * a.rows * a.key_heads, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t sequence = piece / a.key_heads, g = piece % a.key_heads;
      int64_t from = a.starts[sequence];
      const int64_t to = a.starts[sequence + 1];
      if (a.window > 0) from = std::max(from, to - a.window);
      scores.resize(std::max<size_t>(scores.size(), to - from));
      const int64_t pool = sequence / a.rows * a.pool_lane + g * a.width;
      for (int64_t h = 0; h < shared; ++h) {
        const int64_t head = (sequence * a.heads + g * shared + h) * a.width;
        attend_one(q + head, keys + pool, values + pool, o + head, a.list + from, to - from, stride, a.width,
                   scores.data());
      }
    }
  });
}

}  // namespace cortune
