// Logistic regression: one factorisation a fold serves all labellings.
#include "logistic.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <cmath>
#include <deque>

namespace cortune {
namespace {

constexpr int kMemory = 10, kSteps = 1000;

// Training and test rows in coordinates of the training rows' span: [n, k].
struct Rows {
  at::Tensor train, test;
};

Rows rotated(const at::Tensor& x, const LabelFold& fold, bool zscore) {
  const auto pick = [&](const std::vector<int64_t>& rows) {
    return x.index_select(0, at::tensor(rows, at::kLong)).to(at::kDouble);
  };
  auto train = pick(fold.train), test = pick(fold.test);
  const auto mean = train.mean(0, true);
  const auto flat = train.amax(0, true) == train.amin(0, true);
  const auto scale = zscore ? (train - mean).square().mean(0, true).sqrt() : at::ones_like(mean);
  const auto by = at::where(flat, 0.0, 1 / scale);
  train = (train - mean) * by;
  test = (test - mean) * by;
  if (train.size(1) <= train.size(0)) return {train, test};
  // train' = Q R: weights lie in the span of Q, and |W| does not change.
  const auto [q, r] = at::linalg_qr(train.t(), "reduced");  // [p, n], [n, n]
  return {r.t().contiguous(), at::mm(test, q)};
}

// Weights [k + 1, K]: the last row holds the intercepts.
class Problem {
 public:
  Problem(const at::Tensor& x, const at::Tensor& onehot, double c, double penalty)
      : x_(at::cat({x, at::ones({x.size(0), 1}, at::kDouble)}, 1)),
        onehot_(onehot),
        c_(c),
        penalty_(penalty) {}

  double value(const at::Tensor& w, at::Tensor& gradient) const {
    const auto logits = at::mm(x_, w);  // [n, K]
    const auto log_p = at::log_softmax(logits, 1);
    const auto free = w.narrow(0, 0, w.size(0) - 1);
    gradient = c_ * at::mm(x_.t(), log_p.exp() - onehot_);
    gradient.narrow(0, 0, w.size(0) - 1).add_(free, penalty_);
    return -c_ * (log_p * onehot_).sum().item<double>() + penalty_ / 2 * free.square().sum().item<double>();
  }
  int64_t width() const { return x_.size(1); }

 private:
  at::Tensor x_, onehot_;
  double c_, penalty_;
};

struct Step {
  at::Tensor s, y;
  double rho;
};

double product_sum(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum().item<double>(); }

// The two-loop recursion (Nocedal & Wright, algorithm 7.4).
at::Tensor direction(const at::Tensor& gradient, const std::deque<Step>& steps) {
  auto q = gradient.clone();
  std::vector<double> alphas(steps.size());
  for (size_t i = steps.size(); i-- > 0;) {
    alphas[i] = steps[i].rho * product_sum(steps[i].s, q);
    q.sub_(steps[i].y, alphas[i]);
  }
  if (!steps.empty()) q.div_(steps.back().rho * product_sum(steps.back().y, steps.back().y));
  for (size_t i = 0; i < steps.size(); ++i)
    q.add_(steps[i].s, alphas[i] - steps[i].rho * product_sum(steps[i].y, q));
  return -q;
}

at::Tensor minimise(const Problem& problem, int64_t classes, const Task& task) {
  auto w = at::zeros({problem.width(), classes}, at::kDouble);
  at::Tensor gradient, next;
  double value = problem.value(w, gradient);
  const double enough = 1e-9 * std::max(1.0, gradient.abs().max().item<double>());
  std::deque<Step> steps;
  for (int k = 0; k < kSteps && gradient.abs().max().item<double>() > enough; ++k) {
    task.check();
    const auto d = direction(gradient, steps);
    const double slope = product_sum(gradient, d);
    double length = steps.empty() ? std::min(1.0, 1 / gradient.norm().item<double>()) : 1;
    double reached = problem.value(w + length * d, next);
    for (int half = 0; half < 50 && !(reached <= value + 1e-4 * length * slope); ++half) {
      length /= 2;
      reached = problem.value(w + length * d, next);
    }
    if (!(reached < value)) break;  // at the limit of rounding
    const auto s = length * d, y = next - gradient;
    const double curvature = product_sum(s, y);
    w = w + s;
    gradient = next;
    value = reached;
    if (curvature > 0) steps.push_back({s, y, 1 / curvature});
    if (steps.size() > kMemory) steps.pop_front();
  }
  return w;
}

void check_logistic(const at::Tensor& x, const LogisticSpec& spec) {
  if (x.dim() != 2 || x.numel() == 0) fail(Code::kArgument, "Expected `features` to be [rows, columns]");
  if (!at::isfinite(x).all().item<bool>())
    fail(Code::kData, "Expected features to be finite numbers, got NaN or Infinity");
  const int64_t n = x.size(0);
  if (spec.labels.empty() || static_cast<int64_t>(spec.labels.size()) % n || spec.classes < 2 ||
      !(spec.c > 0))
    fail(Code::kArgument, "Expected `labels` [sets, rows], 2 classes or more and a positive `c`");
  for (const int32_t label : spec.labels)
    if (label < 0 || label >= spec.classes)
      fail(Code::kArgument, "Expected labels below the number of classes");
  for (const auto& fold : spec.folds) {
    if (fold.train.size() < 2 || fold.test.empty())
      fail(Code::kArgument, "Expected 2 training rows or more and a test row in every fold");
    for (const auto* rows : {&fold.train, &fold.test})
      for (const int64_t row : *rows)
        if (row < 0 || row >= n) fail(Code::kArgument, "Expected folds to hold numbers of rows");
  }
}

}  // namespace

std::vector<double> logistic(const at::Tensor& features, const LogisticSpec& spec, const Task& task) {
  check_logistic(features, spec);
  const int64_t n = features.size(0), sets = static_cast<int64_t>(spec.labels.size()) / n;
  const int64_t folds = static_cast<int64_t>(spec.folds.size());
  std::vector<double> predicted(spec.labels.size(), -1);
  std::vector<Rows> rows;
  for (const auto& fold : spec.folds) {
    task.check();
    rows.push_back(rotated(features, fold, spec.zscore));
  }
  // Two classes: W1 = -W2 = w / 2, so the penalty is doubled to be |w|^2 / 2.
  const double penalty = spec.classes == 2 ? 2 : 1;
  std::atomic<int64_t> done{0};
  at::parallel_for(0, sets * folds, 1, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // a mode belongs to its thread
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t set = piece / folds, f = piece % folds;
      const auto& fold = spec.folds[f];
      auto onehot = at::zeros({static_cast<int64_t>(fold.train.size()), spec.classes}, at::kDouble);
      for (size_t i = 0; i < fold.train.size(); ++i)
        onehot[static_cast<int64_t>(i)][spec.labels[set * n + fold.train[i]]] = 1;
      const auto w = minimise(Problem(rows[f].train, onehot, spec.c, penalty), spec.classes, task);
      const auto logits = at::addmm(w[-1], rows[f].test, w.narrow(0, 0, w.size(0) - 1));
      const auto best = logits.argmax(1).contiguous();
      for (size_t i = 0; i < fold.test.size(); ++i)
        predicted[set * n + fold.test[i]] = static_cast<double>(best.data_ptr<int64_t>()[i]);
      task.progress(++done, sets * folds, "classify");
    }
  });
  return predicted;
}

}  // namespace cortune
