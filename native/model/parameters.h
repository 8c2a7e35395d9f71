// The weights of a model by the names transformers gives them, and what a family declares about each.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../pch.h"

namespace cortune {

enum class Init { kNormal, kZeros, kOnes };

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  Init init = Init::kNormal;
  double std_factor = 1;  // times the config's initializer_range
  bool linear = false;    // weight of a linear module, which a method can attach to
  // Part of a head that only some objectives use ('masked', 'pooler'); a checkpoint may lack it.
  std::string head = {};
  bool fresh = false;  // drawn at random because the checkpoint lacks it
};

// In the order the family declares them.
class Parameters {
 public:
  void add(const ParameterSpec& spec, at::Tensor value);
  // Throws kNotFound.
  const at::Tensor& at(const std::string& name) const;
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  // The same rounded to bfloat16, made when first asked for and kept.
  const at::Tensor& half(const std::string& name) const;
  int64_t bytes() const;

 private:
  std::vector<ParameterSpec> specs_;
  std::map<std::string, at::Tensor> values_;
  // Passes of several threads may ask at once.
  mutable std::unique_ptr<std::mutex> halving_ = std::make_unique<std::mutex>();
  mutable std::map<std::string, at::Tensor> halves_;
};

// A fresh value as transformers initialises it: normal(0, std), zeros or ones.
at::Tensor initial_value(const ParameterSpec& spec, double initializer_range, at::Generator generator);

}  // namespace cortune
