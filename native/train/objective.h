// What a run learns: which rows of a pass are scored, through which head, by which loss. The loop knows no
// more of it than this contract.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../model/layout.h"
#include "../model/model.h"
#include "../tune/head.h"

namespace cortune {

// Sequences and what is to be learnt of each: `labels` hold a number a token (token objectives: the token
// that is to be predicted in its place, negative for none) or a number a sequence (class, or value).
struct Examples {
  std::vector<std::vector<int32_t>> sequences;
  std::vector<std::vector<float>> labels;
  std::shared_ptr<const Images> images = nullptr;  // that sequences name; null for texts
};

// The rows of a pass that are scored, and against what.
struct ScoredRows {
  at::Tensor rows;     // [M] int64
  at::Tensor targets;  // [M] int64 (tokens, classes) or float32 (values)
  // How many of the first rows lanes without a prompt have: the others are what a prompt's last row predicts.
  int64_t words = 0;
  at::Tensor counts;               // [K] float64: rows that each lane has
  std::vector<int64_t> sequences;  // [M] whose rows they are: places in the pass
};

// What was said of each of the first rows, which all lanes have: its loss, and the token, class or value
// itself.
struct Judged {
  at::Tensor losses;  // [K, words] float64
  at::Tensor said;    // [K, words] int64 (tokens, classes) or float32 (values)
};

class Objective {
 public:
  virtual ~Objective() = default;
  // Throws kArgument when the model has not what it takes.
  virtual void check(const Model& model) const = 0;
  // Does a label belong to each token, or to each sequence?
  virtual bool of_tokens() const = 0;
  // `labels` of the pass's sequences, one after the other.
  virtual ScoredRows select(const Model& model, const Pass& pass, const std::vector<float>& labels) const = 0;
  // Mean loss of each lane over its scored rows. [K], differentiable in what is trained.
  virtual at::Tensor loss(const Model& model, const Pass& pass, const at::Tensor& finished,
                          const ScoredRows& scored) const = 0;
  // The same row by row; not differentiable.
  virtual Judged judge(const Model& model, const Pass& pass, const at::Tensor& finished,
                       const ScoredRows& scored) const = 0;
  // Outputs of the head for each sequence; undefined for objectives of tokens. [K, M, outputs]
  virtual at::Tensor outputs(const Model& model, const Pass& pass, const at::Tensor& finished,
                             const ScoredRows& scored) const {
    (void)model, (void)pass, (void)finished, (void)scored;
    return {};
  }
};

// Do the targets of the objective called `name` belong to tokens (else to sequences)? Throws kArgument for
// another name.
bool of_tokens(const std::string& name);

// causal: cross-entropy of the tokens that rows predict through the vocabulary projection. masked: the same
// through BERT's masked-token head. classification: cross-entropy of a sequence's class; regression: squared
// error of its value; both through `head`.
std::unique_ptr<Objective> make_objective(const std::string& name, std::shared_ptr<const Head> head);

}  // namespace cortune
