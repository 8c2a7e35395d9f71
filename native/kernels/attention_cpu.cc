// Attention within short sequences on the CPU. A piece of work is one lane, one sequence and one key head;
// what it needs is packed into a thread's own memory with rows padded to whole registers. Of sequences that
// share keys, one thread takes all: those a sequence shares are still packed from the one before it.
#include "attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "vec.h"

namespace cortune {
namespace {

template <typename T>
int64_t padded(int64_t size) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  return (size + kStep - 1) / kStep * kStep;
}

// The sequence's rows of one head, padded: [length, width'].
template <typename T>
CORTUNE_BOTH void pack_rows(T* into, const T* from, int64_t stride, int64_t rows, int64_t width,
                            int64_t wide) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t d = 0; d < width; ++d) into[i * wide + d] = from[i * stride + d];
    for (int64_t d = width; d < wide; ++d) into[i * wide + d] = 0;
  }
}
// The same turned: column j of [width, keys'].
template <typename T>
CORTUNE_BOTH void pack_columns(T* into, const T* from, int64_t stride, int64_t first, int64_t rows,
                               int64_t width, int64_t keys) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t d = 0; d < width; ++d) into[d * keys + first + j] = from[j * stride + d];
}

// scores[j] = sum_d row[d] columns[d, j] for the first `keys`, whole registers of them; `stride` from d to d.
template <typename T>
CORTUNE_BOTH void row_times(const T* row, const T* columns, T* scores, int64_t width, int64_t keys,
                            int64_t stride) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  for (int64_t j = 0; j < keys; j += kStep) {
    Vec<T> even = {}, odd = {};
    int64_t d = 0;
    for (; d + 2 <= width; d += 2) {
      even += row[d] * load(columns + d * stride + j);
      odd += row[d + 1] * load(columns + (d + 1) * stride + j);
    }
    if (d < width) even += row[d] * load(columns + d * stride + j);
    store<T>(scores + j, even + odd);
  }
}

// into[d] = sum_j weights[j] rows[j, d] over keys [from, to).
template <typename T>
CORTUNE_BOTH void weighted_rows(const T* weights, const T* rows, T* into, int64_t from, int64_t to,
                                int64_t wide) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  for (int64_t d = 0; d < wide; d += kStep) {
    Vec<T> sum = {};
    for (int64_t j = from; j < to; ++j) sum += weights[j] * load(rows + j * wide + d);
    store<T>(into + d, sum);
  }
}

// Turns scores of keys [from, to) into probabilities, the others into 0.
template <typename T>
CORTUNE_BOTH void softmax(T* scores, T scale, int64_t from, int64_t to, int64_t keys) {
  T top = scores[from];
  for (int64_t j = from; j < to; ++j) top = scores[j] > top ? scores[j] : top;
  T sum = 0;
  // A score that is not a number must stay one: neither the largest nor the exponential would see it.
  for (int64_t j = from; j < to; ++j) sum += scores[j] * T(0);
  for (int64_t j = 0; j < keys; ++j)
    scores[j] = j >= from && j < to ? exp_of((scores[j] - top) * scale) : T(0);
  for (int64_t j = from; j < to; ++j) sum += scores[j];
  const T share = 1 / sum;
  for (int64_t j = from; j < to; ++j) scores[j] *= share;
}

// What one piece of work holds.
template <typename T>
struct Scratch {
  int64_t length;
  int64_t before;  // keys before its own,
  int64_t packed;  // of which are there already
  int64_t keys, width, wide;
  T *key_columns, *value_columns;  // [width, keys']
  T *key_rows, *value_rows;        // [keys, width']
  T *dk, *dv;                      // [keys, width']
  T *q, *go;                       // [length, width']
  T *p, *ds;                       // [keys']
  T* row;                          // [width']

  static int64_t size(int64_t length, int64_t total, int64_t width) {
    const int64_t keys = padded<T>(total), wide = padded<T>(width);
    return 2 * width * keys + 4 * keys * wide + 2 * length * wide + 2 * keys + wide;
  }
  // With room for `total` keys: as many for all sequences that share.
  Scratch(T* at, int64_t n, int64_t memory, int64_t shared, int64_t total, int64_t d)
      : length(n),
        before(memory + shared),
        packed(shared > 0 ? before : 0),
        keys(padded<T>(total)),
        width(d),
        wide(padded<T>(d)) {
    const auto take = [&](T*& into, int64_t count) {
      into = at;
      at += count;
    };
    take(key_columns, width * keys);
    take(value_columns, width * keys);
    take(key_rows, keys * wide);
    take(value_rows, keys * wide);
    take(dk, keys * wide);
    take(dv, keys * wide);
    take(q, length * wide);
    take(go, length * wide);
    take(p, keys);
    take(ds, keys);
    take(row, wide);
  }
};

// One lane, sequence and key head: where its rows lie.
template <typename T>
struct Piece {
  const T *q, *k, *v, *memory_keys, *memory_values;  // the first row of the (first query) head
  const T *o, *go;                                   // of the first query head
  T *out, *dq, *dk, *dv, *dmk, *dmv;
  int64_t shared;  // query heads of this key head
};

template <typename T>
CORTUNE_BOTH void forward_piece(const Piece<T>& at, Scratch<T>& s, const AttentionShape& a) {
  const T scale = 1 / std::sqrt(static_cast<T>(s.width));
  if (s.packed == 0) {
    std::fill(s.key_columns, s.key_columns + s.width * s.keys, T(0));
    if (s.before > 0) {
      pack_columns(s.key_columns, at.memory_keys, a.memory.row, 0, s.before, s.width, s.keys);
      pack_rows(s.value_rows, at.memory_values, a.memory.row, s.before, s.width, s.wide);
    }
  }
  pack_columns(s.key_columns, at.k, a.k.row, s.before, s.length, s.width, s.keys);
  pack_rows(s.value_rows + s.before * s.wide, at.v, a.v.row, s.length, s.width, s.wide);
  const int64_t out_row = a.heads * s.width;
  for (int64_t h = 0; h < at.shared; ++h)
    for (int64_t i = 0; i < s.length; ++i) {
      const int64_t from = a.first_key(i, s.before), to = a.last_key(i, s.before, s.length);
      row_times(at.q + h * a.q.head + i * a.q.row, s.key_columns, s.p, s.width, padded<T>(to), s.keys);
      softmax(s.p, scale, from, to, s.keys);
      weighted_rows(s.p, s.value_rows, s.row, from, to, s.wide);
      std::copy(s.row, s.row + s.width, at.out + i * out_row + h * s.width);
    }
}

template <typename T>
CORTUNE_BOTH void backward_row(const Piece<T>& at, Scratch<T>& s, const AttentionShape& a, int64_t h,
                               int64_t i) {
  const T scale = 1 / std::sqrt(static_cast<T>(s.width));
  const int64_t out_row = a.heads * s.width;
  const int64_t from = a.first_key(i, s.before), to = a.last_key(i, s.before, s.length), keys = padded<T>(to);
  const T *q = s.q + i * s.wide, *go = s.go + i * s.wide;
  row_times(q, s.key_columns, s.p, s.width, keys, s.keys);
  softmax(s.p, scale, from, to, s.keys);
  row_times(go, s.value_columns, s.ds, s.width, keys, s.keys);
  const T kept = dot(go, at.o + i * out_row + h * s.width, s.width);  // sum_j p dp = do_i o_i
  for (int64_t j = from; j < to; ++j) s.ds[j] = s.p[j] * (s.ds[j] - kept) * scale;
  if (at.dq) {
    weighted_rows(s.ds, s.key_rows, s.row, from, to, s.wide);
    std::copy(s.row, s.row + s.width, at.dq + i * out_row + h * s.width);
  }
  for (int64_t j = from; j < to; ++j) {
    add_multiple(s.dk + j * s.wide, s.ds[j], q, s.wide);
    add_multiple(s.dv + j * s.wide, s.p[j], go, s.wide);
  }
}

template <typename T>
CORTUNE_BOTH void add_rows(T* into, int64_t stride, const T* from, int64_t rows, int64_t width,
                           int64_t wide) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t d = 0; d < width; ++d) into[j * stride + d] += from[j * wide + d];
}

template <typename T>
CORTUNE_BOTH void backward_piece(const Piece<T>& at, Scratch<T>& s, const AttentionShape& a) {
  const int64_t out_row = a.heads * s.width, key_row = a.key_heads * s.width;
  std::fill(s.key_columns, s.key_columns + 2 * s.width * s.keys, T(0));  // and the values'
  std::fill(s.dk, s.dk + 2 * s.keys * s.wide, T(0));                     // and dv
  if (s.before > 0) {
    pack_columns(s.key_columns, at.memory_keys, a.memory.row, 0, s.before, s.width, s.keys);
    pack_columns(s.value_columns, at.memory_values, a.memory.row, 0, s.before, s.width, s.keys);
    pack_rows(s.key_rows, at.memory_keys, a.memory.row, s.before, s.width, s.wide);
  }
  pack_columns(s.key_columns, at.k, a.k.row, s.before, s.length, s.width, s.keys);
  pack_columns(s.value_columns, at.v, a.v.row, s.before, s.length, s.width, s.keys);
  pack_rows(s.key_rows + s.before * s.wide, at.k, a.k.row, s.length, s.width, s.wide);
  for (int64_t h = 0; h < at.shared; ++h) {
    pack_rows(s.q, at.q + h * a.q.head, a.q.row, s.length, s.width, s.wide);
    pack_rows(s.go, at.go + h * s.width, out_row, s.length, s.width, s.wide);
    for (int64_t i = 0; i < s.length; ++i) backward_row(at, s, a, h, i);
  }
  const T *own_dk = s.dk + s.before * s.wide, *own_dv = s.dv + s.before * s.wide;
  if (at.dk) add_rows(at.dk, key_row, own_dk, s.length, s.width, s.wide);
  if (at.dv) add_rows(at.dv, key_row, own_dv, s.length, s.width, s.wide);
  if (at.dmk && s.before > 0) add_rows(at.dmk, key_row, s.dk, s.before, s.width, s.wide);
  if (at.dmv && s.before > 0) add_rows(at.dmv, key_row, s.dv, s.before, s.width, s.wide);
}

CORTUNE_SIMD void run_forward(const Piece<float>& at, Scratch<float>& s, const AttentionShape& a) {
  forward_piece(at, s, a);
}
void run_forward(const Piece<double>& at, Scratch<double>& s, const AttentionShape& a) {
  forward_piece(at, s, a);
}
CORTUNE_SIMD void run_backward(const Piece<float>& at, Scratch<float>& s, const AttentionShape& a) {
  backward_piece(at, s, a);
}
void run_backward(const Piece<double>& at, Scratch<double>& s, const AttentionShape& a) {
  backward_piece(at, s, a);
}

struct Sizes {
  int64_t longest = 0;  // rows of a sequence
  int64_t memory = 0;   // virtual keys
  int64_t keys = 0;     // of a sequence, but for those
  bool share = false;
};

Sizes sizes_of(const AttentionShape& a) {
  Sizes sizes;
  for (int64_t b = 0; b < a.sequence_count; ++b) {
    const auto& sequence = a.sequences[b];
    sizes.longest = std::max(sizes.longest, sequence.length);
    sizes.keys = std::max(sizes.keys, sequence.before + sequence.length);
    sizes.share = sizes.share || sequence.before > 0;
  }
  for (int64_t k = 0; a.memory_counts && k < a.lanes; ++k)
    sizes.memory = std::max(sizes.memory, a.memory_counts[k]);
  return sizes;
}

// work(lane, key head, sequence) for all of them, `in_turn` on one thread for a lane and key head: sequences
// of a lane share the gradients of its memory, or keys.
template <typename T, typename Work>
void over_pieces(const AttentionShape& a, bool in_turn, const Work& work) {
  const auto sizes = sizes_of(a);
  const int64_t heads = a.lanes * a.key_heads, runs = in_turn ? 1 : a.sequence_count;
  at::parallel_for(0, heads * runs, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> own(Scratch<T>::size(sizes.longest, sizes.memory + sizes.keys, a.width) + VecOf<T>::kSize);
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t k = piece / runs / a.key_heads, g = piece / runs % a.key_heads;
      const int64_t first = in_turn ? 0 : piece % runs, last = in_turn ? a.sequence_count : first + 1;
      for (int64_t b = first; b < last; ++b) work(k, g, a.sequences[b], own.data());
    }
  });
}

template <typename T>
Piece<T> piece_of(const AttentionInputs<T>& in, const AttentionShape& a, int64_t k, int64_t g,
                  const Sequence& b) {
  const int64_t shared = a.heads / a.key_heads, h = g * shared;
  Piece<T> at{};
  at.shared = shared;
  at.q = in.q + k * a.q.lane + b.row * a.q.row + h * a.q.head;
  at.k = in.k + k * a.k.lane + b.row * a.k.row + g * a.k.head;
  at.v = in.v + k * a.v.lane + b.row * a.v.row + g * a.v.head;
  if (in.memory_keys) {
    at.memory_keys = in.memory_keys + k * a.memory.lane + g * a.memory.head;
    at.memory_values = in.memory_values + k * a.memory.lane + g * a.memory.head;
  }
  return at;
}

}  // namespace

template <typename T>
void attention_cpu(const AttentionInputs<T>& in, T* o, int64_t rows, const AttentionShape& a) {
  const auto sizes = sizes_of(a);
  over_pieces<T>(a, sizes.share, [&](int64_t k, int64_t g, const Sequence& b, T* own) {
    auto at = piece_of(in, a, k, g, b);
    at.out = o + ((k * rows + b.row) * a.heads + g * at.shared) * a.width;
    const int64_t memory = a.remembered(k, b);
    const int64_t keys = memory + (sizes.share ? sizes.keys : b.length);
    Scratch<T> scratch(own, b.length, memory, b.before, keys, a.width);
    run_forward(at, scratch, a);
  });
}

template <typename T>
void attention_backward_cpu(const AttentionInputs<T>& in, const T* o, const T* d_o,
                            const AttentionGradients<T>& d, int64_t rows, int64_t memory_size,
                            const AttentionShape& a) {
  over_pieces<T>(a, d.memory_keys || d.memory_values, [&](int64_t k, int64_t g, const Sequence& b, T* own) {
    auto at = piece_of(in, a, k, g, b);
    const int64_t query = ((k * rows + b.row) * a.heads + g * at.shared) * a.width;
    const int64_t key = ((k * rows + b.row) * a.key_heads + g) * a.width;
    const int64_t memory = (k * memory_size * a.key_heads + g) * a.width;
    at.o = o + query;
    at.go = d_o + query;
    at.dq = d.q ? d.q + query : nullptr;
    at.dk = d.k ? d.k + key : nullptr;
    at.dv = d.v ? d.v + key : nullptr;
    at.dmk = d.memory_keys ? d.memory_keys + memory : nullptr;
    at.dmv = d.memory_values ? d.memory_values + memory : nullptr;
    const int64_t count = a.remembered(k, b);
    Scratch<T> scratch(own, b.length, count, 0, count + b.length, a.width);
    run_backward(at, scratch, a);
  });
}

template void attention_cpu(const AttentionInputs<float>&, float*, int64_t, const AttentionShape&);
template void attention_cpu(const AttentionInputs<double>&, double*, int64_t, const AttentionShape&);
template void attention_backward_cpu(const AttentionInputs<float>&, const float*, const float*,
                                     const AttentionGradients<float>&, int64_t, int64_t,
                                     const AttentionShape&);
template void attention_backward_cpu(const AttentionInputs<double>&, const double*, const double*,
                                     const AttentionGradients<double>&, int64_t, int64_t,
                                     const AttentionShape&);

}  // namespace cortune
