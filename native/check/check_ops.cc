// Every operation with a hand-written backward pass against a plain composition of tensor operations, in
// float64 (forward, and gradients both by libtorch's autograd of the composition and by central differences)
// and in float32 (forward, where the SIMD code runs). Prints one line a check; ends with 1 when one fails.
#include <cmath>
#include <cstdio>
#include <numeric>

#include "../encode/panels.h"
#include "../ops/attention.h"
#include "../ops/gate.h"
#include "../ops/linear.h"
#include "../ops/norm.h"
#include "../ops/product.h"
#include "../ops/rotary.h"
#include "../pch.h"
#include "../train/loss.h"

namespace cortune {
namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

int failures = 0;

void report(const std::string& name, const char* what, double worst, double bound) {
  const bool fine = worst <= bound;  // false for NaN too
  if (!fine) ++failures;
  std::printf("%s %s, %s: %.2e (bound %.0e)\n", fine ? "ok  " : "FAIL", name.c_str(), what, worst, bound);
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-3)).item<double>();
}

Tensors leaves(const Tensors& values, at::ScalarType type) {
  Tensors list;
  for (const auto& value : values) list.push_back(value.to(type).clone().requires_grad_(true));
  return list;
}

// Gradients of sum(weights * f(inputs)).
Tensors gradients(const Function& f, const Tensors& inputs, const at::Tensor& weights) {
  at::AutoGradMode with_grad(true);
  (f(inputs) * weights).sum().backward();
  Tensors list;
  for (const auto& input : inputs) list.push_back(input.grad());
  return list;
}

// (s(x + e) - s(x - e)) / 2e for some values of each input: what no autograd can get wrong.
double central_differences(const Function& f, const Tensors& values, const at::Tensor& weights,
                           const Tensors& got) {
  constexpr double kStep = 1e-6;
  at::NoGradGuard no_grad;
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t count = values[i].numel();
    for (int64_t at = 0; at < count; at += std::max<int64_t>(1, count / 7)) {
      const auto moved = [&](double by) {
        Tensors list;
        for (const auto& value : values) list.push_back(value.clone());
        list[i].view(-1)[at] += by;
        return (f(list) * weights).sum().item<double>();
      };
      const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      worst = std::max(worst,
                       std::abs(slope - got[i].view(-1)[at].item<double>()) / std::max(1.0, std::abs(slope)));
    }
  }
  return worst;
}

// float64: rounding of sums of at most some thousand products. float32: the same times 2^29.
void compare(const std::string& name, const Function& ours, const Function& plain, const Tensors& values,
             double float32_bound = 1e-5) {
  const auto mine = leaves(values, at::kDouble), theirs = leaves(values, at::kDouble);
  at::Tensor y, reference;
  {
    at::NoGradGuard no_grad;
    Tensors copies;
    for (const auto& value : values) copies.push_back(value.to(at::kDouble).clone());
    y = ours(copies);
    reference = plain(leaves(values, at::kDouble));
  }
  report(name, "forward in float64", difference(y, reference), 1e-12);
  const auto weights = at::randn(reference.sizes(), at::kDouble);
  const auto got = gradients(ours, mine, weights), wanted = gradients(plain, theirs, weights);
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i)
    worst = std::max(worst, got[i].defined() ? difference(got[i], wanted[i]) : NAN);
  report(name, "gradients in float64", worst, 1e-11);
  Tensors plain_values;
  for (const auto& value : values) plain_values.push_back(value.to(at::kDouble));
  report(name, "central differences", central_differences(ours, plain_values, weights, got), 1e-6);
  at::NoGradGuard no_grad;
  Tensors single;
  for (const auto& value : values) single.push_back(value.to(at::kFloat).clone());
  report(name, "forward in float32", difference(ours(single).to(at::kDouble), reference), float32_bound);
}

at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

void check_norms() {
  for (const int64_t channels : {5, 16, 37, 576}) {
    const auto x = random({3, 4, channels});
    compare(
        "RMSNorm, C " + std::to_string(channels), [](const Tensors& t) { return norm(t[0], t[1], {}, 1e-5); },
        [](const Tensors& t) { return t[0] * (t[0].square().mean(-1, true) + 1e-5).rsqrt() * t[1]; },
        {x, random({channels})});
    const auto layer = [=](const Tensors& t) {
      const auto centred = t[0] - t[0].mean(-1, true);
      return centred * (centred.square().mean(-1, true) + 1e-5).rsqrt() * t[1] + t[2];
    };
    const auto ours = [](const Tensors& t) { return norm(t[0], t[1], t[2], 1e-5); };
    compare("LayerNorm, C " + std::to_string(channels), ours, layer,
            {x, random({channels}), random({channels})});
    compare("LayerNorm of lanes' own, C " + std::to_string(channels), ours, layer,
            {x, random({3, 1, channels}), random({3, 1, channels})});
  }
}

at::Tensor plain_activation(const std::string& name, const at::Tensor& x) {
  if (name == "silu") return at::silu(x);
  if (name == "relu") return at::relu(x);
  return at::gelu(x, name == "gelu" ? "none" : "tanh");
}

void check_gates() {
  for (const std::string name : {"silu", "gelu", "gelu_tanh", "relu"}) {
    // Copies: the operation takes its inputs over.
    compare(
        name, [=](const Tensors& t) { return gate(name, t[0] * 1.0); },
        [=](const Tensors& t) { return plain_activation(name, t[0]); }, {random({2, 3, 45}) * 3});
    compare(
        name + ", gated", [=](const Tensors& t) { return gate(name, t[0] * 1.0, t[1] * 1.0); },
        [=](const Tensors& t) { return plain_activation(name, t[0]) * t[1]; },
        {random({2, 3, 45}) * 3, random({2, 3, 45})});
  }
}

void check_rotary() {
  const auto half = at::rand({2, 5, 1, 4}, at::kDouble) * 6;
  const auto angle = at::cat({half, half}, -1);  // [K, N, 1, R]
  const auto ours = [=](const Tensors& t) {
    const auto type = t[0].scalar_type();
    return rotate(t[0] * 1.0, angle.cos().to(type), angle.sin().to(type));
  };
  compare("rotary positions on a part of the head", ours,
          [=](const Tensors& t) {
            const auto part = t[0].narrow(-1, 0, 8);
            const auto halves = part.chunk(2, -1);
            const auto turned = part * angle.cos() + at::cat({-halves[1], halves[0]}, -1) * angle.sin();
            return at::cat({turned, t[0].narrow(-1, 8, 4)}, -1);
          },
          {random({2, 5, 3, 12})});
}

// Softmax of the full matrix of scores, lane by lane and sequence by sequence.
at::Tensor plain_attention(const Tensors& t, const Layout& layout, const std::vector<int64_t>& counts,
                           const AttentionRules& rules) {
  const int64_t lanes = t[0].size(0), heads = t[0].size(2), shared = heads / t[1].size(2);
  Tensors all;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Tensors rows;
    for (const auto& words : layout.words) {
      const auto part = [&](const at::Tensor& x) { return x[lane].narrow(0, words.row, words.length); };
      const int64_t before = counts.empty() ? 0 : counts[lane];
      const auto with = [&](const at::Tensor& memory, const at::Tensor& own) {
        return (before > 0 ? at::cat({memory[lane].narrow(0, 0, before), own}, 0) : own)
            .repeat_interleave(shared, 1);
      };
      const auto keys = with(t.size() > 3 ? t[3] : t[1], part(t[1])),
                 values = with(t.size() > 3 ? t[4] : t[2], part(t[2]));
      auto scores =
          at::einsum("ihd,jhd->hij", {part(t[0]), keys}) / std::sqrt(static_cast<double>(t[0].size(3)));
      const auto i = at::arange(words.length).view({-1, 1}) + before,
                 j = at::arange(before + words.length).view({1, -1});
      auto seen = at::ones({words.length, before + words.length}, at::kBool);
      if (rules.causal) seen = j <= i;
      if (rules.causal && rules.window > 0) seen = seen.logical_and(i - j < rules.window);
      scores = scores.masked_fill(seen.logical_not(), -INFINITY).softmax(-1);
      rows.push_back(at::einsum("hij,jhd->ihd", {scores, values}).reshape({words.length, -1}));
    }
    all.push_back(at::cat(rows, 0));
  }
  return at::stack(all);
}

// Sequences of these lengths.
void check_attention(const std::vector<int64_t>& lengths, const std::string& what) {
  std::vector<std::vector<int32_t>> sequences;
  for (const auto length : lengths) sequences.emplace_back(length, 1);
  const int64_t rows = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const int64_t lanes = 2, heads = 6, key_heads = 2, width = 12, memory = 5;
  const auto part = [&](int64_t n, int64_t h) { return random({lanes, n, h, width}); };
  for (const AttentionRules rules :
       {AttentionRules{true, 0}, AttentionRules{true, 7}, AttentionRules{false, 0}}) {
    const auto name =
        what + (rules.causal ? "causal" : "bidirectional") + (rules.window > 0 ? ", windowed" : "");
    const auto layout = Layout::pack(sequences);
    compare(
        name, [=](const Tensors& t) { return attention(t[0], t[1], t[2], layout, {}, rules); },
        [=](const Tensors& t) { return plain_attention(t, layout, {}, rules); },
        {part(rows, heads), part(rows, key_heads), part(rows, key_heads)});
    VirtualCounts counts;
    counts.prefixes = {memory, 3};
    const auto with = Layout::pack(sequences, counts);
    compare(
        name + ", with prefixes",
        [=](const Tensors& t) {
          return attention(t[0], t[1], t[2], with, {t[3], t[4], counts.prefixes}, rules);
        },
        [=](const Tensors& t) { return plain_attention(t, with, counts.prefixes, rules); },
        {part(rows, heads), part(rows, key_heads), part(rows, key_heads), part(memory, key_heads),
         part(memory, key_heads)});
  }
}

// Lanes 0 and 1 with low-rank factors, 2 with scales on both sides, 3 with its own weight and bias.
void check_linear() {
  const int64_t in = 21, out = 35, rank = 3;
  const auto scale = at::tensor({0.5, 2.0}, at::kDouble).view({2, 1, 1});
  const auto weight = random({out, in}), bias = random({out});  // the base's: frozen
  const auto ours = [=](const Tensors& t) {
    const auto type = t[0].scalar_type();
    Linear module{weight.to(type), bias.to(type), {}, {}};
    LinearEffect low;
    low.lanes = {0, 2};
    low.a = t[2];
    low.b = t[3];
    low.scale = scale.to(t[0].scalar_type());
    LinearEffect scales;
    scales.lanes = {2, 1};
    scales.input_scale = t[4];
    scales.output_scale = t[5];
    scales.scales_bias = true;
    module.effects = {low, scales};
    module.own.weight = {{{3, 1}, t[6]}};
    module.own.bias = {{{3, 1}, t[7]}};
    return linear(module, t[0], t[1], 4);
  };
  const auto plain = [=](const Tensors& t) {
    const auto &w = weight, &b = bias;
    const auto x = t[0];
    const auto low = at::bmm(at::bmm(x.narrow(0, 0, 2), t[2].transpose(1, 2)) * scale, t[3]);
    return t[1] + at::cat({at::matmul(x.narrow(0, 0, 2), w.t()) + low + b,
                           (at::matmul(x.narrow(0, 2, 1) * t[4], w.t()) + b) * t[5],
                           at::matmul(x.narrow(0, 3, 1), t[6].transpose(1, 2)) + t[7].unsqueeze(1)},
                          0);
  };
  const Tensors values{random({4, 9, in}), random({4, 9, out}), random({2, rank, in}), random({2, rank, out}),
                       random({1, 1, in}), random({1, 1, out}), random({1, out, in}),  random({1, out})};
  compare("linear with every effect", ours, plain, values);
}

void check_low_ranks() {
  for (const int64_t rank : {1, 2, 8, 13, 80}) {
    const auto ours = [](const Tensors& t) {
      Linear module{at::zeros({70, 50}, t[0].options().requires_grad(false)), {}, {}, {}};
      LinearEffect low;
      low.lanes = {0, 2};
      low.a = t[1];
      low.b = t[2];
      low.scale = at::ones({2, 1, 1}, t[0].options().requires_grad(false));
      module.effects = {low};
      return linear(module, t[0], {}, 2);
    };
    compare(
        "low-rank path, r " + std::to_string(rank), ours,
        [](const Tensors& t) { return at::bmm(at::bmm(t[0], t[1].transpose(1, 2)), t[2]); },
        {random({2, 37, 50}), random({2, rank, 50}), random({2, rank, 70})}, 1e-4);
  }
}

// float32 only, as the kernel is.
void check_projected_loss() {
  const auto h = at::randn({3, 5, 24}), weight = at::randn({61, 24}), bias = at::randn({61});
  const auto targets = at::tensor({3, 60, 0, 17, 3}, at::kLong);
  const auto mine = leaves({h, weight, bias}, at::kFloat), theirs = leaves({h, weight, bias}, at::kFloat);
  at::AutoGradMode with_grad(true);
  // One lane trains the projection; for several it is frozen.
  for (const bool one : {true, false}) {
    const auto of = [&](const Tensors& t) { return one ? t[0].narrow(0, 0, 1) : t[0]; };
    const auto frozen = [&](const at::Tensor& x) { return one ? x : x.detach(); };
    for (auto& t : {mine, theirs})
      for (auto& leaf : t) leaf.mutable_grad() = at::Tensor();
    const auto ours = projected_loss(of(mine), frozen(mine[1]), frozen(mine[2]), targets, false);
    const auto logits = at::matmul(of(theirs), frozen(theirs[1]).t()) + frozen(theirs[2]);
    const auto chosen =
        logits.log_softmax(-1).gather(-1, targets.view({1, -1, 1}).expand({logits.size(0), -1, 1}));
    const auto reference = -chosen.squeeze(-1).mean(1);
    const auto name = std::string("projected loss, ") + (one ? "projection trained" : "three lanes");
    report(name, "forward in float32", difference(ours, reference), 1e-6);
    ours.sum().backward();
    reference.sum().backward();
    for (size_t i = 0; i < (one ? 3u : 1u); ++i)
      report(name, "gradient in float32", difference(mine[i].grad(), theirs[i].grad()), 1e-5);
  }
}

// bfloat16 keeps 8 bits: a product of two rounded factors is off by 2^-8 at most, sums of 64 of them by less.
void check_half() {
  const auto x = at::randn({40, 64}), w = at::randn({48, 64}), start = at::randn({40, 48});
  report("product in bfloat16", "against float32",
         difference(times(x, w.to(at::kBFloat16), start), start + at::mm(x, w.t())), 2e-2);
  report("product in float32", "against libtorch's", difference(times(x, w, start), start + at::mm(x, w.t())),
         1e-5);
  report("product with a view", "against libtorch's", difference(times(start, w.t()), at::mm(start, w)),
         1e-5);
}

// Sizes that fill neither blocks nor panels; sums of some hundred products in float32.
void check_panels() {
  const int64_t n = 75, w = 41;
  const auto y = at::randn({w, n}), matrix = at::randn({29, n}), upper = at::randn({n, n}).triu();
  std::vector<int32_t> rows(n);
  for (int64_t i = 0; i < n; ++i) rows[i] = static_cast<int32_t>((i * 31 + 7) % n);
  const auto moved = y.index_select(1, at::tensor(rows, at::kInt));
  const auto panels = make_panels(y);
  std::vector<int64_t> all(w);
  for (int64_t j = 0; j < w; ++j) all[j] = j;
  const auto product = [&](const at::Tensor& m, const int32_t* places) {
    auto out = at::empty({w, m.size(0)});
    unpack_panels(PanelMatrix(m).times(panels, places), all, out);
    return out;
  };
  report("panel product", "plain", difference(product(matrix, nullptr), at::mm(y, matrix.t())), 1e-5);
  report("panel product", "rows moved", difference(product(matrix, rows.data()), at::mm(moved, matrix.t())),
         1e-5);
  for (const bool triangular : {false, true}) {
    const auto& m = triangular ? upper : matrix;
    auto squares = at::zeros({panels.size(0) * kPanelWidth}, at::kDouble);
    PanelMatrix(m, triangular).add_squares(panels, rows.data(), squares.data_ptr<double>());
    report("squares of a panel product", triangular ? "triangular" : "whole",
           difference(squares.slice(0, 0, w), at::mm(moved, m.t()).square().sum(1)), 1e-5);
  }
  std::vector<double> r(kPanelWidth);
  const auto p = at::randn({n, kPanelWidth});
  panel_correlations_cpu(p.data_ptr<float>(), panels.data_ptr<float>(), rows.data(), n, r.data());
  const auto a = (p - p.mean(0)).to(at::kDouble), b = moved.slice(0, 0, kPanelWidth).t().to(at::kDouble);
  const auto c = b - b.mean(0);
  report(
      "correlations of a panel", "against their formula",
      difference(at::tensor(r, at::kDouble), (a * c).sum(0) / (a.square().sum(0) * c.square().sum(0)).sqrt()),
      1e-6);
}

}  // namespace
}  // namespace cortune

int main() {
  at::manual_seed(20240601);
  cortune::check_norms();
  cortune::check_gates();
  cortune::check_rotary();
  cortune::check_attention({19, 19, 4, 1}, "attention, ");
  cortune::check_attention({130, 130, 101, 3}, "attention, long, ");
  cortune::check_linear();
  cortune::check_low_ranks();
  cortune::check_projected_loss();
  cortune::check_half();
  cortune::check_panels();
  std::printf("%d failed\n", cortune::failures);
  return cortune::failures == 0 ? 0 : 1;
}
