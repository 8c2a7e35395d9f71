// Prefix tuning (Li & Liang 2021, arXiv:2101.00190): trained keys and values before those of every layer.
#pragma once
#include "encoder.h"
#include "method.h"

namespace cortune {

// Options: `tokens` P; `hidden`, the size of the network that makes the keys and values of trained embeddings
// (linear, tanh, linear), 0 to train them themselves; `init`: random (as nn.Embedding: normal(0, 1)), zero,
// or text, the keys and values that the base has at the P tokens of list `ids`.
class PrefixTuning : public Method {
 public:
  PrefixTuning(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<PrefixTuning>(*this); }

  at::Tensor prefix() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;
  // The keys and values, as PEFT keeps them.
  NamedTensors saved(int64_t lane) const override;

 private:
  void start_at(const Model& model, const std::vector<double>& ids);
  at::Tensor flat() const;  // [k, P, 2 L H_kv D]

  at::Tensor states_;  // [k, P, 2 L H_kv D]: what PEFT's embedding holds; undefined with a network
  Encoder network_;
  int64_t layers_, heads_, width_;
};

}  // namespace cortune
