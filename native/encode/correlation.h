// Moments of a short row and Pearson r of two, once for every target and permutation.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "../kernels/platform.h"

namespace cortune {

struct RowMoments {
  double mean, deviation;  // of the population
};

// Of m values, in two passes.
template <typename Number>
CORTUNE_SIMD RowMoments row_moments(const Number* row, int64_t m) {
  constexpr int kLanes = 8;
  double mean = 0, squares = 0;
  for (const bool first : {true, false}) {
    double sums[kLanes] = {};
    const auto add = [&](int lane, double value) {
      sums[lane] += first ? value : (value - mean) * (value - mean);
    };
    int64_t i = 0;
    for (; i + kLanes <= m; i += kLanes)
      for (int lane = 0; lane < kLanes; ++lane) add(lane, row[i + lane]);
    for (; i < m; ++i) add(0, row[i]);
    (first ? mean : squares) = std::accumulate(sums, sums + kLanes, 0.0) / static_cast<double>(m);
  }
  return {mean, std::sqrt(squares)};
}

// Pearson r of m values, NaN where either is constant; eight sums side by side fill a vector. One pass:
// responses are centred beforehand and predictions stay near 0.
template <typename Number>
CORTUNE_SIMD double correlation(const Number* __restrict p, const Number* __restrict y, int64_t m) {
  constexpr int kLanes = 8;
  double sp[kLanes] = {}, sy[kLanes] = {}, pp[kLanes] = {}, yy[kLanes] = {}, py[kLanes] = {};
  const auto add = [&](int lane, double a, double b) {
    sp[lane] += a, sy[lane] += b, pp[lane] += a * a, yy[lane] += b * b, py[lane] += a * b;
  };
  int64_t i = 0;
  for (; i + kLanes <= m; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) add(lane, p[i + lane], y[i + lane]);
  for (; i < m; ++i) add(0, p[i], y[i]);
  const auto sum = [](const double* values) { return std::accumulate(values, values + kLanes, 0.0); };
  const double n = static_cast<double>(m), a = sum(sp), b = sum(sy);
  const double vp = sum(pp) - a * a / n, vy = sum(yy) - b * b / n;
  // Constant but for rounding.
  if (!(vp > 1e-12 * sum(pp)) || !(vy > 1e-12 * sum(yy))) return std::numeric_limits<double>::quiet_NaN();
  return std::clamp((sum(py) - a * b / n) / std::sqrt(vp) / std::sqrt(vy), -1.0, 1.0);
}

}  // namespace cortune
