// Held-out squared errors of every alpha over the inner folds of one outer fold.
#pragma once
#include <atomic>
#include <memory>
#include <variant>

#include "design.h"
#include "factor.h"

namespace cortune {

// Sizes that decide which way is cheapest.
struct FoldSizes {
  int64_t n = 0, m = 0, p = 0, t = 0, alphas = 0;
  std::vector<int64_t> inner_train, inner_test;
};

// Whether n x n matrices (dual) cost less than p x p ones (primal) for this outer fold and its inner folds.
bool dual_is_cheaper(const FoldSizes& sizes);

// Positions in the outer training rows.
struct InnerFold {
  at::Tensor train, test;
  at::Tensor held;  // all that is not in `train`, `test` first; the rest was trimmed
};

at::Tensor to_index(const std::vector<int64_t>& rows);
// The inner folds of `fold`, of a study of so many rows.
std::vector<InnerFold> inner_positions(const OuterFold& fold, int64_t rows);

// Rows held out of a ridge fit with unpenalised intercept, without fitting again: with  M = (K + alpha)^-1 -
// its part along 1,
//   e_H = (M_HH)^-1 (M y)_H   (the block form of the leave-one-out identity; Cook & Weisberg 1982, sec. 3.2).
struct HeldOutOperator {
  at::Tensor held;     // [h]
  at::Tensor weights;  // [A, s, h]: the rows of (M_HH)^-1 that are test rows
};
// Rows fitted by themselves, and rows predicted from them.
struct Refit {
  at::Tensor train, test;
  at::Tensor mean;  // [n]: the share of each training response in the intercept
  Factor factor;
};

// A kernel [n, n] of a fold's training rows and of its test rows with them, centred on the training rows'
// mean.
struct CentredKernel {
  at::Tensor block, cross;  // [n', n'], [m, n']
};
// `mean` [n']: shares of the training rows.
CentredKernel centred_kernel(const at::Tensor& kernel, const InnerFold& fold, const at::Tensor& mean);

// `rows` [n, p]: centred training rows of the outer fold, `gram` [n, n] their products (or a kernel of them),
// `weights` [n] or undefined.
Refit primal_refit(const at::Tensor& rows, const InnerFold& fold, const at::Tensor& weights);
Refit dual_refit(const at::Tensor& gram, const InnerFold& fold, const at::Tensor& weights);

// Whether that keeps its digits: eigenvalues of the kernel, also along 1, lie between `least` and `largest`.
bool held_out_is_safe(double least, double largest, int64_t n, const std::vector<InnerFold>& folds,
                      const at::Tensor& alphas);
// M [n, n] -> residuals of each fold's test rows as maps of all rows [test rows, n].
std::vector<at::Tensor> held_out_residuals(const at::Tensor& m, const std::vector<InnerFold>& folds);

// These for every alpha, from one spectrum.
class HeldOutMaps {
 public:
  // Whether the closed form keeps its digits, for all alphas.
  static bool safe(const Spectrum& lifted, double lift, const std::vector<InnerFold>& folds,
                   const at::Tensor& alphas);
  // `lifted`, `lift`: as InnerFolds::dual. `room`: bytes of residuals that may be kept.
  HeldOutMaps(const Spectrum& lifted, double lift, const std::vector<InnerFold>& folds,
              const at::Tensor& alphas, double room);

  // For alpha number a a matrix [test rows, n] of each fold. Kept for the next time where there is room;
  // calls side by side must be for different alphas.
  std::vector<at::Tensor> residuals(int64_t a) const;
  const std::vector<InnerFold>& folds() const { return folds_; }
  int64_t size() const { return lifted_.vectors.size(0); }

 private:
  Spectrum lifted_;
  double lift_;
  std::vector<InnerFold> folds_;
  at::Tensor alphas_;
  double room_;
  mutable std::vector<std::vector<at::Tensor>> kept_;
  std::unique_ptr<std::atomic<int64_t>> bytes_;  // of what is kept
};

class InnerFolds {
 public:
  InnerFolds() = default;
  // Every fold factored by itself; `weights` [n] of the rows in the means of squares, or undefined.
  InnerFolds(const std::vector<Refit>& folds, const at::Tensor& alphas, const at::Tensor& weights);
  // Dual: `gram` [n, n] of the training rows and its spectrum with the constant direction lifted to `lift`.
  // Chooses for each fold the closed form or a factor of its own: by cost, and the latter where the closed
  // form would lose digits.
  static InnerFolds dual(const at::Tensor& gram, const Spectrum& lifted, double lift,
                         const std::vector<InnerFold>& folds, const at::Tensor& alphas,
                         const FoldSizes& sizes, const Task& task);

  // y: responses of the outer training rows, centred [n, t]. Mean over inner folds of the mean squared error.
  at::Tensor errors(const at::Tensor& y) const;  // [A, t]

 private:
  // How many folds go the closed way.
  int64_t closed() const;

  at::Tensor alphas_, weights_;
  Spectrum lifted_;
  std::vector<std::variant<HeldOutOperator, Refit>> folds_;
};

}  // namespace cortune
