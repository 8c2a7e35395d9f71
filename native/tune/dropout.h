// Dropout on the input of low-rank updates: each lane draws from its own seed, the step and the module,
// whatever it is packed with, so that a block computed again in the backward pass sees the same zeros.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "../pch.h"
#include "spec.h"

namespace cortune {

class LaneDropout {
 public:
  // Shares are the lanes' `dropout`, 0 for none.
  explicit LaneDropout(const std::vector<LaneSpec>& lanes);

  void begin(int64_t step) { step_ = step; }
  // What the input [k, N, width] of `module` is multiplied with: zeros and 1 / (1 - p). Empty when no lane
  // drops anything.
  std::function<at::Tensor(int64_t rows)> mask(const std::string& module, int64_t width) const;
  // Goes on with these lanes only.
  void keep(const std::vector<int64_t>& lanes);

 private:
  struct Lane {
    double share;
    uint64_t seed;
  };
  std::vector<Lane> lanes_;
  int64_t step_ = 0;
};

}  // namespace cortune
