// Attention within short sequences (sentences), all lanes, sequences and heads in one call, straight from the
// rows as the projections wrote them: no padding, no transposed copies, no copies of shared key heads.
//   s_ij = q_i k_j / sqrt(D) over what i may see,  p = softmax(s),  o_i = sum_j p_ij v_j
//   dp_ij = do_i v_j;  ds_ij = p_ij (dp_ij - do_i o_i) / sqrt(D);  dq_i = sum_j ds_ij k_j;  dk_j = sum_i
//   ds_ij q_i; dv_j = sum_i p_ij do_i, sums over the query heads that share the key head
// The probabilities are computed anew in the backward pass: that costs less than keeping them.
#pragma once
#include <cmath>
#include <cstdint>

#include "cross_entropy.h"
#include "platform.h"

namespace cortune {

CORTUNE_BOTH float exp_of(float x) { return exp_nonpositive(x); }
CORTUNE_BOTH double exp_of(double x) { return exp(x); }

// [K, N, heads, D] with channels contiguous; strides in values, `lane` 0 when all lanes share it.
struct HeadStrides {
  int64_t lane, row, head;
};

struct Sequence {
  int64_t row, length;
  bool memory;  // begins with the virtual keys and values of its lane
  // Sees, before its own, as many keys as these of the sequence before it: its memory and its first words.
  // Forward alone.
  int64_t before = 0;
};

struct AttentionShape {
  int64_t lanes, heads, key_heads, width;
  const Sequence* sequences;
  int64_t sequence_count;
  const int64_t* memory_counts;  // [K]; null for none
  bool causal;
  int64_t window;  // sees keys less than this before it; 0 for all
  HeadStrides q, k, v, memory;

  // Virtual keys that a lane's sequence has.
  CORTUNE_BOTH int64_t remembered(int64_t lane, const Sequence& sequence) const {
    return sequence.memory && memory_counts ? memory_counts[lane] : 0;
  }
  // The keys [from, to) that query i sees, numbered from the first virtual one.
  CORTUNE_BOTH int64_t first_key(int64_t i, int64_t before) const {
    return causal && window > 0 && before + i + 1 > window ? before + i + 1 - window : 0;
  }
  CORTUNE_BOTH int64_t last_key(int64_t i, int64_t before, int64_t length) const {
    return before + (causal ? i + 1 : length);
  }
};

// `memory_keys` and `memory_values` may be null. o [K, N, H, D] contiguous.
template <typename T>
struct AttentionInputs {
  const T *q, *k, *v, *memory_keys, *memory_values;
};
template <typename T>
void attention_cpu(const AttentionInputs<T>& in, T* o, int64_t rows, const AttentionShape& shape);

// Gradients, each contiguous in the shape of its input (K lanes) or null when not asked for.
template <typename T>
struct AttentionGradients {
  T *q, *k, *v, *memory_keys, *memory_values;
};
template <typename T>
void attention_backward_cpu(const AttentionInputs<T>& in, const T* o, const T* d_o,
                            const AttentionGradients<T>& d, int64_t rows, int64_t memory_size,
                            const AttentionShape& shape);

}  // namespace cortune
