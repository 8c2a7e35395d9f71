// Correlations and the shares of variance explained, in float64.
#include "score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../kernels/panel.h"
#include "../kernels/vec.h"

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

Scores scores_of(const Moments& s, int64_t m, bool flat_prediction) {
  return {flat_prediction ? kNan : correlation(s), 1 - s.error / s.yy,
          1 - (s.error - s.bias * s.bias / static_cast<double>(m)) / s.yy, s.error / static_cast<double>(m),
          kNan};
}

// Eight targets fill registers of float64.
constexpr int64_t kEight = 8;
typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Flags __attribute__((vector_size(32)));

CORTUNE_BOTH void widen(const float* values, Vec<double>& out) {
  out = __builtin_convertvector(*reinterpret_cast<const Eight*>(values), Vec<double>);
}

struct EightMoments {
  Vec<double> pp, yy, py, error, bias;
  Flags p_varies, y_varies;
};

CORTUNE_SIMD void moments_of_eight(const float* predictions, const float* panel, const int32_t* rows,
                                   int64_t m, const double* shift, EightMoments* out) {
  Vec<double> sp = {}, sy = {};
  Flags p_varies = {}, y_varies = {};
  const Eight p0 = *reinterpret_cast<const Eight*>(predictions);
  const Eight y0 = *reinterpret_cast<const Eight*>(panel + int64_t{rows[0]} * kPanelWidth);
  for (int64_t i = 0; i < m; ++i) {
    const float* p = predictions + i * kPanelWidth;
    const float* y = panel + int64_t{rows[i]} * kPanelWidth;
    Vec<double> wide_p, wide_y;
    widen(p, wide_p), widen(y, wide_y);
    sp += wide_p, sy += wide_y;
    p_varies |= *reinterpret_cast<const Eight*>(p) != p0;
    y_varies |= *reinterpret_cast<const Eight*>(y) != y0;
  }
  const auto mp = sp / static_cast<double>(m), my = sy / static_cast<double>(m);
  Vec<double> added;
  for (int j = 0; j < kEight; ++j) added[j] = shift[j];
  Vec<double> pp = {}, yy = {}, py = {}, error = {}, bias = {};
  for (int64_t i = 0; i < m; ++i) {
    Vec<double> p, y;
    widen(predictions + i * kPanelWidth, p);
    widen(panel + int64_t{rows[i]} * kPanelWidth, y);
    const auto dp = p - mp, dy = y - my, e = y - added - p;
    pp += dp * dp, yy += dy * dy, py += dp * dy, error += e * e, bias += e;
  }
  *out = {pp, yy, py, error, bias, p_varies, y_varies};
}

}  // namespace

void score_panel(const float* predictions, const float* panel, const int32_t* rows, int64_t m,
                 const double* shift, Scores* out) {
  for (int64_t from = 0; from < kPanelWidth; from += kEight) {
    EightMoments s;
    moments_of_eight(predictions + from, panel + from, rows, m, shift + from, &s);
    for (int64_t j = 0; j < kEight; ++j) {
      const Moments own{s.pp[j], s.yy[j], s.py[j], s.error[j], s.bias[j]};
      out[from + j] =
          s.y_varies[j] ? scores_of(own, m, !s.p_varies[j]) : Scores{kNan, kNan, kNan, kNan, kNan};
    }
  }
}

template <typename Number>
Scores score(const Number* prediction, const Number* response, int64_t m, double shift, bool ranks) {
  if (is_constant(response, m)) return {kNan, kNan, kNan, kNan, kNan};
  const auto s = moments(prediction, response, m, shift);
  const bool flat = is_constant(prediction, m);
  auto out = scores_of(s, m, flat);
  if (ranks && !flat) {
    const auto p = ranks_of(prediction, m), y = ranks_of(response, m);
    out.spearman = correlation(moments(p.data(), y.data(), m, 0));
  }
  return out;
}

template Scores score(const float*, const float*, int64_t, double, bool);
template Scores score(const double*, const double*, int64_t, double, bool);

}  // namespace cortune
