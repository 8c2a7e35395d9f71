// Encoding scores under permuted rows of the responses, everything fitted anew.
#pragma once
#include "encode.h"
#include "phases.h"

namespace cortune {

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

  bool by_phases() const { return !phases.runs.empty(); }
};

struct RefitScores {
  std::vector<double> observed;  // [t]: mean over folds of Pearson r; folds without one are passed over
  std::vector<double> reached;   // [t]: permutations whose score is at least the observed one
  std::vector<double> largest;   // [P]: the largest score over targets
  at::Tensor scores;             // [P, t] float32 or undefined
};

// features [n, p] of one layer. Rows of the responses are exchanged before they are cut into folds, so
// training rows are exchanged too; features keep their place and are factored once. For each fold and alpha
// in use the fit is one matrix from training responses to predictions, so a permutation costs one product a
// fold. Surrogates by phases are made of the centred responses, run by run, and cut into folds likewise.
// `two_sided` compares |r|.
RefitScores refit_permuted(const at::Tensor& features, const Responses& responses, const RefitSpec& spec,
                           const Task& task);

}  // namespace cortune
