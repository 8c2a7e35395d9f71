// Initial factors of LoRA.
#include "lora_init.h"

#include <cmath>

#include "../error.h"

namespace cortune {
namespace {

LowRank random_a(const at::Tensor& weight, int64_t rank) {
  return {at::empty({rank, weight.size(1)}, at::kFloat), at::zeros({weight.size(0), rank}, at::kFloat)};
}

// W = U S V: A = sqrt(S / s) V, B = U sqrt(S / s), of the largest `rank`.
LowRank pissa(const at::Tensor& weight, int64_t rank, double scale) {
  const auto [u, s, v] = at::linalg_svd(weight, false);
  const auto root = (s.narrow(0, 0, rank) / scale).sqrt();
  return {root.unsqueeze(1) * v.narrow(0, 0, rank), u.narrow(1, 0, rank) * root};
}

// W = Q R: A the first rows of R, B the first columns of Q.
LowRank olora(const at::Tensor& weight, int64_t rank) {
  const auto [q, r] = at::linalg_qr(weight);
  return {r.narrow(0, 0, rank).contiguous(), q.narrow(1, 0, rank).contiguous()};
}

// Rows of a random orthogonal matrix, every second for A and the others for B.
LowRank orthogonal(const at::Tensor& weight, int64_t rank, at::Generator draws) {
  if (rank % 2 != 0)
    fail(Code::kArgument, "Expected an even `rank` for init orthogonal, got " + std::to_string(rank) + ".");
  const auto normal = [&](int64_t rows, int64_t columns) {
    return at::empty({rows, columns}, at::kFloat).normal_(0, 1, draws);
  };
  const auto q = std::get<0>(at::linalg_qr(normal(rank, rank))).view({rank / 2, 2, rank});
  const auto a = normal(weight.size(1), rank / 2).mm(q.select(1, 0)).t() / 10;
  const auto b = normal(rank / 2, weight.size(0)).t().mm(q.select(1, 1)) / 10;
  return {a.contiguous(), b.contiguous()};
}

}  // namespace

bool takes_from_base(const std::string& init) { return init == "pissa" || init == "olora"; }

LowRank initial_factors(const std::string& init, const at::Tensor& weight, int64_t rank, double scale,
                        at::Generator draws) {
  if (takes_from_base(init) || init == "orthogonal") {
    const int64_t limit = std::min(weight.size(0), weight.size(1));
    if (rank > limit)
      fail(Code::kArgument,
           "Expected `rank` to be at most " + std::to_string(limit) + ", got " + std::to_string(rank) + ".");
  }
  if (init == "pissa") return pissa(weight, rank, scale);
  if (init == "olora") return olora(weight, rank);
  if (init == "orthogonal") return orthogonal(weight, rank, draws);
  auto factors = random_a(weight, rank);
  if (init == "gaussian") {
    factors.a.normal_(0, 1 / static_cast<double>(rank), draws);
  } else if (init == "default") {
    const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
    factors.a.uniform_(-bound, bound, draws);
  } else {
    fail(Code::kArgument,
         "Expected `init` to be default, gaussian, pissa, olora or orthogonal, got `" + init + "`.");
  }
  return factors;
}

}  // namespace cortune
