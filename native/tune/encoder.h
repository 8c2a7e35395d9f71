// Small trained networks in front of virtual tokens: an embedding and linear layers, one of each for every
// lane.
#pragma once
#include "method.h"

namespace cortune {

class Encoder {
 public:
  // Rows as nn.Embedding draws them: normal(0, 1). [k, rows, width]
  void add_embedding(int64_t rows, int64_t width, std::vector<at::Generator>& draws);
  // As nn.Linear draws it: uniform within 1 / sqrt(in), weight and bias. `name` as PEFT's state dict has it.
  void add_linear(const std::string& name, int64_t in, int64_t out, std::vector<at::Generator>& draws);
  void zero(const std::string& name);

  const at::Tensor& embedding() const { return embedding_; }
  // x [k, P, in] -> [k, P, out]
  at::Tensor linear(const std::string& name, const at::Tensor& x) const;

  void visit(const Method::Visit& visit);
  void append_state(NamedTensors& into, int64_t lane) const;

 private:
  struct Layer {
    at::Tensor weight;  // [k, out, in]
    at::Tensor bias;    // [k, out]
  };
  at::Tensor embedding_;  // [k, rows, width]
  std::map<std::string, Layer> layers_;
};

// uniform(-bound, bound) of every lane by its own generator. [k, ...]
at::Tensor draw_uniform(std::vector<int64_t> shape, double bound, std::vector<at::Generator>& draws);

}  // namespace cortune
