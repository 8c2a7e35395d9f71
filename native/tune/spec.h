// What a caller asks of a tuning method: the C++ twin of MethodSpec in lib/native/types.ts.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../error.h"

namespace cortune {

// One lane.
struct LaneSpec {
  double lr = 0;
  double weight_decay = 0;
  uint64_t seed = 0;
  std::map<std::string, double> options;  // what lanes of one method may differ in, such as rank and alpha

  double number(const std::string& key) const {
    const auto found = options.find(key);
    if (found == options.end()) fail(Code::kArgument, "Expected every lane to have `" + key + "`, got none.");
    return found->second;
  }
  double number(const std::string& key, double otherwise) const {
    const auto found = options.find(key);
    return found == options.end() ? otherwise : found->second;
  }
};

// What all lanes of a method have in common.
struct MethodOptions {
  std::map<std::string, double> numbers;  // flags are 0 or 1
  std::map<std::string, std::string> texts;
  std::map<std::string, std::vector<double>> lists;
  std::map<std::string, std::vector<std::string>> names;

  double number(const std::string& key, double otherwise) const {
    const auto found = numbers.find(key);
    return found == numbers.end() ? otherwise : found->second;
  }
  bool flag(const std::string& key) const { return number(key, 0) != 0; }
  std::string text(const std::string& key, const std::string& otherwise) const {
    const auto found = texts.find(key);
    return found == texts.end() ? otherwise : found->second;
  }
  const std::vector<double>* list(const std::string& key) const {
    const auto found = lists.find(key);
    return found == lists.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names_of(const std::string& key) const {
    const auto found = names.find(key);
    return found == names.end() ? std::vector<std::string>() : found->second;
  }
};

// Some lanes of one method with the same targets.
struct MethodSpec {
  std::string method;
  std::vector<std::string> targets;  // linear modules (adapters) or parameters (whole weights) of the model
  MethodOptions options;
  std::vector<LaneSpec> lanes;
};

}  // namespace cortune
