// A CPU allocator: small tensors by malloc, aligned by ourselves, large ones from blocks that are reused.
#include "allocator.h"

#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstdlib>

#include "../error.h"
#include "blocks.h"

namespace cortune {
namespace {

constexpr size_t kAlignment = 64;  // libtorch's own: a cache line, and AVX-512's width

constexpr size_t kLarge = size_t{1} << 20;

// Never destroyed: tensors may outlive everything else at exit.
Blocks& blocks() {
  static auto* const all = new Blocks();
  return *all;
}

// What malloc gave stands right before the aligned data. Blocks are aligned to huge pages, and so is nothing
// that starts behind such a note.
void*& origin_of(void* data) { return static_cast<void**>(data)[-1]; }
bool is_block(void* data) { return reinterpret_cast<uintptr_t>(data) % Blocks::kPage == 0; }

void release(void* data) {
  if (!data) return;
  c10::profiledCPUMemoryReporter().Delete(data);
  if (is_block(data))
    blocks().give(data);
  else
    std::free(origin_of(data));
}

// Aligned, and never as a block is.
void* from_malloc(size_t size) {
  void* const origin = std::malloc(size + 2 * kAlignment + sizeof(void*));
  if (!origin) return nullptr;
  const auto after = reinterpret_cast<uintptr_t>(origin) + sizeof(void*);
  auto* data = reinterpret_cast<void*>((after + kAlignment - 1) / kAlignment * kAlignment);
  if (is_block(data)) data = static_cast<char*>(data) + kAlignment;
  origin_of(data) = origin;
  return data;
}

class ReusingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    void* const data = size < kLarge ? from_malloc(size) : blocks().take(size);
    if (!data)
      fail(Code::kMemory,
           "Expected " + std::to_string(size) +
               " more bytes of memory, and there are none. Take fewer lanes or a smaller batch.");
    c10::profiledCPUMemoryReporter().New(data, size);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
};

}  // namespace

void use_reusing_allocator() {
  static auto* const allocator = new ReusingAllocator();
  c10::SetCPUAllocator(allocator, 1);
}

void release_held_memory() { blocks().release(); }

}  // namespace cortune
