// The layers that families are built from.
#include "layers.h"

#include <algorithm>
#include <cmath>

#include "../error.h"
#include "../ops/attention.h"
#include "../ops/gate.h"
#include "../ops/linear.h"
#include "../ops/norm.h"
#include "../ops/record.h"
#include "../ops/rotary.h"
#include "cache.h"

namespace cortune {

namespace {

std::vector<OwnParameter> own_of(const Pass& pass, const std::string& name) {
  return pass.delta ? pass.delta->parameter(name) : std::vector<OwnParameter>();
}

// The parts of all lanes in their order, `base(k)` for those without one of their own. Axis 0 is K.
at::Tensor join(std::vector<OwnParameter> parts, int64_t lanes,
                const std::function<at::Tensor(LaneRange)>& base) {
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.lanes.first < b.lanes.first; });
  std::vector<at::Tensor> pieces;
  int64_t next = 0;
  const auto fill = [&](int64_t to) {
    if (next < to) pieces.push_back(base({next, to - next}));
  };
  for (const auto& part : parts) {
    fill(part.lanes.first);
    pieces.push_back(part.value);
    next = part.lanes.first + part.lanes.count;
  }
  fill(lanes);
  return pieces.size() == 1 ? pieces[0] : at::cat(pieces, 0);
}

}  // namespace

at::Tensor Pass::vector(const std::string& name) const {
  const auto& base = parameters.at(name);
  const auto own = own_of(*this, name);
  if (own.empty()) return base;
  return join(own, lanes,
              [&](LaneRange range) {
                return base.unsqueeze(0).expand({range.count, -1});
              })
      .unsqueeze(1);
}

bool Pass::is_shared(const std::string& name) const { return own_of(*this, name).empty(); }

at::Tensor Pass::matrix(const std::string& name, int64_t k) const {
  for (const auto& part : own_of(*this, name))
    if (k >= part.lanes.first && k < part.lanes.first + part.lanes.count)
      // A lane that is alone is the whole tensor: a view, whose gradient needs no copy.
      return part.lanes.count == 1 ? part.value.squeeze(0) : part.value.select(0, k - part.lanes.first);
  return parameters.at(name);
}

at::Tensor Pass::linear(const std::string& name, const at::Tensor& x, const at::Tensor& residual) const {
  const auto weight = name + ".weight", bias = name + ".bias";
  const bool biased = parameters.has(bias);
  Linear module{half ? parameters.half(weight) : parameters.at(weight),
                biased ? parameters.at(bias) : at::Tensor(),
                {own_of(*this, weight), {}},
                {}};
  if (biased) module.own.bias = own_of(*this, bias);
  if (delta) module.effects = delta->linear(name);
  if (!hooks || !delta) return cortune::linear(module, x, residual, lanes);
  // Lanes of hooks are rows to the one lane that is tuned.
  const auto folded = [](const at::Tensor& t) { return t.defined() ? t.reshape({1, -1, t.size(2)}) : t; };
  return cortune::linear(module, folded(x), folded(residual), lanes).view({x.size(0), x.size(1), -1});
}

at::Tensor Pass::sublayer(Point point, int64_t layer, const std::string& name, const at::Tensor& x,
                          const at::Tensor& residual) const {
  if (!hooks) return linear(name, x, residual);
  const auto meet = [&](const at::Tensor& a, const at::Tensor& b) {
    return hooks->fit(a, std::max(a.size(0), b.size(0)), std::min(a.size(1), b.size(1)));
  };
  if (hooks->wants(point, layer)) {
    const auto out = hooks->at(point, layer, linear(name, x));
    return meet(residual, out) + meet(out, residual);
  }
  if (x.size(0) >= residual.size(0) && x.size(1) <= residual.size(1))
    return linear(name, x, meet(residual, x));
  return meet(linear(name, x), residual) + residual;  // side by side with an attention where lanes joined
}

at::Tensor Pass::embedding(const std::string& name, const at::Tensor& ids) const {
  const auto table = name + ".weight";
  const auto ids_of = [&](int64_t k) { return ids.dim() == 1 ? ids : ids[k]; };
  if (is_shared(table)) {
    const auto rows = at::embedding(parameters.at(table), ids);
    return ids.dim() == 1 ? rows.unsqueeze(0) : rows;  // [1 or K, N, C]
  }
  std::vector<at::Tensor> rows;
  for (int64_t k = 0; k < lanes; ++k) rows.push_back(at::embedding(matrix(table, k), ids_of(k)));
  return at::stack(rows);  // [K, N, C]
}

at::Tensor Pass::words(const std::string& name) const { return with_prompts(embedding(name, layout.ids)); }

namespace {

// Prompt tokens in the rows that the layout has for those of the lane with most. [k, P, C]
at::Tensor in_their_rows(const Layout& layout, const at::Tensor& tokens) {
  const int64_t missing = layout.prompt - tokens.size(1);
  if (missing == 0) return tokens;
  const auto room = at::zeros({tokens.size(0), missing, tokens.size(2)});
  // Shared prompts fill the first of their rows, others the last (see Layout).
  return at::cat(layout.counts.shared ? Tensors{tokens, room} : Tensors{room, tokens}, 1);
}

// `rows` [k, N, C] with `prompts` [k, P, C] in theirs.
at::Tensor put_prompts(const Layout& layout, const at::Tensor& prompts, const at::Tensor& rows) {
  return at::cat({prompts, rows}, 1).index_select(1, layout.word_source);  // [k, N, C]
}

}  // namespace

at::Tensor Pass::with_prompts(const at::Tensor& rows) const {
  if (added.prompts.empty()) return rows;
  std::vector<OwnParameter> prompts;
  for (const auto& prompt : added.prompts)
    prompts.push_back({prompt.lanes, in_their_rows(layout, prompt.tokens)});
  const auto all = join(prompts, lanes, [&](LaneRange range) {
    return at::zeros({range.count, layout.prompt, rows.size(-1)});
  });  // [K, P, C]
  return put_prompts(layout, all, rows.expand({lanes, -1, -1}));
}

at::Tensor Pass::with_deep_prompts(int64_t layer, const at::Tensor& h) const {
  std::vector<OwnParameter> renewed;
  const auto states = h.expand({lanes, -1, -1});
  const auto own = [&](LaneRange range) { return states.narrow(0, range.first, range.count); };
  for (const auto& prompt : added.prompts)
    if (layer > 0 && prompt.deep.defined()) {
      const auto tokens = in_their_rows(layout, prompt.deep.select(1, layer - 1));
      renewed.push_back({prompt.lanes, put_prompts(layout, tokens, own(prompt.lanes))});
    }
  return renewed.empty() ? h : join(renewed, lanes, own);  // [K, N, C]
}

at::Tensor Pass::layer_norm(const std::string& name, const at::Tensor& x) const {
  return norm(x, vector(name + ".weight"), vector(name + ".bias"), config.norm_eps);
}

at::Tensor Pass::rms_norm(const std::string& name, const at::Tensor& x) const {
  return norm(x, vector(name + ".weight"), {}, config.norm_eps);
}

at::Tensor Pass::activate(const at::Tensor& x, const at::Tensor& up) const {
  return gate(config.activation, x, up);
}

at::Tensor heads_of(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads});  // [K, N, H, D]
}

namespace {

// 1 for lanes with a prompt, else 0. [K, 1, 1, 1]
at::Tensor is_prompted(const Pass& pass) {
  auto mask = at::zeros({pass.lanes, 1, 1, 1});
  for (int64_t k = 0; k < pass.lanes; ++k)
    if (pass.layout.counts.prompt(k) > 0) mask[k].fill_(1);
  return mask;
}

// Virtual keys or values of layer `layer` (part 0 or 1) from what prefix tuning trains. [K, M, H_kv, D]
at::Tensor prefix_part(const Pass& pass, int64_t layer, int64_t part, int64_t size, const at::Tensor& like) {
  std::vector<OwnParameter> parts;
  for (const auto& prefix : pass.added.prefixes) {
    const auto states = prefix.states.select(2, 2 * layer + part);  // [k, P, H_kv, D]
    const auto room = at::zeros({states.size(0), size - states.size(1), states.size(2), states.size(3)});
    parts.push_back({prefix.lanes, room.size(1) == 0 ? states : at::cat({states, room}, 1)});
  }
  return join(parts, pass.lanes, [&](LaneRange range) {
    return at::zeros({range.count, size, like.size(2), like.size(3)});
  });
}

// What sequences see before themselves: rows of shared prompts, states of prefixes.
Memory memory_of(const Pass& pass, int64_t layer, const at::Tensor& k, const at::Tensor& v) {
  const auto& counts = pass.layout.counts;
  const int64_t prompt = counts.shared ? pass.layout.prompt : 0, prefix = counts.longest_prefix();
  Memory memory;
  const int64_t size = std::max(prompt, prefix);
  if (size == 0) return memory;
  const int64_t lanes = std::max(pass.lanes, k.size(0));  // more only with hooks, whose lanes are all alike
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const int64_t tuned = std::min(lane, pass.lanes - 1);
    memory.counts.push_back((counts.shared ? counts.prompt(tuned) : 0) + counts.prefix(tuned));
  }
  // A lane has one or the other; the rows of the other are zero for it.
  const auto all = [&](const at::Tensor& rows, int64_t part) {
    at::Tensor both;
    if (prompt > 0) {
      auto own = rows.narrow(1, 0, prompt).expand({lanes, -1, -1, -1});
      if (prompt < size) own = at::constant_pad_nd(own, {0, 0, 0, 0, 0, size - prompt});
      if (prefix == 0) return own;
      both = own * is_prompted(pass);
    }
    const auto states = prefix_part(pass, layer, part, size, rows);
    return both.defined() ? both + states : states;
  };
  memory.keys = all(k, 0);
  memory.values = all(v, 1);
  return memory;
}

}  // namespace

at::Tensor Pass::attention(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           bool causal) const {
  if (seen) seen->insert(seen->end(), {k, v});
  const AttentionRules rules{causal, config.sliding_window};
  if (cache && cache->steps()) return cache->attend(layer, q, k, v, rules.window);
  const auto memory = memory_of(*this, layer, k, v);
  if (cache) cache->keep(layer, k, v, memory);
  const auto mixed = hooks && hooks->wants_weights(layer)
                         ? attention_by_weights(q, k, v, layout, memory, rules,
                                                [&](const at::Tensor& w) { return hooks->weights(layer, w); })
                         : cortune::attention(q, k, v, layout, memory, rules);
  return hooks && hooks->wants(Point::kHeads, layer) ? hooks->at(Point::kHeads, layer, mixed) : mixed;
}

at::Tensor Pass::rotate(const at::Tensor& x) const { return cortune::rotate(x, rotary.cos, rotary.sin); }

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
  const auto angle = layout.positions.to(at::kFloat).unsqueeze(-1) * frequency;  // [.., N, D_rot / 2]
  const auto both = at::cat({angle, angle}, -1).unsqueeze(-2);                   // [.., N, 1, D_rot]
  return {both.cos(), both.sin()};
}

}  // namespace cortune
