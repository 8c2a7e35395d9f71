// Panel products on the CPU: with 32 registers of 64 bytes all sums at once, else quarters of them.
#include "panel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vec.h"

namespace cortune {
namespace {

template <int Bytes>
struct Register {
  typedef float type __attribute__((vector_size(Bytes)));
  typedef float loose __attribute__((vector_size(Bytes), aligned(4), may_alias));
  static constexpr int kLanes = Bytes / 4;
};

// Rows x (2 registers) of sums.
template <int Bytes, int Rows>
struct Tile {
  using V = typename Register<Bytes>::type;
  using Loose = typename Register<Bytes>::loose;
  static constexpr int kLanes = Register<Bytes>::kLanes;
  V sums[Rows][2];

  CORTUNE_BOTH void multiply(const float* block, const float* panel, const int32_t* rows, int64_t count) {
    for (int r = 0; r < Rows; ++r) sums[r][0] = sums[r][1] = V{};
    for (int64_t k = 0; k < count; ++k, block += kPanelRows) {
      const float* values = panel + (rows ? int64_t{rows[k]} : k) * kPanelWidth;
      const V left = *reinterpret_cast<const Loose*>(values);
      const V right = *reinterpret_cast<const Loose*>(values + kLanes);
#pragma GCC unroll 12
      for (int r = 0; r < Rows; ++r) {
        const V factor = block[r] - V{};
        sums[r][0] += factor * left;
        sums[r][1] += factor * right;
      }
    }
  }
  CORTUNE_BOTH void put(float* out) const {
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r)
      for (int side = 0; side < 2; ++side)
        *reinterpret_cast<Loose*>(out + r * kPanelWidth + side * kLanes) = sums[r][side];
  }
};

CORTUNE_BOTH void whole(const float* block, const float* panel, const int32_t* rows, int64_t count,
                        float* out) {
  Tile<64, 12> tile;
  // Two loops: without places to look up, addresses follow each other.
  if (rows)
    tile.multiply(block, panel, rows, count);
  else
    tile.multiply(block, panel, nullptr, count);
  tile.put(out);
}

CORTUNE_BOTH void quarters(const float* block, const float* panel, const int32_t* rows, int64_t count,
                           float* out) {
  for (int half = 0; half < 2; ++half)
    for (int side = 0; side < 2; ++side) {
      Tile<32, 6> tile;
      tile.multiply(block + 6 * half, panel + 16 * side, rows, count);
      tile.put(out + 6 * half * kPanelWidth + 16 * side);
    }
}

using Product = void (*)(const float*, const float*, const int32_t*, int64_t, float*);

CORTUNE_SIMD void product_in_quarters(const float* block, const float* panel, const int32_t* rows,
                                      int64_t count, float* out) {
  quarters(block, panel, rows, count, out);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target("arch=x86-64-v4"))) void product_whole(const float* block, const float* panel,
                                                             const int32_t* rows, int64_t count, float* out) {
  whole(block, panel, rows, count, out);
}
bool is_wide() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("x86-64-v4");
}
#else
bool is_wide() { return false; }
constexpr Product product_whole = product_in_quarters;
#endif

const Product kProduct = is_wide() ? product_whole : product_in_quarters;

// In float64: squares of float32 may be too large or too small for one.
CORTUNE_SIMD void add_squares(const float* values, double* sums) {
  for (int64_t r = 0; r < kPanelRows; ++r)
    for (int64_t j = 0; j < kPanelWidth; ++j) {
      const double value = values[r * kPanelWidth + j];
      sums[j] += value * value;
    }
}

// Eight columns: their sums fill registers of float64.
typedef double Doubles __attribute__((vector_size(64)));

struct Sums {
  Doubles p = {}, y = {}, pp = {}, yy = {}, py = {};
};

CORTUNE_SIMD void add_rows(const float* predictions, const float* panel, const int32_t* rows, int64_t m,
                           Sums* out) {
  Sums s;
  for (int64_t i = 0; i < m; ++i) {
    const auto p = __builtin_convertvector(
        *reinterpret_cast<const Register<32>::loose*>(predictions + i * kPanelWidth), Doubles);
    const auto y = __builtin_convertvector(
        *reinterpret_cast<const Register<32>::loose*>(panel + rows[i] * kPanelWidth), Doubles);
    s.p += p, s.y += y, s.pp += p * p, s.yy += y * y, s.py += p * y;
  }
  *out = s;
}

}  // namespace

void panel_correlations_cpu(const float* predictions, const float* panel, const int32_t* rows, int64_t m,
                            double* r) {
  const double n = static_cast<double>(m);
  for (int64_t from = 0; from < kPanelWidth; from += 8) {
    Sums s;
    add_rows(predictions + from, panel + from, rows, m, &s);
    for (int64_t j = 0; j < 8; ++j) {
      const double vp = s.pp[j] - s.p[j] * s.p[j] / n, vy = s.yy[j] - s.y[j] * s.y[j] / n;
      const bool varies = vp > 1e-12 * s.pp[j] && vy > 1e-12 * s.yy[j];
      const double found = (s.py[j] - s.p[j] * s.y[j] / n) / std::sqrt(vp) / std::sqrt(vy);
      r[from + j] = varies ? std::clamp(found, -1.0, 1.0) : std::numeric_limits<double>::quiet_NaN();
    }
  }
}

void panel_product_cpu(const float* block, const float* panel, const int32_t* rows, int64_t count,
                       float* out) {
  kProduct(block, panel, rows, count, out);
}

void panel_squares_cpu(const float* block, const float* panel, const int32_t* rows, int64_t count,
                       double* sums) {
  alignas(64) float values[kPanelRows * kPanelWidth];
  kProduct(block, panel, rows, count, values);
  add_squares(values, sums);
}

}  // namespace cortune
