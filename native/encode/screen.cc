// Sets the forms up in float64, evaluates them in float32.
#include "screen.h"

#include "design.h"
#include "parallel.h"

namespace cortune {
namespace {

// float64 products and factorisations run at about this share of the speed of float32 products.
constexpr double kSlowSetup = 3;

// Share of each test row of a fold in the mean over folds of the mean over rows.
at::Tensor shares(const Refit& fold, const at::Tensor& weights, size_t folds) {
  const auto own = weights.defined() ? weights.index_select(0, fold.test)
                                     : at::ones({fold.test.size(0)}, fold.factor.values.options());
  return own / (own.sum() * static_cast<double>(folds));
}

double joined_cost(const std::vector<Refit>& folds, double n, double t, double kept) {
  double rows = 0, setup = 0;
  for (const auto& fold : folds) {
    const double m = fold.test.size(0), k = fold.factor.values.size(0);
    rows += m;
    setup += 2 * m * k * fold.train.size(0);
  }
  return kept * (n * n * t + kSlowSetup * (setup + n * n * rows + n * n * n / 3));
}

double spectral_cost(const std::vector<Refit>& folds, double t, double kept) {
  double cost = 0;
  for (const auto& fold : folds) {
    const double m = fold.test.size(0), k = fold.factor.values.size(0);
    cost += 2 * k * (fold.train.size(0) + m) * t + kept * std::min(k * k, 2 * m * k) * t;
  }
  return cost;
}

// Residuals of a fold's test rows as a map of all rows [m, n]: y_S - mean - basis f project y.
at::Tensor residual_rows(const Refit& fold, const at::Tensor& filter, int64_t n) {
  const int64_t m = fold.test.size(0);
  auto out = at::zeros({m, n}, fold.factor.values.options());
  out.index_copy_(1, fold.train, -(at::mm(fold.factor.basis * filter, fold.factor.project) + fold.mean));
  const auto one = at::ones({m}, out.options());
  out.index_put_({at::arange(m), fold.test}, one);
  return out;
}

}  // namespace

Screen::Screen(const std::vector<Refit>& folds, int64_t n, const at::Tensor& weights,
               const at::Tensor& alphas, int64_t targets, const Task& task)
    : alphas_(alphas) {
  double least = INFINITY, most = 0;
  for (const auto& fold : folds) {
    if (fold.factor.values.numel() == 0) continue;
    least = std::min(least, fold.factor.values[0].item<double>());
    most = std::max(most, fold.factor.values[-1].item<double>());
  }
  skeleton_ = skeleton(alphas, least, most);
  const double kept = static_cast<double>(skeleton_.kept.size()), t = static_cast<double>(targets);
  if (joined_cost(folds, static_cast<double>(n), t, kept) < spectral_cost(folds, t, kept)) {
    join(
        [&](int64_t a) {
          std::vector<at::Tensor> rows;
          for (const auto& fold : folds) {
            const auto filter = (fold.factor.values + alphas_[a]).reciprocal();
            rows.push_back(residual_rows(fold, filter, n) *
                           shares(fold, weights, folds.size()).sqrt().unsqueeze(1));
          }
          return triangle(at::cat(rows, 0));
        },
        task);
    return;
  }
  spectral_.resize(folds.size());
  each(static_cast<int64_t>(folds.size()), [&](int64_t f) {
    task.check();
    spectral_[f] = spectral(folds[f], n, shares(folds[f], weights, folds.size()));
  });
}

Screen::Screen(const HeldOutMaps& maps, const Spectrum& lifted, const at::Tensor& alphas, const Task& task)
    : alphas_(alphas) {
  // Eigenvalues of a fold's rows lie between those of all rows.
  const auto above = lifted.values.masked_select(lifted.values > lifted.floor);
  skeleton_ = skeleton(alphas, above.numel() > 0 ? above[0].item<double>() : 0,
                       above.numel() > 0 ? above[-1].item<double>() : 0);
  join([&](int64_t a) { return joined_form(maps.residuals(a)); }, task);
}

bool Screen::closed_is_cheaper(const FoldSizes& s, double share) {
  const double n = s.n, t = s.t, kept = std::min<double>(s.alphas, 30), square = 1.5 * n * n * n;
  double closed = 1.1 * n * n * n, rows = 0, factors = 0, spectral = 0;
  for (size_t i = 0; i < s.inner_train.size(); ++i) {
    const double trained = s.inner_train[i], m = s.inner_test[i], h = n - trained;
    const double k = std::min<double>(s.p, trained);
    closed += h * h * h + 2 * m * h * n;
    rows += 2 * m * k * trained;
    factors += kSlowSetup * 22 * k * k * k;
    spectral += 2 * k * (trained + m) * t + kept * std::min(k * k, 2 * m * k) * t;
  }
  const double joined = kept * (kSlowSetup * (rows + square) + n * n * t);
  return share * kept * (kSlowSetup * (closed + square) + n * n * t) < factors + std::min(spectral, joined);
}

void Screen::join(const std::function<at::Tensor(int64_t)>& form, const Task& task) {
  std::vector<at::Tensor> factors(skeleton_.kept.size());
  each(static_cast<int64_t>(factors.size()), [&](int64_t k) {
    task.check();
    factors[k] = form(skeleton_.kept[k]);
  });
  joined_.emplace(factors, true);
}

Screen::Spectral Screen::spectral(const Refit& fold, int64_t n, const at::Tensor& share) const {
  const auto& factor = fold.factor;
  const int64_t k = factor.values.size(0), m = fold.test.size(0);
  Spectral out;
  for (const int64_t row : std::vector<int64_t>(fold.train.data_ptr<int64_t>(),
                                                fold.train.data_ptr<int64_t>() + fold.train.numel()))
    out.train.push_back(static_cast<int32_t>(row));
  auto mean = at::zeros({n}, factor.values.options());
  mean.index_copy_(0, fold.train, fold.mean);
  out.project = PanelMatrix(factor.project);
  out.mean = mean.to(at::kFloat);
  out.basis = PanelMatrix(factor.basis.t());
  out.test = fold.test;
  out.share = share;
  out.filters = filters(factor, alphas_);
  if (k == 0) return out;
  const auto weighted = factor.basis * share.sqrt().unsqueeze(1);  // [m, k]
  const bool triangular = k <= m;
  const auto root = triangular ? std::get<1>(at::linalg_qr(weighted, "r")) : weighted;
  std::vector<at::Tensor> forms;
  std::vector<double> scale;
  for (const int64_t a : skeleton_.kept) {
    // Scaled to a maximum of 1: their squares stay far from the ends of float32.
    const auto filter = out.filters.select(1, a);
    const double largest = filter[0].item<double>();
    forms.push_back(root * (filter / largest));
    scale.push_back(largest * largest);
  }
  out.scale = at::tensor(scale, at::kDouble).unsqueeze(1);
  out.forms = SquareForms(forms, triangular);
  return out;
}

// Mean squared errors of one fold, weighted by its share [A, w].
at::Tensor Screen::spectral_errors(const Spectral& fold, const at::Tensor& y,
                                   const at::Tensor& panels) const {
  const int64_t w = y.size(0), k = fold.basis.rows();
  const auto test = y.index_select(1, fold.test) - at::mv(y, fold.mean).unsqueeze(1);  // [w, m]
  const auto squares = at::mv(test.to(at::kDouble).square(), fold.share);              // [w]
  if (k == 0) return squares.unsqueeze(0).expand({alphas_.size(0), w});
  const auto z = fold.project.times(panels, fold.train.data());                             // [P, k, 32]
  const auto along = fold.basis.times(make_panels(test * fold.share.to(at::kFloat)));       // [P, k, 32]
  const auto crossed = at::matmul(fold.filters.t(), along.to(at::kDouble) * z);             // [P, A, 32]
  const auto both = crossed.transpose(0, 1).reshape({alphas_.size(0), -1}).slice(1, 0, w);  // [A, w]
  return squares - 2 * both + at::mm(skeleton_.combine, fold.forms.evaluate(z, w) * fold.scale);
}

at::Tensor Screen::errors(const at::Tensor& y) const {
  const auto panels = make_panels(y);
  if (joined_) return at::mm(skeleton_.combine, joined_->evaluate(panels, y.size(0)));
  auto total = at::zeros({alphas_.size(0), y.size(0)}, at::kDouble);
  for (const auto& fold : spectral_) total += spectral_errors(fold, y, panels);
  return total;
}

}  // namespace cortune
