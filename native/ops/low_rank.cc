// Products of the low-rank path.
#include "low_rank.h"

namespace cortune {

at::Tensor low_project(const at::Tensor& x, const at::Tensor& rows) {
  return at::bmm(x, rows.transpose(1, 2));
}

void low_expand_into(at::Tensor& into, const at::Tensor& low, const at::Tensor& rows) {
  into.baddbmm_(low, rows);
}

at::Tensor low_outer(const at::Tensor& low, const at::Tensor& x) { return at::bmm(low.transpose(1, 2), x); }

}  // namespace cortune
