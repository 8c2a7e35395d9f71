// A dense grid of alphas told by a few of them: held-out squared errors of all alphas are fixed linear
// combinations of those of a few ("skeleton").
#pragma once
#include <ATen/ATen.h>

#include <vector>

namespace cortune {

struct Skeleton {
  std::vector<int64_t> kept;  // numbers of the alphas kept, ascending
  at::Tensor combine;         // [A, kept] float64: error of alpha a = sum_k combine[a, k] * error of kept[k]
};

// A held-out squared error is a sum over pairs of eigenvectors of  f_i(alpha) f_j(alpha),  f_i(alpha) and 1,
// with f_i(alpha) = 1 / (l_i + alpha) and l_i between `least` and `most`. As functions of alpha these span
// few dimensions numerically: an interpolative decomposition keeps alphas until every such function, scaled
// to a maximum of 1, is met within 1e-7.
// Eigenvalues below `range` times the largest are left out: their filters add nothing that float32 can hold.
Skeleton skeleton(const at::Tensor& alphas, double least, double most, double range = 1e-12);

}  // namespace cortune
