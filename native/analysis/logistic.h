// Multinomial logistic regression with a squared penalty, for many labellings and folds.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"

namespace cortune {

struct LabelFold {
  std::vector<int64_t> train, test;
};

struct LogisticSpec {
  std::vector<LabelFold> folds;
  std::vector<int32_t> labels;  // [S, n], from 0 to classes - 1
  int64_t classes = 2;
  double c = 1;  // weight of the losses against the penalty
  bool zscore = true;
};

// Predicted label of each held-out row, [S, n] (-1 where a row is in no test fold). For every labelling and
// fold the minimum of
//   C sum_i -log softmax(W x_i + b)[y_i] + |W|^2 / 2      (two classes: one weight vector w with |w|^2 / 2)
// over the training rows, features centred and (zscore) scaled by those rows, as scikit-learn's
// LogisticRegression(C) after a StandardScaler. Solved in the space that the training rows span, by L-BFGS in
// float64.
std::vector<double> logistic(const at::Tensor& features, const LogisticSpec& spec, const Task& task);

}  // namespace cortune
