// Inner folds: closed-form held-out residuals where safe and cheaper, else one factor a fold.
#include "inner.h"

#include <cmath>

#include "parallel.h"

namespace cortune {
namespace {

// An eigendecomposition of size n takes about as long as this many n^3 multiply-adds of a matrix product
// (measured 10 to 12).
constexpr double kEigen = 11;
// Largest loss the closed form may suffer: errors stay under about 1e7 * 1e-16 * n.
constexpr double kAmplification = 1e7;
// Largest size of the held-out operators of one fold.
constexpr double kOperatorBytes = 256e6;

double cube(double x) { return x * x * x; }

double closed_cost(const FoldSizes& s) {
  double cost = 2.0 * s.n * s.n * s.t * (1 + s.alphas);
  for (size_t i = 0; i < s.inner_train.size(); ++i) {
    const double held = s.n - s.inner_train[i];
    cost += s.alphas * (2 * held * held * s.n + 4 * cube(held) + 2.0 * s.inner_test[i] * held * s.t);
  }
  return cost;
}

double refit_cost(const FoldSizes& s, bool dual) {
  double cost = 0;
  for (size_t i = 0; i < s.inner_train.size(); ++i) {
    const double n = s.inner_train[i], m = s.inner_test[i];
    const double k = dual ? n : static_cast<double>(s.p);
    if (!dual) cost += 2 * n * k * k * 2;
    cost += kEigen * cube(k) + 2 * m * k * k + 2 * n * k * s.t + 2 * m * k * s.t * s.alphas;
  }
  return cost;
}

bool closed_is_cheaper(const FoldSizes& s) {
  double bytes = 0;
  for (size_t i = 0; i < s.inner_train.size(); ++i) {
    const double held = s.n - s.inner_train[i];
    bytes = std::max(bytes, 8 * held * std::max<double>(held, s.n) * s.alphas);
  }
  return bytes <= kOperatorBytes && closed_cost(s) < refit_cost(s, true);
}

// Empty when the fold is better factored by itself: M_HH is nearly singular against the size of M, in which
// its rounding is.
std::optional<HeldOutOperator> held_out_operator(const Spectrum& lifted, double lift, const InnerFold& fold,
                                                 const at::Tensor& alphas) {
  const int64_t n = lifted.values.size(0);
  const auto q = lifted.vectors.index_select(0, fold.held);  // [h, n]
  const auto filters =
      (lifted.values.clamp_min(0).unsqueeze(0) + alphas.unsqueeze(1)).reciprocal();  // [A, n]
  auto m = at::matmul(q.unsqueeze(0) * filters.unsqueeze(1), q.t());                 // [A, h, h]
  m.sub_(((alphas + lift) * static_cast<double>(n)).reciprocal().view({-1, 1, 1}));
  const auto [lower, info] = at::linalg_cholesky_ex(m);
  if (info.any().item<bool>()) return std::nullopt;
  const auto inverse = at::cholesky_inverse(lower);
  const auto amplification = filters.amax(1) * inverse.flatten(1).norm(2, 1);
  if (!(amplification.max().item<double>() <= kAmplification)) return std::nullopt;
  return HeldOutOperator{fold.held, inverse.slice(1, 0, fold.test.size(0)).contiguous()};
}

// residuals [A, m, t] -> mean over rows [A, t]; `own` [m]: weights of the rows, or undefined.
at::Tensor mean_squares(const at::Tensor& residuals, const at::Tensor& own) {
  if (!own.defined()) return residuals.square().mean(1);
  return (residuals.square() * own.view({1, -1, 1})).sum(1) / own.sum();
}

}  // namespace

namespace {

// Shares of the training responses in the mean, and the square roots of their weights.
std::pair<at::Tensor, at::Tensor> shares_of(const at::Tensor& weights, const at::Tensor& train) {
  const auto own = weights.defined() ? weights.index_select(0, train) : at::ones(train.sizes(), at::kDouble);
  return {own / own.sum(), own.sqrt()};
}

}  // namespace

at::Tensor to_index(const std::vector<int64_t>& rows) { return at::tensor(rows, at::kLong); }

std::vector<InnerFold> inner_positions(const OuterFold& fold, int64_t rows) {
  std::vector<int64_t> position(rows, -1);
  for (size_t i = 0; i < fold.rows.train.size(); ++i) position[fold.rows.train[i]] = static_cast<int64_t>(i);
  std::vector<InnerFold> out;
  for (const auto& inner : fold.inner) {
    std::vector<int64_t> train, test, held;
    std::vector<bool> seen(fold.rows.train.size(), false);
    for (const int64_t row : inner.train) train.push_back(position[row]), seen[train.back()] = true;
    for (const int64_t row : inner.test) test.push_back(position[row]), seen[test.back()] = true;
    held = test;
    for (size_t i = 0; i < seen.size(); ++i)
      if (!seen[i]) held.push_back(static_cast<int64_t>(i));
    out.push_back({to_index(train), to_index(test), to_index(held)});
  }
  return out;
}

CentredKernel centred_kernel(const at::Tensor& kernel, const InnerFold& fold, const at::Tensor& mean) {
  const auto block = kernel.index_select(0, fold.train).index_select(1, fold.train);
  const auto cross = kernel.index_select(0, fold.test).index_select(1, fold.train);
  const auto means = at::mv(block, mean).unsqueeze(0);  // [1, n]
  const auto grand = at::dot(means.squeeze(0), mean);
  return {block - means - means.t() + grand, cross - at::mv(cross, mean).unsqueeze(1) - means + grand};
}

Refit dual_refit(const at::Tensor& gram, const InnerFold& fold, const at::Tensor& weights) {
  auto [mean, roots] = shares_of(weights, fold.train);
  const auto [centred, crossed] = centred_kernel(gram, fold, mean);
  if (weights.defined()) return {fold.train, fold.test, mean, weighted_dual_factor(centred, crossed, roots)};
  return {fold.train, fold.test, mean, dual_factor(eigendecompose(centred, centred.size(0)), crossed)};
}

Refit primal_refit(const at::Tensor& rows, const InnerFold& fold, const at::Tensor& weights) {
  auto [mean, roots] = shares_of(weights, fold.train);
  const auto train = rows.index_select(0, fold.train);
  const auto centre = at::mv(train.t(), mean);
  const auto test = rows.index_select(0, fold.test) - centre;
  if (weights.defined())
    return {fold.train, fold.test, mean, weighted_primal_factor(train - centre, test, roots)};
  return {fold.train, fold.test, mean, primal_factor(train - centre, test)};
}

bool dual_is_cheaper(const FoldSizes& s) {
  const double n = s.n, p = s.p;
  const double dual = n * n * p * 1.3 + 2 * s.m * n * p + kEigen * cube(n) + 4 * n * n * s.t +
                      std::min(closed_cost(s), refit_cost(s, true));
  const double primal = 2 * n * p * p * 2 + kEigen * cube(p) + 4 * n * p * s.t + refit_cost(s, false);
  return dual < primal;
}

InnerFolds InnerFolds::dual(const at::Tensor& gram, const Spectrum& lifted, double lift,
                            const std::vector<InnerFold>& folds, const at::Tensor& alphas,
                            const FoldSizes& sizes, const Task& task) {
  InnerFolds out;
  out.alphas_ = alphas;
  out.lifted_ = lifted;
  const bool closed = lift > 0 && closed_is_cheaper(sizes);
  out.folds_.resize(folds.size());
  each(static_cast<int64_t>(folds.size()), [&](int64_t i) {
    task.check();
    std::optional<HeldOutOperator> held;
    if (closed) held = held_out_operator(lifted, lift, folds[i], alphas);
    if (held)
      out.folds_[i] = std::move(*held);
    else
      out.folds_[i] = dual_refit(gram, folds[i], {});
  });
  return out;
}

bool held_out_is_safe(double least, double largest, int64_t n, const std::vector<InnerFold>& folds,
                      const at::Tensor& alphas) {
  if (folds.empty()) return false;
  // |(M_HH)^-1| <= (largest + alpha) n / (n - h), as M is at least (1 / (largest + alpha)) off the constants.
  const double alpha = alphas.min().item<double>();
  double share = 0;
  for (const auto& fold : folds)
    share = std::max(share, static_cast<double>(fold.held.size(0)) / static_cast<double>(n));
  return share < 1 && (largest + alpha) / (least + alpha) / (1 - share) <= kAmplification;
}

std::vector<at::Tensor> held_out_residuals(const at::Tensor& m, const std::vector<InnerFold>& folds) {
  std::vector<at::Tensor> out;
  for (const auto& fold : folds) {
    const auto rows = m.index_select(0, fold.held);  // [h, n]
    const auto lower = at::linalg_cholesky(rows.index_select(1, fold.held));
    const auto inverse = at::cholesky_inverse(lower);
    out.push_back(at::mm(inverse.slice(0, 0, fold.test.size(0)), rows));
  }
  return out;
}

bool HeldOutMaps::safe(const Spectrum& lifted, double lift, const std::vector<InnerFold>& folds,
                       const at::Tensor& alphas) {
  return lift > 0 && held_out_is_safe(std::max(0.0, lifted.values[0].item<double>()),
                                      lifted.values[-1].item<double>(), lifted.values.size(0), folds, alphas);
}

HeldOutMaps::HeldOutMaps(const Spectrum& lifted, double lift, const std::vector<InnerFold>& folds,
                         const at::Tensor& alphas, double room)
    : lifted_(lifted),
      lift_(lift),
      folds_(folds),
      alphas_(alphas),
      room_(room),
      kept_(alphas.size(0)),
      bytes_(std::make_unique<std::atomic<int64_t>>(0)) {}

std::vector<at::Tensor> HeldOutMaps::residuals(int64_t a) const {
  if (!kept_[a].empty()) return kept_[a];
  const double alpha = alphas_[a].item<double>(), n = static_cast<double>(size());
  const auto filter = (lifted_.values.clamp_min(0) + alpha).reciprocal();
  const auto m = gram(lifted_.vectors * filter.sqrt()).sub_(1 / ((alpha + lift_) * n));  // [n, n]
  auto out = held_out_residuals(m, folds_);
  int64_t bytes = 0;
  for (const auto& rows : out) bytes += static_cast<int64_t>(rows.nbytes());
  if (static_cast<double>(*bytes_ += bytes) <= room_) kept_[a] = out;
  return out;
}

InnerFolds::InnerFolds(const std::vector<Refit>& folds, const at::Tensor& alphas, const at::Tensor& weights)
    : alphas_(alphas), weights_(weights), folds_(folds.begin(), folds.end()) {}

int64_t InnerFolds::closed() const {
  return std::count_if(folds_.begin(), folds_.end(),
                       [](const auto& fold) { return std::holds_alternative<HeldOutOperator>(fold); });
}

at::Tensor InnerFolds::errors(const at::Tensor& y) const {
  const int64_t A = alphas_.size(0), n = y.size(0), t = y.size(1);
  at::Tensor my;  // M y for every alpha
  if (closed() > 0) {
    const auto filters =
        (lifted_.values.clamp_min(0).unsqueeze(1) + alphas_.unsqueeze(0)).reciprocal();        // [n, A]
    const auto filtered = filters.unsqueeze(2) * at::mm(lifted_.vectors.t(), y).unsqueeze(1);  // [n, A, t]
    my = at::mm(lifted_.vectors, filtered.reshape({n, A * t})).view({n, A, t});                // [n, A, t]
  }
  auto total = at::zeros({A, t}, y.options());
  for (const auto& fold : folds_) {
    if (const auto* held = std::get_if<HeldOutOperator>(&fold)) {
      const auto rows = my.index_select(0, held->held).transpose(0, 1);  // [A, h, t]
      total += mean_squares(at::bmm(held->weights, rows), {});
      continue;
    }
    const auto& refit = std::get<Refit>(fold);
    const auto train = y.index_select(0, refit.train);
    const auto test = y.index_select(0, refit.test) - at::mv(train.t(), refit.mean);        // [m, t]
    const auto residuals = predict_path(refit.factor, train, alphas_) - test.unsqueeze(1);  // [m, A, t]
    total += mean_squares(residuals.transpose(0, 1),
                          weights_.defined() ? weights_.index_select(0, refit.test) : weights_);
  }
  return total / static_cast<double>(folds_.size());
}

}  // namespace cortune
