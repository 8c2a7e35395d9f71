// Held-out scores under permuted responses and under resampled rows, for any number of targets.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "../task.h"

namespace cortune {

// Predictions and responses, [n, t] float32, and the rows of each part (test fold) in the order of time. A
// score is the mean over parts of Pearson r within the part; parts where either is constant are passed over,
// as encoding does.
struct Scored {
  at::Tensor predictions, responses;
  std::vector<std::vector<int32_t>> parts;
};

struct PermutedScores {
  std::vector<double> r;                // [t]
  std::vector<double> exceed;           // [t]: permutations whose score is at least r (or |.| at least |r|)
  std::vector<double> maximum;          // [P]: largest score (or |score|) of any target
  std::vector<double> mean, deviation;  // [t]: of the null distribution
};

// `orders` [P, m]: m rows of all parts one after the other; order[i] is the place, within the same part,
// whose response is put at place i.
PermutedScores permuted_scores(const Scored& scored, const std::vector<int32_t>& orders, bool two_sided,
                               const Task& task);

// Responses whose Fourier phases within each part are shifted by `phases` [P, sum over parts of floor(m / 2)
// + 1], the same for all targets: autocorrelation and correlations among targets stay (Prichard & Theiler
// 1994, Physical Review Letters 73, 951). The mean keeps its phase; the Nyquist term takes the sign of the
// cosine of its phase.
PermutedScores phase_scores(const Scored& scored, const std::vector<double>& phases, bool two_sided,
                            const Task& task);

struct ResampledScores {
  std::vector<double> r, lower, upper, deviation;  // [t]
  std::vector<double> mean;                        // [B]: mean over targets of each resample
};

// `draws` [B, m]: places within the same part, drawn with replacement. Interval: the quantiles (1 - level) /
// 2 and its mirror.
ResampledScores resampled_scores(const Scored& scored, const std::vector<int32_t>& draws, double level,
                                 const Task& task);

}  // namespace cortune
