// Large blocks of memory, held for reuse after their release.
#pragma once
#include <cstddef>
#include <list>
#include <map>
#include <mutex>

namespace cortune {

// Blocks straight from the system, in huge pages where it has them. What is released waits for a request of
// about its size; what waits and what is in use together never exceed the most that was in use at once, by
// more than kSlack, so the peak of a process stays that of its tensors.
class Blocks {
 public:
  static constexpr size_t kPage = size_t{2} << 20;  // a huge page, to which blocks are aligned
  static constexpr size_t kSlack = 32 * kPage;

  // At least `size` bytes, or null when there are none.
  void* take(size_t size);
  void give(void* block);
  // Returns what waits to the system.
  void release();

 private:
  struct Waiting {
    size_t size;
    void* block;
  };
  using Age = std::list<Waiting>;  // the longest waiting first

  void* reuse(size_t size);
  void drop(Age::iterator waiting);
  void make_room(size_t size);

  std::mutex mutex_;
  std::map<void*, size_t> used_;
  Age waiting_;
  std::multimap<size_t, Age::iterator> by_size_;
  size_t in_use_ = 0, held_ = 0, most_ = 0;
};

}  // namespace cortune
