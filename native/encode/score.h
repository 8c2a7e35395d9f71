// Scores of held-out predictions, per target.
#pragma once
#include <ATen/ATen.h>

namespace cortune {

struct Scores {
  double r, r2;      // Pearson's r; 1 - SSE / SS around the mean of the responses
  double explained;  // explained variance: 1 - var(error) / var(response)
  double error;      // mean squared error
  double spearman;   // r of the ranks, ties at their mean rank; only when asked for, else NaN
};

// One target: predictions and responses, m rows each; `shift` is added to every prediction. NaN where the
// response is constant; NaN r where the prediction is.
template <typename Number>
Scores score(const Number* prediction, const Number* response, int64_t m, double shift, bool ranks);

// 32 targets side by side: predictions [m][32] and rows rows[0..m) of a panel of responses (kernels/panel.h);
// `shift` [32] is added to the predictions. As above but for the ranks.
void score_panel(const float* predictions, const float* panel, const int32_t* rows, int64_t m,
                 const double* shift, Scores* out);

}  // namespace cortune
