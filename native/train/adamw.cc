// AdamW over pieces of parameters: clipping and coefficients of each lane; the update itself is
// native/kernels/adamw.h.
#include "adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "../error.h"
#include "../kernels/adamw.h"

namespace cortune {
namespace {

// Values of a piece: large enough to be worth a call, small enough that two threads share evenly.
constexpr int64_t kPiece = 1 << 14;

// Accumulators side by side, so that the loop becomes SIMD without reordering a sum.
CORTUNE_SIMD double sum_of_squares(const float* __restrict g, int64_t size) {
  constexpr int64_t kWide = 16;
  double sums[kWide] = {};
  int64_t i = 0;
  for (; i + kWide <= size; i += kWide)
    for (int64_t j = 0; j < kWide; ++j) sums[j] += static_cast<double>(g[i + j]) * g[i + j];
  double sum = 0;
  for (const auto part : sums) sum += part;
  for (; i < size; ++i) sum += static_cast<double>(g[i]) * g[i];
  return sum;
}

}  // namespace

// Neighbouring values of one lane's part of one tensor.
struct AdamW::Piece {
  float *p, *g, *m, *v;
  int64_t size;
  int64_t lane;
  double rate;
  double decay;
  int64_t time;       // updates of its tensor in this round, with this one
  const float* mask;  // 0 for values that stay as they are; null for none
};

AdamW::AdamW(std::vector<Trained> trained, AdamWOptions options)
    : trained_(std::move(trained)), options_(options) {
  for (const auto& each : trained_) {
    first_.push_back(at::zeros_like(each.value.detach(), at::MemoryFormat::Contiguous));
    second_.push_back(at::zeros_like(each.value.detach(), at::MemoryFormat::Contiguous));
  }
  rounds_.assign(trained_.size(), 0);
  begun_.assign(trained_.size(), 0);
}

// What is selected anew begins as if it had never been trained.
void AdamW::begin_rounds() {
  for (size_t i = 0; i < trained_.size(); ++i) {
    const auto& selection = trained_[i].training.selection;
    if (!selection || selection->round == rounds_[i]) continue;
    rounds_[i] = selection->round;
    begun_[i] = steps_;
    first_[i].zero_();
    second_[i].zero_();
  }
}

std::vector<AdamW::Piece> AdamW::pieces(const std::vector<LaneStep>& lanes) {
  std::vector<Piece> list;
  for (size_t i = 0; i < trained_.size(); ++i) {
    const auto& each = trained_[i];
    if (!each.value.grad().defined()) continue;
    each.value.mutable_grad() = each.value.grad().contiguous();
    const int64_t count = each.value.size(0), size = each.value.numel() / count;
    const auto mask = each.training.selection ? each.training.selection->mask : at::Tensor();
    const bool whole = !mask.defined() || mask.numel() == count;
    if (!whole) each.value.mutable_grad().mul_(mask);
    for (int64_t k = 0; k < count; ++k) {
      const auto& lane = lanes[each.lanes.first + k];
      if (!lane.active || (whole && mask.defined() && mask[k].item<float>() == 0)) continue;
      for (int64_t at = k * size; at < (k + 1) * size; at += kPiece)
        list.push_back({each.value.data_ptr<float>() + at, each.value.grad().data_ptr<float>() + at,
                        first_[i].data_ptr<float>() + at, second_[i].data_ptr<float>() + at,
                        std::min(kPiece, (k + 1) * size - at), each.lanes.first + k,
                        lane.rate * each.training.rate, each.training.decays ? lane.decay : 0,
                        steps_ - begun_[i], whole ? nullptr : mask.data_ptr<float>() + at});
    }
  }
  return list;
}

// Each piece is summed by one thread and pieces in order, so the result does not depend on the number of
// threads.
std::vector<double> AdamW::norms(const std::vector<Piece>& pieces, int64_t lanes) const {
  std::vector<double> squares(pieces.size());
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) squares[i] = sum_of_squares(pieces[i].g, pieces[i].size);
  });
  std::vector<double> norms(lanes, 0);
  for (size_t i = 0; i < pieces.size(); ++i) norms[pieces[i].lane] += squares[i];
  for (auto& norm : norms) norm = std::sqrt(norm);
  return norms;
}

void AdamW::update(const std::vector<Piece>& pieces, const std::vector<double>& clips) const {
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto& piece = pieces[i];
      if (clips[piece.lane] == 0) continue;
      const auto time = static_cast<double>(piece.time);
      const double first = 1 - std::pow(options_.beta1, time);
      const double second = 1 / std::sqrt(1 - std::pow(options_.beta2, time));
      const std::vector<float> before(piece.mask ? piece.p : nullptr,
                                      piece.mask ? piece.p + piece.size : nullptr);
      const AdamWCoefficients c{static_cast<float>(1 - piece.rate * piece.decay),
                                static_cast<float>(clips[piece.lane]),
                                static_cast<float>(options_.beta1),
                                static_cast<float>(options_.beta2),
                                static_cast<float>(piece.rate / first),
                                static_cast<float>(second),
                                static_cast<float>(options_.eps)};
      adamw_cpu(piece.p, piece.g, piece.m, piece.v, piece.size, c);
      for (size_t j = 0; j < before.size(); ++j)
        if (piece.mask[j] == 0) piece.p[j] = before[j];
    }
  });
}

std::vector<double> AdamW::step(const std::vector<LaneStep>& lanes) {
  at::NoGradGuard no_grad;
  begin_rounds();
  ++steps_;
  const auto list = pieces(lanes);
  const auto lengths = norms(list, static_cast<int64_t>(lanes.size()));
  // torch.nn.utils.clip_grad_norm_ for each lane by itself: min(1, clip / (norm + 1e-6)). 0 for no update.
  std::vector<double> clips(lanes.size(), 0);
  for (size_t k = 0; k < lanes.size(); ++k) {
    if (!lanes[k].active || !std::isfinite(lengths[k])) continue;
    clips[k] = lanes[k].scale;
    if (options_.clip > 0) clips[k] *= std::min(1.0, options_.clip / (lengths[k] * lanes[k].scale + 1e-6));
  }
  update(list, clips);
  return clips;
}

void AdamW::forget_gradients() {
  for (const auto& each : trained_) each.value.mutable_grad() = at::Tensor();
}

void AdamW::keep(std::vector<Trained> trained, const std::vector<int64_t>& lanes) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> first, second;
  std::vector<int64_t> rounds, begun;
  for (size_t i = 0; i < trained_.size(); ++i) {
    std::vector<int64_t> places;
    const auto& range = trained_[i].lanes;
    for (const auto lane : lanes)
      if (lane >= range.first && lane < range.first + range.count) places.push_back(lane - range.first);
    if (places.empty()) continue;
    const auto index = at::tensor(places, at::kLong);
    first.push_back(first_[i].index_select(0, index));
    second.push_back(second_[i].index_select(0, index));
    rounds.push_back(rounds_[i]);
    begun.push_back(begun_[i]);
  }
  bool same = first.size() == trained.size();
  for (size_t i = 0; same && i < first.size(); ++i) same = first[i].sizes() == trained[i].value.sizes();
  if (!same) fail(Code::kInternal, "Expected the tensors of the lanes that go on, got others.");
  first_ = std::move(first);
  second_ = std::move(second);
  rounds_ = std::move(rounds);
  begun_ = std::move(begun);
  trained_ = std::move(trained);
}

}  // namespace cortune
