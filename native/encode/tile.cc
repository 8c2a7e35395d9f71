// Reading and centring; panels predicted and scored one by one.
#include "tile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cortune {
namespace {

double spearman_of(const float* predicted, const float* panel, const std::vector<int32_t>& rows, double r) {
  if (std::isnan(r)) return std::numeric_limits<double>::quiet_NaN();
  std::vector<float> p, y;
  for (size_t i = 0; i < rows.size(); ++i) {
    p.push_back(predicted[i * kPanelWidth]);
    y.push_back(panel[int64_t{rows[i]} * kPanelWidth]);
  }
  return score(p.data(), y.data(), static_cast<int64_t>(p.size()), 0, true).spearman;
}

// sums[j] = sum_i weights[i] panel[rows[i]][j]
void weigh_rows(const float* panel, const std::vector<int32_t>& rows, const double* weights, double* sums) {
  std::fill_n(sums, kPanelWidth, 0.0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const float* row = panel + int64_t{rows[i]} * kPanelWidth;
    for (int64_t j = 0; j < kPanelWidth; ++j) sums[j] += weights[i] * row[j];
  }
}

}  // namespace

Tile read_tile(const Study& study, const std::vector<int64_t>& rows, int64_t from, int64_t to) {
  const int64_t n = static_cast<int64_t>(rows.size());
  Tile tile{from, to - from, study.responses.read(rows, from, to), {}, {}};
  at::Tensor wide;
  if (!study.spec.single) wide = at::empty(tile.y.sizes(), at::kDouble);
  for (int64_t j = 0; j < tile.width; ++j) {
    float* y = tile.y.data_ptr<float>() + j * n;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += y[i];
    const double mean = sum / static_cast<double>(n);
    tile.mean.push_back(mean);
    tile.flat.push_back(std::all_of(y, y + n, [&](float value) { return value == y[0]; }));
    if (study.spec.single)
      for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(y[i] - mean);
    else
      for (int64_t i = 0; i < n; ++i) wide.data_ptr<double>()[j * n + i] = y[i] - mean;
  }
  if (!study.spec.single) tile.y = wide;
  return tile;
}

void ScorePlace::put(int64_t target, const Scores& scores, double alpha) const {
  auto& out = study.out;
  const size_t at = static_cast<size_t>((layer * out.folds + fold) * study.targets() + target);
  out.r[at] = scores.r;
  out.r2[at] = scores.r2;
  out.alpha[at] = alpha;
  if (study.spec.spearman) out.spearman[at] = scores.spearman;
  if (study.spec.explained) out.explained[at] = scores.explained;
  if (study.spec.fixed)
    out.error[layer * study.targets() + target] += scores.error / static_cast<double>(out.folds);
}

void score_panels(const ScorePlace& place, const Tile& tile, const PanelTest& test,
                  const Predictor& predictor) {
  const auto& spec = place.study.spec;
  const int64_t m = static_cast<int64_t>(test.rows.size()), t = place.study.targets();
  std::vector<float> work;
  double shift[kPanelWidth];
  Scores scores[kPanelWidth];
  float* shown = spec.predictions ? place.study.out.predictions[place.layer].data_ptr<float>() : nullptr;
  for (size_t p = 0; p < test.groups.numbers.size(); ++p) {
    const int64_t number = test.groups.numbers[p], at = static_cast<int64_t>(p) * kPanelWidth;
    const float* panel = test.panels.data_ptr<float>() + at * test.panels.size(1);
    const float* own = test.truth.data_ptr<float>() + at * test.truth.size(1);
    const float* predicted = predictor.predict_panel(panel, predictor.train().data(), number, work);
    weigh_rows(panel, predictor.train(), test.mean.data_ptr<double>(), shift);
    score_panel(predicted, own, test.rows.data(), m, shift, scores);
    for (int64_t j = 0; j < kPanelWidth; ++j) {
      const int64_t target = test.groups.targets[at + j];
      if (target < 0) continue;
      if (spec.spearman) scores[j].spearman = spearman_of(predicted + j, own + j, test.rows, scores[j].r);
      place.put(tile.from + target, scores[j], spec.alphas[number]);
      for (int64_t i = 0; shown && i < m; ++i)
        shown[test.names[i] * t + tile.from + target] =
            static_cast<float>(predicted[i * kPanelWidth + j] + shift[j] + tile.mean[target]);
    }
  }
}

}  // namespace cortune
