// The adapted linear module.
#include "linear.h"

#include "low_rank.h"
#include "record.h"

namespace cortune {
namespace {

at::Tensor lanes_of(const at::Tensor& x, const LaneRange& lanes) {
  return x.narrow(0, lanes.first, lanes.count);  // [k, N, C]
}

// Positions of an effect's tensors in the list of inputs.
struct Slots {
  size_t input_scale, a, b, output_scale;
};
struct Call {
  Tensors inputs;  // x, then what is trained; undefined where there is none
  std::vector<Slots> effects;
  std::vector<size_t> weights, biases;

  size_t add(const at::Tensor& tensor) {
    inputs.push_back(tensor);
    return inputs.size() - 1;
  }
};

Call list_inputs(const at::Tensor& x, const OwnWeights& own, const std::vector<LinearEffect>& effects) {
  Call call;
  call.add(x);
  for (const auto& part : own.weight) call.weights.push_back(call.add(part.value));
  for (const auto& part : own.bias) call.biases.push_back(call.add(part.value));
  for (const auto& e : effects)
    call.effects.push_back({call.add(e.input_scale), call.add(e.a), call.add(e.b), call.add(e.output_scale)});
  return call;
}

// The ranges of lanes that use the base weight: all but those with their own.
std::vector<LaneRange> base_ranges(const std::vector<OwnParameter>& own, int64_t lanes) {
  std::vector<bool> owned(lanes, false);
  for (const auto& part : own)
    for (int64_t k = 0; k < part.lanes.count; ++k) owned[part.lanes.first + k] = true;
  std::vector<LaneRange> ranges;
  for (int64_t k = 0; k < lanes; ++k) {
    if (owned[k]) continue;
    if (!ranges.empty() && ranges.back().first + ranges.back().count == k)
      ++ranges.back().count;
    else
      ranges.push_back({k, 1});
  }
  return ranges;
}

// into [k, N, out] += x [k, N, in] weight^T, as one product over all rows.
void add_product(at::Tensor into, const at::Tensor& x, const at::Tensor& transposed) {
  into.view({-1, into.size(-1)}).addmm_(x.reshape({-1, x.size(-1)}), transposed);
}

// x with the lanes of input scales multiplied, or x itself. [K, N, in]
at::Tensor scale_inputs(const at::Tensor& x, const std::vector<LinearEffect>& effects) {
  at::Tensor scaled;
  for (const auto& e : effects) {
    if (!e.input_scale.defined()) continue;
    if (!scaled.defined()) scaled = x.clone(at::MemoryFormat::Contiguous);
    lanes_of(scaled, e.lanes).mul_(e.input_scale);
  }
  return scaled.defined() ? scaled : x;
}

// What the backward pass needs of one effect.
struct Kept {
  at::Tensor mask;    // dropout [k, N, in]
  at::Tensor low;     // [k, N, r]: scale * drop(x') a^T
  at::Tensor before;  // [k, N, out]: what output_scale multiplied
};

at::Tensor dropped(const at::Tensor& x, const at::Tensor& mask) { return mask.defined() ? x * mask : x; }

// The bias of every lane, [1 or K, 1, out]; undefined for none.
at::Tensor bias_of(const at::Tensor& bias, const std::vector<OwnParameter>& own, int64_t lanes) {
  if (!bias.defined() || own.empty()) return bias.defined() ? bias.view({1, 1, -1}) : bias;
  auto all = bias.view({1, 1, -1}).repeat({lanes, 1, 1});
  for (const auto& part : own) lanes_of(all, part.lanes).copy_(part.value.unsqueeze(1));
  return all;
}

at::Tensor shared_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  // Autograd's own linear: the weight is frozen, so only dx is ever computed.
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

struct Forward {
  at::Tensor y;
  at::Tensor scaled;  // x' [K, N, in]
  std::vector<Kept> kept;
};

Forward run(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const OwnWeights& own,
            const std::vector<LinearEffect>& effects, int64_t lanes) {
  Forward f;
  const int64_t rows = x.size(1), out = weight.size(0);
  const auto all = x.expand({lanes, -1, -1});
  f.scaled = scale_inputs(all, effects);
  f.y = at::zeros({lanes, rows, out}, x.options());
  for (const auto& e : effects) {
    auto& kept = f.kept.emplace_back();
    if (!e.a.defined()) continue;
    if (e.dropout) kept.mask = e.dropout(rows);
    kept.low = low_project(dropped(lanes_of(f.scaled, e.lanes), kept.mask), e.a).mul_(e.scale);
    auto into = lanes_of(f.y, e.lanes);
    low_expand_into(into, kept.low, e.b);
  }
  for (const auto& range : base_ranges(own.weight, lanes))
    add_product(lanes_of(f.y, range), lanes_of(f.scaled, range), weight.t());
  for (const auto& part : own.weight)
    lanes_of(f.y, part.lanes).baddbmm_(lanes_of(f.scaled, part.lanes), part.value.transpose(1, 2));
  auto biases = bias_of(bias, own.bias, lanes);
  for (size_t i = 0; i < effects.size(); ++i) {
    const auto& e = effects[i];
    if (!e.output_scale.defined()) continue;
    auto part = lanes_of(f.y, e.lanes);
    if (e.scales_bias && biases.defined()) {  // added now, and not again below
      biases = biases.expand({lanes, -1, -1}).clone();
      auto scaled = lanes_of(biases, e.lanes);
      part.add_(scaled);
      scaled.zero_();
    }
    f.kept[i].before = part.clone();
    part.mul_(e.output_scale);
  }
  if (biases.defined()) f.y.add_(biases);
  return f;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const OwnWeights& own, const std::vector<LinearEffect>& effects, int64_t lanes) {
  if (effects.empty() && own.weight.empty() && own.bias.empty()) return shared_linear(x, weight, bias);
  auto call = list_inputs(x, own, effects);
  Forward f;
  {
    at::NoGradGuard no_grad;
    f = run(x, weight, bias, own, effects, lanes);
  }
  auto y = f.y;
  if (!needs_gradient(call.inputs)) return y;
  f.y = at::Tensor();
  return record(call.inputs, y, [=](Tensors& gradients, const Wanted& wanted) {
    Tensors results(call.inputs.size());
    auto dy = gradients[0].contiguous();
    for (size_t i = 0; i < own.bias.size(); ++i)
      results[call.biases[i]] = lanes_of(dy, own.bias[i].lanes).sum(1);
    // Output scales first: what lies under them sees the scaled gradient.
    bool own_copy = false;
    for (size_t i = 0; i < effects.size(); ++i) {
      const auto& e = effects[i];
      if (!e.output_scale.defined()) continue;
      if (wanted[call.effects[i].output_scale])
        results[call.effects[i].output_scale] = (lanes_of(dy, e.lanes) * f.kept[i].before).sum(1, true);
      if (!own_copy) dy = dy.clone();
      own_copy = true;
      lanes_of(dy, e.lanes).mul_(e.output_scale);
    }
    const bool want_x = wanted[0];
    auto dx = want_x || !f.scaled.is_same(x) ? at::zeros_like(f.scaled, at::MemoryFormat::Contiguous)
                                             : at::Tensor();
    for (size_t i = 0; i < effects.size(); ++i) {
      const auto& e = effects[i];
      if (!e.a.defined()) continue;
      const auto part = lanes_of(dy, e.lanes);
      if (wanted[call.effects[i].b]) results[call.effects[i].b] = low_outer(f.kept[i].low, part);
      const auto dlow = low_project(part, e.b).mul_(e.scale);  // [k, N, r]
      if (wanted[call.effects[i].a])
        results[call.effects[i].a] = low_outer(dlow, dropped(lanes_of(f.scaled, e.lanes), f.kept[i].mask));
      if (!dx.defined()) continue;
      auto into = lanes_of(dx, e.lanes);
      if (f.kept[i].mask.defined())
        into.add_(at::bmm(dlow, e.a).mul_(f.kept[i].mask));
      else
        low_expand_into(into, dlow, e.a);
    }
    for (size_t i = 0; i < own.weight.size(); ++i) {
      const auto& part = own.weight[i];
      if (wanted[call.weights[i]])
        results[call.weights[i]] =
            at::bmm(lanes_of(dy, part.lanes).transpose(1, 2), lanes_of(f.scaled, part.lanes));
      if (dx.defined()) lanes_of(dx, part.lanes).baddbmm_(lanes_of(dy, part.lanes), part.value);
    }
    if (dx.defined())
      for (const auto& range : base_ranges(own.weight, lanes))
        add_product(lanes_of(dx, range), lanes_of(dy, range), weight);
    for (size_t i = 0; i < effects.size(); ++i) {
      const auto& e = effects[i];
      if (!e.input_scale.defined()) continue;
      auto part = lanes_of(dx, e.lanes);
      if (wanted[call.effects[i].input_scale])
        results[call.effects[i].input_scale] =
            (part * lanes_of(x.expand({lanes, -1, -1}), e.lanes)).sum(1, true);
      part.mul_(e.input_scale);
    }
    if (want_x) results[0] = x.size(0) == lanes ? dx : dx.sum(0, true);
    return results;
  });
}

}  // namespace cortune
