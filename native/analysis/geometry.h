// Representational geometry: dissimilarity matrices, linear CKA and Procrustes distances of layers.
#pragma once
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "../task.h"

namespace cortune {

// Dissimilarities of all pairs of rows, in the order (0, 1), (0, 2), ..., (1, 2), ...: [L, n (n - 1) / 2].
// values [L, n, p]; `metric`: "correlation" 1 - r, "cosine" 1 - cos, "euclidean" |a - b|, "sqeuclidean" |a -
// b|^2. In float64. NaN where a row has no direction (constant for correlation, zero for cosine).
std::vector<double> dissimilarities(const at::Tensor& values, const std::string& metric, const Task& task);

// Linear CKA of every layer of a [L, n, p] with every layer of b [M, n, q]: [L, M]. `debiased` uses the
// unbiased estimator of HSIC (Song et al. 2012, JMLR 13, 1393; Nguyen et al. 2021) and needs n > 3. In
// float64.
std::vector<double> cka(const at::Tensor& a, const at::Tensor& b, bool debiased, const Task& task);

// Procrustes distance |A|^2 + |B|^2 - 2 |A' B|_* of centred representations of unit Frobenius norm (Williams
// et al. 2021; Ding, Denain & Steinhardt 2021): 0 for equal geometry up to rotation and scale, 2 at most. [L,
// M]
std::vector<double> procrustes(const at::Tensor& a, const at::Tensor& b, const Task& task);

}  // namespace cortune
