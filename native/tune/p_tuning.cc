// P-tuning: its two encoders.
#include "p_tuning.h"

#include <cmath>

namespace cortune {

PTuning::PTuning(const Model& model, MethodSpec spec) : Method(std::move(spec)) {
  const auto tokens = static_cast<int64_t>(spec_.options.number("tokens", 0));
  if (tokens < 1)
    fail(Code::kArgument, "Expected `tokens` to be at least 1, got " + std::to_string(tokens) + ".");
  const int64_t width = attach(model, model.word_table()).size(1);
  hidden_ = static_cast<int64_t>(spec_.options.number("hidden", 0));
  if (hidden_ < 1)
    fail(Code::kArgument, "Expected `hidden` to be at least 1, got " + std::to_string(hidden_) + ".");
  std::vector<at::Generator> draws;
  for (int64_t k = 0; k < lanes(); ++k) draws.push_back(generator(k));
  drops_ = draws;
  parts_.add_embedding(tokens, width, draws);
  if (spec_.options.text("encoder", "mlp") == "lstm") {
    add_lstm(width, hidden_, static_cast<int64_t>(spec_.options.number("layers", 2)), draws);
    parts_.add_linear("mlp_head.0", 2 * hidden_, 2 * hidden_, draws);
    parts_.add_linear("mlp_head.2", 2 * hidden_, width, draws);
  } else {
    parts_.add_linear("mlp_head.0", width, hidden_, draws);
    parts_.add_linear("mlp_head.2", hidden_, hidden_, draws);
    parts_.add_linear("mlp_head.4", hidden_, width, draws);
  }
}

// As nn.LSTM draws it: uniform within 1 / sqrt(hidden).
void PTuning::add_lstm(int64_t width, int64_t hidden, int64_t layers, std::vector<at::Generator>& draws) {
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  layers_ = layers;
  for (int64_t layer = 0; layer < layers; ++layer)
    for (const auto* direction : {"", "_reverse"}) {
      const auto end = "_l" + std::to_string(layer) + direction;
      const int64_t in = layer == 0 ? width : 2 * hidden;
      lstm_.emplace_back("weight_ih" + end, draw_uniform({4 * hidden, in}, bound, draws));
      lstm_.emplace_back("weight_hh" + end, draw_uniform({4 * hidden, hidden}, bound, draws));
      lstm_.emplace_back("bias_ih" + end, draw_uniform({4 * hidden}, bound, draws));
      lstm_.emplace_back("bias_hh" + end, draw_uniform({4 * hidden}, bound, draws));
    }
}

// x [k, P, C] -> [k, P, 2 hidden]. Layer by layer, so that each lane can draw its own dropout between them.
at::Tensor PTuning::run_lstm(const at::Tensor& x) const {
  std::vector<at::Tensor> outputs;
  for (int64_t k = 0; k < lanes(); ++k) {
    auto h = x[k].unsqueeze(0);  // [1, P, C]
    const double drop = training_ ? spec_.lanes[k].number("dropout", 0) : 0;
    for (int64_t layer = 0; layer < layers_; ++layer) {
      std::vector<at::Tensor> weights;
      for (int64_t i = 0; i < 8; ++i) weights.push_back(lstm_[8 * layer + i].second[k]);
      const auto start = at::zeros({2, 1, hidden_}, at::kFloat);
      h = std::get<0>(
          at::lstm(h, {start, start}, weights, true, 1, 0.0, false, true, true));  // [1, P, 2 hidden]
      if (drop > 0 && layer + 1 < layers_)
        h = h * at::empty_like(h).bernoulli_(1 - drop, drops_[k]).div_(1 - drop);
    }
    outputs.push_back(h);
  }
  return at::cat(outputs, 0);
}

at::Tensor PTuning::prompt() const {
  if (!lstm_.empty()) {
    const auto h = parts_.linear("mlp_head.0", run_lstm(parts_.embedding()));
    return parts_.linear("mlp_head.2", at::relu(h));
  }
  const auto h = at::relu(parts_.linear("mlp_head.0", parts_.embedding()));
  return parts_.linear("mlp_head.4", at::relu(parts_.linear("mlp_head.2", h)));
}

void PTuning::visit(const Visit& visit) {
  parts_.visit(visit);
  for (auto& [name, weight] : lstm_) visit(weight, {});
}

void PTuning::keep_more(const std::vector<int64_t>& lanes) {
  std::vector<at::Generator> drops;
  for (const auto lane : lanes) drops.push_back(drops_[lane]);
  drops_ = std::move(drops);
}

NamedTensors PTuning::state(int64_t lane) const {
  NamedTensors list;
  parts_.append_state(list, lane);
  for (const auto& [name, weight] : lstm_)
    list.emplace_back("prompt_encoder.lstm_head." + name, weight.detach()[lane]);
  return list;
}

NamedTensors PTuning::saved(int64_t lane) const {
  at::NoGradGuard no_grad;
  return {{"prompt_embeddings", prompt()[lane]}};
}

}  // namespace cortune
