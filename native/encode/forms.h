// Sums of squares |C_k y|^2 of many targets y for a few matrices C_k: what every held-out error comes down
// to.
#pragma once
#include <ATen/ATen.h>

#include <vector>

namespace cortune {

class SquareForms {
 public:
  SquareForms() = default;
  // `factors`: K matrices [rows, n] of one size, float32; upper triangular ones (`triangular`) are multiplied
  // by blocks of rows, from the diagonal on.
  SquareForms(const std::vector<at::Tensor>& factors, bool triangular);

  // y [w, n] float32, rows contiguous -> [K, w]; products in float32, squares summed in float64.
  at::Tensor evaluate(const at::Tensor& y) const;

 private:
  struct Block {
    int64_t from = 0;    // first column that is not 0
    int64_t height = 0;  // rows of each matrix
    at::Tensor stacked;  // [K * height, n - from]
  };
  int64_t count_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace cortune
