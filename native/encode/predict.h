// Fits at the alpha chosen for each target.
#pragma once
#include "factor.h"
#include "panels.h"

namespace cortune {

// Largest size of a matrix for each alpha in use, in float64.
constexpr double kFitBytes = 256e6;

// Predictions (or weights: whatever the rows of `factor.basis` are) without intercept. One of two ways, by
// cost: a matrix [m, n] for each alpha in use, or every target through the eigenvectors.
class Predictor {
 public:
  Predictor() = default;
  // `train` [n']: places of the factor's training rows among the n columns of y. `used`: which alphas some
  // target chose. Computes in `dtype`.
  Predictor(const Factor& factor, const at::Tensor& train, int64_t n, const at::Tensor& alphas,
            const std::vector<bool>& used, int64_t targets, at::ScalarType dtype);
  // In float32, from a matrix [m, n'] for each alpha in use.
  Predictor(std::vector<PanelMatrix> matrices, int64_t m, const at::Tensor& train);

  // Places of the training rows.
  const std::vector<int32_t>& train() const { return train_; }
  int64_t rows() const { return m_; }

  // y [w, n], rows contiguous; chosen [w]: numbers of alphas, none below 0 -> [w, m].
  at::Tensor predict(const at::Tensor& y, const std::vector<int64_t>& chosen) const;

  // In float32, one panel [.., 32] of targets of one alpha: training row i is row rows[i] of the panel. Gives
  // [m, 32] in `work`, which grows as needed.
  const float* predict_panel(const float* panel, const int32_t* rows, int64_t alpha,
                             std::vector<float>& work) const;

 private:
  // In float32, by panel products; in float64.
  at::Tensor predict_single(const at::Tensor& y, const std::vector<int64_t>& chosen) const;
  at::Tensor predict_double(const at::Tensor& y, const std::vector<int64_t>& chosen) const;
  bool grouped() const { return !operators_.empty() || !packed_.empty(); }

  bool single_ = false;
  int64_t m_ = 0;
  std::vector<int32_t> train_;
  at::Tensor filters_;  // [A, k]
  // Through the eigenvectors: [k, n'] and [m, k], or (float64) [n, k] and [k, m].
  PanelMatrix packed_project_, packed_basis_;
  at::Tensor project_, basis_;
  // For each alpha in use, [m, n'], or (float64) [n, m].
  std::vector<PanelMatrix> packed_;
  std::vector<at::Tensor> operators_;
};

}  // namespace cortune
