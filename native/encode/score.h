// Scores of held-out predictions, per target.
#pragma once
#include <ATen/ATen.h>

namespace cortune {

struct Scores {
  at::Tensor r, r2;  // [t] float64
};

// prediction and response [m, t] float64, both may be shifted by the same constant per target. NaN where the
// response is constant
// (`flat` [t] bool says where, from the unrounded values); NaN r where the prediction is constant.
Scores score(const at::Tensor& prediction, const at::Tensor& response, const at::Tensor& flat);

// Where all rows of y [n, t] are equal.
at::Tensor is_flat(const at::Tensor& y);  // [t] bool

}  // namespace cortune
