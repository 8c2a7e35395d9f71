// P-tuning (Liu et al. 2021, arXiv:2103.10385): a prompt that a small network makes of trained embeddings.
#pragma once
#include "encoder.h"
#include "method.h"

namespace cortune {

// Options: `tokens` P; `encoder`: mlp (three linear layers with ReLU between) or lstm (`layers` of them, both
// directions, then two linear layers); `hidden` size. Lanes: `dropout`, between the layers of the LSTM.
class PTuning : public Method {
 public:
  PTuning(const Model& model, MethodSpec spec);
  std::unique_ptr<Method> clone() const override { return std::make_unique<PTuning>(*this); }

  at::Tensor prompt() const override;
  void visit(const Visit& visit) override;
  NamedTensors state(int64_t lane) const override;
  // The prompt alone, as PEFT keeps it.
  NamedTensors saved(int64_t lane) const override;

 protected:
  void keep_more(const std::vector<int64_t>& lanes) override;

 private:
  void add_lstm(int64_t width, int64_t hidden, int64_t layers, std::vector<at::Generator>& draws);
  at::Tensor run_lstm(const at::Tensor& x) const;

  Encoder parts_;  // embedding, and the linear layers by PEFT's names
  // Of each layer and direction: input weights, state weights, and the bias of each, as at::lstm takes them.
  std::vector<std::pair<std::string, at::Tensor>> lstm_;  // [k, ...]
  int64_t hidden_ = 0, layers_ = 0;
  std::vector<at::Generator> drops_;
};

}  // namespace cortune
