// Work shared out among threads so that its results do not depend on how many there are.
#pragma once
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>

namespace cortune {

// Calls fn(i) for each i in [0, count), each on one thread. Libraries called by `fn` see that they are in a
// parallel region and run on that thread alone: what fn(i) computes has the same bits for any number of
// threads.
template <typename Function>
void each(int64_t count, const Function& fn) {
  std::atomic<int64_t> next{0};
  // At least two shares: a single one would run outside of a parallel region.
  const int64_t shares = std::max<int64_t>(2, at::get_num_threads());
  at::parallel_for(0, shares, 1, [&](int64_t, int64_t) {
    const c10::InferenceMode inference;  // a mode belongs to its thread
    try {
      for (int64_t i = next++; i < count; i = next++) fn(i);
    } catch (...) {
      next = count;
      throw;
    }
  });
}

}  // namespace cortune
