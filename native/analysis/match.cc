// 2v2 accuracy and ranks: normalised rows, one GEMM, a counting kernel.
#include "match.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "../kernels/platform.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr float kEps = 0x1p-24f;

// Sums run in eight lanes side by side, which fill a vector; they are added up at the end.
constexpr int kLanes = 8;

double sum_of(const double* lanes) {
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

CORTUNE_SIMD double sum_row(const float* row, int64_t p) {
  double lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= p; c += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += row[c + lane];
  for (; c < p; ++c) lanes[0] += row[c];
  return sum_of(lanes);
}

// sum of (a - ma) (b - mb)
CORTUNE_SIMD double product_row(const float* a, double ma, const float* b, double mb, int64_t p) {
  double lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= p; c += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += (a[c + lane] - ma) * (b[c + lane] - mb);
  for (; c < p; ++c) lanes[0] += (a[c] - ma) * (b[c] - mb);
  return sum_of(lanes);
}

CORTUNE_SIMD void scale_row(const float* row, double mean, double scale, int64_t p, float* to) {
  for (int64_t c = 0; c < p; ++c) to[c] = static_cast<float>((row[c] - mean) * scale);
}

// How many of base + more[j] - less[j] are above `close`, and how many are within it.
struct Split {
  int32_t above = 0, within = 0;
};
CORTUNE_SIMD Split split_gains(float base, const float* __restrict more, const float* __restrict less,
                               int64_t n, float close) {
  int32_t above = 0, not_below = 0;
  for (int64_t j = 0; j < n; ++j) {
    const float gain = base + more[j] - less[j];
    above += gain > close;
    not_below += gain >= -close;
  }
  return {above, not_below - above};
}

// Rows of unit length (centred first for correlations), and which have no direction: constant or zero.
struct Directions {
  at::Tensor values;                // [n, p] float32, as given
  at::Tensor rows;                  // [n, p] float32
  std::vector<double> mean, scale;  // row = (value - mean) * scale
  std::vector<uint8_t> none;        // [n]
};

Directions directions(const at::Tensor& values, bool centre) {
  const int64_t n = values.size(0), p = values.size(1);
  Directions out{values, at::empty({n, p}, at::kFloat), std::vector<double>(n), std::vector<double>(n),
                 std::vector<uint8_t>(n)};
  const float* from = values.data_ptr<float>();
  float* to = out.rows.data_ptr<float>();
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = from + i * p;
      const double mean = centre ? sum_row(row, p) / static_cast<double>(p) : 0;
      const double squares = product_row(row, mean, row, mean, p);
      // A constant row keeps a residue of rounding, of about 1e-16 of its size.
      out.none[i] = !(squares > static_cast<double>(p) * std::pow(1e-12 * mean, 2));
      const double scale = out.none[i] ? 0 : 1 / std::sqrt(squares);
      out.mean[i] = mean;
      out.scale[i] = scale;
      scale_row(row, mean, scale, p, to + i * p);
    }
  });
  return out;
}

// Similarities of one layer, exact where it matters.
class Similarities {
 public:
  Similarities(const at::Tensor& predicted, const at::Tensor& actual, bool correlation)
      : n_(predicted.size(0)),
        p_(predicted.size(1)),
        a_(directions(predicted.contiguous(), correlation)),
        b_(directions(actual.contiguous(), correlation)),
        s_(at::mm(a_.rows, b_.rows.t())),
        values_(s_.data_ptr<float>()) {}

  // |fl(a.b) - a.b| <= p eps |a| |b| with |a| = |b| = 1, whatever the order of summation, and 2 eps for each
  // rounded row.
  float bound() const { return (static_cast<float>(p_) + 4) * kEps; }
  // Of a difference of four products: their bounds, and the roundings of their sums.
  float close() const { return 4 * bound() + 16 * kEps; }
  bool all_usable() const {
    const auto any = [](const std::vector<uint8_t>& none) {
      return std::find(none.begin(), none.end(), 1) != none.end();
    };
    return !any(a_.none) && !any(b_.none);
  }
  // Row by row s(i, j) + s(j, i), and s(i, i).
  at::Tensor mirrored() const { return s_ + s_.t(); }
  at::Tensor own() const { return s_.diagonal().contiguous(); }
  float at(int64_t i, int64_t j) const { return values_[i * n_ + j]; }
  bool usable(int64_t i, int64_t j) const { return !a_.none[i] && !b_.none[j]; }

  double exact(int64_t i, int64_t j) const {
    const float* a = a_.values.data_ptr<float>() + i * p_;
    const float* b = b_.values.data_ptr<float>() + j * p_;
    return product_row(a, a_.mean[i], b, b_.mean[j], p_) * a_.scale[i] * b_.scale[j];
  }

  // Is s(i, oi) + s(j, oj) > s(i, oj) + s(j, oi)?
  bool told_apart(int64_t i, int64_t j, int64_t oi, int64_t oj) const {
    const float gain = at(i, oi) + at(j, oj) - at(i, oj) - at(j, oi);
    if (std::abs(gain) > close()) return gain > 0;
    return exact(i, oi) + exact(j, oj) > exact(i, oj) + exact(j, oi);
  }

  // -1, 0, 1 as s(i, j) is less than, equal to or more than s(i, own).
  int against(int64_t i, int64_t j, int64_t own) const {
    const float gain = at(i, j) - at(i, own);
    if (std::abs(gain) > 2 * bound() + 4 * kEps) return gain > 0 ? 1 : -1;
    const double apart = exact(i, j) - exact(i, own);
    return apart > 0 ? 1 : apart < 0 ? -1 : 0;
  }

 private:
  int64_t n_, p_;
  Directions a_, b_;
  at::Tensor s_;  // [n, n]
  const float* values_;
};

bool same_group(const MatchSpec& spec, int64_t i, int64_t j) {
  return spec.groups.empty() || spec.groups[i] == spec.groups[j];
}

struct Count {
  int64_t wins = 0, pairs = 0;
};

// All pairs of rows in their own order, none without direction: whole rows at a time, and again one by one
// what is close.
Count count_all(const Similarities& s, int64_t n) {
  const auto both = s.mirrored(), own = s.own();
  const float *sums = both.data_ptr<float>(), *d = own.data_ptr<float>();
  std::atomic<int64_t> wins{0};
  at::parallel_for(0, n, 8, [&](int64_t begin, int64_t end) {
    int64_t mine = 0;
    for (int64_t i = begin; i < end; ++i) {
      const float* row = sums + i * n;
      const auto split = split_gains(d[i], d + i + 1, row + i + 1, n - i - 1, s.close());
      mine += split.above;
      for (int64_t j = i + 1; split.within > 0 && j < n; ++j)
        if (std::abs(d[i] + d[j] - row[j]) <= s.close()) mine += s.told_apart(i, j, i, j);
    }
    wins += mine;
  });
  return {wins, n * (n - 1) / 2};
}

Count count_pairs(const Similarities& s, int64_t n, const MatchSpec& spec, const int32_t* order) {
  std::atomic<int64_t> wins{0}, pairs{0};
  at::parallel_for(0, n, 8, [&](int64_t begin, int64_t end) {
    Count mine;
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = i + 1; j < n; ++j) {
        if (!same_group(spec, i, j)) continue;
        const int64_t oi = order ? order[i] : i, oj = order ? order[j] : j;
        ++mine.pairs;
        mine.wins += s.usable(i, oi) && s.usable(j, oj) && s.told_apart(i, j, oi, oj);
      }
    wins += mine.wins;
    pairs += mine.pairs;
  });
  return {wins, pairs};
}

double rank_of(const Similarities& s, int64_t i, int64_t n, const MatchSpec& spec) {
  if (!s.usable(i, i)) return kNan;
  double rank = 1;
  for (int64_t j = 0; j < n; ++j) {
    if (j == i || !same_group(spec, i, j) || !s.usable(i, j)) continue;
    const int order = s.against(i, j, i);
    rank += order > 0 ? 1 : order == 0 ? 0.5 : 0;
  }
  return rank;
}

void check_match(const at::Tensor& a, const at::Tensor& b, const MatchSpec& spec) {
  if (a.dim() != 3 || a.numel() == 0)
    fail(Code::kArgument, "Expected `predicted` to be [layers, rows, columns], none of them 0");
  if (b.dim() < 2 || b.dim() > 3 || b.size(-1) != a.size(2) || b.size(-2) != a.size(1) ||
      (b.dim() == 3 && b.size(0) != a.size(0)))
    fail(Code::kArgument, "Expected `actual` to have the rows and columns of `predicted`");
  const int64_t n = a.size(1);
  if (!spec.groups.empty() && static_cast<int64_t>(spec.groups.size()) != n)
    fail(Code::kArgument, "Expected `groups` to hold one number for each row");
  if (spec.orders.size() % n)
    fail(Code::kArgument, "Expected `orders` to hold whole orders of " + std::to_string(n) + " rows");
  for (const int32_t row : spec.orders)
    if (row < 0 || row >= n) fail(Code::kArgument, "Expected `orders` to hold numbers of rows");
  for (const auto* tensor : {&a, &b})
    if (!at::isfinite(*tensor).all().item<bool>())
      fail(Code::kData, "Expected predicted and true rows to be finite numbers, got NaN or Infinity");
}

}  // namespace

MatchScores match_rows(const at::Tensor& predicted, const at::Tensor& actual, const MatchSpec& spec,
                       const Task& task) {
  const auto a = predicted.contiguous(), b = actual.contiguous();
  check_match(a, b, spec);
  const int64_t L = a.size(0), n = a.size(1), P = static_cast<int64_t>(spec.orders.size()) / n;
  MatchScores out;
  for (int64_t l = 0; l < L; ++l) {
    const Similarities s(a[l], b.dim() == 3 ? b[l] : b, spec.correlation);
    const bool plain = spec.groups.empty() && s.all_usable();
    const auto [wins, pairs] = plain ? count_all(s, n) : count_pairs(s, n, spec, nullptr);
    out.wins.push_back(static_cast<double>(wins));
    out.pairs.push_back(static_cast<double>(pairs));
    std::vector<double> ranks(n);
    at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ranks[i] = rank_of(s, i, n, spec);
    });
    out.ranks.insert(out.ranks.end(), ranks.begin(), ranks.end());
    for (int64_t k = 0; k < P; ++k) {
      task.progress(l * P + k, L * P, "shuffled pairs");
      const auto count = count_pairs(s, n, spec, spec.orders.data() + k * n);
      out.baseline.push_back(static_cast<double>(count.wins) / static_cast<double>(count.pairs));
    }
    task.progress(l + 1, L, "pairs");
  }
  return out;
}

}  // namespace cortune
