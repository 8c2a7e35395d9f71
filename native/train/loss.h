// Vocabulary projection and cross-entropy as one chunked operation: never holds [N, V].
#pragma once
#include "../pch.h"

namespace cortune {

// Mean cross-entropy (nats) of each lane of h W^T + b against targets. h [K, M, C], weight [V, C], bias [V]
// or undefined, targets [M] int64 -> [K]; differentiable in h, weight and bias. With `half` the products are
// made in bfloat16.
at::Tensor projected_loss(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                          const at::Tensor& targets, bool half);

// Loss (nats) of each row and the token that its logits say: [K, M] float64 and [K, M] int64. Arguments as
// above; not differentiable.
struct ProjectedRows {
  at::Tensor losses;
  at::Tensor best;
};
ProjectedRows projected_rows(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                             const at::Tensor& targets, bool half);

}  // namespace cortune
