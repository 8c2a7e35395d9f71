// What the model asks of a tuning method while it runs: the effect it has on the model's parts. The model
// knows nothing else of methods (they live in native/tune), and methods nothing of families: parts go by the
// names transformers gives them.
#pragma once
#include <string>

#include "../pch.h"
#include "parameters.h"

namespace cortune {

class Delta {
 public:
  virtual ~Delta() = default;
  // K, the runs that share this pass.
  virtual int64_t lanes() const = 0;
  // Throws kArgument when the method was made for a model whose parts are others: its effect would be lost,
  // or wrong.
  virtual void check(const Parameters& parameters) const { (void)parameters; }
  // The parameter to use instead of `base`. Shape as `base`: only possible when K is 1.
  virtual at::Tensor parameter(const std::string& name, const at::Tensor& base) const {
    (void)name;
    return base;
  }
  // The output of linear module `name`, given its input x [1 or K, N, in] and what the base made of it, y [1
  // or K, N, out].
  virtual at::Tensor linear(const std::string& name, const at::Tensor& x, const at::Tensor& y) const {
    (void)name, (void)x;
    return y;
  }
};

}  // namespace cortune
