// What a long computation is given: a way to say how far it is, and to stop when asked. Knows nothing of
// Node.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "error.h"

namespace cortune {

struct Progress {
  int64_t done = 0;
  int64_t total = 0;
  std::string stage;
  std::vector<double> values;
};

class Task {
 public:
  explicit Task(std::function<void(Progress)> report = {}) : report_(std::move(report)) {}
  // A part of `whole`, which ends with it.
  Task(const Task& whole, std::function<void(Progress)> report)
      : whole_(&whole), report_(std::move(report)) {}

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const {
    return cancelled_.load(std::memory_order_relaxed) || (whole_ && whole_->cancelled());
  }

  // Call between pieces of work of at most some 100 ms.
  void check() const {
    if (cancelled()) fail(Code::kCancelled, "Cancelled.");
  }
  // Reports progress (never blocks) and checks for cancellation.
  void progress(int64_t done, int64_t total, const std::string& stage,
                std::vector<double> values = {}) const {
    check();
    if (report_) report_({done, total, stage, std::move(values)});
  }

 private:
  std::atomic<bool> cancelled_{false};
  const Task* whole_ = nullptr;
  std::function<void(Progress)> report_;
};

}  // namespace cortune
