// Packing, and the loops that keep a few panels in the cache while the matrix passes by.
#include "panels.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace cortune {
namespace {

// Bytes of panels that stay in a core's second cache beside a block of the matrix.
constexpr int64_t kCached = 512 << 10;

// Panels that share one pass over the matrix.
int64_t group_of(const at::Tensor& panels) {
  const int64_t bytes = panels.size(1) * kPanelWidth * static_cast<int64_t>(sizeof(float));
  return std::max<int64_t>(1, kCached / std::max<int64_t>(1, bytes));
}

// fn(block, panel) for all of both, panel by panel within a group.
template <typename Function>
void each_pair(const at::Tensor& panels, size_t blocks, const Function& fn) {
  const int64_t count = panels.size(0), group = group_of(panels);
  for (int64_t first = 0; first < count; first += group)
    for (size_t b = 0; b < blocks; ++b)
      for (int64_t p = first; p < std::min(count, first + group); ++p) fn(b, p);
}

}  // namespace

at::Tensor make_panels(const at::Tensor& y) {
  std::vector<int64_t> order(y.size(0));
  std::iota(order.begin(), order.end(), 0);
  return make_panels(y, order);
}

at::Tensor make_panels(const at::Tensor& y, const std::vector<int64_t>& order) {
  const int64_t n = y.size(1), w = static_cast<int64_t>(order.size());
  auto out = at::empty({(w + kPanelWidth - 1) / kPanelWidth, n, kPanelWidth}, at::kFloat);
  constexpr int64_t kBlock = 16;  // rows of the panel written at a time
  const float* from = y.data_ptr<float>();
  for (int64_t p = 0; p < out.size(0); ++p) {
    float* panel = out.data_ptr<float>() + p * n * kPanelWidth;
    for (int64_t first = 0; first < n; first += kBlock) {
      const int64_t rows = std::min(kBlock, n - first);
      for (int64_t j = 0; j < kPanelWidth; ++j) {
        const int64_t target = p * kPanelWidth + j < w ? order[p * kPanelWidth + j] : -1;
        const float* values = target < 0 ? nullptr : from + target * n + first;
        for (int64_t i = 0; i < rows; ++i) panel[(first + i) * kPanelWidth + j] = values ? values[i] : 0.0F;
      }
    }
  }
  return out;
}

void unpack_panels(const at::Tensor& panels, const std::vector<int64_t>& order, const at::Tensor& out) {
  const int64_t m = panels.size(1), count = static_cast<int64_t>(order.size());
  float* into = out.data_ptr<float>();
  constexpr int64_t kBlock = 16;
  for (int64_t p = 0; p * kPanelWidth < count; ++p) {
    const float* panel = panels.data_ptr<float>() + p * m * kPanelWidth;
    for (int64_t first = 0; first < m; first += kBlock) {
      const int64_t rows = std::min(kBlock, m - first);
      for (int64_t j = 0; j < std::min(kPanelWidth, count - p * kPanelWidth); ++j) {
        const int64_t target = order[p * kPanelWidth + j];
        if (target < 0) continue;
        float* values = into + target * m + first;
        for (int64_t i = 0; i < rows; ++i) values[i] = panel[(first + i) * kPanelWidth + j];
      }
    }
  }
}

PanelGroups group_panels(const std::vector<int64_t>& numbers) {
  std::vector<int64_t> order(numbers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return numbers[a] < numbers[b]; });
  PanelGroups out;
  for (const int64_t target : order) {
    if (numbers[target] < 0) continue;
    const bool full = out.targets.size() == out.numbers.size() * kPanelWidth;
    if (full || out.numbers.back() != numbers[target]) {
      out.targets.resize(out.numbers.size() * kPanelWidth, -1);
      out.numbers.push_back(numbers[target]);
    }
    out.targets.push_back(target);
  }
  out.targets.resize(out.numbers.size() * kPanelWidth, -1);
  return out;
}

PanelMatrix::PanelMatrix(const at::Tensor& matrix, bool upper)
    : m_(matrix.size(0)), n_(matrix.size(1)), upper_(upper) {
  const auto narrow = matrix.to(at::kFloat).contiguous();
  int64_t size = 0;
  for (int64_t row = 0; row < m_; row += kPanelRows) {
    starts_.push_back(size);
    size += (n_ - from(starts_.size() - 1)) * kPanelRows;
  }
  packed_ = at::zeros({std::max<int64_t>(1, size)}, at::kFloat);
  for (size_t b = 0; b < starts_.size(); ++b) {
    float* to = packed_.data_ptr<float>() + starts_[b];
    const int64_t first = static_cast<int64_t>(b) * kPanelRows, rows = std::min(kPanelRows, m_ - first);
    for (int64_t r = 0; r < rows; ++r) {
      const float* values = narrow.data_ptr<float>() + (first + r) * n_;
      for (int64_t c = from(b); c < n_; ++c) to[(c - from(b)) * kPanelRows + r] = values[c];
    }
  }
}

void PanelMatrix::times(const float* panel, const int32_t* rows, float* out) const {
  for (size_t b = 0; b < starts_.size(); ++b) {
    const int64_t skip = from(b);
    panel_product_cpu(block(b), rows ? panel : panel + skip * kPanelWidth, rows ? rows + skip : nullptr,
                      n_ - skip, out + static_cast<int64_t>(b) * kPanelRows * kPanelWidth);
  }
}

at::Tensor PanelMatrix::times(const at::Tensor& panels, const int32_t* rows) const {
  auto out = at::empty({panels.size(0), m_, kPanelWidth}, at::kFloat);
  const int64_t stride = panels.size(1) * kPanelWidth;
  each_pair(panels, starts_.size(), [&](size_t b, int64_t p) {
    alignas(64) float last[kPanelRows * kPanelWidth];
    const int64_t skip = from(b), first = static_cast<int64_t>(b) * kPanelRows;
    const float* panel = panels.data_ptr<float>() + p * stride;
    float* into = out.data_ptr<float>() + (p * m_ + first) * kPanelWidth;
    const bool whole = first + kPanelRows <= m_;
    panel_product_cpu(block(b), rows ? panel : panel + skip * kPanelWidth, rows ? rows + skip : nullptr,
                      n_ - skip, whole ? into : last);
    if (!whole) std::memcpy(into, last, static_cast<size_t>((m_ - first) * kPanelWidth) * sizeof(float));
  });
  return out;
}

void PanelMatrix::add_squares(const at::Tensor& panels, const int32_t* rows, double* sums) const {
  const int64_t stride = panels.size(1) * kPanelWidth;
  each_pair(panels, starts_.size(), [&](size_t b, int64_t p) {
    const int64_t skip = from(b);
    const float* panel = panels.data_ptr<float>() + p * stride;
    panel_squares_cpu(block(b), rows ? panel : panel + skip * kPanelWidth, rows ? rows + skip : nullptr,
                      n_ - skip, sums + p * kPanelWidth);
  });
}

}  // namespace cortune
