// IA3 (Liu et al. 2022, arXiv:2205.05638): learned scales on the outputs of some modules (keys, values), and
// on the inputs of others (the feed-forward's last); all 1 at the start.
#pragma once
#include "method.h"

namespace cortune {

// Option `feedforward`: those of the targets whose input is scaled.
class Ia3 : public Method {
 public:
  Ia3(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<Ia3>(*this); }

  std::optional<LinearEffect> linear(const std::string& module) const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 private:
  struct Scale {
    at::Tensor value;  // [k, 1, width]
    bool input;
  };
  std::map<std::string, Scale> scales_;  // by module
};

}  // namespace cortune
