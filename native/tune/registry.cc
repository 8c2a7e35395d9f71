// The methods by name, and what they share.
#include <functional>
#include <sstream>

#include "../error.h"
#include "full.h"
#include "lora.h"
#include "method.h"

namespace cortune {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace

int64_t Method::bytes() const {
  int64_t bytes = 0;
  for (const auto& tensor : trainable()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

const at::Tensor& Method::attach(const Model& model, const std::string& parameter) {
  const auto& base = model.parameters().at(parameter);
  attached_[parameter] = base.sizes().vec();
  return base;
}

void Method::check(const Parameters& parameters) const {
  for (const auto& [name, shape] : attached_)
    if (!parameters.has(name) || parameters.at(name).sizes() != at::IntArrayRef(shape))
      fail(Code::kArgument, "Expected lanes tuned on this model, got lanes for another, which has a `" +
                                name + "` of shape " + shape_text(shape) + ".");
}

void Method::start_from(const Method& from) {
  if (from.lanes() != 1)
    fail(Code::kArgument, "Expected `from` to hold one lane, got " + std::to_string(from.lanes()) + ".");
  for (int64_t k = 0; k < lanes(); ++k) assign(from.state(0), state(k));
}

std::unique_ptr<Method> make_method(const std::string& name, const Model& model, std::vector<LaneSpec> lanes,
                                    const std::vector<std::string>& targets) {
  if (lanes.empty()) fail(Code::kArgument, "Expected at least one lane, got none.");
  if (targets.empty()) fail(Code::kArgument, "Expected `targets` to name at least one module, got none.");
  if (name == "lora") return std::make_unique<Lora>(model, std::move(lanes), targets);
  if (name == "full") return std::make_unique<Full>(model, std::move(lanes), targets);
  fail(Code::kArgument, "Expected the method to be lora or full, got `" + name + "`.");
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
