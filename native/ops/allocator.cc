// A CPU allocator over malloc that aligns by itself.
#include "allocator.h"

#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstdlib>

#include "../error.h"

namespace cortune {
namespace {

constexpr size_t kAlignment = 64;  // libtorch's own: a cache line, and AVX-512's width

// What malloc gave stands right before the aligned data.
void*& origin_of(void* data) { return static_cast<void**>(data)[-1]; }

void release(void* data) {
  if (!data) return;
  c10::profiledCPUMemoryReporter().Delete(data);
  std::free(origin_of(data));
}

class ReusingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    void* origin = std::malloc(size + kAlignment + sizeof(void*));
    if (!origin)
      fail(Code::kMemory,
           "Expected " + std::to_string(size) +
               " more bytes of memory, and there are none. Take fewer lanes or a smaller batch.");
    const auto after = reinterpret_cast<uintptr_t>(origin) + sizeof(void*);
    auto* data = reinterpret_cast<void*>((after + kAlignment - 1) / kAlignment * kAlignment);
    origin_of(data) = origin;
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
  // Never destroyed: tensors may outlive everything else at exit.
  static auto* const allocator = new ReusingAllocator();
  c10::SetCPUAllocator(allocator, 1);
}

}  // namespace cortune
