// Responses in memory.
#include "responses.h"

#include <algorithm>

#include "check.h"

namespace cortune {
namespace {

class InMemory : public Responses {
 public:
  explicit InMemory(const at::Tensor& values) : values_(values) {}
  int64_t rows() const override { return values_.size(0); }
  int64_t targets() const override { return values_.size(1); }

  at::Tensor read(const std::vector<int64_t>& rows, int64_t from, int64_t to) const override {
    const int64_t n = static_cast<int64_t>(rows.size()), width = to - from;
    auto out = at::empty({width, n}, at::kFloat);
    std::vector<const float*> starts(n);
    for (int64_t i = 0; i < n; ++i) starts[i] = values_.data_ptr<float>() + rows[i] * targets() + from;
    transpose_rows(starts.data(), n, width, out.data_ptr<float>(), n);
    return out;
  }

 private:
  at::Tensor values_;
};

}  // namespace

std::shared_ptr<const Responses> responses_in_memory(const at::Tensor& values) {
  if (values.dim() != 2 || values.numel() == 0)
    fail(Code::kArgument, "Expected responses [rows, targets], none of them 0");
  check_finite(values, "responses", {"row", "column"});
  return std::make_shared<InMemory>(values);
}

void transpose_rows(const float* const* rows, int64_t count, int64_t width, float* out, int64_t stride) {
  constexpr int64_t kBlock = 16;  // a cache line of the output
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t block = std::min(kBlock, count - first);
    for (int64_t j = 0; j < width; ++j)
      for (int64_t i = 0; i < block; ++i) out[j * stride + first + i] = rows[first + i][j];
  }
}

}  // namespace cortune
