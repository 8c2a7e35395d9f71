// Held-out errors of every alpha for many targets: products in float32, once for each alpha of a skeleton.
#pragma once
#include <functional>
#include <optional>

#include "forms.h"
#include "grid.h"
#include "inner.h"

namespace cortune {

// The held-out squared error of a target y at one alpha is a quadratic form in y. Two ways to evaluate it,
// chosen by cost:
//   joined    All folds at once: their residuals are e = E y with E [held-out rows, n], and |E y|^2 = |C y|^2
//   with
//             C the triangular Cholesky factor of E^T E. One n x n triangle for each alpha of the skeleton.
//   spectral  Fold by fold, in the eigenvectors of its training rows: with z = project y, a = basis^T y_S and
//             filters f,  |e|^2 = |y_S|^2 - 2 sum_i f_i a_i z_i + |basis (f z)|^2. Cheaper when there are
//             fewer eigenvectors than rows (p < n) or few targets for the n^3 of setting C up.
class Screen {
 public:
  // `folds` in positions among n rows; `weights` [n] of the rows in the means of squares, or undefined.
  Screen(const std::vector<Refit>& folds, int64_t n, const at::Tensor& weights, const at::Tensor& alphas,
         int64_t targets, const Task& task);

  // Joined, from the closed form of all folds; row weights are 1.
  Screen(const HeldOutMaps& maps, const Spectrum& lifted, const at::Tensor& alphas, const Task& task);
  // Whether that takes less than a factor for each fold, where only a `share` of the alphas needs it.
  static bool closed_is_cheaper(const FoldSizes& sizes, double share = 1);

  // y [w, n] float32, rows contiguous, roughly centred -> mean over folds of the mean squared error [A, w]
  // float64.
  at::Tensor errors(const at::Tensor& y) const;

 private:
  struct Spectral {
    std::vector<int32_t> train;
    PanelMatrix project;  // [k, n']: of the training rows
    PanelMatrix basis;    // [k, m]
    at::Tensor mean;      // [n] float32
    at::Tensor test;      // [m]
    at::Tensor share;     // [m] float64, of each row in the mean over folds and rows
    at::Tensor filters;   // [k, A] float64
    at::Tensor scale;     // [K, 1] float64, of the squares of the forms
    SquareForms forms;
  };
  // `form`: the triangle [n, n] of an alpha.
  void join(const std::function<at::Tensor(int64_t)>& form, const Task& task);
  Spectral spectral(const Refit& fold, int64_t n, const at::Tensor& share) const;
  at::Tensor spectral_errors(const Spectral& fold, const at::Tensor& y, const at::Tensor& panels) const;

  at::Tensor alphas_;
  Skeleton skeleton_;
  std::optional<SquareForms> joined_;
  std::vector<Spectral> spectral_;
};

}  // namespace cortune
