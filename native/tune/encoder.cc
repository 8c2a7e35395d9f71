// Embedding and linear layers of encoders.
#include "encoder.h"

#include <cmath>

namespace cortune {
namespace {

const std::string kPrefix = "prompt_encoder.";

}  // namespace

at::Tensor draw_uniform(std::vector<int64_t> shape, double bound, std::vector<at::Generator>& draws) {
  shape.insert(shape.begin(), static_cast<int64_t>(draws.size()));
  auto value = at::empty(shape, at::kFloat);
  for (size_t k = 0; k < draws.size(); ++k) value[static_cast<int64_t>(k)].uniform_(-bound, bound, draws[k]);
  return value.requires_grad_(true);
}

void Encoder::add_embedding(int64_t rows, int64_t width, std::vector<at::Generator>& draws) {
  embedding_ = at::empty({static_cast<int64_t>(draws.size()), rows, width}, at::kFloat);
  for (size_t k = 0; k < draws.size(); ++k) embedding_[static_cast<int64_t>(k)].normal_(0, 1, draws[k]);
  embedding_.requires_grad_(true);
}

void Encoder::add_linear(const std::string& name, int64_t in, int64_t out,
                         std::vector<at::Generator>& draws) {
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  auto weight = draw_uniform({out, in}, bound, draws);
  auto bias = draw_uniform({out}, bound, draws);
  layers_.emplace(name, Layer{std::move(weight), std::move(bias)});
}

void Encoder::zero(const std::string& name) {
  at::NoGradGuard no_grad;
  layers_.at(name).weight.zero_();
  layers_.at(name).bias.zero_();
}

at::Tensor Encoder::linear(const std::string& name, const at::Tensor& x) const {
  const auto& layer = layers_.at(name);
  return at::baddbmm(layer.bias.unsqueeze(1), x, layer.weight.transpose(1, 2));  // [k, P, out]
}

void Encoder::visit(const Method::Visit& visit) {
  visit(embedding_, {});
  for (auto& [name, layer] : layers_) {
    visit(layer.weight, {});
    visit(layer.bias, {});
  }
}

void Encoder::append_state(NamedTensors& into, int64_t lane) const {
  into.emplace_back(kPrefix + "embedding.weight", embedding_.detach()[lane]);
  for (const auto& [name, layer] : layers_) {
    into.emplace_back(kPrefix + name + ".weight", layer.weight.detach()[lane]);
    into.emplace_back(kPrefix + name + ".bias", layer.bias.detach()[lane]);
  }
}

}  // namespace cortune
