// The layers that families are built from.
#include "layers.h"

#include <cmath>

#include "../error.h"

namespace cortune {

at::Tensor Pass::parameter(const std::string& name) const {
  const auto& base = parameters.at(name);
  return delta ? delta->parameter(name, base) : base;
}

at::Tensor Pass::linear(const std::string& name, const at::Tensor& x) const {
  const auto bias_name = name + ".bias";
  const auto bias =
      parameters.has(bias_name) ? std::optional<at::Tensor>(parameter(bias_name)) : std::nullopt;
  auto y = at::linear(x, parameter(name + ".weight"), bias);
  return delta ? delta->linear(name, x, y) : y;
}

at::Tensor Pass::embedding(const std::string& name, const at::Tensor& ids) const {
  return at::embedding(parameter(name + ".weight"), ids).unsqueeze(0);  // [1, N, C]
}

at::Tensor Pass::layer_norm(const std::string& name, const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, parameter(name + ".weight"), parameter(name + ".bias"),
                        config.norm_eps);
}

at::Tensor Pass::rms_norm(const std::string& name, const at::Tensor& x) const {
  return at::rms_norm(x, {x.size(-1)}, parameter(name + ".weight"), config.norm_eps);
}

at::Tensor Pass::activate(const at::Tensor& x) const {
  if (config.activation == "silu") return at::silu(x);
  if (config.activation == "gelu") return at::gelu(x);
  if (config.activation == "gelu_tanh") return at::gelu(x, "tanh");
  if (config.activation == "relu") return at::relu(x);
  fail(Code::kConfig,
       "Expected the activation to be silu, gelu, gelu_tanh or relu, got `" + config.activation + "`.");
}

at::Tensor heads_of(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads});  // [K, N, H, D]
}

namespace {

// True where a query may see a key: not after it, and less than `window` before it. [T, T]
at::Tensor window_mask(int64_t length, int64_t window) {
  return at::ones({length, length}, at::kBool).tril_().triu_(1 - window);
}

// Rows of one group as a batch of sequences. [K, N, H, D] -> [K * B, H, T, D]
at::Tensor as_batch(const at::Tensor& x, const Group& group, int64_t lanes) {
  auto rows = x.narrow(1, group.row, group.count * group.length).expand({lanes, -1, -1, -1});
  return rows.reshape({lanes * group.count, group.length, x.size(2), x.size(3)}).transpose(1, 2);
}

}  // namespace

at::Tensor Pass::attention(at::Tensor q, at::Tensor k, at::Tensor v, bool causal) const {
  const int64_t lanes = std::max({q.size(0), k.size(0), v.size(0)});
  const int64_t heads = q.size(2), width = q.size(3);
  if (k.size(2) != heads) {  // grouped queries: each key head serves heads / H_kv query heads
    k = k.repeat_interleave(heads / k.size(2), 2);
    v = v.repeat_interleave(heads / v.size(2), 2);
  }
  std::vector<at::Tensor> outputs;
  for (const auto& group : layout.groups) {
    const bool windowed = causal && config.sliding_window > 0 && group.length > config.sliding_window;
    const auto mask =
        windowed ? std::optional<at::Tensor>(window_mask(group.length, config.sliding_window)) : std::nullopt;
    auto output = at::scaled_dot_product_attention(as_batch(q, group, lanes), as_batch(k, group, lanes),
                                                   as_batch(v, group, lanes), mask, 0.0, causal && !windowed);
    outputs.push_back(output.transpose(1, 2).reshape({lanes, group.count * group.length, heads * width}));
  }
  return outputs.size() == 1 ? outputs[0] : at::cat(outputs, 1);  // [K, N, H * D]
}

at::Tensor Pass::rotate(const at::Tensor& x) const {
  const int64_t rotated = rotary.cos.size(-1);
  auto part = rotated == x.size(-1) ? x : x.narrow(-1, 0, rotated);
  const auto halves = part.chunk(2, -1);
  const auto turned = at::cat({halves[1].neg(), halves[0]}, -1);
  part = part * rotary.cos + turned * rotary.sin;
  return rotated == x.size(-1) ? part : at::cat({part, x.narrow(-1, rotated, x.size(-1) - rotated)}, -1);
}

namespace {

constexpr double kTau = 2 * 3.14159265358979323846;

// Llama 3's scaling: low frequencies are divided by `factor`, high ones kept, those between blended
// (Llama 3.1 model card).
at::Tensor scale_llama3(const ModelConfig& config, const at::Tensor& frequency) {
  const double low_wave = config.rope_original_positions / config.rope_low_factor;
  const double high_wave = config.rope_original_positions / config.rope_high_factor;
  const auto wave = kTau / frequency;
  const auto slow = frequency / config.rope_factor;
  const auto blend = (config.rope_original_positions / wave - config.rope_low_factor) /
                     (config.rope_high_factor - config.rope_low_factor);
  const auto between = (1 - blend) * slow + blend * frequency;
  const auto scaled = at::where(wave > low_wave, slow, frequency);
  return at::where(at::logical_and(wave <= low_wave, wave >= high_wave), between, scaled);
}

}  // namespace

Rotary rotary_tables(const ModelConfig& config, const Layout& layout) {
  const auto rotated = static_cast<int64_t>(config.head_dim * config.rope_share);
  const auto exponent = at::arange(0, rotated, 2, at::kLong).to(at::kFloat) / static_cast<double>(rotated);
  auto frequency = 1.0 / at::pow(at::scalar_tensor(config.rope_theta, at::kFloat), exponent);  // [D_rot / 2]
  if (config.rope_scaling == "linear") frequency = frequency / config.rope_factor;
  if (config.rope_scaling == "llama3") frequency = scale_llama3(config, frequency);
  const auto angle = layout.positions.to(at::kFloat).unsqueeze(1) * frequency.unsqueeze(0);  // [N, D_rot / 2]
  const auto both = at::cat({angle, angle}, 1).unsqueeze(1);                                 // [N, 1, D_rot]
  return {both.cos(), both.sin()};
}

}  // namespace cortune
