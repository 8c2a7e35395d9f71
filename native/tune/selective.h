// Whole weights of which a part learns at a time: modules, rows of matrices or single weights, chosen at
// random or by a score, anew in every round. Half fine-tuning (Hui et al. 2024, arXiv:2404.18466) is a rule
// on it: half of the attention's, of the feed-forward's and of the norms' modules of each block, at random.
#pragma once
#include "whole.h"

namespace cortune {

// Options: `share` of the units that learns; `every`: updates of a round, 0 for one round; `grain`: module,
// row or weight; `rule`: random, magnitude (|w|) or sensitivity (|w dL/dw|, by the gradient of the round's
// first update), the highest learn. For grain module, lists: `unit` of each target (-1 learns always),
// `group` of each unit and `kind` of each group: a share of each group learns, and of all groups of a kind
// together. List `rounds` instead gives it all: [rounds * targets], 1 for what learns; repeated from its
// start.
class Selective : public Whole {
 public:
  Selective(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<Selective>(*this); }

  at::Tensor parameter(const std::string& name) const override;
  void visit(const Visit& visit) override;
  void before_step(int64_t step, int64_t steps) override;
  void before_update(int64_t step, int64_t steps) override;

 protected:
  void keep_more(const std::vector<int64_t>& lanes) override;

 private:
  bool by_module() const { return spec_.options.text("grain", "module") == "module"; }
  bool by_gradient() const { return spec_.options.text("rule", "random") == "sensitivity"; }
  int64_t round_at(int64_t step) const;
  void choose();
  void choose_given(const std::vector<double>& rounds);
  // Units by kind and group.
  using Units = std::map<int64_t, std::vector<std::vector<int64_t>>>;
  std::vector<std::vector<double>> score_units(const std::vector<int64_t>& unit, size_t count);
  std::vector<int64_t> choose_units(const Units& units, const std::vector<double>& scores,
                                    at::Generator& draws) const;
  void choose_modules();
  void choose_weights();
  at::Tensor score(size_t target);  // [k, ...] as the target
  void select(size_t target, at::Tensor mask);

  std::vector<std::shared_ptr<Selection>> selections_;  // by target
  std::vector<at::Generator> draws_;                    // by lane
  int64_t round_ = -1;
  bool choosing_ = false;  // the gradients of this step decide
};

}  // namespace cortune
