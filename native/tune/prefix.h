// Prefix tuning (Li & Liang 2021, arXiv:2101.00190): trained keys and values before those of every layer.
#pragma once
#include "method.h"

namespace cortune {

// Option `tokens`: P. Each lane begins random, as nn.Embedding (normal(0, 1)).
class PrefixTuning : public Method {
 public:
  PrefixTuning(const Model& model, MethodSpec spec);

  at::Tensor prefix() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 private:
  at::Tensor states_;  // [k, P, 2 L H_kv D]: what PEFT's embedding holds
  int64_t layers_, heads_, width_;
};

}  // namespace cortune
