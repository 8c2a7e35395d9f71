// The products of a low-rank path on the CPU: tiles of partial results in registers, lanes and blocks of rows
// (or of channels) over the threads.
#include "low_rank.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "vec.h"

namespace cortune {
namespace {

constexpr int64_t kRows = 4;       // of a tile
constexpr int64_t kRowBlock = 32;  // rows of one piece of work
constexpr int64_t kWidth = 256;    // channels of one piece of work of `outer`

// R rows of x times Q rows of the factor.
template <typename T, int R, int Q>
CORTUNE_BOTH void dot_tile(const T* x, const T* factor, int64_t channels, T scale, T* low, int64_t rank) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  Vec<T> sums[R][Q] = {};
  int64_t c = 0;
  for (; c + kStep <= channels; c += kStep) {
    Vec<T> rows[R];
    for (int i = 0; i < R; ++i) rows[i] = load(x + i * channels + c);
    for (int j = 0; j < Q; ++j) {
      const auto f = load(factor + j * channels + c);
      for (int i = 0; i < R; ++i) sums[i][j] += rows[i] * f;
    }
  }
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < Q; ++j) {
      T sum = sum_of<T>(sums[i][j]);
      for (int64_t k = c; k < channels; ++k) sum += x[i * channels + k] * factor[j * channels + k];
      low[i * rank + j] = sum * scale;
    }
}

template <typename T, int R>
CORTUNE_BOTH void project_rows(const T* x, const T* factor, T scale, T* low, const LowRankShape& s) {
  int64_t j = 0;
  for (; j + 2 <= s.rank; j += 2)
    dot_tile<T, R, 2>(x, factor + j * s.channels, s.channels, scale, low + j, s.rank);
  if (j < s.rank) dot_tile<T, R, 1>(x, factor + j * s.channels, s.channels, scale, low + j, s.rank);
}

template <typename T>
CORTUNE_BOTH void project_block(const T* x, const T* factor, T scale, T* low, int64_t rows,
                                const LowRankShape& s) {
  int64_t i = 0;
  for (; i + kRows <= rows; i += kRows)
    project_rows<T, kRows>(x + i * s.channels, factor, scale, low + i * s.rank, s);
  for (; i < rows; ++i) project_rows<T, 1>(x + i * s.channels, factor, scale, low + i * s.rank, s);
}

// R rows of y, W vectors wide.
template <typename T, int R, int W>
CORTUNE_BOTH void expand_tile(const T* low, const T* factor, T* y, const StartRows<T>* start,
                              const LowRankShape& s) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  Vec<T> sums[R][W] = {};
  for (int i = 0; i < R; ++i)
    for (int w = 0; w < W; ++w) {
      if (!start) sums[i][w] = load(y + i * s.channels + w * kStep);
      if (start && start->values) sums[i][w] = load(start->values + i * start->row + w * kStep);
    }
  for (int64_t j = 0; j < s.rank; ++j)
    for (int w = 0; w < W; ++w) {
      const auto f = load(factor + j * s.channels + w * kStep);
      for (int i = 0; i < R; ++i) sums[i][w] += low[i * s.rank + j] * f;
    }
  for (int i = 0; i < R; ++i)
    for (int w = 0; w < W; ++w) store<T>(y + i * s.channels + w * kStep, sums[i][w]);
}

template <typename T>
CORTUNE_BOTH StartRows<T> moved(const StartRows<T>& start, int64_t by) {
  return {start.values ? start.values + by : nullptr, start.lane, start.row};
}

template <typename T, int R>
CORTUNE_BOTH void expand_rows(const T* low, const T* factor, T* y, const StartRows<T>* start,
                              const LowRankShape& s) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  int64_t c = 0;
  for (; c + 2 * kStep <= s.channels; c += 2 * kStep) {
    const auto here = start ? moved(*start, c) : StartRows<T>{};
    expand_tile<T, R, 2>(low, factor + c, y + c, start ? &here : nullptr, s);
  }
  for (; c < s.channels; ++c)
    for (int i = 0; i < R; ++i) {
      T sum = start ? (start->values ? start->values[i * start->row + c] : T(0)) : y[i * s.channels + c];
      for (int64_t j = 0; j < s.rank; ++j) sum += low[i * s.rank + j] * factor[j * s.channels + c];
      y[i * s.channels + c] = sum;
    }
}

template <typename T>
CORTUNE_BOTH void expand_block(const T* low, const T* factor, T* y, const StartRows<T>* start, int64_t rows,
                               const LowRankShape& s) {
  const auto at = [&](int64_t i) { return start ? moved(*start, i * start->row) : StartRows<T>{}; };
  int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) {
    const auto here = at(i);
    expand_rows<T, kRows>(low + i * s.rank, factor, y + i * s.channels, start ? &here : nullptr, s);
  }
  for (; i < rows; ++i) {
    const auto here = at(i);
    expand_rows<T, 1>(low + i * s.rank, factor, y + i * s.channels, start ? &here : nullptr, s);
  }
}

// Q rows of the gradient, 2 vectors wide.
template <typename T, int Q>
CORTUNE_BOTH void outer_tile(const T* low, const T* x, T* gradient, const LowRankShape& s) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  Vec<T> sums[Q][2] = {};
  for (int64_t n = 0; n < s.rows; ++n) {
    const auto left = load(x + n * s.channels), right = load(x + n * s.channels + kStep);
    for (int j = 0; j < Q; ++j) {
      sums[j][0] += low[n * s.rank + j] * left;
      sums[j][1] += low[n * s.rank + j] * right;
    }
  }
  for (int j = 0; j < Q; ++j) {
    store<T>(gradient + j * s.channels, sums[j][0]);
    store<T>(gradient + j * s.channels + kStep, sums[j][1]);
  }
}

template <typename T>
CORTUNE_BOTH void outer_columns(const T* low, const T* x, T* gradient, int64_t width, const LowRankShape& s) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  int64_t c = 0;
  for (; c + 2 * kStep <= width; c += 2 * kStep) {
    int64_t j = 0;
    for (; j + 4 <= s.rank; j += 4) outer_tile<T, 4>(low + j, x + c, gradient + j * s.channels + c, s);
    for (; j < s.rank; ++j) outer_tile<T, 1>(low + j, x + c, gradient + j * s.channels + c, s);
  }
  for (; c < width; ++c)
    for (int64_t j = 0; j < s.rank; ++j) {
      T sum = 0;
      for (int64_t n = 0; n < s.rows; ++n) sum += low[n * s.rank + j] * x[n * s.channels + c];
      gradient[j * s.channels + c] = sum;
    }
}

// One clone of each for every instruction set; float64 is for tests.
CORTUNE_SIMD void project_one(const float* x, const float* f, float scale, float* low, int64_t rows,
                              const LowRankShape& s) {
  project_block(x, f, scale, low, rows, s);
}
void project_one(const double* x, const double* f, double scale, double* low, int64_t rows,
                 const LowRankShape& s) {
  project_block(x, f, scale, low, rows, s);
}
CORTUNE_SIMD void expand_one(const float* low, const float* f, float* y, const StartRows<float>* start,
                             int64_t rows, const LowRankShape& s) {
  expand_block(low, f, y, start, rows, s);
}
void expand_one(const double* low, const double* f, double* y, const StartRows<double>* start, int64_t rows,
                const LowRankShape& s) {
  expand_block(low, f, y, start, rows, s);
}
CORTUNE_SIMD void outer_one(const float* low, const float* x, float* gradient, int64_t width,
                            const LowRankShape& s) {
  outer_columns(low, x, gradient, width, s);
}
void outer_one(const double* low, const double* x, double* gradient, int64_t width, const LowRankShape& s) {
  outer_columns(low, x, gradient, width, s);
}

// work(lane, from, to) over blocks of `size` positions of every lane.
template <typename Work>
void over_blocks(int64_t lanes, int64_t size, int64_t block, const Work& work) {
  const int64_t blocks = (size + block - 1) / block;
  at::parallel_for(0, lanes * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t from = piece % blocks * block;
      work(piece / blocks, from, std::min(from + block, size));
    }
  });
}

}  // namespace

template <typename T>
void low_project_cpu(const T* x, int64_t lane_stride, const T* factor, const T* scale, T* low,
                     const LowRankShape& s) {
  over_blocks(s.lanes, s.rows, kRowBlock, [&](int64_t k, int64_t from, int64_t to) {
    project_one(x + k * lane_stride + from * s.channels, factor + k * s.rank * s.channels,
                scale ? scale[k] : T(1), low + (k * s.rows + from) * s.rank, to - from, s);
  });
}

template <typename T>
void low_expand_cpu(const T* low, const T* factor, T* y, const StartRows<T>* start, const LowRankShape& s) {
  over_blocks(s.lanes, s.rows, kRowBlock, [&](int64_t k, int64_t from, int64_t to) {
    const int64_t row = k * s.rows + from;
    const auto here = start ? moved(*start, k * start->lane + from * start->row) : StartRows<T>{};
    expand_one(low + row * s.rank, factor + k * s.rank * s.channels, y + row * s.channels,
               start ? &here : nullptr, to - from, s);
  });
}

template <typename T>
void low_outer_cpu(const T* low, const T* x, int64_t lane_stride, T* gradient, const LowRankShape& s) {
  over_blocks(s.lanes, s.channels, kWidth, [&](int64_t k, int64_t from, int64_t to) {
    outer_one(low + k * s.rows * s.rank, x + k * lane_stride + from,
              gradient + k * s.rank * s.channels + from, to - from, s);
  });
}

template void low_project_cpu(const float*, int64_t, const float*, const float*, float*, const LowRankShape&);
template void low_project_cpu(const double*, int64_t, const double*, const double*, double*,
                              const LowRankShape&);
template void low_expand_cpu(const float*, const float*, float*, const StartRows<float>*,
                             const LowRankShape&);
template void low_expand_cpu(const double*, const double*, double*, const StartRows<double>*,
                             const LowRankShape&);
template void low_outer_cpu(const float*, const float*, int64_t, float*, const LowRankShape&);
template void low_outer_cpu(const double*, const double*, int64_t, double*, const LowRankShape&);

}  // namespace cortune
