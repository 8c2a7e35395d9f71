// Watching the allocator during small passes.
#include "footprint.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "forward.h"

namespace cortune {
namespace {

// Moments that a pass is divided into: a few for each operation of a block would be more than enough.
constexpr size_t kMoments = 128;
constexpr int64_t kSequences = 4;

// Bytes held after each allocation and release of this thread.
class Watch : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    held_ += size;
    history_.push_back(held_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  // The most that was held in each of kMoments equal parts of the history.
  std::vector<double> moments() const {
    std::vector<double> most(kMoments, 0);
    for (size_t i = 0; i < history_.size(); ++i) {
      auto& moment = most[i * kMoments / history_.size()];
      moment = std::max(moment, static_cast<double>(history_[i]));
    }
    return most;
  }

 private:
  int64_t held_ = 0;
  std::vector<int64_t> history_;
};

// kSequences sequences of `length` tokens, the last of each labelled.
Examples examples_of(const Model& model, bool of_tokens, int64_t length) {
  Examples examples;
  examples.images = model.blank_image(length);
  for (int64_t b = 0; b < kSequences; ++b) {
    examples.sequences.emplace_back(length, 0);
    std::vector<float> labels(of_tokens ? length : 1, of_tokens ? -1.0f : 0.0f);
    labels.back() = 0;
    examples.labels.push_back(std::move(labels));
  }
  return examples;
}

std::vector<double> watch_pass(const Model& model, LaneSet& set, const Objective& objective, int64_t length,
                               bool checkpointing, const Task& task) {
  const auto examples = examples_of(model, objective.of_tokens(), length);
  std::vector<float> labels;
  for (const auto& own : examples.labels) labels.insert(labels.end(), own.begin(), own.end());
  const auto watch = std::make_shared<Watch>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, watch);
    at::AutoGradMode with_grad(true);
    set.set_training(true);
    const auto pass = model.pass(examples.sequences, &set, false, examples.images);
    const auto scored = objective.select(model, pass, labels);
    objective.loss(model, pass, run_blocks(model, pass, checkpointing, task), scored).sum().backward();
    set.set_training(false);
  }
  for (const auto& each : set.trainable()) each.value.mutable_grad() = at::Tensor();
  return watch->moments();
}

}  // namespace

Footprint footprint(const Model& model, const MethodSpec& spec, const std::string& objective, int64_t outputs,
                    bool checkpointing, bool alone, const Task& task) {
  Footprint result;
  const int64_t length = std::max(
      model.shortest(), std::min<int64_t>(16, std::max<int64_t>(2, model.config().max_positions / 4)));
  result.tokens = kSequences * length;
  result.live.resize(4 * kMoments);
  for (const int64_t lanes : {1, 2}) {
    if (alone && lanes == 2) break;
    // Methods side by side: some options hold values of each of a method's lanes.
    LaneSet set(model, std::vector<MethodSpec>(lanes, spec), outputs);
    const auto scored = make_objective(objective, set.head());
    scored->check(model);
    if (lanes == 1) {
      result.state = set.bytes();
      for (const auto& each : set.trainable()) result.trained += static_cast<int64_t>(each.value.nbytes());
    }
    for (const int64_t times : {1, 2}) {
      const auto moments = watch_pass(model, set, *scored, times * length, checkpointing, task);
      std::copy(moments.begin(), moments.end(),
                result.live.begin() + static_cast<int64_t>(((times - 1) * 2 + lanes - 1) * kMoments));
    }
  }
  if (alone)  // two lanes: twice of everything
    for (const int64_t times : {0, 1})
      std::transform(
          result.live.begin() + 2 * times * kMoments, result.live.begin() + (2 * times + 1) * kMoments,
          result.live.begin() + (2 * times + 1) * kMoments, [](double bytes) { return 2 * bytes; });
#if defined(__GLIBC__)
  malloc_trim(0);  // what the small passes took must not count as in use
#endif
  return result;
}

}  // namespace cortune
