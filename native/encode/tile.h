// A tile of targets of one outer fold: its responses, and where its scores go.
#pragma once
#include "fold.h"
#include "panels.h"
#include "predict.h"
#include "score.h"

namespace cortune {

// Training responses of a tile of targets.
struct Tile {
  int64_t from = 0, width = 0;
  at::Tensor y;              // [w, n], centred
  std::vector<double> mean;  // [w]
  std::vector<bool> flat;    // [w]: constant
};

// Rows `rows` of the responses, of targets [from, to).
Tile read_tile(const Study& study, const std::vector<int64_t>& rows, int64_t from, int64_t to);

// The place of the scores of one layer and fold in `study.out`.
struct ScorePlace {
  const Study& study;
  int64_t layer, fold;
  void put(int64_t target, const Scores& scores, double alpha) const;
};

// Held-out rows of a tile in float32, targets of one alpha side by side.
struct PanelTest {
  const PanelGroups& groups;
  const at::Tensor& panels;           // [P, n, 32]: training responses
  const at::Tensor& truth;            // [P, .., 32]: holds the held-out responses,
  const std::vector<int32_t>& rows;   // in these rows,
  const std::vector<int64_t>& names;  // which go by these numbers
  const at::Tensor& mean;             // [n'] float64: the share of each training response in the intercept
};
// Predicts, scores, and puts predictions at their place where they are asked for.
void score_panels(const ScorePlace& place, const Tile& tile, const PanelTest& test,
                  const Predictor& predictor);

}  // namespace cortune
