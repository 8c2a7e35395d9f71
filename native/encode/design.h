// The features of one layer made ready for one outer fold, and the products of them that ridge needs.
#pragma once
#include "encode.h"

namespace cortune {

struct Design {
  at::Tensor rows;    // [n + m, p] float64: training rows, then test rows; columns centred
  at::Tensor mean;    // [p]
  at::Tensor factor;  // [p]: rows are (x - mean) * factor; 0 where the column is constant
};

// Centres (and scales) the rows of `layer` [rows, p] float32 with statistics of the training rows only.
Design make_design(const at::Tensor& layer, const RowSplit& rows, bool zscore);

// Kernel of all pairs of rows [n, p] -> [n, n].
at::Tensor kernel_products(const at::Tensor& rows, const Kernel& kernel);

// X X^T; computed by blocks of rows, below the diagonal only.
at::Tensor gram(const at::Tensor& x);  // [n, p] -> [n, n]

}  // namespace cortune
