// The adapted linear module.
#include "linear.h"

#include <algorithm>

#include "low_rank.h"
#include "product.h"
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
  Tensors inputs;  // x, residual, then what is trained; undefined where there is none
  std::vector<Slots> effects;
  std::vector<size_t> weights, biases;

  size_t add(const at::Tensor& tensor) {
    inputs.push_back(tensor);
    return inputs.size() - 1;
  }
};

Call list_inputs(const Linear& m, const at::Tensor& x, const at::Tensor& residual) {
  Call call;
  call.add(x);
  call.add(residual);
  for (const auto& part : m.own.weight) call.weights.push_back(call.add(part.value));
  for (const auto& part : m.own.bias) call.biases.push_back(call.add(part.value));
  for (const auto& e : m.effects)
    call.effects.push_back({call.add(e.input_scale), call.add(e.a), call.add(e.b), call.add(e.output_scale)});
  return call;
}

// Runs of neighbouring lanes that use the base weight (all but those with their own) and are alike in
// `flags`.
std::vector<LaneRange> base_ranges(const std::vector<OwnParameter>& own, const std::vector<bool>& flags) {
  const auto lanes = static_cast<int64_t>(flags.size());
  std::vector<bool> owned(lanes, false);
  for (const auto& part : own)
    for (int64_t k = 0; k < part.lanes.count; ++k) owned[part.lanes.first + k] = true;
  std::vector<LaneRange> ranges;
  for (int64_t k = 0; k < lanes; ++k) {
    if (owned[k]) continue;
    const bool joins =
        !ranges.empty() && ranges.back().first + ranges.back().count == k && flags[k] == flags[k - 1];
    if (joins)
      ++ranges.back().count;
    else
      ranges.push_back({k, 1});
  }
  return ranges;
}

// In the type the base multiplies in (see times).
at::Tensor typed(const Linear& m, const at::Tensor& value) { return value.to(m.weight.scalar_type()); }

// into [N, out] (+)= x w^T; one that has not begun is not read.
void put_product(at::Tensor into, const at::Tensor& x, const at::Tensor& w, bool begun) {
  into.copy_(times(x, w, begun ? into : at::Tensor()));
}

// Adds x [K, N, in] weight^T to the lanes of y [K, N, out] that use it, as one product over their rows; lanes
// that have not begun are not read.
void add_products(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight,
                  const std::vector<OwnParameter>& own, const std::vector<bool>& begun) {
  for (const auto& range : base_ranges(own, begun)) {
    const auto rows = lanes_of(x, range).reshape({-1, x.size(-1)});
    auto part = lanes_of(y, range);
    const auto start = begun[range.first] ? part.view({-1, y.size(-1)}) : at::Tensor();
    const auto sum = times(rows, weight, start).view(part.sizes());
    if (range.count == y.size(0))
      y = sum;  // no copy where all lanes are one product
    else
      part.copy_(sum);
  }
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

struct Forward {
  at::Tensor y;
  at::Tensor scaled;  // x' [K, N, in]
  std::vector<Kept> kept;
};

bool scales_outputs(const Linear& m) {
  return std::any_of(m.effects.begin(), m.effects.end(),
                     [](const auto& e) { return e.output_scale.defined(); });
}

at::Tensor sum_of_defined(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() ? a : b;
  return a + b;
}

// Multiplies the lanes that are scaled; `biases` [1 or K, 1, out] are added, and the residual, after that.
void scale_outputs(Forward& f, const Linear& m, at::Tensor biases, const at::Tensor& residual,
                   int64_t lanes) {
  for (size_t i = 0; i < m.effects.size(); ++i) {
    const auto& e = m.effects[i];
    if (!e.output_scale.defined()) continue;
    auto part = lanes_of(f.y, e.lanes);
    if (e.scales_bias && biases.defined()) {  // added now, and not again below
      biases = biases.expand({lanes, -1, -1}).clone();
      auto own = lanes_of(biases, e.lanes);
      part.add_(own);
      own.zero_();
    }
    f.kept[i].before = part.clone();
    part.mul_(e.output_scale);
  }
  if (biases.defined()) f.y.add_(biases);
  if (residual.defined()) f.y.add_(residual);
}

// Starts the lanes of y: residual, bias and low-rank path. Says which of them hold something to add to.
std::vector<bool> begin_outputs(Forward& f, const Linear& m, const at::Tensor& start, int64_t lanes) {
  const int64_t rows = f.y.size(1);
  std::vector<bool> begun(lanes, false);
  for (const auto& e : m.effects) {
    auto& kept = f.kept.emplace_back();
    if (!e.a.defined()) continue;
    if (e.dropout) kept.mask = e.dropout(rows);
    kept.low = low_project(dropped(lanes_of(f.scaled, e.lanes), kept.mask), e.a, e.scale);
    const auto from = start.defined() && start.size(0) > 1 ? lanes_of(start, e.lanes) : start;
    low_expand_from(from, lanes_of(f.y, e.lanes), kept.low, e.b);
    std::fill_n(begun.begin() + e.lanes.first, e.lanes.count, true);
  }
  for (int64_t k = 0; k < lanes && start.defined(); ++k) {
    if (!begun[k]) f.y[k].copy_((start.size(0) > 1 ? start[k] : start[0]).expand({rows, -1}));
    begun[k] = true;
  }
  return begun;
}

Forward forward(const Linear& m, const at::Tensor& x, const at::Tensor& residual, int64_t lanes) {
  Forward f;
  const bool scales = scales_outputs(m);
  const auto biases = bias_of(m.bias, m.own.bias, lanes);
  f.scaled = scale_inputs(x.expand({lanes, -1, -1}), m.effects);
  f.y = at::empty({lanes, x.size(1), m.weight.size(0)}, x.options());
  // What is scaled must be alone; else the products are added to what is there already.
  const auto begun = begin_outputs(f, m, scales ? at::Tensor() : sum_of_defined(residual, biases), lanes);
  add_products(f.y, f.scaled, m.weight, m.own.weight, begun);
  for (const auto& part : m.own.weight)
    for (int64_t own = 0; own < part.lanes.count; ++own) {
      const int64_t k = part.lanes.first + own;
      put_product(f.y[k], f.scaled[k], typed(m, part.value[own]), begun[k]);
    }
  if (scales) scale_outputs(f, m, biases, residual, lanes);
  return f;
}

// Gradients of own biases and output scales; returns that of what the scales multiplied.
at::Tensor through_outputs(const Linear& m, const Call& call, const Forward& f, at::Tensor dy,
                           const Wanted& wanted, Tensors& results) {
  for (size_t i = 0; i < m.own.bias.size(); ++i)
    results[call.biases[i]] = lanes_of(dy, m.own.bias[i].lanes).sum(1);
  if (!scales_outputs(m)) return dy;
  dy = dy.clone();
  for (size_t i = 0; i < m.effects.size(); ++i) {
    const auto& e = m.effects[i];
    if (!e.output_scale.defined()) continue;
    auto part = lanes_of(dy, e.lanes);
    if (wanted[call.effects[i].output_scale])
      results[call.effects[i].output_scale] = (part * f.kept[i].before).sum(1, true);
    part.mul_(e.output_scale);
  }
  return dy;
}

// Gradients of the low-rank factors, and their share of dx; says which lanes of dx have begun.
std::vector<bool> through_low_rank(const Linear& m, const Call& call, const Forward& f, const at::Tensor& dy,
                                   const Wanted& wanted, Tensors& results, const at::Tensor& dx) {
  std::vector<bool> begun(dy.size(0), false);
  for (size_t i = 0; i < m.effects.size(); ++i) {
    const auto& e = m.effects[i];
    if (!e.a.defined()) continue;
    const auto part = lanes_of(dy, e.lanes);
    if (wanted[call.effects[i].b]) results[call.effects[i].b] = low_outer(f.kept[i].low, part);
    const auto dlow = low_project(part, e.b, e.scale);  // [k, N, r]
    if (wanted[call.effects[i].a])
      results[call.effects[i].a] = low_outer(dlow, dropped(lanes_of(f.scaled, e.lanes), f.kept[i].mask));
    if (!dx.defined()) continue;
    auto into = lanes_of(dx, e.lanes);
    low_expand_from({}, into, dlow, e.a);
    if (f.kept[i].mask.defined()) into.mul_(f.kept[i].mask);
    std::fill_n(begun.begin() + e.lanes.first, e.lanes.count, true);
  }
  return begun;
}

// The rest of dx, through the weights, and their gradients where lanes own them.
void through_weights(const Linear& m, const Call& call, const Forward& f, const at::Tensor& dy,
                     const Wanted& wanted, Tensors& results, at::Tensor& dx, const std::vector<bool>& begun) {
  for (size_t i = 0; i < m.own.weight.size(); ++i) {
    const auto& part = m.own.weight[i];
    std::vector<at::Tensor> gradients;
    for (int64_t own = 0; own < part.lanes.count; ++own) {
      const int64_t k = part.lanes.first + own;
      if (wanted[call.weights[i]])
        gradients.push_back(times(dy[k].t().contiguous(), typed(m, f.scaled[k].t())));
      if (dx.defined()) put_product(dx[k], dy[k], typed(m, part.value[own]).t(), begun[k]);
    }
    if (!gradients.empty())
      results[call.weights[i]] = gradients.size() == 1 ? gradients[0].unsqueeze(0) : at::stack(gradients);
  }
  if (!dx.defined()) return;
  add_products(dx, dy, m.weight.t(), m.own.weight, begun);
}

Tensors backward(const Linear& m, const Call& call, const Forward& f, const at::Tensor& given,
                 const Wanted& wanted) {
  Tensors results(call.inputs.size());
  const auto& x = call.inputs[0];
  const int64_t lanes = f.scaled.size(0);
  if (wanted[1]) results[1] = call.inputs[1].size(0) == lanes ? given : given.sum(0, true);
  const auto dy = through_outputs(m, call, f, given.contiguous(), wanted, results);
  const bool scales_inputs = !f.scaled.is_alias_of(x);
  auto dx = wanted[0] || scales_inputs ? at::empty(f.scaled.sizes(), f.scaled.options()) : at::Tensor();
  const auto begun = through_low_rank(m, call, f, dy, wanted, results, dx);
  through_weights(m, call, f, dy, wanted, results, dx, begun);
  for (size_t i = 0; i < m.effects.size() && dx.defined(); ++i) {
    const auto& e = m.effects[i];
    if (!e.input_scale.defined()) continue;
    auto part = lanes_of(dx, e.lanes);
    if (wanted[call.effects[i].input_scale])
      results[call.effects[i].input_scale] =
          (part * lanes_of(x.expand({lanes, -1, -1}), e.lanes)).sum(1, true);
    part.mul_(e.input_scale);
  }
  if (wanted[0]) results[0] = x.size(0) == lanes ? dx : dx.sum(0, true);
  return results;
}

bool lanes_differ(const Linear& m) {
  return !m.effects.empty() || !m.own.weight.empty() || !m.own.bias.empty();
}

}  // namespace

at::Tensor linear(const Linear& module, const at::Tensor& x, const at::Tensor& residual, int64_t lanes) {
  if (!lanes_differ(module)) lanes = std::max(x.size(0), residual.defined() ? residual.size(0) : int64_t{1});
  const auto call = list_inputs(module, x, residual);
  Forward f;
  {
    at::NoGradGuard no_grad;
    f = forward(module, x, residual, lanes);
  }
  const auto y = std::move(f.y);
  f.y = at::Tensor();
  return record(call.inputs, y, [=](Tensors& gradients, const Wanted& wanted) {
    return backward(module, call, f, gradients[0], wanted);
  });
}

}  // namespace cortune
