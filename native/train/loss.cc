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
  // h [K, M, C], weight [V, C], targets [M] -> mean loss of each lane [K]
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& weight,
                            const at::Tensor& targets) {
    const bool for_h = h.requires_grad(), for_weight = weight.requires_grad();
    at::NoGradGuard no_grad;
    const int64_t lanes = h.size(0), count = h.size(1);
    const int64_t step = std::max<int64_t>(16, kChunkLogits / weight.size(0));
    auto loss = at::zeros({lanes}, at::kDouble);
    auto row_losses = at::empty({count}, at::kDouble);
    const auto* targets_at = targets.data_ptr<int64_t>();
    const bool with_gradient = for_h || for_weight;
    auto grad_h = for_h ? at::empty_like(h, at::MemoryFormat::Contiguous) : at::Tensor();
    auto grad_weight = for_weight ? at::zeros_like(weight) : at::Tensor();
    for (int64_t k = 0; k < lanes; ++k) {
      for (int64_t start = 0; start < count; start += step) {
        const int64_t size = std::min(step, count - start);
        const auto rows = h[k].narrow(0, start, size);
        auto logits = at::mm(rows, weight.t());  // [size, V]
        cross_entropy_cpu(logits.data_ptr<float>(), targets_at + start, row_losses.data_ptr<double>() + start,
                          size, weight.size(0), with_gradient, 1.0f / static_cast<float>(count));
        if (for_h) {
          auto into = grad_h[k].narrow(0, start, size);
          at::mm_out(into, logits, weight);
        }
        if (for_weight) grad_weight.addmm_(logits.t(), rows);
      }
      loss[k] = row_losses.mean();
    }
    ctx->save_for_backward({grad_h, grad_weight});
    return loss.to(at::kFloat);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto lane = grads[0].view({-1, 1, 1});
    return {saved[0].defined() ? saved[0] * lane : Variable(),
            // Only one lane can train the projection (Full), so its factor is the only one.
            saved[1].defined() ? saved[1] * grads[0][0] : Variable(), Variable()};
  }
};

}  // namespace

namespace {

// The last row of a prompt as the first words of lane k's sequences see it. Prompts of shared rows fill the
// first of them, others lie right before their sequence.
int64_t row_before(const Layout& layout, const WordRows& words, int64_t prompt) {
  return layout.counts.shared ? prompt - 1 : words.row - 1;
}

// Lanes that predict the same rows with the same weight.
struct Share {
  LaneRange lanes;
  int64_t prompt;
};

std::vector<Share> shares_of(const Pass& pass, bool shared_weight) {
  std::vector<Share> shares;
  for (int64_t k = 0; k < pass.lanes; ++k) {
    const int64_t prompt = pass.layout.counts.prompt(k);
    if (shared_weight && !shares.empty() && shares.back().prompt == prompt)
      ++shares.back().lanes.count;
    else
      shares.push_back({{k, 1}, prompt});
  }
  return shares;
}

}  // namespace

NextTokens next_tokens(const Layout& layout, const std::vector<uint8_t>& labels) {
  std::vector<int64_t> rows, targets, first_rows, first_targets;
  const auto* ids = layout.ids.data_ptr<int64_t>();
  size_t label = 0;
  for (const auto& words : layout.words)
    for (int64_t t = 0; t < words.length; ++t) {
      if (!labels[label++]) continue;
      (t > 0 ? rows : first_rows)
          .push_back(t > 0 ? words.row + t - 1 : row_before(layout, words, layout.prompt));
      (t > 0 ? targets : first_targets).push_back(ids[words.row + t]);
    }
  const auto count = static_cast<int64_t>(rows.size());
  if (layout.prompt > 0) {
    rows.insert(rows.end(), first_rows.begin(), first_rows.end());
    targets.insert(targets.end(), first_targets.begin(), first_targets.end());
  }
  return {at::tensor(rows, at::kLong), at::tensor(targets, at::kLong), count};
}

at::Tensor causal_loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                       const NextTokens& next) {
  const auto name = model.head_weight();
  const auto states = model.head_input(pass, finished).expand({pass.lanes, -1, -1});
  std::vector<at::Tensor> losses;
  for (const auto& [lanes, prompt] : shares_of(pass, pass.is_shared(name))) {
    auto rows = next.rows;
    auto targets = next.targets;
    if (prompt == 0) {
      rows = rows.narrow(0, 0, next.words);
      targets = targets.narrow(0, 0, next.words);
    } else if (pass.layout.counts.shared && prompt < pass.layout.prompt) {  // its last row lies further up
      rows = rows.clone();
      rows.narrow(0, next.words, rows.size(0) - next.words).fill_(prompt - 1);
    }
    const auto h = states.narrow(0, lanes.first, lanes.count).index_select(1, rows);  // [k, M, C]
    losses.push_back(ProjectedLoss::apply(h, pass.matrix(name, lanes.first), targets));
  }
  return losses.size() == 1 ? losses[0] : at::cat(losses);  // [K]
}

}  // namespace cortune
