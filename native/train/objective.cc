// The objectives: causal and masked language modelling, classes and values of sequences.
#include "objective.h"

#include <numeric>

#include "../error.h"
#include "loss.h"

namespace cortune {
namespace {

at::Tensor same_for_all(const Pass& pass, int64_t count) {
  return at::full({pass.lanes}, static_cast<double>(count), at::kDouble);
}

void check_tokens(const std::vector<int64_t>& targets, int64_t vocabulary) {
  for (const auto target : targets)
    if (target >= vocabulary)
      fail(Code::kArgument, "Expected `labels` to hold tokens below " + std::to_string(vocabulary) +
                                ", got " + std::to_string(target) + ".");
}

// All lanes at once where they share the projection, else one after the other.
template <typename Project>
Judged lane_by_lane(int64_t lanes, bool shared, const Project& project) {
  std::vector<at::Tensor> losses, said;
  for (int64_t k = 0; k < lanes; k += shared ? lanes : 1) {
    const auto part = project(k, shared ? lanes : 1);
    losses.push_back(part.losses);
    said.push_back(part.best);
  }
  return {at::cat(losses), at::cat(said)};
}

// Lanes that predict the same rows with the same weights.
struct Share {
  LaneRange lanes;
  int64_t prompt;
};

std::vector<Share> shares_of(const Pass& pass, bool shared_weight) {
  std::vector<Share> shares;
  for (int64_t k = 0; k < pass.lanes; ++k) {
    const int64_t prompt = pass.layout.counts.prompt(k);
    if (shared_weight && !shares.empty() && shares.back().prompt == prompt)
      ++shares.back().lanes.count;
    else
      shares.push_back({{k, 1}, prompt});
  }
  return shares;
}

class Causal : public Objective {
 public:
  void check(const Model& model) const override {
    if (model.head_weight().empty())
      fail(Code::kArgument,
           "Expected a causal model (llama, gpt2, neox, opt) for causal language modelling, got family `" +
               model.config().family + "`.");
  }
  bool of_tokens() const override { return true; }

  // Every labelled word is predicted by the row before it; the first of a sequence has one in lanes with a
  // prompt only.
  ScoredRows select(const Model& model, const Pass& pass, const std::vector<float>& labels) const override {
    const auto& layout = pass.layout;
    std::vector<int64_t> rows, targets, first_rows, first_targets, sequences;
    size_t label = 0;
    for (size_t number = 0; number < layout.words.size(); ++number) {
      const auto& words = layout.words[number];
      for (int64_t t = 0; t < words.length; ++t) {
        const float target = labels[label++];
        if (target < 0) continue;
        (t > 0 ? rows : first_rows).push_back(t > 0 ? words.row + t - 1 : row_before(layout, words));
        (t > 0 ? targets : first_targets).push_back(static_cast<int64_t>(target));
        if (t > 0) sequences.push_back(static_cast<int64_t>(number));
      }
    }
    const auto words = static_cast<int64_t>(rows.size());
    if (layout.prompt > 0) {
      rows.insert(rows.end(), first_rows.begin(), first_rows.end());
      targets.insert(targets.end(), first_targets.begin(), first_targets.end());
    }
    check_tokens(targets, model.config().vocab_size);
    auto counts = same_for_all(pass, words);
    for (int64_t k = 0; k < pass.lanes; ++k)
      if (layout.counts.prompt(k) > 0) counts[k] += static_cast<double>(first_rows.size());
    return {at::tensor(rows, at::kLong), at::tensor(targets, at::kLong), words, counts, std::move(sequences)};
  }

  at::Tensor loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                  const ScoredRows& scored) const override {
    const auto name = model.head_weight();
    const auto states = model.head_input(pass, finished).expand({pass.lanes, -1, -1});
    std::vector<at::Tensor> losses;
    for (const auto& [lanes, prompt] : shares_of(pass, pass.is_shared(name))) {
      auto rows = scored.rows;
      auto targets = scored.targets;
      if (prompt == 0) {
        rows = rows.narrow(0, 0, scored.words);
        targets = targets.narrow(0, 0, scored.words);
      } else if (pass.layout.counts.shared && prompt < pass.layout.prompt) {  // its last row lies further up
        rows = rows.clone();
        rows.narrow(0, scored.words, rows.size(0) - scored.words).fill_(prompt - 1);
      }
      const auto h = states.narrow(0, lanes.first, lanes.count).index_select(1, rows);  // [k, M, C]
      losses.push_back(projected_loss(h, pass.matrix(name, lanes.first), {}, targets, pass.half));
    }
    return losses.size() == 1 ? losses[0] : at::cat(losses);  // [K]
  }

  Judged judge(const Model& model, const Pass& pass, const at::Tensor& finished,
               const ScoredRows& scored) const override {
    const auto name = model.head_weight();
    const auto states = model.head_input(pass, finished).expand({pass.lanes, -1, -1});
    const auto rows = scored.rows.narrow(0, 0, scored.words);
    const auto targets = scored.targets.narrow(0, 0, scored.words);
    return lane_by_lane(pass.lanes, pass.is_shared(name), [&](int64_t first, int64_t count) {
      const auto h = states.narrow(0, first, count).index_select(1, rows);
      return projected_rows(h, pass.matrix(name, first), {}, targets, pass.half);
    });
  }

 private:
  // The last row of a prompt as the first words of a lane's sequences see it. Prompts of shared rows fill the
  // first of them, others lie right before their sequence.
  static int64_t row_before(const Layout& layout, const WordRows& words) {
    return layout.counts.shared ? layout.prompt - 1 : words.row - 1;
  }
};

// Devlin et al. 2019: the tokens that were hidden are predicted from both sides.
class Masked : public Objective {
 public:
  void check(const Model& model) const override {
    if (model.masked_weight().empty())
      fail(Code::kArgument, "Expected an encoder (bert) for masked language modelling, got family `" +
                                model.config().family + "`.");
  }
  bool of_tokens() const override { return true; }

  ScoredRows select(const Model& model, const Pass& pass, const std::vector<float>& labels) const override {
    std::vector<int64_t> rows, targets, sequences;
    size_t label = 0;
    for (size_t number = 0; number < pass.layout.words.size(); ++number) {
      const auto& words = pass.layout.words[number];
      for (int64_t t = 0; t < words.length; ++t) {
        const float target = labels[label++];
        if (target < 0) continue;
        rows.push_back(words.row + t);
        targets.push_back(static_cast<int64_t>(target));
        sequences.push_back(static_cast<int64_t>(number));
      }
    }
    check_tokens(targets, model.config().vocab_size);
    const auto count = static_cast<int64_t>(rows.size());
    return {at::tensor(rows, at::kLong), at::tensor(targets, at::kLong), count, same_for_all(pass, count),
            std::move(sequences)};
  }

  at::Tensor loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                  const ScoredRows& scored) const override {
    const auto weight = model.masked_weight(), bias = model.masked_bias();
    const auto states =
        model.masked_input(pass, finished.index_select(1, scored.rows)).expand({pass.lanes, -1, -1});
    const bool shared = pass.is_shared(weight) && pass.is_shared(bias);
    if (shared)
      return projected_loss(states, pass.matrix(weight, 0), pass.matrix(bias, 0), scored.targets, pass.half);
    std::vector<at::Tensor> losses;
    for (int64_t k = 0; k < pass.lanes; ++k)
      losses.push_back(projected_loss(states.narrow(0, k, 1), pass.matrix(weight, k), pass.matrix(bias, k),
                                      scored.targets, pass.half));
    return at::cat(losses);
  }

  Judged judge(const Model& model, const Pass& pass, const at::Tensor& finished,
               const ScoredRows& scored) const override {
    const auto weight = model.masked_weight(), bias = model.masked_bias();
    const auto states =
        model.masked_input(pass, finished.index_select(1, scored.rows)).expand({pass.lanes, -1, -1});
    const bool shared = pass.is_shared(weight) && pass.is_shared(bias);
    return lane_by_lane(pass.lanes, shared, [&](int64_t first, int64_t count) {
      return projected_rows(states.narrow(0, first, count), pass.matrix(weight, first),
                            pass.matrix(bias, first), scored.targets, pass.half);
    });
  }
};

// A number for each sequence, read from the state of the word that stands for it: the last that a causal
// model reads, the first of an encoder.
class OfSequences : public Objective {
 public:
  explicit OfSequences(std::shared_ptr<const Head> head) : head_(std::move(head)) {
    if (!head_) fail(Code::kArgument, "Expected lanes with a head for an objective of sequences, got none.");
  }
  void check(const Model&) const override {}
  bool of_tokens() const override { return false; }
  at::Tensor outputs(const Model& model, const Pass& pass, const at::Tensor& finished,
                     const ScoredRows& scored) const override {
    return head_->apply(model.pooled(pass, finished, scored.rows));
  }

 protected:
  ScoredRows scored(const Model& model, const Pass& pass, at::Tensor targets) const {
    std::vector<int64_t> rows;
    for (const auto& words : pass.layout.words)
      rows.push_back(Head::pools_first(model) ? words.row : words.row + words.length - 1);
    const auto count = static_cast<int64_t>(rows.size());
    std::vector<int64_t> sequences(rows.size());
    std::iota(sequences.begin(), sequences.end(), 0);
    return {at::tensor(rows, at::kLong), std::move(targets), count, same_for_all(pass, count),
            std::move(sequences)};
  }
  int64_t width() const { return head_->outputs(); }

 private:
  std::shared_ptr<const Head> head_;
};

class Classes : public OfSequences {
 public:
  using OfSequences::OfSequences;
  ScoredRows select(const Model& model, const Pass& pass, const std::vector<float>& labels) const override {
    std::vector<int64_t> classes;
    for (const auto label : labels) {
      if (!(label >= 0 && label < static_cast<float>(width())))
        fail(Code::kArgument,
             "Expected `labels` to hold classes from 0 to " + std::to_string(width() - 1) + ".");
      classes.push_back(static_cast<int64_t>(label));
    }
    return scored(model, pass, at::tensor(classes, at::kLong));
  }
  at::Tensor loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                  const ScoredRows& scored) const override {
    return chances(model, pass, finished, scored).first.mean(1);  // [K]
  }
  Judged judge(const Model& model, const Pass& pass, const at::Tensor& finished,
               const ScoredRows& scored) const override {
    const auto [losses, logits] = chances(model, pass, finished, scored);
    return {losses.to(at::kDouble), logits.argmax(-1)};
  }

 private:
  // Loss of each sequence [K, M], and the logarithms of all classes' probabilities [K, M, outputs].
  std::pair<at::Tensor, at::Tensor> chances(const Model& model, const Pass& pass, const at::Tensor& finished,
                                            const ScoredRows& scored) const {
    const auto logits = at::log_softmax(outputs(model, pass, finished, scored), -1);
    const auto index = scored.targets.view({1, -1, 1}).expand({pass.lanes, -1, 1});
    return {logits.gather(-1, index).squeeze(-1).neg(), logits};
  }
};

class Values : public OfSequences {
 public:
  using OfSequences::OfSequences;
  ScoredRows select(const Model& model, const Pass& pass, const std::vector<float>& labels) const override {
    return scored(model, pass, at::tensor(labels, at::kFloat));
  }
  at::Tensor loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                  const ScoredRows& scored) const override {
    const auto values = outputs(model, pass, finished, scored).squeeze(-1);  // [K, M]
    return (values - scored.targets).square().mean(1);
  }
  Judged judge(const Model& model, const Pass& pass, const at::Tensor& finished,
               const ScoredRows& scored) const override {
    const auto values = outputs(model, pass, finished, scored).squeeze(-1);
    return {(values - scored.targets).square().to(at::kDouble), values};
  }
};

}  // namespace

bool of_tokens(const std::string& name) {
  if (name == "causal" || name == "masked") return true;
  if (name == "classification" || name == "regression") return false;
  fail(Code::kArgument,
       "Expected the objective to be causal, masked, classification or regression, got `" + name + "`.");
}

std::unique_ptr<Objective> make_objective(const std::string& name, std::shared_ptr<const Head> head) {
  if (of_tokens(name)) {
    if (name == "causal") return std::make_unique<Causal>();
    return std::make_unique<Masked>();
  }
  if (name == "classification") return std::make_unique<Classes>(std::move(head));
  return std::make_unique<Values>(std::move(head));
}

}  // namespace cortune
