// Rotary positions.
#include "rotary.h"

#include "../kernels/rotary.h"
#include "dispatch.h"
#include "record.h"

namespace cortune {
namespace {

void turn(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool backward) {
  const RotaryShape shape{
      x.size(0),   x.size(1),   x.size(2),   cos.size(-1),
      x.stride(0), x.stride(1), x.stride(2), cos.dim() == 4 && cos.size(0) > 1 ? cos.stride(0) : 0};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    rotary_cpu<T>(x.data_ptr<T>(), cos.data_ptr<T>(), sin.data_ptr<T>(), backward, shape);
  });
}

}  // namespace

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  at::Tensor y;
  {
    at::NoGradGuard no_grad;
    const bool own = cos.dim() == 4 && cos.size(0) > x.size(0);  // what lanes shared parts here
    y = own ? x.detach().expand({cos.size(0), -1, -1, -1}).clone(at::MemoryFormat::Contiguous) : x.detach();
    turn(y, cos, sin, false);
  }
  return record({x}, y, [cos, sin, lanes = x.size(0)](Tensors& gradients, const Wanted&) {
    auto dx = gradients[0].contiguous();  // ours: it came from the attention alone
    turn(dx, cos, sin, true);
    return Tensors{dx.size(0) == lanes ? dx : dx.sum(0, true)};
  });
}

}  // namespace cortune
