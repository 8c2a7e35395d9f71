// Activations.
#include "gate.h"

#include "../kernels/gate.h"
#include "dispatch.h"
#include "record.h"

namespace cortune {
namespace {

Activation activation_of(const std::string& name) {
  if (name == "silu") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_tanh") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  fail(Code::kConfig, "Expected the activation to be silu, gelu, gelu_tanh or relu, got `" + name + "`.");
}

}  // namespace

at::Tensor gate(const std::string& name, const at::Tensor& x_given, const at::Tensor& up_given) {
  const auto activation = activation_of(name);
  at::Tensor x, up, y;
  {
    at::NoGradGuard no_grad;
    const int64_t lanes = std::max(x_given.size(0), up_given.defined() ? up_given.size(0) : int64_t{1});
    x = x_given.detach().expand({lanes, -1, -1}).contiguous();
    if (up_given.defined()) up = up_given.detach().expand({lanes, -1, -1}).contiguous();
    y = at::empty_like(x);
    with_type(x, [&](auto type) {
      using T = decltype(type);
      gate_cpu<T>(activation, x.data_ptr<T>(), data_or_null<T>(up), y.data_ptr<T>(), x.numel());
    });
  }
  return record({x_given, up_given}, y, [=](Tensors& gradients, const Wanted&) {
    const auto dy = gradients[0].contiguous();
    with_type(x, [&](auto type) {
      using T = decltype(type);
      gate_backward_cpu<T>(activation, x.data_ptr<T>(), data_or_null<T>(up), dy.data_ptr<T>(), x.numel());
    });
    const auto shaped = [](const at::Tensor& d, const at::Tensor& like) {
      return !like.defined() || like.size(0) == d.size(0) ? d : d.sum(0, true);
    };
    return Tensors{shaped(x, x_given), up.defined() ? shaped(up, up_given) : at::Tensor()};
  });
}

}  // namespace cortune
