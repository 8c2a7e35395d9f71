// Held-out errors of many weightings of the bands, each with every alpha, target by target.
#pragma once
#include <functional>

#include "grid.h"
#include "inner.h"

namespace cortune {

struct BandSizes {
  int64_t n, columns, targets;
  bool single;                          // products with targets in float32
  std::pair<double, double> strengths;  // least and largest sum of weights that will be asked for
};

// A weighting is a ridge of its own, with kernel K = sum_b gamma_b K_b. Where the closed form of the held-out
// rows keeps its digits, errors of all of them come from few:
//   - alphas are told by a skeleton of them (grid.h), as in plain ridge;
//   - of two bands whose weights have one sum s, so are the weightings at each alpha of it. With P = K_1 +
//     alpha / s and Q = K_2 + alpha / s,  gamma_1 P + gamma_2 Q = K + alpha,  and W^T P W = diag(mu),
//     W^T Q W = 1 for one W: so (K + alpha)^-1 = W diag(1 / (gamma_1 mu + gamma_2)) W^T, a sum over the same
//     filters 1 / (mu + r) in the ratio r = gamma_2 / gamma_1 as ridge has in alpha.
class BandSearch {
 public:
  // `kernels` [B][N, N] of rows of which the first n are training rows, centred; `folds` within these.
  BandSearch(const std::vector<at::Tensor>& kernels, const BandSizes& sizes,
             const std::vector<InnerFold>& folds, const at::Tensor& alphas, const Task& task);

  // Training responses of targets [from, to), centred [w, n].
  using Read = std::function<at::Tensor(int64_t from, int64_t to)>;
  // Mean squared errors [A, w] float64 of weighting g for the targets from `from` on. From several threads,
  // each with targets of its own, with g ascending.
  using Visit = std::function<void(int64_t g, int64_t from, const at::Tensor& errors)>;
  // `gammas` [G, B]. `progress`: targets times weightings done.
  void run(const std::vector<double>& gammas, const Read& read, const Visit& visit,
           const std::function<void(int64_t)>& progress) const;

 private:
  // The pairs of alpha and weighting that are computed.
  struct Plan {
    std::vector<Skeleton> weightings;                // for each alpha kept: of the weightings
    std::vector<std::pair<int64_t, int64_t>> pairs;  // (alpha, weighting), alpha by alpha
  };
  Plan plan(const std::vector<double>& gammas) const;
  // Weighted sum of the kernels of all rows [N, N].
  at::Tensor kernel(const double* gamma) const;
  // The triangle of one pair [n, n].
  at::Tensor joined(const double* gamma, double alpha) const;
  void one_by_one(const std::vector<double>& gammas, const Read& read, const Visit& visit,
                  const std::function<void(int64_t)>& progress) const;
  void by_plan(const std::vector<double>& gammas, const Read& read, const Visit& visit,
               const std::function<void(int64_t)>& progress) const;

  at::Tensor train_block(int64_t b) const;

  std::vector<at::Tensor> kernels_;
  int64_t n_, bands_, targets_;
  bool single_;
  std::vector<InnerFold> folds_;
  at::Tensor alphas_;
  const Task& task_;
  bool closed_ = false;
  std::vector<double> least_, largest_;  // eigenvalues of each band among the training rows
  Skeleton skeleton_;                    // of the alphas
};

}  // namespace cortune
