// Outer training rows -> alphas by inner folds -> scores of the test rows.
#include "fold.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "closed.h"
#include "design.h"
#include "factor.h"
#include "inner.h"
#include "parallel.h"
#include "screen.h"
#include "tile.h"

namespace cortune {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Scores kNoScores{kNan, kNan, kNan, kNan, kNan};

FoldSizes sizes_of(const Study& study, const OuterFold& fold) {
  FoldSizes sizes{static_cast<int64_t>(fold.rows.train.size()),
                  static_cast<int64_t>(fold.rows.test.size()),
                  study.features.size(2),
                  study.targets(),
                  study.alphas.size(0),
                  {},
                  {}};
  for (const auto& inner : fold.inner) {
    sizes.inner_train.push_back(static_cast<int64_t>(inner.train.size()));
    sizes.inner_test.push_back(static_cast<int64_t>(inner.test.size()));
  }
  return sizes;
}

class Fold {
 public:
  Fold(const Study& study, int64_t layer, int64_t index, const std::function<void(int64_t)>& progress)
      : study_(study),
        spec_(study.spec),
        fold_(study.spec.folds[index]),
        progress_(progress),
        layer_(layer),
        index_(index),
        n_(static_cast<int64_t>(fold_.rows.train.size())),
        dtype_(spec_.single ? at::kFloat : at::kDouble) {}

  void run() {
    factorise();
    choose();
    predictors();
    each_tile(
        [&](int64_t from, int64_t to) {
          const auto tile = read_tile(study_, fold_.rows.train, from, to);
          if (spec_.single)
            score_tile(tile);
          else if (spec_.fixed)
            for (size_t f = 0; f < inner_.size(); ++f) score_inner(tile, f);
          else
            score_test(tile);
          if (spec_.weights != Weights::kNone) put_weights(tile);
          progress_(to - from);
        },
        spec_.single && study_.targets() >= 8 * kTileTargets ? 2 : 1);
  }

 private:
  // `tiles`: how many tiles are worked on together; of many targets more of one alpha then lie side by side.
  template <typename Function>
  void each_tile(const Function& work, int64_t tiles = 1) const {
    const int64_t t = study_.targets(), step = study_.tile(n_) * tiles;
    each((t + step - 1) / step, [&](int64_t i) {
      study_.task.check();
      work(i * step, std::min(t, (i + 1) * step));
    });
  }

  // Leaves `outer_` (all training rows -> test rows) and what gives held-out errors of the inner folds.
  void factorise() {
    design_ = make_design(study_.features[layer_], fold_.rows, spec_.zscore);
    if (study_.row_weights.defined())
      weights_ = study_.row_weights.index_select(0, to_index(fold_.rows.train));
    const auto sizes = sizes_of(study_, fold_);
    const bool choosing = study_.alphas.size(0) > 1;
    const bool by_folds = spec_.selection == Selection::kFolds;
    const bool linear = spec_.kernel.kind == Kernel::Kind::kLinear;
    if (by_folds && (choosing || spec_.fixed)) folds_ = inner_positions(fold_, study_.features.size(1));
    const bool apart = weights_.defined() || !by_folds || !linear || (spec_.fixed && !spec_.single);
    dual_ = !linear || (apart || spec_.single ? design_.rows.size(1) > n_ : dual_is_cheaper(sizes));
    study_.task.check();
    if (dual_ && !apart && lifted(sizes)) return;
    refit_all();
    if (!choosing) return;
    if (!by_folds)
      closed_ = std::make_unique<ClosedErrors>(outer_, dual_, weights_, study_.alphas,
                                               spec_.selection == Selection::kGeneralised);
    else if (spec_.single)
      screen_ = std::make_unique<Screen>(inner_, n_, weights_, study_.alphas, study_.targets(), study_.task);
    else
      held_out_ = InnerFolds(inner_, study_.alphas, weights_);
  }

  // Every fold by itself.
  void refit_all() {
    inner_.resize(folds_.size());
    const int64_t rows = design_.rows.size(0);
    const auto products = dual_ ? kernel_products(design_.rows, spec_.kernel) : at::Tensor();
    each(static_cast<int64_t>(folds_.size()) + 1, [&](int64_t i) {
      study_.task.check();
      const bool last = i == static_cast<int64_t>(folds_.size());
      const auto fold = last ? InnerFold{at::arange(n_), at::arange(n_, rows), {}} : folds_[i];
      (last ? outer_ : inner_[i]) =
          dual_ ? dual_refit(products, fold, weights_) : primal_refit(design_.rows, fold, weights_);
    });
  }

  // One spectrum for all folds. False where every fold is better factored by itself.
  bool lifted(const FoldSizes& sizes) {
    if (spec_.single && !folds_.empty() && !Screen::closed_is_cheaper(sizes)) return false;
    const auto train = design_.rows.slice(0, 0, n_), test = design_.rows.slice(0, n_);
    Spectrum spectrum;
    bool safe = true;
    double lift = 0;
    each(1, [&](int64_t) {
      const auto products = gram(train);
      // The constant vector is an eigenvector of value 0; lifted to the mean value it stays apart from the
      // null space, and centred responses never see it.
      lift = products.trace().item<double>() / static_cast<double>(n_);
      spectrum =
          eigendecompose(products + lift / static_cast<double>(n_), std::max(n_, design_.rows.size(1)));
      if (spec_.single && !folds_.empty()) safe = HeldOutMaps::safe(spectrum, lift, folds_, study_.alphas);
      if (!safe) return;
      outer_ = {at::arange(n_), at::Tensor(), at::full({n_}, 1.0 / static_cast<double>(n_), at::kDouble),
                dual_factor(spectrum, at::mm(test, train.t()))};
      if (!folds_.empty() && !spec_.single)
        held_out_ = InnerFolds::dual(products, spectrum, lift, folds_, study_.alphas, sizes, study_.task);
    });
    if (!safe || folds_.empty() || !spec_.single) return safe;
    // Residuals that chose alphas are needed again where these folds are scored.
    const double room = spec_.fixed ? study_.kept_bytes : 0;
    maps_ = std::make_unique<HeldOutMaps>(spectrum, lift, folds_, study_.alphas, room);
    if (study_.alphas.size(0) > 1)
      screen_ = std::make_unique<Screen>(*maps_, spectrum, study_.alphas, study_.task);
    return true;
  }

  at::Tensor errors(const at::Tensor& y) const {
    if (closed_) return closed_->errors(y);
    return screen_ ? screen_->errors(y) : held_out_.errors(y.t());  // [A, w]
  }

  // The number of the chosen alpha of every target; -1 for one that is constant in the training rows.
  void choose() {
    const int64_t A = study_.alphas.size(0), t = study_.targets(), step = study_.tile(n_);
    chosen_.assign(t, 0);
    std::vector<std::vector<double>> sums((t + step - 1) / step, std::vector<double>(A, 0.0));
    each_tile([&](int64_t from, int64_t to) {
      const auto tile = read_tile(study_, fold_.rows.train, from, to);
      const auto found =
          A > 1 ? errors(tile.y).t().contiguous() : at::zeros({tile.width, 1}, at::kDouble);  // [w, A]
      for (int64_t j = 0; j < tile.width; ++j) {
        const double* error = found.data_ptr<double>() + j * A;
        chosen_[from + j] = tile.flat[j] ? -1 : least(error, A);
        if (!tile.flat[j])
          for (int64_t a = 0; a < A; ++a) sums[from / step][a] += error[a];
      }
      progress_(to - from);
    });
    if (!spec_.shared_alpha) return;
    std::vector<double> total(A, 0.0);
    for (const auto& sum : sums)
      for (int64_t a = 0; a < A; ++a) total[a] += sum[a];
    for (auto& choice : chosen_)
      if (choice >= 0) choice = least(total.data(), A);
  }

  // Of equal errors the last, largest alpha.
  static int64_t least(const double* errors, int64_t A) {
    int64_t best = A - 1;
    for (int64_t a = A - 2; a >= 0; --a)
      if (errors[a] < errors[best]) best = a;
    return best;
  }

  // What the second pass over the targets needs, for the alphas that were chosen.
  void predictors() {
    std::vector<bool> used(study_.alphas.size(0), false);
    for (const int64_t choice : chosen_)
      if (choice >= 0) used[choice] = true;
    const auto make = [&](const Factor& factor, const at::Tensor& train) {
      return Predictor(factor, train, n_, study_.alphas, used, study_.targets(), dtype_);
    };
    if (spec_.fixed && maps_)
      closed_predictors(used);
    else if (spec_.fixed)
      for (const auto& fold : inner_) predict_inner_.push_back(make(fold.factor, fold.train));
    else
      predict_test_ = make(outer_.factor, outer_.train);
    if (spec_.weights == Weights::kNone) return;
    predict_weights_ = make(weight_factor(), outer_.train);
  }

  // Residuals less the responses themselves, of which they hold 1, are predictions with their intercept;
  // without it small predictions (of large alphas) keep their digits in float32.
  void closed_predictors(const std::vector<bool>& used) {
    std::vector<std::vector<PanelMatrix>> matrices(folds_.size(), std::vector<PanelMatrix>(used.size()));
    each(static_cast<int64_t>(used.size()), [&](int64_t a) {
      if (!used[a]) return;
      study_.task.check();
      const auto residuals = maps_->residuals(a);
      for (size_t f = 0; f < folds_.size(); ++f) {
        const auto& train = folds_[f].train;
        matrices[f][a] =
            PanelMatrix(-residuals[f].index_select(1, train) - 1 / static_cast<double>(train.size(0)));
      }
    });
    for (size_t f = 0; f < folds_.size(); ++f)
      predict_inner_.emplace_back(std::move(matrices[f]), folds_[f].test.size(0), folds_[f].train);
  }

  // Rows of the basis: weights of the features or, for dual weights, of the training rows; fits of those
  // where they do not span all of the space (put_weights then finds the dual weights from the residuals).
  Factor weight_factor() const {
    auto factor = outer_.factor;
    const auto train = design_.rows.slice(0, 0, n_);
    const auto centred = train - at::mv(train.t(), outer_.mean);
    factor.basis = factor.vectors;
    if (spec_.weights == Weights::kPrimal)
      factor.basis =
          (dual_ ? at::mm(centred.t(), factor.vectors) : factor.vectors) * design_.factor.unsqueeze(1);
    else if (!dual_)
      factor.basis = at::mm(centred, factor.vectors);
    else if (!spans())
      factor.basis = factor.vectors * factor.values / row_weights().unsqueeze(1);
    return factor;
  }

  bool spans() const { return dual_ && outer_.factor.values.size(0) >= n_ - 1; }
  at::Tensor row_weights() const { return weights_.defined() ? weights_ : at::ones({n_}, at::kDouble); }

  std::vector<int64_t> safe_choice(const Tile& tile) const {
    std::vector<int64_t> out(chosen_.begin() + tile.from, chosen_.begin() + tile.from + tile.width);
    // A constant target is computed with some alpha that is in use, and has NaN scores.
    int64_t any = 0;
    for (const int64_t choice : chosen_)
      if (choice >= 0) {
        any = choice;
        break;
      }
    for (auto& choice : out)
      if (choice < 0) choice = any;
    return out;
  }

  // In float32: targets of one alpha side by side.
  void score_tile(const Tile& tile) {
    std::vector<int64_t> numbers(chosen_.begin() + tile.from, chosen_.begin() + tile.from + tile.width);
    const auto groups = group_panels(numbers);
    const auto panels = make_panels(tile.y, groups.targets);
    if (spec_.fixed) {
      for (size_t f = 0; f < folds_.size(); ++f) {
        put_constant(tile, static_cast<int64_t>(f));
        const double count = static_cast<double>(folds_[f].train.size(0));
        const auto mean =
            maps_ ? at::full({folds_[f].train.size(0)}, 1 / count, at::kDouble) : inner_[f].mean;
        score_panels(place(static_cast<int64_t>(f)), tile,
                     {groups, panels, panels, places(folds_[f].test), fold_.inner[f].test, mean},
                     predict_inner_[f]);
      }
      return;
    }
    put_constant(tile, index_);
    auto test = study_.responses.read(fold_.rows.test, tile.from, tile.from + tile.width);  // [w, m]
    test -= at::tensor(tile.mean, at::kDouble).unsqueeze(1);
    const auto truth = make_panels(test, groups.targets);
    score_panels(place(index_), tile,
                 {groups, panels, truth, places(at::arange(test.size(1))), fold_.rows.test, outer_.mean},
                 predict_test_);
  }

  ScorePlace place(int64_t f) const { return {study_, layer_, f}; }

  static std::vector<int32_t> places(const at::Tensor& index) {
    return {index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + index.numel()};
  }

  void put_constant(const Tile& tile, int64_t f) {
    for (int64_t j = 0; j < tile.width; ++j)
      if (tile.flat[j]) place(f).put(tile.from + j, kNoScores, kNan);
  }

  void score_test(const Tile& tile) {
    if (all_flat(tile)) return put_nothing(tile, index_);
    auto test =
        study_.responses.read(fold_.rows.test, tile.from, tile.from + tile.width).to(dtype_);  // [w, m]
    test -= at::tensor(tile.mean, at::kDouble).unsqueeze(1);
    const auto shift = at::mv(tile.y, outer_.mean.to(dtype_));
    put(tile, index_, fold_.rows.test, predict_test_.predict(tile.y, safe_choice(tile)), test, shift);
  }

  void score_inner(const Tile& tile, size_t f) {
    if (all_flat(tile)) return put_nothing(tile, static_cast<int64_t>(f));
    const auto& fold = inner_[f];
    auto mean = at::zeros({n_}, at::kDouble);
    mean.index_copy_(0, fold.train, fold.mean);
    const auto test = tile.y.index_select(1, fold.test);
    put(tile, static_cast<int64_t>(f), fold_.inner[f].test,
        predict_inner_[f].predict(tile.y, safe_choice(tile)), test, at::mv(tile.y, mean.to(dtype_)));
  }

  static bool all_flat(const Tile& tile) {
    return std::all_of(tile.flat.begin(), tile.flat.end(), [](bool flat) { return flat; });
  }

  void put_nothing(const Tile& tile, int64_t f) {
    for (int64_t j = 0; j < tile.width; ++j) place(f).put(tile.from + j, kNoScores, kNan);
  }

  void put(const Tile& tile, int64_t f, const std::vector<int64_t>& rows, const at::Tensor& prediction,
           const at::Tensor& test, const at::Tensor& shift) {
    const auto shifts = shift.to(at::kDouble).contiguous();
    const auto p = prediction.contiguous(), y = test.contiguous();
    const int64_t m = y.size(1);
    for (int64_t j = 0; j < tile.width; ++j) {
      const double at = shifts.data_ptr<double>()[j];
      auto scores = score(p.data_ptr<double>() + j * m, y.data_ptr<double>() + j * m, m, at, spec_.spearman);
      if (tile.flat[j]) scores = kNoScores;
      place(f).put(tile.from + j, scores, tile.flat[j] ? kNan : spec_.alphas[chosen_[tile.from + j]]);
    }
    if (!spec_.predictions) return;
    const auto shown =
        (p.to(at::kDouble) + (shifts + at::tensor(tile.mean, at::kDouble)).unsqueeze(1)).to(at::kFloat).t();
    study_.out.predictions[layer_]
        .slice(1, tile.from, tile.from + tile.width)
        .index_copy_(0, to_index(rows), shown);
  }

  void put_weights(const Tile& tile) {
    auto into = study_.out.weights[layer_][index_].slice(1, tile.from, tile.from + tile.width);  // [p, w]
    if (all_flat(tile)) return;
    auto weights = predict_weights_.predict(tile.y, safe_choice(tile));  // [w, p]
    // (K + alpha)^-1 y = (y - K (K + alpha)^-1 y) / alpha.
    if (spec_.weights == Weights::kDual && !spans())
      weights = (tile.y - at::mv(tile.y, outer_.mean.to(dtype_)).unsqueeze(1) - weights) * row_weights() /
                study_.alphas.index_select(0, at::tensor(safe_choice(tile), at::kLong)).unsqueeze(1);
    into.copy_(weights.t());
    for (int64_t j = 0; j < tile.width; ++j)
      if (tile.flat[j]) into.select(1, j).fill_(kNan);
    if (spec_.weights != Weights::kPrimal) return;
    const auto train = design_.rows.slice(0, 0, n_);
    const auto centre = at::mv(train.t(), outer_.mean);  // [p], scaled
    // y = mean + (z - centre) b / factor,  z = (x - mean of x) * factor.
    const auto raw = at::where(design_.factor > 0, centre / design_.factor, 0.0) + design_.mean;
    const auto mean = at::tensor(tile.mean, at::kDouble) + at::mv(tile.y, outer_.mean.to(dtype_));
    study_.out.intercepts[layer_][index_]
        .slice(0, tile.from, tile.from + tile.width)
        .copy_(mean - at::mv(weights.to(at::kDouble), raw));
  }

  const Study& study_;
  const EncodeSpec& spec_;
  const OuterFold& fold_;
  const std::function<void(int64_t)>& progress_;
  int64_t layer_, index_, n_;
  at::ScalarType dtype_;
  bool dual_ = false;
  Design design_;
  at::Tensor weights_;  // of the training rows, or undefined
  Refit outer_;
  std::vector<InnerFold> folds_;
  std::vector<Refit> inner_;
  std::unique_ptr<HeldOutMaps> maps_;
  InnerFolds held_out_;
  std::unique_ptr<Screen> screen_;
  std::unique_ptr<ClosedErrors> closed_;
  std::vector<int64_t> chosen_;
  Predictor predict_test_, predict_weights_;
  std::vector<Predictor> predict_inner_;
};

}  // namespace

void encode_fold(const Study& study, int64_t layer, int64_t fold,
                 const std::function<void(int64_t)>& progress) {
  Fold(study, layer, fold, progress).run();
}

}  // namespace cortune
