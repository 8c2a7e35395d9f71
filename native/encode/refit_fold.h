// One fold of ridge that is fitted many times: features factored once, ready for any responses.
#pragma once
#include <optional>

#include "permute.h"
#include "predict.h"
#include "screen.h"

namespace cortune {

struct RefitFold {
  std::vector<int64_t> train, test;  // rows
  Factor factor;
  std::optional<Predictor> predictor;
  std::optional<Screen> screen;  // where alphas are chosen anew, by the inner folds
};

// Fold f of `spec`, of features [n, p] and `targets` targets; `fits`: how many targets will be fitted in all.
RefitFold make_refit_fold(const at::Tensor& features, const RefitSpec& spec, size_t f, int64_t targets,
                          int64_t fits, const Task& task);

}  // namespace cortune
