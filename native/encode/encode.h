// Encoding: cross-validated ridge from features of every layer to responses, alpha chosen inside the training
// rows.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"
#include "responses.h"

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

enum class Weights { kNone, kPrimal, kDual };
// Whose errors choose alpha: inner folds', or those of the training rows in closed form (closed.h).
enum class Selection { kFolds, kLeaveOneOut, kGeneralised };

// Products of scaled, centred rows:  x . y,  exp(-gamma |x - y|^2),  (gamma x . y + offset)^degree.
struct Kernel {
  enum class Kind { kLinear, kRbf, kPolynomial } kind = Kind::kLinear;
  double gamma = 1, offset = 1, degree = 3;
};

struct EncodeSpec {
  std::vector<OuterFold> folds;
  std::vector<double> alphas;       // ascending, positive
  std::vector<double> row_weights;  // of every row, above 0; empty for none
  bool zscore = true;               // else only centred
  bool shared_alpha = false;        // one alpha for all targets
  bool fixed = false;               // one outer fold without test rows, whose inner folds are scored
  bool single = false;              // products with responses in float32
  bool predictions = false;
  bool spearman = false, explained = false;
  Weights weights = Weights::kNone;
  Selection selection = Selection::kFolds;
  double memory = 0;  // bytes that results and work may take; 0 for no limit
  Kernel kernel;
};

struct EncodeScores {
  int64_t folds = 0;                                      // F: outer folds, or (fixed) inner ones
  std::vector<double> r, r2, alpha, spearman, explained;  // each [L, F, t], or empty when not asked for
  std::vector<double> error;  // (fixed) [L, t]: mean over folds of the mean squared error at the chosen alpha
  at::Tensor predictions;     // [L, n, t] float32 or undefined
  at::Tensor weights;         // [L, outer folds, p or n, t] float32 or undefined
  at::Tensor intercepts;      // [L, outer folds, t] float32, with primal weights
};

// For each layer l and outer fold f:
//   1. Features are centred on the training rows' means and, with `zscore`, divided by their population
//   standard deviation;
//      a column that is constant in the training rows becomes 0. Responses are centred on the training rows'
//      means.
//   2. For each inner fold and alpha, ridge  min sum_i w_i (y_i - b0 - x_i b)^2 + alpha ||b||^2  with its own
//   unpenalised intercept b0 is fitted on the inner training rows (the scaling of 1 is kept) and its
//   (weighted) mean squared error on the inner test rows taken. The alpha with the smallest mean of these
//   over inner folds is chosen, per target or (shared) by their mean over targets; of equal ones the largest.
//   3. Ridge with that alpha on all training rows predicts the test rows: Pearson r, and R2 = 1 - SSE / SS
//   around the test rows' mean. `fixed`: the inner test rows are scored instead, with the chosen alpha.
// A target constant in the training rows has NaN r, R2 and alpha in that fold; one constant in the test rows
// NaN r and R2; predictions that are all equal have NaN r. features [L, n, p] and responses [n, t] are
// float32 and finite. Factorisations are in float64; so are products with responses, unless `single`. Results
// have the same bits for any number of threads.
EncodeScores encode(const at::Tensor& features, const Responses& responses, const EncodeSpec& spec,
                    const Task& task);

}  // namespace cortune
