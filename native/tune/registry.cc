// The methods by name.
#include "adalora.h"
#include "ia3.h"
#include "lora.h"
#include "p_tuning.h"
#include "prefix.h"
#include "prompt.h"
#include "selective.h"
#include "vera.h"
#include "vpt.h"
#include "whole.h"

namespace cortune {
namespace {

using Make = std::unique_ptr<Method> (*)(const Model&, MethodSpec);

template <typename T>
std::unique_ptr<Method> make(const Model& model, MethodSpec spec) {
  return std::make_unique<T>(model, std::move(spec));
}

const std::map<std::string, Make>& registry() {
  static const std::map<std::string, Make> methods = {
      {"adalora", make<AdaLora>},     {"ia3", make<Ia3>},
      {"lora", make<Lora>},           {"p_tuning", make<PTuning>},
      {"prefix", make<PrefixTuning>}, {"prompt", make<PromptTuning>},
      {"selective", make<Selective>}, {"vera", make<Vera>},
      {"vpt", make<VisualPrompts>},   {"whole", make<Whole>},
  };
  return methods;
}

}  // namespace

std::unique_ptr<Method> make_method(const Model& model, MethodSpec spec) {
  if (spec.lanes.empty()) fail(Code::kArgument, "Expected at least one lane, got none.");
  const auto found = registry().find(spec.method);
  if (found == registry().end()) {
    std::string known;
    for (const auto& [name, unused] : registry()) known += (known.empty() ? "" : ", ") + name;
    fail(Code::kArgument, "Expected the method to be one of " + known + ", got `" + spec.method + "`.");
  }
  return found->second(model, std::move(spec));
}

}  // namespace cortune
