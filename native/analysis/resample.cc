// Permutation and bootstrap of held-out scores: columns normalised once, then sums of products.
#include "resample.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "../kernels/platform.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Targets whose null distribution is held at once, and those whose sums run side by side in registers and
// cache.
constexpr int64_t kHeld = 4096, kLanes = 32;

int64_t places(const Scored& scored) {
  int64_t m = 0;
  for (const auto& part : scored.parts) m += static_cast<int64_t>(part.size());
  return m;
}

void check_scored(const Scored& scored) {
  const auto &a = scored.predictions, &b = scored.responses;
  if (a.dim() != 2 || a.numel() == 0 || a.sizes() != b.sizes())
    fail(Code::kArgument,
         "Expected `predictions` and `responses` to be [rows, targets] alike, none of them 0");
  if (scored.parts.empty()) fail(Code::kArgument, "Expected at least one part");
  for (const auto& part : scored.parts) {
    if (part.size() < 2) fail(Code::kArgument, "Expected at least 2 rows in every part");
    for (const int32_t row : part)
      if (row < 0 || row >= a.size(0)) fail(Code::kArgument, "Expected parts to hold numbers of rows");
  }
}

void check_places(const Scored& scored, const std::vector<int32_t>& orders, const char* name) {
  const int64_t m = places(scored);
  if (orders.size() % m)
    fail(Code::kArgument,
         std::string("Expected `") + name + "` to hold " + std::to_string(m) + " places each");
  for (size_t at = 0; at < orders.size();) {
    int64_t from = 0;
    for (const auto& part : scored.parts) {
      const int64_t to = from + static_cast<int64_t>(part.size());
      for (int64_t i = from; i < to; ++i, ++at)
        if (orders[at] < from || orders[at] >= to)
          fail(Code::kArgument, std::string("Expected `") + name + "` to stay within each part");
      from = to;
    }
  }
}

// The rows of one part of some columns, centred and of length 1, in float64: [m, stride], columns
// from count on zero; NaN where constant. Sums run down the rows one by one, so a column's values do not
// depend on its neighbours.
at::Tensor normalised(const at::Tensor& values, const std::vector<int32_t>& rows, int64_t from, int64_t count,
                      int64_t stride) {
  const int64_t m = static_cast<int64_t>(rows.size()), t = values.size(1);
  const float* all = values.data_ptr<float>();
  auto out = at::zeros({m, stride}, at::kDouble);
  double* to = out.data_ptr<double>();
  std::vector<double> mean(count, 0), squares(count, 0);
  std::vector<uint8_t> varies(count, 0);
  for (int64_t i = 0; i < m; ++i) {
    const float* row = all + rows[i] * t + from;
    for (int64_t c = 0; c < count; ++c) {
      mean[c] += row[c];
      varies[c] |= row[c] != all[rows[0] * t + from + c];
    }
  }
  for (auto& value : mean) value /= static_cast<double>(m);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t c = 0; c < count; ++c) {
      const double x = all[rows[i] * t + from + c] - mean[c];
      to[i * stride + c] = x;
      squares[c] += x * x;
    }
  for (int64_t c = 0; c < count; ++c) squares[c] = varies[c] ? 1 / std::sqrt(squares[c]) : kNan;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t c = 0; c < count; ++c) to[i * stride + c] *= squares[c];
  return out;
}

// Normalised columns of every part, one part after the other: a, b [m, stride], stride a multiple of kLanes.
struct Block {
  at::Tensor a, b;
  int64_t count;  // targets
  // The same, kLanes columns at a time: [stride / kLanes, m, kLanes]. Rows of a tile are neighbours, so a
  // tile stays in cache, where rows of the whole, a power of two apart, would drive each other out.
  at::Tensor a_tiles, b_tiles;
};

at::Tensor tiled(const at::Tensor& x) {
  return x.view({x.size(0), -1, kLanes}).permute({1, 0, 2}).contiguous();
}

Block block_of(const Scored& scored, int64_t from, int64_t count) {
  const int64_t stride = (count + kLanes - 1) / kLanes * kLanes;
  std::vector<at::Tensor> a, b;
  for (const auto& part : scored.parts) {
    a.push_back(normalised(scored.predictions, part, from, count, stride));
    b.push_back(normalised(scored.responses, part, from, count, stride));
  }
  const auto whole_a = at::cat(a), whole_b = at::cat(b);
  return {whole_a, whole_b, count, tiled(whole_a), tiled(whole_b)};
}

// Means over parts of sums of products, parts of NaN passed over. r [lanes].
class PartMeans {
 public:
  void add(const double* sums, int64_t lanes) {
    for (int64_t c = 0; c < lanes; ++c)
      if (!std::isnan(sums[c])) {
        total_[c] += sums[c];
        ++count_[c];
      }
  }
  void write(double* r, int64_t lanes) const {
    for (int64_t c = 0; c < lanes; ++c) r[c] = count_[c] ? total_[c] / count_[c] : kNan;
  }

 private:
  double total_[kLanes] = {};
  int count_[kLanes] = {};
};

// Eight columns; written out, as the compiler turns a loop over an array of sums into one number at a time.
typedef double Eight __attribute__((vector_size(64), aligned(8), may_alias));

// sums[c] = sum over rows from..end of x[c] y[c], kLanes neighbouring columns, the responses in `order`.
CORTUNE_SIMD void add_products(const double* a, const double* b, const int32_t* order, int64_t from,
                               int64_t end, double* sums) {
  static_assert(kLanes == 32);
  Eight s0{}, s1{}, s2{}, s3{};
  for (int64_t i = from; i < end; ++i) {
    const Eight* x = reinterpret_cast<const Eight*>(a + i * kLanes);
    const Eight* y = reinterpret_cast<const Eight*>(b + order[i] * kLanes);
    s0 += x[0] * y[0];
    s1 += x[1] * y[1];
    s2 += x[2] * y[2];
    s3 += x[3] * y[3];
  }
  Eight* out = reinterpret_cast<Eight*>(sums);
  out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

// Score of kLanes neighbouring columns, of which the first `lanes` are kept.
void score_order(const Scored& scored, const double* a, const double* b, int64_t lanes, const int32_t* order,
                 double* r) {
  PartMeans means;
  int64_t from = 0;
  for (const auto& part : scored.parts) {
    double sums[kLanes];
    const int64_t end = from + static_cast<int64_t>(part.size());
    add_products(a, b, order, from, end, sums);
    means.add(sums, lanes);
    from = end;
  }
  means.write(r, lanes);
}

// Fills null [P, count] for the targets of a block.
void score_orders(const Scored& scored, const Block& block, const std::vector<int32_t>& orders, int64_t P,
                  double* null) {
  const int64_t groups = block.a_tiles.size(0), m = block.a_tiles.size(1), tile = m * kLanes;
  const double *a = block.a_tiles.data_ptr<double>(), *b = block.b_tiles.data_ptr<double>();
  at::parallel_for(0, P * groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      // Neighbouring pieces share a tile.
      const int64_t group = piece / P, k = piece % P, from = group * kLanes;
      score_order(scored, a + group * tile, b + group * tile, std::min(kLanes, block.count - from),
                  orders.data() + k * m, null + k * block.count + from);
    }
  });
}

// Every response at its own place: for the observed scores.
std::vector<int32_t> own_order(const Block& block) {
  std::vector<int32_t> order(block.a_tiles.size(1));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// Counts what the null distribution [P, count] says of the observed scores.
void summarise(const std::vector<double>& null, const std::vector<double>& observed, int64_t P,
               bool two_sided, PermutedScores& out) {
  const int64_t width = static_cast<int64_t>(observed.size());
  const auto size = [two_sided](double r) { return two_sided ? std::abs(r) : r; };
  std::vector<double> exceed(width), sum(width), squares(width), bar(width);
  // The same sum in another order of summands differs in its last digits.
  for (int64_t c = 0; c < width; ++c) bar[c] = size(observed[c]) - 1e-12;
  for (int64_t k = 0; k < P; ++k) {
    double most = out.maximum[k];
    for (int64_t c = 0; c < width; ++c) {
      const double r = null[k * width + c], s = size(r);
      exceed[c] += s >= bar[c];
      sum[c] += r;
      squares[c] += r * r;
      if (s > most) most = s;
    }
    out.maximum[k] = most;
  }
  for (int64_t c = 0; c < width; ++c) {
    const double mean = sum[c] / static_cast<double>(P);
    out.r.push_back(observed[c]);
    out.exceed.push_back(std::isnan(observed[c]) ? kNan : exceed[c]);
    out.mean.push_back(mean);
    out.deviation.push_back(std::sqrt(std::max(0.0, squares[c] / static_cast<double>(P) - mean * mean)));
  }
}

using FillNull = std::function<void(const Block&, double*)>;

// Targets in blocks, so that memory does not grow with their number.
PermutedScores permute_blocks(const Scored& scored, int64_t P, bool two_sided, const Task& task,
                              const FillNull& fill) {
  const int64_t t = scored.responses.size(1);
  PermutedScores out;
  out.maximum.assign(P, -std::numeric_limits<double>::infinity());
  for (int64_t from = 0; from < t; from += kHeld) {
    task.progress(from, t, "permutations");
    const int64_t count = std::min(kHeld, t - from);
    const auto block = block_of(scored, from, count);
    std::vector<double> observed(count), null(static_cast<size_t>(P * count));
    score_orders(scored, block, own_order(block), 1, observed.data());
    fill(block, null.data());
    summarise(null, observed, P, two_sided, out);
  }
  task.progress(t, t, "permutations");
  return out;
}

// Scores of one part under each set of phases: with C = conj(A) B of the half spectra, a . shifted(b) is
// sum_f w_f (Re C_f cos phase_f - Im C_f sin phase_f) / m: two products of matrices.
at::Tensor phase_part(const at::Tensor& a, const at::Tensor& b, const at::Tensor& phases) {
  const int64_t m = a.size(0), bins = m / 2 + 1;
  const auto c = at::fft_rfft(a, std::nullopt, 0).conj() * at::fft_rfft(b, std::nullopt, 0);  // [bins, c]
  auto cosines = phases.cos(), sines = phases.sin();                                          // [P, bins]
  cosines.select(1, 0).fill_(1);
  sines.select(1, 0).zero_();
  if (m % 2 == 0) {
    cosines.select(1, bins - 1).copy_(cosines.select(1, bins - 1) >= 0).mul_(2).sub_(1);
    sines.select(1, bins - 1).zero_();
  }
  auto weights = at::full({bins, 1}, 2.0 / static_cast<double>(m), at::kDouble);
  weights[0] = 1.0 / static_cast<double>(m);
  if (m % 2 == 0) weights[bins - 1] = 1.0 / static_cast<double>(m);
  return at::mm(cosines, at::real(c) * weights) - at::mm(sines, at::imag(c) * weights);  // [P, c]
}

// Weighted moments of one part under counts [B, m]: r [B, c].
at::Tensor resampled_part(const at::Tensor& counts, const at::Tensor& a, const at::Tensor& b) {
  const double m = static_cast<double>(a.size(0));
  const auto sa = at::mm(counts, a) / m, sb = at::mm(counts, b) / m;
  const auto vaa = at::mm(counts, a * a) / m - sa * sa, vbb = at::mm(counts, b * b) / m - sb * sb;
  const auto vab = at::mm(counts, a * b) / m - sa * sb;
  // Columns have length 1, so a resample of one repeated row has a variance of rounding only.
  const auto flat = (vaa <= 1e-14 / m).logical_or(vbb <= 1e-14 / m);
  return (vab / (vaa * vbb).sqrt()).clamp(-1, 1).masked_fill(flat, kNan);
}

// How often each place was drawn: [B, m] of one part.
at::Tensor counts_of(const std::vector<int32_t>& draws, int64_t all, int64_t from, int64_t m) {
  const int64_t B = static_cast<int64_t>(draws.size()) / all;
  auto counts = at::zeros({B, m}, at::kDouble);
  double* to = counts.data_ptr<double>();
  for (int64_t k = 0; k < B; ++k)
    for (int64_t i = 0; i < m; ++i) to[k * m + draws[k * all + from + i] - from] += 1;
  return counts;
}

double quantile(std::vector<double>& sorted, double at) {
  if (sorted.empty()) return kNan;
  const double place = at * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

// One target's resamples, those that exist.
void interval(std::vector<double> values, double level, ResampledScores& out) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double r) { return std::isnan(r); }),
               values.end());
  std::sort(values.begin(), values.end());
  double sum = 0, squares = 0;
  for (const double r : values) sum += r;
  const double mean = sum / static_cast<double>(values.size());
  for (const double r : values) squares += (r - mean) * (r - mean);
  out.lower.push_back(quantile(values, (1 - level) / 2));
  out.upper.push_back(quantile(values, (1 + level) / 2));
  out.deviation.push_back(values.size() > 1 ? std::sqrt(squares / static_cast<double>(values.size() - 1))
                                            : kNan);
}

}  // namespace

PermutedScores permuted_scores(const Scored& scored, const std::vector<int32_t>& orders, bool two_sided,
                               const Task& task) {
  check_scored(scored);
  check_places(scored, orders, "orders");
  const int64_t P = static_cast<int64_t>(orders.size()) / places(scored);
  return permute_blocks(scored, P, two_sided, task, [&](const Block& block, double* null) {
    // In steps of some 100 ms, between which the task may be cancelled.
    const int64_t m = block.a.size(0), step = std::max<int64_t>(1, 200000000 / (m * block.count));
    for (int64_t k = 0; k < P; k += step) {
      task.check();
      const int64_t count = std::min(step, P - k);
      const std::vector<int32_t> some(orders.begin() + k * m, orders.begin() + (k + count) * m);
      score_orders(scored, block, some, count, null + k * block.count);
    }
  });
}

PermutedScores phase_scores(const Scored& scored, const std::vector<double>& phases, bool two_sided,
                            const Task& task) {
  check_scored(scored);
  int64_t bins = 0;
  for (const auto& part : scored.parts) bins += static_cast<int64_t>(part.size()) / 2 + 1;
  if (phases.size() % bins)
    fail(Code::kArgument, "Expected `phases` to hold " + std::to_string(bins) + " phases each");
  const int64_t P = static_cast<int64_t>(phases.size()) / bins;
  const auto all = at::tensor(phases, at::kDouble).view({P, bins});
  return permute_blocks(scored, P, two_sided, task, [&](const Block& block, double* null) {
    const int64_t width = block.count;
    auto sum = at::zeros({P, width}, at::kDouble), count = at::zeros({width}, at::kDouble);
    int64_t row = 0, bin = 0;
    for (const auto& part : scored.parts) {
      task.check();
      const int64_t m = static_cast<int64_t>(part.size());
      const auto a = block.a.narrow(0, row, m).narrow(1, 0, width);
      const auto b = block.b.narrow(0, row, m).narrow(1, 0, width);
      const auto r = phase_part(a, b, all.narrow(1, bin, m / 2 + 1));
      const auto known = at::isfinite(a.sum(0) + b.sum(0));
      sum += at::where(known, r, 0.0);
      count += known;
      row += m;
      bin += m / 2 + 1;
    }
    const auto mean = (sum / count.masked_fill(count == 0, kNan)).contiguous();
    std::copy_n(mean.data_ptr<double>(), P * width, null);
  });
}

ResampledScores resampled_scores(const Scored& scored, const std::vector<int32_t>& draws, double level,
                                 const Task& task) {
  check_scored(scored);
  check_places(scored, draws, "draws");
  const int64_t t = scored.responses.size(1), m = places(scored), B = static_cast<int64_t>(draws.size()) / m;
  std::vector<at::Tensor> counts;
  int64_t from = 0;
  for (const auto& part : scored.parts) {
    counts.push_back(counts_of(draws, m, from, static_cast<int64_t>(part.size())));
    from += static_cast<int64_t>(part.size());
  }
  ResampledScores out;
  std::vector<double> total(B, 0), known(B, 0);
  constexpr int64_t kStep = 512;
  for (int64_t first = 0; first < t; first += kStep) {
    task.progress(first, t, "bootstrap");
    const int64_t width = std::min(kStep, t - first);
    const auto block = block_of(scored, first, width);
    auto sum = at::zeros({B, width}, at::kDouble), parts = at::zeros({B, width}, at::kDouble);
    std::vector<double> observed(width);
    score_orders(scored, block, own_order(block), 1, observed.data());
    for (size_t f = 0, row = 0; f < counts.size(); row += scored.parts[f].size(), ++f) {
      const int64_t rows = static_cast<int64_t>(scored.parts[f].size());
      const auto cut = [&](const at::Tensor& all) {
        return all.narrow(0, static_cast<int64_t>(row), rows).narrow(1, 0, width);
      };
      const auto r = resampled_part(counts[f], cut(block.a), cut(block.b));
      sum += at::nan_to_num(r, 0.0);
      parts += at::isfinite(r);
    }
    const auto mean = (sum / parts).contiguous();  // [B, width]; 0 / 0 is NaN
    const double* values = mean.data_ptr<double>();
    for (int64_t c = 0; c < width; ++c) {
      std::vector<double> column(B);
      for (int64_t k = 0; k < B; ++k) {
        column[k] = values[k * width + c];
        if (std::isnan(column[k])) continue;
        total[k] += column[k];
        known[k] += 1;
      }
      out.r.push_back(observed[c]);
      interval(std::move(column), level, out);
    }
  }
  for (int64_t k = 0; k < B; ++k) out.mean.push_back(total[k] / known[k]);
  task.progress(t, t, "bootstrap");
  return out;
}

}  // namespace cortune
