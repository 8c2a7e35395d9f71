// Whole-weight tuning: a lane owns a copy of each trained parameter and the pass uses it instead of the
// base's. One lane at a time.
#pragma once
#include "method.h"

namespace cortune {

class Full : public Method {
 public:
  Full(const Model& model, std::vector<LaneSpec> lanes, const std::vector<std::string>& targets);

  at::Tensor parameter(const std::string& name, const at::Tensor& base) const override;
  std::vector<at::Tensor> trainable() const override;
  NamedTensors state(int64_t lane) const override;

 private:
  std::map<std::string, at::Tensor> copies_;  // [1, ...] by parameter
};

}  // namespace cortune
