// Base parameters that lanes own copies of: whole-weight tuning, trained biases beside an adapter.
#pragma once
#include "method.h"

namespace cortune {

class OwnParameters {
 public:
  // k copies of `base`, which is read now.
  void add(const std::string& name, const at::Tensor& base, int64_t lanes);
  at::Tensor of(const std::string& name) const;  // [k, ...], undefined for none
  void visit(const Method::Visit& visit, const Training& training);
  // `training` of each by its name.
  void visit_each(const Method::Visit& visit, const std::function<Training(const std::string&)>& training);
  void append_state(NamedTensors& into, int64_t lane, const std::string& prefix) const;

 private:
  std::map<std::string, at::Tensor> copies_;  // [k, ...]
};

}  // namespace cortune
