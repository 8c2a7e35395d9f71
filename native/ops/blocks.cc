// Blocks by mmap (POSIX).
#include "blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace cortune {
namespace {

// A block may be this much larger than asked, as a share.
constexpr size_t kWaste = 8;

// Sizes go in steps, so that what is nearly of a size can take its place.
constexpr size_t kStep = size_t{256} << 10;

size_t rounded(size_t size) { return (size + kStep - 1) / kStep * kStep; }

void* map(size_t size) {
  // A page more than asked, to cut an aligned part out of it.
  const size_t whole = size + Blocks::kPage;
  void* const area = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return nullptr;
  const auto start = reinterpret_cast<uintptr_t>(area);
  const auto aligned = (start + Blocks::kPage - 1) / Blocks::kPage * Blocks::kPage;
  if (aligned > start) munmap(area, aligned - start);
  const auto end = aligned + size;
  if (start + whole > end) munmap(reinterpret_cast<void*>(end), start + whole - end);
  auto* const block = reinterpret_cast<void*>(aligned);
#ifdef MADV_HUGEPAGE
  madvise(block, size, MADV_HUGEPAGE);  // a hint: refused is fine
#endif
  return block;
}

}  // namespace

void* Blocks::reuse(size_t size) {
  const auto found = by_size_.lower_bound(size);
  if (found == by_size_.end() || found->first > size + size / kWaste) return nullptr;
  const auto waiting = found->second;
  void* const block = waiting->block;
  used_[block] = waiting->size;
  in_use_ += waiting->size;
  held_ -= waiting->size;
  waiting_.erase(waiting);
  by_size_.erase(found);
  return block;
}

void Blocks::drop(Age::iterator waiting) {
  const auto same = by_size_.equal_range(waiting->size);
  by_size_.erase(
      std::find_if(same.first, same.second, [&](const auto& each) { return each.second == waiting; }));
  munmap(waiting->block, waiting->size);
  held_ -= waiting->size;
  waiting_.erase(waiting);
}

void Blocks::make_room(size_t size) {
  const size_t most = std::max(most_, in_use_ + size) + kSlack;
  while (!waiting_.empty() && in_use_ + held_ + size > most) drop(waiting_.begin());
}

void* Blocks::take(size_t asked) {
  const size_t size = rounded(asked);
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = reuse(size);
  if (!block) {
    make_room(size);
    block = map(size);
    if (!block && !waiting_.empty()) {
      while (!waiting_.empty()) drop(waiting_.begin());
      block = map(size);
    }
    if (!block) return nullptr;
    used_[block] = size;
    in_use_ += size;
  }
  most_ = std::max(most_, in_use_);
  return block;
}

void Blocks::give(void* block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto used = used_.find(block);
  const size_t size = used->second;
  used_.erase(used);
  in_use_ -= size;
  held_ += size;
  waiting_.push_back({size, block});
  by_size_.emplace(size, std::prev(waiting_.end()));
}

void Blocks::release() {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!waiting_.empty()) drop(waiting_.begin());
  most_ = in_use_;
}

}  // namespace cortune
