// 2v2 accuracy and ranks: normalised rows, products of blocks of rows, compared while they are in the cache.
#include "match.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>

#include "../encode/parallel.h"
#include "../kernels/panel.h"
#include "../kernels/platform.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr float kEps = 0x1p-24f;
// Rows of a product between two looks for a cancelled task.
constexpr int64_t kRowsAtOnce = 512;

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

// 32 pairs of row i with rows j: s = s(i, j), t = s(j, i), own = s(i, i), others = s(j, j).
struct Bounds {
  float gain, rank;  // below these a difference is decided in float64
};
CORTUNE_SIMD bool any_close(const float* __restrict s, const float* __restrict t, float own,
                            const float* __restrict others, Bounds bounds) {
  int32_t close = 0;
  for (int64_t j = 0; j < kPanelWidth; ++j) {
    close |= std::abs(own + others[j] - s[j] - t[j]) <= bounds.gain;
    close |= std::abs(s[j] - own) <= bounds.rank;
    close |= std::abs(t[j] - others[j]) <= bounds.rank;
  }
  return close != 0;
}
struct RowCount {
  int32_t wins = 0, above = 0;  // above: s(i, j) > s(i, i)
};
CORTUNE_SIMD RowCount count_row(const float* __restrict s, const float* __restrict t, float own,
                                const float* __restrict others, int32_t* __restrict above) {
  int32_t wins = 0, mine = 0;
  for (int64_t j = 0; j < kPanelWidth; ++j) {
    wins += own + others[j] - s[j] - t[j] > 0;
    mine += s[j] > own;
    above[j] += t[j] > others[j];
  }
  return {wins, mine};
}

// Rows of unit length (centred first for correlations), and which have no direction: constant or zero.
struct Directions {
  at::Tensor values;                // [n, p] float32, as given
  std::vector<double> mean, scale;  // row = (value - mean) * scale
  std::vector<uint8_t> none;        // [n]

  int64_t count() const { return values.size(0); }
  int64_t width() const { return values.size(1); }
  void write(int64_t i, float* to) const {
    scale_row(values.data_ptr<float>() + i * width(), mean[i], scale[i], width(), to);
  }
  bool all() const { return std::find(none.begin(), none.end(), 1) == none.end(); }
};

Directions directions(const at::Tensor& values, bool centre) {
  const int64_t n = values.size(0), p = values.size(1);
  Directions out{values, std::vector<double>(n), std::vector<double>(n), std::vector<uint8_t>(n)};
  std::atomic<bool> finite{true};
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = values.data_ptr<float>() + i * p;
      const double mean = centre ? sum_row(row, p) / static_cast<double>(p) : 0;
      const double squares = product_row(row, mean, row, mean, p);
      if (!std::isfinite(squares)) finite = false;  // squares of float32 fit a float64
      // A constant row keeps a residue of rounding, of about 1e-16 of its size.
      out.none[i] = !(squares > static_cast<double>(p) * std::pow(1e-12 * mean, 2));
      out.mean[i] = mean;
      out.scale[i] = out.none[i] ? 0 : 1 / std::sqrt(squares);
    }
  });
  if (!finite)
    fail(Code::kData, "Expected predicted and true rows to be finite numbers, got NaN or Infinity");
  return out;
}

// Similarities of one layer, exact where it matters.
class Similarities {
 public:
  Similarities(const at::Tensor& predicted, const at::Tensor& actual, bool correlation)
      : n_(predicted.size(0)),
        p_(predicted.size(1)),
        a_(directions(predicted.contiguous(), correlation)),
        b_(directions(actual.contiguous(), correlation)) {}

  const Directions& predicted() const { return a_; }
  const Directions& actual() const { return b_; }
  // The whole matrix, for `at`.
  void multiply(const Task& task) {
    if (s_.defined()) return;
    auto a = at::empty({n_, p_}, at::kFloat), b = at::empty({n_, p_}, at::kFloat);
    for (int64_t i = 0; i < n_; ++i) {
      a_.write(i, a.data_ptr<float>() + i * p_);
      b_.write(i, b.data_ptr<float>() + i * p_);
    }
    s_ = at::empty({n_, n_}, at::kFloat);
    for (int64_t i = 0; i < n_; i += kRowsAtOnce) {
      task.check();
      const int64_t end = std::min(n_, i + kRowsAtOnce);
      auto into = s_.slice(0, i, end);
      at::mm_out(into, a.slice(0, i, end), b.t());
    }
    values_ = s_.data_ptr<float>();
  }

  // |fl(a.b) - a.b| <= p eps |a| |b| with |a| = |b| = 1, whatever the order of summation, and 2 eps for each
  // rounded row.
  float bound() const { return (static_cast<float>(p_) + 4) * kEps; }
  // Of a difference of four products: their bounds, and the roundings of their sums; of one of two.
  Bounds bounds() const { return {4 * bound() + 16 * kEps, 2 * bound() + 4 * kEps}; }
  bool all_usable() const { return a_.all() && b_.all(); }
  float at(int64_t i, int64_t j) const { return values_[i * n_ + j]; }
  bool usable(int64_t i, int64_t j) const { return !a_.none[i] && !b_.none[j]; }

  double exact(int64_t i, int64_t j) const {
    const float* a = a_.values.data_ptr<float>() + i * p_;
    const float* b = b_.values.data_ptr<float>() + j * p_;
    return product_row(a, a_.mean[i], b, b_.mean[j], p_) * a_.scale[i] * b_.scale[j];
  }

  // Is s(i, oi) + s(j, oj) > s(i, oj) + s(j, oi)? By their difference in float32 where that is enough.
  bool told_apart(float gain, int64_t i, int64_t j, int64_t oi, int64_t oj) const {
    if (std::abs(gain) > bounds().gain) return gain > 0;
    return exact(i, oi) + exact(j, oj) > exact(i, oj) + exact(j, oi);
  }
  bool told_apart(int64_t i, int64_t j, int64_t oi, int64_t oj) const {
    return told_apart(at(i, oi) + at(j, oj) - at(i, oj) - at(j, oi), i, j, oi, oj);
  }

  // 0, 1, 2 as s(i, j) is less than, equal to or more than s(i, i); `gain` is their difference in float32.
  int against(float gain, int64_t i, int64_t j) const {
    if (std::abs(gain) > bounds().rank) return gain > 0 ? 2 : 0;
    const double apart = exact(i, j) - exact(i, i);
    return apart > 0 ? 2 : apart < 0 ? 0 : 1;
  }
  int against(int64_t i, int64_t j) const { return against(at(i, j) - at(i, i), i, j); }

 private:
  int64_t n_, p_;
  Directions a_, b_;
  at::Tensor s_;  // [n, n], when asked for
  const float* values_ = nullptr;
};

bool same_group(const MatchSpec& spec, int64_t i, int64_t j) {
  return spec.groups.empty() || spec.groups[i] == spec.groups[j];
}

struct Count {
  int64_t wins = 0, pairs = 0;
};

// Blocks of 12 directions side by side (kernels/panel.h): [ceil(n / 12), p, 12]; the last is filled up by
// zeros.
at::Tensor pack(const Directions& rows) {
  const int64_t n = rows.count(), p = rows.width(), blocks = (n + kPanelRows - 1) / kPanelRows;
  auto out = at::empty({blocks, p, kPanelRows}, at::kFloat);
  at::parallel_for(0, blocks, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> row(p);
    for (int64_t i = begin * kPanelRows; i < end * kPanelRows; ++i) {
      float* block = out.data_ptr<float>() + (i / kPanelRows) * p * kPanelRows + i % kPanelRows;
      if (i < n)
        rows.write(i, row.data());
      else
        std::fill(row.begin(), row.end(), 0.0F);
      for (int64_t c = 0; c < p; ++c) block[c * kPanelRows] = row[c];
    }
  });
  return out;
}

// A panel of 32 directions from row `from` on: [p][32].
std::vector<float> panel_of(const Directions& rows, int64_t from) {
  const int64_t p = rows.width(), width = std::min(kPanelWidth, rows.count() - from);
  std::vector<float> out(p * kPanelWidth, 0.0F), row(p);
  for (int64_t j = 0; j < width; ++j) {
    rows.write(from + j, row.data());
    for (int64_t c = 0; c < p; ++c) out[c * kPanelWidth + j] = row[c];
  }
  return out;
}

struct Tally {
  int64_t wins = 0;
  std::vector<int64_t> halves;  // [n]: 2 for each row that is more alike than the own one, 1 for one as alike
};

// All pairs of rows in their own order, none without direction.
class PairCounter {
 public:
  explicit PairCounter(const Similarities& s)
      : s_(s),
        n_(s.predicted().count()),
        p_(s.predicted().width()),
        a_(pack(s.predicted())),
        b_(pack(s.actual())),
        own_((n_ + kPanelWidth - 1) / kPanelWidth * kPanelWidth) {
    for (int64_t i = 0; i < n_; ++i) own_[i] = static_cast<float>(s.exact(i, i));
  }

  Tally count(const Task& task) const {
    Tally total{0, std::vector<int64_t>(n_, 0)};
    std::mutex mutex;
    const int64_t panels = (n_ + kPanelWidth - 1) / kPanelWidth;
    // The last panels have the most rows before them.
    each(panels, [&](int64_t i) {
      task.check();
      const auto mine = count_panel(panels - 1 - i);
      const std::lock_guard<std::mutex> lock(mutex);
      total.wins += mine.wins;
      for (int64_t row = 0; row < n_; ++row) total.halves[row] += mine.halves[row];
    });
    return total;
  }

 private:
  // Pairs i < j with j in panel number `panel`.
  Tally count_panel(int64_t panel) const {
    Tally out{0, std::vector<int64_t>(n_, 0)};
    const int64_t from = panel * kPanelWidth, to = std::min(n_, from + kPanelWidth);
    alignas(64) float s[kPanelRows * kPanelWidth], t[kPanelRows * kPanelWidth];
    int32_t above[kPanelWidth] = {};
    const auto predicted = panel_of(s_.predicted(), from), actual = panel_of(s_.actual(), from);
    for (int64_t i = 0; i < to; i += kPanelRows) {
      panel_product_cpu(a_.data_ptr<float>() + i * p_, actual.data(), nullptr, p_, s);
      panel_product_cpu(b_.data_ptr<float>() + i * p_, predicted.data(), nullptr, p_, t);
      for (int64_t row = i; row < std::min(to, i + kPanelRows); ++row) {
        const float *sr = s + (row - i) * kPanelWidth, *tr = t + (row - i) * kPanelWidth;
        const bool whole = row < from && to - from == kPanelWidth;
        if (!whole || any_close(sr, tr, own_[row], own_.data() + from, s_.bounds())) {
          one_by_one(row, from, to, sr, tr, out);
          continue;
        }
        const auto found = count_row(sr, tr, own_[row], own_.data() + from, above);
        out.wins += found.wins;
        out.halves[row] += 2 * found.above;
      }
    }
    for (int64_t j = from; j < to; ++j) out.halves[j] += 2 * above[j - from];
    return out;
  }

  void one_by_one(int64_t i, int64_t from, int64_t to, const float* s, const float* t, Tally& out) const {
    for (int64_t j = std::max(from, i + 1); j < to; ++j) {
      const float mine = s[j - from], other = t[j - from];
      out.wins += s_.told_apart(own_[i] + own_[j] - mine - other, i, j, i, j);
      out.halves[i] += s_.against(mine - own_[i], i, j);
      out.halves[j] += s_.against(other - own_[j], j, i);
    }
  }

  const Similarities& s_;
  int64_t n_, p_;
  at::Tensor a_, b_;
  std::vector<float> own_;
};

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
  int64_t halves = 0;
  for (int64_t j = 0; j < n; ++j)
    if (j != i && same_group(spec, i, j) && s.usable(i, j)) halves += s.against(i, j);
  return 1 + 0.5 * static_cast<double>(halves);
}

struct Judged {
  Count count;
  std::vector<double> ranks;  // [n]
};

// Rows in their own order.
Judged judge(Similarities& s, const MatchSpec& spec, const Task& task) {
  const int64_t n = s.predicted().count();
  Judged out{{}, std::vector<double>(n)};
  if (spec.groups.empty() && s.all_usable()) {
    const auto tally = PairCounter(s).count(task);
    out.count = {tally.wins, n * (n - 1) / 2};
    for (int64_t i = 0; i < n; ++i) out.ranks[i] = 1 + 0.5 * static_cast<double>(tally.halves[i]);
    return out;
  }
  s.multiply(task);
  out.count = count_pairs(s, n, spec, nullptr);
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out.ranks[i] = rank_of(s, i, n, spec);
  });
  return out;
}

double share(const Count& count) {
  return static_cast<double>(count.wins) / static_cast<double>(count.pairs);
}

void check_match(const at::Tensor& a, const at::Tensor& b, const MatchSpec& spec) {
  if (a.dim() != 3 || a.numel() == 0)
    fail(Code::kArgument,
         "Expected `predicted` to be [rows, columns] or [layers, rows, columns], none of them 0");
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
}

}  // namespace

MatchScores match_rows(const at::Tensor& predicted, const at::Tensor& actual, const MatchSpec& spec,
                       const Task& task) {
  const auto b = actual.contiguous();
  const auto a = predicted.dim() == 2 ? predicted.contiguous().unsqueeze(0) : predicted.contiguous();
  check_match(a, b, spec);
  const int64_t L = a.size(0), n = a.size(1), P = static_cast<int64_t>(spec.orders.size()) / n;
  MatchScores out;
  for (int64_t l = 0; l < L; ++l) {
    Similarities s(a[l], b.dim() == 3 ? b[l] : b, spec.correlation);
    const auto found = judge(s, spec, task);
    out.wins.push_back(static_cast<double>(found.count.wins));
    out.pairs.push_back(static_cast<double>(found.count.pairs));
    out.ranks.insert(out.ranks.end(), found.ranks.begin(), found.ranks.end());
    if (P > 0) s.multiply(task);
    for (int64_t k = 0; k < P; ++k) {
      task.progress(l * P + k, L * P, "shuffled pairs");
      out.baseline.push_back(share(count_pairs(s, n, spec, spec.orders.data() + k * n)));
    }
    task.progress(l + 1, L, "pairs");
  }
  return out;
}

double two_vs_two(const at::Tensor& predicted, const at::Tensor& actual, const MatchSpec& spec,
                  const Task& task) {
  Similarities s(predicted, actual, spec.correlation);
  return share(judge(s, spec, task).count);
}

}  // namespace cortune
