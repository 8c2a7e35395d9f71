// Banded ridge: feature groups ("bands") with a penalty of their own each.
#pragma once
#include "encode.h"

namespace cortune {

struct BandedSpec {
  std::vector<OuterFold> folds;
  std::vector<int64_t> sizes;  // columns of each of the B bands; sum to p
  std::vector<double> gammas;  // [G, B], rows on the simplex
  std::vector<double> alphas;  // ascending, positive
  bool zscore = true;
  bool fixed = false;  // as in EncodeSpec
  bool single = true;
  int64_t refine = 0;  // rounds of refinement
};

struct BandedScores {
  int64_t folds = 0;
  std::vector<double> r, r2;  // [F, t]
  std::vector<double> split;  // [F, B, t]
  std::vector<double> alpha,
      error;                  // [outer folds, t]: the chosen alpha, and its mean held-out squared error
  std::vector<double> gamma;  // [outer folds, B, t]
};

// Ridge on features of which band b is scaled by sqrt(gamma_b), as himalaya's random search over kernels
// (Dupre la Tour et al. 2022, NeuroImage 264, 119728): the penalty of band b is alpha / gamma_b. For every
// outer fold each row of `gammas` is tried with every alpha, and the pair of least mean squared error over
// the inner folds is kept for each target; of equal ones the first gamma, the largest alpha. Refinement then
// multiplies and divides one band's weight at a time, of the gammas chosen by most targets, by 3, in the next
// round by its square root, and so on.
//   split: the share of each band in the explained variance of the held-out rows (the product measure,
//   Hoffman 1960): sum_i (2 y_i p_bi - p_bi p_i) / sum_i y_i^2 with y and predictions centred on those rows;
//   sums to the explained variance.
// features [n, p] of one layer.
BandedScores encode_banded(const at::Tensor& features, const Responses& responses, const BandedSpec& spec,
                           const Task& task);

}  // namespace cortune
