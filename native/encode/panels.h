// Products of a fixed matrix with tiles of targets (kernels/panel.h): the matrix packed once, targets in
// panels [P, n, 32].
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../kernels/panel.h"

namespace cortune {

// Targets y [w, n] float32, rows contiguous, as panels [P, n, 32]: all of them, or those that `order` names
// (-1 for none). What is left of the last panel is 0.
at::Tensor make_panels(const at::Tensor& y);
at::Tensor make_panels(const at::Tensor& y, const std::vector<int64_t>& order);
// Back: target j of panels [P, m, 32] -> row order[j] of out [.., m].
void unpack_panels(const at::Tensor& panels, const std::vector<int64_t>& order, const at::Tensor& out);

// Targets that share a number (that of their alpha) in panels of their own.
struct PanelGroups {
  std::vector<int64_t> numbers;  // [P]
  std::vector<int64_t> targets;  // [P * 32]; -1 for none
};
// numbers [w]; targets of a number below 0 are left out.
PanelGroups group_panels(const std::vector<int64_t>& numbers);

class PanelMatrix {
 public:
  PanelMatrix() = default;
  // `matrix` [m, n], kept in float32. Of an upper triangular one (`upper`) the zeros are left out.
  explicit PanelMatrix(const at::Tensor& matrix, bool upper = false);

  int64_t rows() const { return m_; }
  int64_t columns() const { return n_; }
  // Rows of a product as they are computed: a multiple of 12.
  int64_t padded() const { return static_cast<int64_t>(starts_.size()) * kPanelRows; }

  // One panel [.., 32] -> out [padded, 32]. Column c of the matrix meets row rows[c] of the panel, or c where
  // `rows` is null.
  void times(const float* panel, const int32_t* rows, float* out) const;
  // Panels [P, .., 32] -> [P, m, 32].
  at::Tensor times(const at::Tensor& panels, const int32_t* rows = nullptr) const;
  // Adds sums over m of squares of the product to sums [P, 32] float64.
  void add_squares(const at::Tensor& panels, const int32_t* rows, double* sums) const;

 private:
  const float* block(size_t b) const { return packed_.data_ptr<float>() + starts_[b]; }
  int64_t from(size_t b) const { return upper_ ? static_cast<int64_t>(b) * kPanelRows : 0; }

  int64_t m_ = 0, n_ = 0;
  bool upper_ = false;
  at::Tensor packed_;            // blocks [columns from `from` on][12], one after the other
  std::vector<int64_t> starts_;  // of each block
};

}  // namespace cortune
