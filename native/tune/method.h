// A tuning method: the trained state of K lanes, and the effect it has on the model (Delta). Everything else
// about tuning (loop, optimiser, clipping, saving) is written once, over this contract. A new method is one
// file that implements it and one row in registry.cc.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../model/delta.h"
#include "../model/model.h"

namespace cortune {

// One lane as the user asked for it: the C++ twin of LaneSpec in lib/native/types.ts.
struct LaneSpec {
  double lr = 0;
  double weight_decay = 0;
  uint64_t seed = 0;
  int64_t rank = 0;
  double alpha = 0;
};

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Copies `tensors` over `into`, which are views; the same names and shapes, else kFormat.
void assign(const NamedTensors& tensors, const NamedTensors& into);

class Method : public Delta {
 public:
  explicit Method(std::vector<LaneSpec> lanes) : lanes_(std::move(lanes)) {}

  int64_t lanes() const override { return static_cast<int64_t>(lanes_.size()); }
  void check(const Parameters& parameters) const override;
  const std::vector<LaneSpec>& specs() const { return lanes_; }

  // What is trained: leaf tensors [K, ...], gradients wanted.
  virtual std::vector<at::Tensor> trainable() const = 0;
  // Views of one lane's tensors under the names that PEFT (or, for whole weights, transformers) saves them.
  virtual NamedTensors state(int64_t lane) const = 0;
  // The reverse, for a method of one lane; throws kFormat naming what is missing, too much or of another
  // shape.
  void load(const NamedTensors& tensors) { assign(tensors, state(0)); }
  // Every lane begins where the one lane of `from` stands (same method, targets and rank, else kFormat).
  void start_from(const Method& from);
  int64_t bytes() const;

 protected:
  // A base parameter that the method changes or reads; remembers its shape for `check`.
  const at::Tensor& attach(const Model& model, const std::string& parameter);

  std::vector<LaneSpec> lanes_;

 private:
  std::map<std::string, std::vector<int64_t>> attached_;
};

// `targets`: names of linear modules (adapters) or of parameters (whole weights), all present in the model.
std::unique_ptr<Method> make_method(const std::string& name, const Model& model, std::vector<LaneSpec> lanes,
                                    const std::vector<std::string>& targets);

}  // namespace cortune
