// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over the stacked parameters of ranges of lanes, each
// lane with its own rate and decay.
#pragma once
#include <vector>

#include "../tune/lane_set.h"

namespace cortune {

struct AdamWOptions {
  double beta1;
  double beta2;
  double eps;
  double clip;  // largest gradient norm of a lane; 0 for none
};

class AdamW {
 public:
  // `rates` and `decays` of the K lanes.
  AdamW(std::vector<Trained> parameters, std::vector<double> rates, std::vector<double> decays,
        AdamWOptions options);

  // One update. `factor` multiplies every lane's rate (the schedule). Lanes with `active[k]` false keep their
  // values. Throws away the gradients.
  void step(double factor, const std::vector<bool>& active);

 private:
  std::vector<double> clip_factors() const;

  std::vector<Trained> parameters_;
  std::vector<at::Tensor> first_;  // moments
  std::vector<at::Tensor> second_;
  std::vector<double> rates_;
  std::vector<double> decays_;
  AdamWOptions options_;
  int64_t steps_ = 0;
};

}  // namespace cortune
