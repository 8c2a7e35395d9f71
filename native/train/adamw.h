// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over the stacked parameters of many lanes: each lane
// with its own rate, decay and clipping. All tensors are one list of pieces that all threads share, so that
// many small parameters cost no more than few large ones.
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

// What one lane does in one step.
struct LaneStep {
  double rate;
  double decay;
  double scale;  // times its gradients, before they are clipped
  bool active;   // false: its values stay as they are
};

class AdamW {
 public:
  AdamW(std::vector<Trained> trained, AdamWOptions options);

  // One update. Returns what each lane's gradients were multiplied with: 0 for lanes that stay as they are,
  // as active ones do whose gradient is not finite.
  std::vector<double> step(const std::vector<LaneStep>& lanes);
  void forget_gradients();
  // Only `lanes` (ascending) go on, as lanes 0, 1, ..; `trained` is what is left of the tensors, in the
  // same order.
  void keep(std::vector<Trained> trained, const std::vector<int64_t>& lanes);

 private:
  struct Piece;
  void begin_rounds();
  std::vector<Piece> pieces(const std::vector<LaneStep>& lanes);
  std::vector<double> norms(const std::vector<Piece>& pieces, int64_t lanes) const;
  void update(const std::vector<Piece>& pieces, const std::vector<double>& clips) const;

  std::vector<Trained> trained_;
  std::vector<at::Tensor> first_;  // moments
  std::vector<at::Tensor> second_;
  // Where each tensor's selection stands, and the steps before its round began.
  std::vector<int64_t> rounds_;
  std::vector<int64_t> begun_;
  AdamWOptions options_;
  int64_t steps_ = 0;
};

}  // namespace cortune
