// Checks of encoding's arguments; meaning was checked in TypeScript, this keeps native code safe from any
// caller.
#include "check.h"

#include <algorithm>
#include <cmath>

namespace cortune {
namespace {

void check_rows(const RowSplit& split, const std::vector<uint8_t>& allowed, const std::string& name,
                bool tests = true) {
  if (split.train.size() < 2)
    fail(Code::kArgument,
         "Expected " + name + " to have at least 2 training rows, got " + std::to_string(split.train.size()));
  if (tests && split.test.empty()) fail(Code::kArgument, "Expected " + name + " to have test rows, got none");
  auto left = allowed;
  for (const auto* rows : {&split.train, &split.test})
    for (const int64_t row : *rows) {
      if (row < 0 || row >= static_cast<int64_t>(left.size()) || !left[row])
        fail(Code::kArgument, "Expected " + name +
                                  " to use each row of its training data once, in training or in test; row " +
                                  std::to_string(row) + " is used twice or is not one of them");
      left[row] = 0;
    }
}

void check_folds(const EncodeSpec& spec, int64_t rows) {
  if (spec.folds.empty()) fail(Code::kArgument, "Expected at least one fold, got none");
  std::vector<uint8_t> tested(rows, 0);
  for (size_t f = 0; f < spec.folds.size(); ++f) {
    const auto& fold = spec.folds[f];
    const auto name = "fold " + std::to_string(f);
    check_rows(fold.rows, std::vector<uint8_t>(rows, 1), name, !spec.fixed);
    std::vector<uint8_t> training(rows, 0);
    for (const int64_t row : fold.rows.train) training[row] = 1;
    for (size_t i = 0; i < fold.inner.size(); ++i)
      check_rows(fold.inner[i], training, name + ", inner fold " + std::to_string(i));
    if (fold.inner.empty() && spec.alphas.size() > 1 && spec.selection == Selection::kFolds)
      fail(Code::kArgument, "Expected " + name + " to have inner folds to choose among " +
                                std::to_string(spec.alphas.size()) + " alphas with, got none");
    if (!spec.predictions) continue;
    for (const int64_t row : fold.rows.test)
      if (tested[row]++)
        fail(Code::kArgument, "Expected each row in one test fold when predictions are kept; row " +
                                  std::to_string(row) + " is in two");
  }
}

void check_fixed(const EncodeSpec& spec) {
  if (spec.fixed &&
      (spec.folds.size() != 1 || !spec.folds[0].rows.test.empty() || spec.folds[0].inner.empty()))
    fail(Code::kArgument,
         "Expected one outer fold without test rows and with inner folds when folds are fixed");
}

void check_weights(const EncodeSpec& spec, int64_t rows) {
  if (!spec.row_weights.empty() && static_cast<int64_t>(spec.row_weights.size()) != rows)
    fail(Code::kArgument, "Expected one weight for each of the " + std::to_string(rows) + " rows, got " +
                              std::to_string(spec.row_weights.size()));
  for (const double weight : spec.row_weights)
    if (!std::isfinite(weight) || !(weight > 0))
      fail(Code::kArgument, "Expected row weights to be positive and finite");
  if (spec.weights == Weights::kPrimal && spec.kernel.kind != Kernel::Kind::kLinear)
    fail(Code::kArgument,
         "Expected dual weights with a kernel that is not linear: its features have no weights");
  if (spec.weights != Weights::kDual) return;
  for (const auto& fold : spec.folds)
    if (fold.rows.train.size() != spec.folds[0].rows.train.size())
      fail(Code::kArgument, "Expected folds with equally many training rows when dual weights are kept");
}

void check_alphas(const std::vector<double>& alphas) {
  if (alphas.empty()) fail(Code::kArgument, "Expected at least one alpha, got none");
  for (size_t i = 0; i < alphas.size(); ++i)
    if (!std::isfinite(alphas[i]) || !(alphas[i] > 0) || (i > 0 && !(alphas[i] > alphas[i - 1])))
      fail(Code::kArgument, "Expected alphas to be positive, finite and ascending");
}

}  // namespace

void check_finite(const at::Tensor& tensor, const std::string& name, const std::vector<std::string>& axes) {
  const auto flat = tensor.view(-1);
  const float* values = flat.data_ptr<float>();
  const int64_t bad =
      std::find_if(values, values + flat.numel(), [](float x) { return !std::isfinite(x); }) - values;
  if (bad == flat.numel()) return;
  std::string place;
  int64_t rest = bad, size = flat.numel();
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    size /= tensor.size(static_cast<int64_t>(axis));
    place += (axis ? ", " : "") + axes[axis] + " " + std::to_string(rest / size);
    rest %= size;
  }
  fail(Code::kData, "Expected " + name + " to be finite numbers, got " +
                        (std::isnan(values[bad]) ? "NaN" : "Infinity") + " at " + place +
                        " (counted from 0). Remove that row or fill the value.");
}

void check_encoding(const at::Tensor& features, const Responses& responses, const EncodeSpec& spec) {
  if (features.dim() != 3 || features.numel() == 0)
    fail(Code::kArgument, "Expected features [layers, rows, columns], none of them 0");
  if (responses.rows() == 0 || responses.targets() == 0)
    fail(Code::kArgument, "Expected responses [rows, targets], none of them 0");
  if (features.size(1) != responses.rows())
    fail(Code::kData, "Expected as many rows of responses as of features, " +
                          std::to_string(features.size(1)) + ", got " + std::to_string(responses.rows()));
  check_alphas(spec.alphas);
  check_fixed(spec);
  check_folds(spec, features.size(1));
  check_weights(spec, features.size(1));
  check_finite(features, "features", {"layer", "row", "column"});
}

void check_refit(const Responses& responses, const RefitSpec& spec) {
  const int64_t n = responses.rows(), t = responses.targets();
  if (spec.by_phases()) {
    spec.phases.check(n);
    if (!spec.orders.empty()) fail(Code::kArgument, "Expected `orders` or `phases`, got both");
  }
  if (spec.orders.size() % static_cast<size_t>(n) != 0)
    fail(Code::kArgument, "Expected `orders` to hold " + std::to_string(n) + " rows for each permutation");
  for (size_t from = 0; from < spec.orders.size(); from += n) {
    std::vector<uint8_t> seen(n, 0);
    for (int64_t i = 0; i < n; ++i) {
      const int32_t row = spec.orders[from + i];
      if (row < 0 || row >= n || seen[row]++)
        fail(Code::kArgument, "Expected each row once in every permutation; row " + std::to_string(row) +
                                  " of permutation " + std::to_string(from / n) + " is not, or is twice");
    }
  }
  if (const int64_t width = spec.block.width; width < 0 || (width > 0 && (t % width != 0 || !spec.single)))
    fail(Code::kArgument, "Expected blocks of equally many targets, in float32");
  if (spec.chosen.empty()) return;
  if (spec.chosen.size() != spec.folds.size() * static_cast<size_t>(t))
    fail(Code::kArgument, "Expected one chosen alpha for each fold and target");
  for (const int32_t a : spec.chosen)
    if (a < -1 || a >= static_cast<int32_t>(spec.alphas.size()))
      fail(Code::kArgument,
           "Expected chosen alphas to be their numbers in the grid, got " + std::to_string(a));
}

}  // namespace cortune
