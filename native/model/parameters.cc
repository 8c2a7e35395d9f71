// The weights of a model by name.
#include "parameters.h"

#include "../error.h"

namespace cortune {

void Parameters::add(const ParameterSpec& spec, at::Tensor value) {
  if (value.sizes() != at::IntArrayRef(spec.shape)) {
    std::ostringstream message;
    message << "Expected weight `" << spec.name << "` to have shape " << at::IntArrayRef(spec.shape)
            << " from the config, got " << value.sizes() << ". The weights belong to another config.";
    fail(Code::kFormat, message.str());
  }
  specs_.push_back(spec);
  values_[spec.name] = std::move(value);
}

const at::Tensor& Parameters::at(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) fail(Code::kNotFound, "Expected the model to have a parameter `" + name + "`.");
  return found->second;
}

const at::Tensor& Parameters::half(const std::string& name) const {
  const std::lock_guard<std::mutex> guard(*halving_);
  auto& kept = halves_[name];
  if (!kept.defined()) kept = at(name).to(at::kBFloat16);
  return kept;
}

int64_t Parameters::bytes() const {
  int64_t bytes = 0;

  for (const auto& [name, value] : values_) bytes += static_cast<int64_t>(value.nbytes());
  for (const auto& [name, value] : halves_) bytes += static_cast<int64_t>(value.nbytes());
  return bytes;
}

at::Tensor initial_value(const ParameterSpec& spec, double initializer_range, at::Generator generator) {
  auto value = at::empty(spec.shape, at::kFloat);
  switch (spec.init) {
    case Init::kNormal:
      return value.normal_(0, initializer_range * spec.std_factor, generator);
    case Init::kZeros:
      return value.zero_();
    case Init::kOnes:
      return value.fill_(1);
  }
  return value;
}

}  // namespace cortune
