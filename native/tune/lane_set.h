// All lanes of one batch: methods side by side, each with a range of lanes, as the one Delta the model sees;
// and the lanes' heads, where a sequence objective trains them.
#pragma once
#include "head.h"
#include "method.h"

namespace cortune {

// A trained tensor of some lanes.
struct Trained {
  LaneRange lanes;
  at::Tensor value;  // [k, ...], a leaf
  Training training;
};

class LaneSet : public Delta {
 public:
  // Lanes count through the methods in their order.
  // `outputs` of a head for sequences; 0 for none.
  LaneSet(const Model& model, std::vector<MethodSpec> specs, int64_t outputs = 0);

  int64_t lanes() const override;
  void check(const Parameters& parameters) const override;
  std::vector<OwnParameter> parameter(const std::string& name) const override;
  std::vector<LinearEffect> linear(const std::string& module) const override;
  VirtualTokens virtual_tokens() const override;

  const LaneSpec& spec(int64_t lane) const;
  // Null without one.
  const std::shared_ptr<Head>& head() const { return head_; }
  std::vector<Trained> trainable() const;
  // Added to the lanes' losses; undefined for none. [K]
  at::Tensor penalty() const;
  void before_step(int64_t step, int64_t steps);
  void before_update(int64_t step, int64_t steps);
  void after_step(const Update& update);
  void set_training(bool on);

  // Views of one lane's tensors, and what of them is written to files (see Method).
  NamedTensors state(int64_t lane) const;
  NamedTensors saved(int64_t lane) const;
  // The reverse; throws kFormat naming what is missing, too much or of another shape.
  void load(int64_t lane, const NamedTensors& tensors) { assign(tensors, state(lane)); }
  // Every lane begins where the one lane of `from` stands (same method, targets and rank, else kFormat), with
  // its head if it has one.
  void start_from(const LaneSet& from);
  // A set of its own of these lanes, where they stand.
  LaneSet part(const LaneRange& range) const;
  // Goes on with these lanes only; they must be ascending.
  void keep(const std::vector<int64_t>& lanes);
  int64_t bytes() const;

 private:
  struct Part {
    std::unique_ptr<Method> method;
    LaneRange lanes;
  };
  LaneSet() = default;
  const Part& part_of(int64_t lane) const;
  void number_lanes();

  std::vector<Part> parts_;
  std::shared_ptr<Head> head_;
};

}  // namespace cortune
