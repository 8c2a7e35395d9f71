// What the model asks of a tuning method while it runs: the effect it has on the model's parts. Effects are
// declared as data (scales, low-rank factors, own weights, virtual tokens), so that the model's layers do the
// arithmetic once for all methods, and one batch may mix them: each effect belongs to a range of lanes. The
// model knows nothing else of methods (they live in native/tune), and methods nothing of families: parts go
// by the names transformers gives them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "../pch.h"
#include "parameters.h"

namespace cortune {

// Lanes [first, first + count) of a pass.
struct LaneRange {
  int64_t first = 0;
  int64_t count = 1;
};

// A parameter that some lanes own instead of the base's.
struct OwnParameter {
  LaneRange lanes;
  at::Tensor value;  // [k, shape of the base's]
};

// The effect on one linear module, of k lanes. What is not defined is not there.
//   y = output_scale * (x' W^T + scale * drop(x') a^T b) + bias,  x' = input_scale * x
struct LinearEffect {
  LaneRange lanes;
  at::Tensor input_scale;  // [k, 1, in]
  at::Tensor a;            // [k, r, in]
  at::Tensor b;            // [k, r, out]: PEFT's B transposed, so that both factors are read along their rows
  at::Tensor scale;        // [k, 1, 1], constant
  at::Tensor output_scale;   // [k, 1, out]
  bool scales_bias = false;  // output_scale multiplies the bias too
  // What the low-rank path multiplies x with, for N rows of this pass: dropout's zeros and 1 / (1 - p).
  std::function<at::Tensor(int64_t rows)> dropout;  // -> [k, N, in]
};

// Tokens that are no words: states put before the words of every sequence, and keys and values of every layer
// put before those of every sequence. Lanes without have none.
struct Prompt {
  LaneRange lanes;
  at::Tensor tokens;  // [k, P, C]
  // Fresh states that take the place of the tokens' before every block but the first; undefined for none.
  at::Tensor deep;  // [k, L - 1, P, C]
};
struct Prefix {
  LaneRange lanes;
  at::Tensor states;  // [k, P, 2 L, H_kv, D]: key and value of layer 0, of layer 1, ...
};
struct VirtualTokens {
  std::vector<Prompt> prompts;
  std::vector<Prefix> prefixes;
};

class Delta {
 public:
  virtual ~Delta() = default;
  // K, the runs that share this pass.
  virtual int64_t lanes() const = 0;
  // Throws kArgument when the method was made for a model whose parts are others: its effect would be lost,
  // or wrong.
  virtual void check(const Parameters& parameters) const = 0;
  virtual std::vector<OwnParameter> parameter(const std::string& name) const = 0;
  virtual std::vector<LinearEffect> linear(const std::string& module) const = 0;
  // Asked once a pass.
  virtual VirtualTokens virtual_tokens() const = 0;
};

}  // namespace cortune
