// Greedy matching of tokens by cosine.
#include "soft_match.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "../error.h"

namespace cortune {
namespace {

// Mean of `best` weighted by the tokens' weights; 0 where all of them are 0.
double weighted(const at::Tensor& best, const float* weights) {
  const auto* values = best.data_ptr<float>();
  double sum = 0, total = 0;
  for (int64_t i = 0; i < best.numel(); ++i) {
    sum += static_cast<double>(weights[i]) * values[i];
    total += weights[i];
  }
  return total > 0 ? sum / total : 0;
}

void check(const SoftMatchArgs& args, int64_t n, int64_t tokens) {
  if (tokens != n || static_cast<int64_t>(args.weights.size()) != n)
    fail(Code::kArgument, "Expected `lengths` to sum to the " + std::to_string(n) +
                              " rows of `states`, and as many `weights`.");
  for (const auto text : args.pairs)
    if (text < 0 || text >= static_cast<int32_t>(args.lengths.size()))
      fail(Code::kArgument, "Expected `pairs` to name texts by their numbers.");
}

}  // namespace

std::vector<double> soft_match(const SoftMatchArgs& args, const Task& task) {
  std::vector<int64_t> starts{0};
  for (const auto length : args.lengths) starts.push_back(starts.back() + length);
  at::NoGradGuard no_grad;
  const auto states = args.states.reshape({-1, args.states.size(-1)});  // [n, C]
  check(args, states.size(0), starts.back());
  const auto unit = states / states.norm(2, {1}, true).clamp_min(1e-30);
  const auto pairs = static_cast<int64_t>(args.pairs.size() / 2);
  std::vector<double> scores(2 * pairs, 0.0);
  at::parallel_for(0, pairs, 8, [&](int64_t begin, int64_t end) {
    at::NoGradGuard none;  // a thread's own setting
    for (int64_t p = begin; p < end; ++p) {
      if (task.cancelled()) return;
      const int32_t a = args.pairs[2 * p], b = args.pairs[2 * p + 1];
      if (args.lengths[a] == 0 || args.lengths[b] == 0) continue;
      const auto cosines =
          at::mm(unit.narrow(0, starts[a], args.lengths[a]), unit.narrow(0, starts[b], args.lengths[b]).t());
      scores[2 * p] = weighted(cosines.amax(1).contiguous(), args.weights.data() + starts[a]);
      scores[2 * p + 1] = weighted(cosines.amax(0).contiguous(), args.weights.data() + starts[b]);
    }
  });
  task.check();
  return scores;
}

}  // namespace cortune
