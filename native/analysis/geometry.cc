// Dissimilarities from Gram matrices, CKA, Procrustes: small linear algebra in float64.
#include "geometry.h"

#include <limits>

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void check_values(const at::Tensor& values, const char* name) {
  if (values.dim() != 3 || values.numel() == 0 || values.size(1) < 2)
    fail(Code::kArgument,
         std::string("Expected `") + name + "` to be [layers, rows, columns] with 2 rows or more");
  if (!at::isfinite(values).all().item<bool>())
    fail(Code::kData, std::string("Expected ") + name + " to hold finite numbers, got NaN or Infinity");
}

void check_both(const at::Tensor& a, const at::Tensor& b) {
  check_values(a, "a");
  check_values(b, "b");
  if (a.size(1) != b.size(1))
    fail(Code::kArgument, "Expected as many rows in `b` as in `a`, " + std::to_string(a.size(1)) + ", got " +
                              std::to_string(b.size(1)));
}

// Rows scaled to length 1; NaN for rows of none.
at::Tensor unit_rows(const at::Tensor& x, double least) {
  const auto norm = x.norm(2, -1, true);
  return x / norm.masked_fill(norm <= least, kNan);
}

at::Tensor square_distances(const at::Tensor& x) {
  const auto gram = at::mm(x, x.t());  // [n, n]
  const auto squares = gram.diagonal();
  return (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * gram).clamp_min(0);
}

at::Tensor distances(const at::Tensor& layer, const std::string& metric) {
  auto x = layer.to(at::kDouble);  // [n, p]
  if (metric == "correlation" || metric == "cosine") {
    const bool centre = metric == "correlation";
    const double size = x.abs().max().item<double>() * std::sqrt(static_cast<double>(x.size(1)));
    if (centre) x = x - x.mean(-1, true);
    x = unit_rows(x, 1e-12 * size);
    return 1 - at::mm(x, x.t());
  }
  // Distances do not change with the origin; near it they lose the fewest digits.
  const auto squares = square_distances(x - x.mean(0, true));
  return metric == "euclidean" ? squares.sqrt() : squares;
}

// Gram matrix of centred columns, [n, n]; centred itself so that the mean row is 0.
at::Tensor centred(const at::Tensor& layer) {
  const auto x = layer.to(at::kDouble);
  return x - x.mean(0, true);
}

// Unbiased HSIC (Song et al. 2012, eq. 5) without its common factor 1 / (n (n - 3)).
double unbiased_hsic(const at::Tensor& k, const at::Tensor& l) {
  const double n = static_cast<double>(k.size(0));
  const auto sums_k = k.sum(0), sums_l = l.sum(0);
  return (k * l).sum().item<double>() +
         sums_k.sum().item<double>() * sums_l.sum().item<double>() / ((n - 1) * (n - 2)) -
         2 / (n - 2) * at::dot(sums_k, sums_l).item<double>();
}

std::vector<at::Tensor> grams(const at::Tensor& values, bool debiased) {
  std::vector<at::Tensor> out;
  for (int64_t l = 0; l < values.size(0); ++l) {
    const auto x = centred(values[l]);
    out.push_back(at::mm(x, x.t()));
    if (debiased) out.back().fill_diagonal_(0);
  }
  return out;
}

// A factor of at most n columns with the Gram matrix of the layer, of unit Frobenius norm.
std::vector<at::Tensor> factors(const at::Tensor& values) {
  std::vector<at::Tensor> out;
  for (int64_t l = 0; l < values.size(0); ++l) {
    auto x = centred(values[l]);  // [n, p]
    const double norm = x.norm().item<double>();
    // X' = Q R: X = R' Q', and Q does not change singular values of X' Y.
    if (x.size(1) > x.size(0)) x = std::get<1>(at::linalg_qr(x.t(), "r")).t();
    out.push_back(norm > 0 ? x / norm : x * kNan);
  }
  return out;
}

}  // namespace

std::vector<double> dissimilarities(const at::Tensor& values, const std::string& metric, const Task& task) {
  check_values(values, "values");
  if (metric != "correlation" && metric != "cosine" && metric != "euclidean" && metric != "sqeuclidean")
    fail(Code::kArgument, "Expected `metric` to be correlation, cosine, euclidean or sqeuclidean");
  const int64_t L = values.size(0), n = values.size(1);
  std::vector<double> out;
  out.reserve(static_cast<size_t>(L * n * (n - 1) / 2));
  for (int64_t l = 0; l < L; ++l) {
    task.progress(l, L, "dissimilarities");
    const auto d = distances(values[l], metric).contiguous();
    const double* from = d.data_ptr<double>();
    for (int64_t i = 0; i < n; ++i) out.insert(out.end(), from + i * n + i + 1, from + (i + 1) * n);
  }
  return out;
}

std::vector<double> cka(const at::Tensor& a, const at::Tensor& b, bool debiased, const Task& task) {
  check_both(a, b);
  if (debiased && a.size(1) < 4) fail(Code::kArgument, "Expected at least 4 rows for debiased CKA");
  const auto hsic = [debiased](const at::Tensor& k, const at::Tensor& l) {
    return debiased ? unbiased_hsic(k, l) : (k * l).sum().item<double>();
  };
  const auto ka = grams(a, debiased), kb = grams(b, debiased);
  std::vector<double> out;
  for (const auto& k : ka)
    for (const auto& l : kb) {
      task.progress(static_cast<int64_t>(out.size()), static_cast<int64_t>(ka.size() * kb.size()), "CKA");
      out.push_back(hsic(k, l) / std::sqrt(hsic(k, k) * hsic(l, l)));
    }
  return out;
}

std::vector<double> procrustes(const at::Tensor& a, const at::Tensor& b, const Task& task) {
  check_both(a, b);
  const auto fa = factors(a), fb = factors(b);
  std::vector<double> out;
  for (const auto& x : fa)
    for (const auto& y : fb) {
      task.progress(static_cast<int64_t>(out.size()), static_cast<int64_t>(fa.size() * fb.size()),
                    "Procrustes");
      const auto product = at::mm(x.t(), y);
      // SVD of NaN throws; a constant layer has no distance.
      const bool known = at::isfinite(product).all().item<bool>();
      out.push_back(known ? std::max(0.0, 2 - 2 * at::linalg_svdvals(product).sum().item<double>()) : kNan);
    }
  return out;
}

}  // namespace cortune
