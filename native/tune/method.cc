// What tuning methods share.
#include "method.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <sstream>

namespace cortune {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace

at::Tensor Method::parameter(const std::string&) const { return {}; }
std::optional<LinearEffect> Method::linear(const std::string&) const { return std::nullopt; }
at::Tensor Method::prompt() const { return {}; }
at::Tensor Method::deep_prompt() const { return {}; }
at::Tensor Method::prefix() const { return {}; }
at::Tensor Method::penalty() const { return {}; }
void Method::before_step(int64_t, int64_t) {}
void Method::before_update(int64_t, int64_t) {}
void Method::after_step(const Update&) {}
void Method::keep_more(const std::vector<int64_t>&) {}

int64_t Method::bytes() {
  int64_t bytes = 0;
  visit([&](at::Tensor& stack, const Training&) { bytes += static_cast<int64_t>(stack.nbytes()); });
  return bytes;
}

void Method::keep(const std::vector<int64_t>& lanes) {
  at::NoGradGuard no_grad;
  const auto index = at::tensor(lanes, at::kLong);
  visit([&](at::Tensor& stack, const Training&) {
    const bool trained = stack.requires_grad();
    stack = stack.detach().index_select(0, index);
    stack.requires_grad_(trained);
  });
  std::vector<LaneSpec> kept;
  for (const auto lane : lanes) kept.push_back(spec_.lanes[lane]);
  spec_.lanes = std::move(kept);
  keep_more(lanes);
}

const at::Tensor& Method::attach(const Model& model, const std::string& parameter) {
  const auto& base = model.parameters().at(parameter);
  attached_[parameter] = base.sizes().vec();
  return base;
}

const at::Tensor& Method::attach_linear(const Model& model, const std::string& module) {
  for (const auto& spec : model.parameters().specs())
    if (spec.linear && spec.name == module + ".weight") return attach(model, spec.name);
  fail(Code::kNotFound, "Expected `targets` to name linear modules of the model, got `" + module + "`.");
}

void Method::check(const Parameters& parameters) const {
  for (const auto& [name, shape] : attached_)
    if (!parameters.has(name) || parameters.at(name).sizes() != at::IntArrayRef(shape))
      fail(Code::kArgument, "Expected lanes tuned on this model, got lanes for another, which has a `" +
                                name + "` of shape " + shape_text(shape) + ".");
}

at::Generator Method::generator(int64_t k) const {
  return at::detail::createCPUGenerator(spec_.lanes[k].seed);
}

at::Tensor Method::per_lane(const std::function<double(const LaneSpec&)>& value) const {
  auto values = at::empty({lanes(), 1, 1}, at::kFloat);
  for (int64_t k = 0; k < lanes(); ++k) values[k].fill_(value(spec_.lanes[k]));
  return values;
}

int64_t Method::target_index(const std::string& module) const {
  const auto found = std::find(spec_.targets.begin(), spec_.targets.end(), module);
  return found == spec_.targets.end() ? -1 : found - spec_.targets.begin();
}

void assign(const NamedTensors& tensors, const NamedTensors& into) {
  at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> wanted(into.begin(), into.end());
  for (const auto& [name, value] : tensors) {
    const auto found = wanted.find(name);
    if (found == wanted.end())
      fail(Code::kFormat, "Expected only tensors of this method and these targets, got `" + name +
                              "` too. The file belongs to another base model or other target modules.");
    if (found->second.sizes() != value.sizes())
      fail(Code::kFormat, "Expected `" + name + "` to have shape " + shape_text(found->second.sizes()) +
                              ", got " + shape_text(value.sizes()) +
                              ". The file belongs to another base model or rank.");
    found->second.copy_(value);
    wanted.erase(found);
  }
  if (!wanted.empty())
    fail(Code::kFormat,
         "Expected a tensor `" + wanted.begin()->first + "`, and " + std::to_string(wanted.size() - 1) +
             " more, that the file does not have. It belongs to another base model or other target modules.");
}

}  // namespace cortune
