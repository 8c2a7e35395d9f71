// Matrix products. libtorch gives float32 products to MKL, which on processors of other makers runs its AVX2
// kernel; oneDNN, which libtorch also carries, generates AVX-512 (or AMX) code wherever it is there. Measured
// 1.1 to 1.5 times as fast on the shapes of a transformer, more on few rows.
#include "product.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "../kernels/bf16.h"

namespace cortune {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using Plain = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                         std::string_view, Scalars, std::optional<std::string_view>);
using Adding = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const std::optional<at::Tensor>&, std::string_view);

// oneDNN's operators, where this libtorch has them.
std::optional<c10::OperatorHandle> find(const char* overload) {
  return c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", overload});
}

bool is_fast(const at::Tensor& x) {
  static const bool there = find("").has_value() && find("binary").has_value() && at::hasMKLDNN();
  return there && x.device().is_cpu() && x.scalar_type() == at::kFloat && x.size(0) > 0;
}

at::Tensor plain(const at::Tensor& x, const at::Tensor& w) {
  static const auto call = find("")->typed<Plain>();
  return call.call(x, w, std::nullopt, "none", Scalars(), std::nullopt);
}

at::Tensor adding(const at::Tensor& x, const at::Tensor& w, const at::Tensor& start) {
  static const auto call = find("binary")->typed<Adding>();
  return call.call(x, start, w, std::nullopt, "add");
}

at::Tensor widened(const at::Tensor& product, const at::Tensor& start) {
  auto y = at::empty(product.sizes(), at::kFloat);
  widen_cpu(reinterpret_cast<const uint16_t*>(product.data_ptr<at::BFloat16>()),
            start.defined() ? start.data_ptr<float>() : nullptr, y.data_ptr<float>(), y.numel());
  return y;
}

}  // namespace

at::Tensor times(const at::Tensor& x, const at::Tensor& w, const at::Tensor& start) {
  if (w.scalar_type() == at::kBFloat16) return widened(at::mm(x.to(at::kBFloat16), w.t()), start);
  if (!is_fast(x)) return start.defined() ? at::addmm(start, x, w.t()) : at::mm(x, w.t());
  return start.defined() ? adding(x, w, start) : plain(x, w);
}

}  // namespace cortune
