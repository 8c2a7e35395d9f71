// Correlations and the shares of variance explained, in float64.
#include "score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../kernels/platform.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Moments {
  double pp = 0, yy = 0, py = 0;  // sums of products of deviations
  double error = 0, bias = 0;     // sums of squared errors and of errors
};

template <typename Number>
CORTUNE_SIMD double sum_of(const Number* values, int64_t m) {
  double sum = 0;
  for (int64_t i = 0; i < m; ++i) sum += values[i];
  return sum;
}

// Two passes: sums of squares of raw values would cancel.
template <typename Number>
Moments moments(const Number* p, const Number* y, int64_t m, double shift) {
  const double mp = sum_of(p, m) / static_cast<double>(m), my = sum_of(y, m) / static_cast<double>(m);
  Moments out;
  for (int64_t i = 0; i < m; ++i) {
    const double dp = p[i] - mp, dy = y[i] - my, error = y[i] - shift - p[i];
    out.pp += dp * dp;
    out.yy += dy * dy;
    out.py += dp * dy;
    out.error += error * error;
    out.bias += error;
  }
  return out;
}

// Square roots apart: with a huge alpha pp may be 1e-300, and pp * yy nothing.
double correlation(const Moments& s) {
  return std::clamp(s.py / std::sqrt(s.pp) / std::sqrt(s.yy), -1.0, 1.0);
}

template <typename Number>
std::vector<double> ranks_of(const Number* values, int64_t m) {
  std::vector<int64_t> order(m);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(m);
  for (int64_t from = 0, to = 0; from < m; from = to) {
    while (to < m && values[order[to]] == values[order[from]]) ++to;
    for (int64_t i = from; i < to; ++i) ranks[order[i]] = 0.5 * static_cast<double>(from + to - 1);
  }
  return ranks;
}

template <typename Number>
bool is_constant(const Number* values, int64_t m) {
  return std::all_of(values, values + m, [&](Number value) { return value == values[0]; });
}

}  // namespace

template <typename Number>
Scores score(const Number* prediction, const Number* response, int64_t m, double shift, bool ranks) {
  if (is_constant(response, m)) return {kNan, kNan, kNan, kNan, kNan};
  const auto s = moments(prediction, response, m, shift);
  const bool flat = is_constant(prediction, m);
  Scores out{flat ? kNan : correlation(s), 1 - s.error / s.yy,
             1 - (s.error - s.bias * s.bias / static_cast<double>(m)) / s.yy,
             s.error / static_cast<double>(m), kNan};
  if (ranks && !flat) {
    const auto p = ranks_of(prediction, m), y = ranks_of(response, m);
    out.spearman = correlation(moments(p.data(), y.data(), m, 0));
  }
  return out;
}

template Scores score(const float*, const float*, int64_t, double, bool);
template Scores score(const double*, const double*, int64_t, double, bool);

}  // namespace cortune
