// Encoding scores under permuted rows of the responses, everything fitted anew.
#pragma once
#include <functional>

#include "correlation.h"
#include "encode.h"
#include "phases.h"

namespace cortune {

// What the fit of one fold gives for a block of targets: rows that were held out, under one order of rows.
struct HeldOut {
  const std::vector<int64_t>& rows;  // [m]: which they are
  std::vector<RowMoments> train;     // [w]
  at::Tensor truth, predicted;  // [w, m] float32; the prediction is without the mean of the training rows
};

// A score of each `width` targets side by side by all that was held out of them, where r of each target is
// not what is asked for.
struct BlockScore {
  int64_t width = 0;  // 0: r of each target
  // `centre` [w] float64: what was taken off the targets beforehand. NaN for no score; called side by side.
  std::function<double(const std::vector<HeldOut>& folds, const at::Tensor& centre, const Task& task)> score;
};

struct RefitSpec {
  std::vector<OuterFold> folds;  // inner folds are needed where alphas are chosen anew
  std::vector<double> alphas;    // ascending, positive
  std::vector<int32_t>
      chosen;  // [F, t] numbers of alphas, -1 for none (no score); empty: chosen anew each time
  std::vector<int32_t> orders;  // [P, n]: row i of permuted responses is row orders[p, i] of the responses
  PhaseShifts phases;           // instead of orders, where it has runs
  bool shared_alpha = false;    // where alphas are chosen anew: one for all targets
  bool zscore = true;
  bool single = true;  // products with responses in float32
  bool two_sided = false;
  bool keep = false;  // keep every score
  BlockScore block;   // in float32

  bool by_phases() const { return !phases.runs.empty(); }
};

// Of t targets, or t blocks of them.
struct RefitScores {
  std::vector<double>
      observed;  // [t]: block scores, or mean over folds of Pearson r; folds without one are passed over
  std::vector<double> reached;  // [t]: permutations whose score is at least the observed one
  std::vector<double> largest;  // [P]: the largest score over targets
  at::Tensor scores;            // [P, t] float32 or undefined
};

// features [n, p] of one layer. Rows of the responses are exchanged before they are cut into folds, so
// training rows are exchanged too; features keep their place and are factored once. For each fold and alpha
// in use the fit is one matrix from training responses to predictions, so a permutation costs one product a
// fold. Surrogates by phases are made of the centred responses, run by run, and cut into folds likewise.
// `two_sided` compares |r|.
RefitScores refit_permuted(const at::Tensor& features, const Responses& responses, const RefitSpec& spec,
                           const Task& task);

}  // namespace cortune
