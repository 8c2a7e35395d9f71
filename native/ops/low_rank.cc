// Products of the low-rank path: thin ones by our kernels, wide ones (VeRA's rank of hundreds) by GEMMs.
#include "low_rank.h"

#include "../kernels/low_rank.h"
#include "dispatch.h"

namespace cortune {
namespace {

// Above this rank a general GEMM is faster (measured: they meet between 48 and 96).
constexpr int64_t kLargestThin = 64;

LowRankShape shape_of(const at::Tensor& x, int64_t lanes, int64_t rank) {
  return {lanes, x.size(1), rank, x.size(2)};
}

// Rows of a lane one after the other; lanes may share them.
at::Tensor rows_of(const at::Tensor& x) {
  return x.stride(2) == 1 && x.stride(1) == x.size(2) ? x : x.contiguous();
}

}  // namespace

at::Tensor low_project(const at::Tensor& x, const at::Tensor& factor, const at::Tensor& scale) {
  if (factor.size(1) > kLargestThin) {
    auto low = at::bmm(x, factor.transpose(1, 2));
    return scale.defined() ? low.mul_(scale) : low;
  }
  const auto rows = rows_of(x), f = factor.contiguous();
  auto low = at::empty({f.size(0), x.size(1), f.size(1)}, x.options());
  with_type(x, [&](auto type) {
    using T = decltype(type);
    low_project_cpu<T>(rows.data_ptr<T>(), rows.size(0) == 1 ? 0 : rows.stride(0), f.data_ptr<T>(),
                       data_or_null<T>(scale), low.data_ptr<T>(), shape_of(x, f.size(0), f.size(1)));
  });
  return low;
}

namespace {

// Adds to y, or with `fresh` begins at `start`.
void expand(const at::Tensor& start, bool fresh, at::Tensor& y, const at::Tensor& low,
            const at::Tensor& factor) {
  if (factor.size(1) > kLargestThin) {
    if (fresh && start.defined()) y.copy_(start.expand_as(y));
    y.baddbmm_(low, factor, fresh && !start.defined() ? 0 : 1);
    return;
  }
  const auto f = factor.contiguous(), l = low.contiguous();
  const auto begin = start.defined() ? rows_of(start) : start;
  with_type(y, [&](auto type) {
    using T = decltype(type);
    StartRows<T> rows{data_or_null<T>(begin), 0, 0};
    if (begin.defined()) {
      rows.lane = begin.size(0) > 1 ? begin.stride(0) : 0;
      rows.row = begin.size(1) > 1 ? begin.stride(1) : 0;
    }
    low_expand_cpu<T>(l.data_ptr<T>(), f.data_ptr<T>(), y.data_ptr<T>(), fresh ? &rows : nullptr,
                      shape_of(y, f.size(0), f.size(1)));
  });
}

}  // namespace

void low_expand(at::Tensor y, const at::Tensor& low, const at::Tensor& factor) {
  expand({}, false, y, low, factor);
}

void low_expand_from(const at::Tensor& start, at::Tensor y, const at::Tensor& low, const at::Tensor& factor) {
  expand(start, true, y, low, factor);
}

at::Tensor low_outer(const at::Tensor& low, const at::Tensor& x) {
  if (low.size(2) > kLargestThin) return at::bmm(low.transpose(1, 2), x);
  const auto rows = rows_of(x);
  auto gradient = at::empty({low.size(0), low.size(2), x.size(2)}, x.options());
  with_type(x, [&](auto type) {
    using T = decltype(type);
    low_outer_cpu<T>(low.contiguous().data_ptr<T>(), rows.data_ptr<T>(),
                     rows.size(0) == 1 ? 0 : rows.stride(0), gradient.data_ptr<T>(),
                     shape_of(x, low.size(0), low.size(2)));
  });
  return gradient;
}

}  // namespace cortune
