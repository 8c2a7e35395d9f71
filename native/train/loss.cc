// Chunked projection and cross-entropy: l = h W^T by one GEMM a chunk of the rows of all lanes, then
// native/kernels/cross_entropy.h in place. The gradients are made in the forward pass, while a chunk's logits
// are at hand (as in Liger, arXiv:2410.10989), so the logits are computed once and never kept.
#include "loss.h"

#include <algorithm>

#include "../kernels/cross_entropy.h"
#include "../ops/product.h"
#include "../ops/record.h"

namespace cortune {
namespace {

// Logits of one chunk: 64 MB of float32. The weight is read anew for every chunk, so with few rows in one the
// products would wait for memory.
constexpr int64_t kChunkLogits = int64_t{1} << 24;

struct Projected {
  at::Tensor losses;              // of each row [K * M]
  at::Tensor dh, dweight, dbias;  // of the sum of the lanes' means; undefined where not asked for
  at::Tensor best;                // largest logit of each row [K * M]; undefined where not asked for
};

// Rows h [K * M, C], weight [V, C], targets [M], the same for every lane.
Projected project(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                  const at::Tensor& targets, const Wanted& wanted, bool half, bool with_best = false) {
  const int64_t rows = h.size(0), count = targets.size(0), vocabulary = weight.size(0);
  const int64_t step = std::clamp<int64_t>(kChunkLogits / vocabulary, 16, std::max<int64_t>(rows, 16));
  const auto factor = half ? weight.to(at::kBFloat16) : weight;
  const auto all_targets = targets.repeat({rows / count});
  Projected p{at::empty({rows}, at::kDouble), {}, {}, {}, {}};
  if (with_best) p.best = at::empty({rows}, at::kLong);
  if (wanted[0]) p.dh = at::empty_like(h);
  if (wanted[1]) p.dweight = at::zeros_like(weight);
  if (wanted[2]) p.dbias = at::zeros_like(bias);
  const bool with_gradient = wanted[0] || wanted[1] || wanted[2];
  for (int64_t start = 0; start < rows; start += step) {
    const int64_t size = std::min(step, rows - start);
    const auto part = h.narrow(0, start, size);
    auto logits = times(part, factor);  // [size, V]
    if (bias.defined()) logits.add_(bias);
    if (with_best)
      p.best.narrow(0, start, size).copy_(logits.argmax(1));  // the losses may take the logits' place
    cross_entropy_cpu(logits.data_ptr<float>(), all_targets.data_ptr<int64_t>() + start,
                      p.losses.data_ptr<double>() + start, size, vocabulary, with_gradient,
                      1.0f / static_cast<float>(count));
    if (wanted[0]) p.dh.narrow(0, start, size).copy_(times(logits, factor.t()));
    if (wanted[1]) p.dweight.addmm_(logits.t(), part);
    if (wanted[2]) p.dbias.add_(logits.sum(0));
  }
  return p;
}

}  // namespace

at::Tensor projected_loss(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                          const at::Tensor& targets, bool half) {
  const Tensors inputs{h, weight, bias};
  const auto asked = [](const at::Tensor& x) { return needs_gradient({x}); };
  const Wanted wanted{asked(h), asked(weight), asked(bias)};
  Projected p;
  at::Tensor losses;
  {
    at::NoGradGuard no_grad;
    p = project(h.reshape({-1, h.size(2)}), weight.detach(), bias, targets, wanted, half);
    losses = p.losses.view({h.size(0), -1}).mean(1).to(at::kFloat);  // [K]
    p.losses = at::Tensor();
  }
  return record(inputs, losses, [p, shape = h.sizes().vec()](Tensors& gradients, const Wanted&) {
    // Only one lane can train the projection, so its factor is the only one.
    const auto& lanes = gradients[0];
    const auto of_one = [&](const at::Tensor& d) { return d.defined() ? d * lanes[0] : d; };
    return Tensors{p.dh.defined() ? p.dh.view(shape) * lanes.view({-1, 1, 1}) : p.dh, of_one(p.dweight),
                   of_one(p.dbias)};
  });
}

ProjectedRows projected_rows(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                             const at::Tensor& targets, bool half) {
  at::NoGradGuard no_grad;
  const auto p =
      project(h.reshape({-1, h.size(2)}), weight, bias, targets, {false, false, false}, half, true);
  return {p.losses.view({h.size(0), -1}), p.best.view({h.size(0), -1})};
}

}  // namespace cortune
