// The fit of one weighting of the bands to the training rows of one fold, and what each band adds to it.
#pragma once
#include <map>

#include "inner.h"

namespace cortune {

// Kernels of the bands in one fold, centred on its training rows.
struct BandKernels {
  BandKernels(const std::vector<at::Tensor>& kernels, const InnerFold& fold);
  std::vector<at::Tensor> blocks, crosses;  // [n', n'] and [m, n'] of each band
};

class BandFit {
 public:
  // `gamma` [B]; `chosen` [w]: the numbers of the targets' alphas.
  BandFit(const BandKernels& kernels, const std::vector<double>& gamma, const at::Tensor& alphas,
          const std::vector<int64_t>& chosen);

  // Training responses y [w, n'] of the targets -> each band's part of the predictions [w, m], without
  // intercept.
  std::vector<at::Tensor> predict(const at::Tensor& y) const;

 private:
  at::Tensor solve(const at::Tensor& y, int64_t a) const;

  const BandKernels& kernels_;
  std::vector<double> gamma_;
  at::Tensor alphas_, block_;
  double least_ = 0;                                // smaller alphas are met through the spectrum
  std::map<int64_t, std::vector<int64_t>> places_;  // of the targets, by alpha
};

}  // namespace cortune
