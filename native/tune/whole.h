// Whole-weight tuning of chosen parameters: all of them (full fine-tuning, training from scratch), biases
// (BitFit, Ben Zaken et al. 2021, arXiv:2106.10199), norms (Zhao et al. 2023, arXiv:2312.11420), some layers.
// A lane owns a copy of each.
#pragma once
#include "own_parameters.h"

namespace cortune {

// Options: `rates`, one a target: times the learning rate (layer-wise decay); `fresh`: targets that begin at
// random, as the family initialises them (Zhang et al. 2021, arXiv:2006.05987).
class Whole : public Method {
 public:
  Whole(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<Whole>(*this); }

  at::Tensor parameter(const std::string& name) const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;

 protected:
  OwnParameters own_;

 private:
  void draw(const Model& model, const std::string& name, std::vector<at::Generator>& draws);

  std::map<std::string, double> rates_;
};

}  // namespace cortune
