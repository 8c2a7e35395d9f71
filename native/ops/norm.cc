// Norms.
#include "norm.h"

#include "../kernels/norm.h"
#include "dispatch.h"
#include "record.h"

namespace cortune {
namespace {

// Weights of more than one lane.
bool several(const at::Tensor& w) { return w.defined() && w.dim() > 1 && w.size(0) > 1; }

// The gradient of a weight [C] or [1, 1, C] that all lanes share, or [K, 1, C].
at::Tensor shaped(const at::Tensor& by_lane, const at::Tensor& like) {
  return several(like) ? by_lane.unsqueeze(1) : by_lane.sum(0).view_as(like);
}

}  // namespace

at::Tensor norm(const at::Tensor& x_given, const at::Tensor& weight_given, const at::Tensor& bias_given,
                double eps) {
  const Tensors inputs{x_given, weight_given, bias_given};
  int64_t lanes = x_given.size(0);
  for (const auto* part : {&weight_given, &bias_given})
    if (part->defined() && part->dim() > 1) lanes = std::max(lanes, part->size(0));
  at::Tensor x, weight, bias, y, mean, inverse;
  NormShape shape{};
  {
    at::NoGradGuard no_grad;
    x = x_given.expand({lanes, -1, -1}).contiguous();
    const bool own = several(weight_given) || several(bias_given);
    const auto stacked = [&](const at::Tensor& w) {
      return own ? w.expand({lanes, 1, -1}).contiguous() : w.contiguous();
    };
    weight = stacked(weight_given);
    if (bias_given.defined()) bias = stacked(bias_given);
    shape = {lanes, x.size(1), x.size(2), own ? x.size(2) : 0};
    y = at::empty_like(x);
    inverse = at::empty({lanes, x.size(1)}, x.options());
    if (bias.defined()) mean = at::empty_like(inverse);
    with_type(x, [&](auto type) {
      using T = decltype(type);
      norm_cpu<T>(x.data_ptr<T>(), weight.data_ptr<T>(), data_or_null<T>(bias), eps, y.data_ptr<T>(),
                  data_or_null<T>(mean), inverse.data_ptr<T>(), shape);
    });
  }
  return record(inputs, y, [=](Tensors& gradients, const Wanted& wanted) {
    const auto dy = gradients[0].contiguous();
    const auto dx = wanted[0] ? at::empty_like(x) : at::Tensor();
    at::Tensor dweight, dbias;
    if (wanted[1] || wanted[2]) {
      dweight = at::zeros({shape.lanes, shape.channels}, x.options());
      if (bias.defined()) dbias = at::zeros_like(dweight);
    }
    with_type(x, [&](auto type) {
      using T = decltype(type);
      norm_backward_cpu<T>(x.data_ptr<T>(), dy.data_ptr<T>(), weight.data_ptr<T>(), data_or_null<T>(mean),
                           inverse.data_ptr<T>(), data_or_null<T>(dx), data_or_null<T>(dweight),
                           data_or_null<T>(dbias), shape);
    });
    Tensors results(3);
    if (wanted[0]) results[0] = x_given.size(0) == shape.lanes ? dx : dx.sum(0, true);
    if (wanted[1]) results[1] = shaped(dweight, weight_given);
    if (wanted[2]) results[2] = shaped(dbias, bias_given);
    return results;
  });
}

}  // namespace cortune
