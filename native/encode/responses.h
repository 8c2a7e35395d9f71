// Responses [n, t], read a tile of targets at a time: from memory, or from a file that need not fit there.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace cortune {

class Responses {
 public:
  virtual ~Responses() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t targets() const = 0;
  // Targets [from, to) of some rows, as [to - from, rows] float32. From any thread. Fails when a value is not
  // finite.
  virtual at::Tensor read(const std::vector<int64_t>& rows, int64_t from, int64_t to) const = 0;
};

// `values` [n, t] float32, contiguous and finite.
std::shared_ptr<const Responses> responses_in_memory(const at::Tensor& values);

// rows: `count` pointers to `width` values each -> out [width, stride] from column 0 on.
void transpose_rows(const float* const* rows, int64_t count, int64_t width, float* out, int64_t stride);

}  // namespace cortune
