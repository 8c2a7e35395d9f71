// Chunked projection and cross-entropy: l = h W^T by one GEMM a chunk, then native/kernels/cross_entropy.h in
// place. The gradients are made in the forward pass, while a chunk's logits are at hand (as in Liger,
// arXiv:2410.10989), so the logits are computed once and never kept.
#include "loss.h"

#include <algorithm>

#include "../kernels/cross_entropy.h"

namespace cortune {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Logits of one chunk: 16 MB of float32, about what the caches of two cores can keep warm.
constexpr int64_t kChunkLogits = int64_t{1} << 22;

struct ProjectedLoss : torch::autograd::Function<ProjectedLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& weight,
                            const std::optional<at::Tensor>& given, const at::Tensor& targets) {
    const auto bias = given.value_or(at::Tensor());
    const bool for_h = h.requires_grad(), for_weight = weight.requires_grad(),
               for_bias = bias.defined() && bias.requires_grad();
    at::NoGradGuard no_grad;
    const int64_t lanes = h.size(0), count = h.size(1);
    const int64_t step = std::max<int64_t>(16, kChunkLogits / weight.size(0));
    auto loss = at::zeros({lanes}, at::kDouble);
    auto row_losses = at::empty({count}, at::kDouble);
    const auto* targets_at = targets.data_ptr<int64_t>();
    const bool with_gradient = for_h || for_weight || for_bias;
    auto grad_h = for_h ? at::empty_like(h, at::MemoryFormat::Contiguous) : at::Tensor();
    auto grad_weight = for_weight ? at::zeros_like(weight) : at::Tensor();
    auto grad_bias = for_bias ? at::zeros_like(bias) : at::Tensor();
    for (int64_t k = 0; k < lanes; ++k) {
      for (int64_t start = 0; start < count; start += step) {
        const int64_t size = std::min(step, count - start);
        const auto rows = h[k].narrow(0, start, size);
        auto logits =
            bias.defined() ? at::addmm(bias, rows, weight.t()) : at::mm(rows, weight.t());  // [size, V]
        cross_entropy_cpu(logits.data_ptr<float>(), targets_at + start, row_losses.data_ptr<double>() + start,
                          size, weight.size(0), with_gradient, 1.0f / static_cast<float>(count));
        if (for_h) {
          auto into = grad_h[k].narrow(0, start, size);
          at::mm_out(into, logits, weight);
        }
        if (for_weight) grad_weight.addmm_(logits.t(), rows);
        if (for_bias) grad_bias.add_(logits.sum(0));
      }
      loss[k] = row_losses.mean();
    }
    ctx->save_for_backward({grad_h, grad_weight, grad_bias});
    return loss.to(at::kFloat);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto lane = grads[0].view({-1, 1, 1});
    // Only one lane can train the projection (Full), so its factor is the only one.
    const auto of_one = [&](const at::Tensor& grad) {
      return grad.defined() ? grad * grads[0][0] : Variable();
    };
    return {saved[0].defined() ? saved[0] * lane : Variable(), of_one(saved[1]), of_one(saved[2]),
            Variable()};
  }
};

}  // namespace

at::Tensor projected_loss(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                          const at::Tensor& targets) {
  return ProjectedLoss::apply(h, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt,
                              targets);
}

}  // namespace cortune
