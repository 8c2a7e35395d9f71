// A tuning method: the trained state of its k lanes, and the effects it declares to the model. Everything
// else about tuning (mixing methods in one pass, loop, optimiser, clipping, compaction, saving) is written
// once, over this contract. A new method is one file that implements it and one row in registry.cc.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../model/delta.h"
#include "../model/model.h"
#include "spec.h"

namespace cortune {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Copies `tensors` over `into`, which are views; the same names and shapes, else kFormat.
void assign(const NamedTensors& tensors, const NamedTensors& into);

// What of a trained tensor learns now. The optimiser begins anew (moments, time) with every round.
struct Selection {
  at::Tensor mask;  // [k, ...] 0 or 1, broadcast over the tensor; undefined when all of it learns
  int64_t round = 0;
};

// How the optimiser treats a trained tensor.
struct Training {
  double rate = 1;                             // times the lane's learning rate
  bool decays = true;                          // weight decay applies
  std::shared_ptr<const Selection> selection;  // null for all of it, always
};

// An update that has been made; the gradients are still there, not clipped.
struct Update {
  int64_t step;   // from 0
  int64_t steps;  // in all
  std::vector<double>
      clips;  // of each lane: what its gradients were multiplied with, 0 when it was not updated
};

class Method {
 public:
  explicit Method(MethodSpec spec) : spec_(std::move(spec)) {}
  virtual ~Method() = default;

  // The same with the same tensors, until one of the two keeps some lanes only.
  virtual std::unique_ptr<Method> clone() const = 0;

  int64_t lanes() const { return static_cast<int64_t>(spec_.lanes.size()); }
  const MethodSpec& spec() const { return spec_; }
  void check(const Parameters& parameters) const;

  // Effects. Lane ranges are counted from the method's first lane: {0, k}. Undefined or nothing for none.
  virtual at::Tensor parameter(const std::string& name) const;  // [k, ...]
  virtual std::optional<LinearEffect> linear(const std::string& module) const;
  virtual at::Tensor prompt() const;       // [k, P, C]
  virtual at::Tensor deep_prompt() const;  // [k, L - 1, P, C], beside prompt()
  virtual at::Tensor prefix() const;       // [k, P, 2 L, H_kv, D]
  // Added to the lanes' losses. [k]
  virtual at::Tensor penalty() const;

  // Every tensor [k, ...] of the method, by reference: the trained ones want a gradient, the others are
  // constants of the lanes. Counting, optimising and dropping lanes go through it.
  using Visit = std::function<void(at::Tensor& stack, const Training& training)>;
  virtual void visit(const Visit& visit) = 0;
  // Views of all of one lane's tensors, to save it and go on from it: under the names that PEFT (or, for
  // whole weights, transformers) saves them, or those of PEFT's modules where it saves what comes out of
  // them.
  virtual NamedTensors state(int64_t lane) const = 0;
  // What PEFT's file holds, where that is something else.
  virtual NamedTensors saved(int64_t lane) const { return state(lane); }

  // Called around every update, for schedules of rank or of selection: before the forward pass, when the
  // gradients are there, and after it. `step` counts from 0.
  virtual void before_step(int64_t step, int64_t steps);
  virtual void before_update(int64_t step, int64_t steps);
  virtual void after_step(const Update& update);
  // Dropout acts in training only.
  void set_training(bool on) { training_ = on; }

  // Goes on with these lanes only, in this order.
  void keep(const std::vector<int64_t>& lanes);
  int64_t bytes();

 protected:
  // A base parameter that the method changes or reads; remembers its shape for `check`.
  const at::Tensor& attach(const Model& model, const std::string& parameter);
  // The weight of linear module `module`; throws kNotFound when it is none.
  const at::Tensor& attach_linear(const Model& model, const std::string& module);
  // Lane `k` draws from its own seed, whatever it is packed with.
  at::Generator generator(int64_t k) const;
  // Constants of the lanes: [k, 1, 1] of `value(lane)`.
  at::Tensor per_lane(const std::function<double(const LaneSpec&)>& value) const;
  // Where `module` stands in the targets; -1 when it is none.
  int64_t target_index(const std::string& module) const;
  // Methods that hold more than tensors by lane (generators) drop them here.
  virtual void keep_more(const std::vector<int64_t>& lanes);

  MethodSpec spec_;
  bool training_ = false;

 private:
  std::map<std::string, std::vector<int64_t>> attached_;
};

// Throws kArgument for an unknown method, kNotFound for a target the model does not have.
std::unique_ptr<Method> make_method(const Model& model, MethodSpec spec);

}  // namespace cortune
