// Encoding: cross-validated ridge from features of every layer to responses, alpha chosen inside the training
// rows.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"

namespace cortune {

// Numbers of rows of X and Y.
struct RowSplit {
  std::vector<int64_t> train;
  std::vector<int64_t> test;
};

struct OuterFold {
  RowSplit rows;
  std::vector<RowSplit> inner;  // subsets of rows.train
};

struct EncodeSpec {
  std::vector<OuterFold> folds;
  std::vector<double> alphas;  // ascending, positive
  bool zscore = true;          // else only centred
  bool shared_alpha = false;   // one alpha for all targets
  bool predictions = false;
};

struct EncodeScores {
  std::vector<double> r, r2, alpha;  // each [L, F, t]
  at::Tensor predictions;            // [L, n, t] float32 or undefined
};

// For each layer l and outer fold f:
//   1. Features are centred on the training rows' means and, with `zscore`, divided by their population
//   standard deviation;
//      a column that is constant in the training rows becomes 0. Responses are centred on the training rows'
//      means.
//   2. For each inner fold and alpha, ridge  min ||y - b0 - X b||^2 + alpha ||b||^2  with its own unpenalised
//   intercept b0 is fitted on the
//      inner training rows (the scaling of 1 is kept) and its mean squared error on the inner test rows
//      taken. The alpha with the smallest mean of these over inner folds is chosen, per target or (shared) by
//      their mean over targets; of equal ones the largest.
//   3. Ridge with that alpha on all training rows predicts the test rows: Pearson r, and R2 = 1 - SSE / SS
//   around the test rows' mean.
// A target constant in the training rows has NaN r, R2 and alpha in that fold; one constant in the test rows
// NaN r and R2; predictions that are all equal have NaN r. features [L, n, p] and responses [n, t] are
// float32 and finite. All arithmetic is in float64.
EncodeScores encode(const at::Tensor& features, const at::Tensor& responses, const EncodeSpec& spec,
                    const Task& task);

}  // namespace cortune
