// Cross-entropy on CUDA: a block a row; maxima and sums meet in shared memory. NaN or infinite logits give a
// NaN loss.
#include <climits>

#include "cross_entropy.h"

namespace cortune {
namespace {

constexpr int kThreads = 256;

// Every thread's value joined by `join`; all threads get the result.
template <typename Value, typename Join>
__device__ Value across_block(Value value, Value* shared, Join join) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] = join(shared[threadIdx.x], shared[threadIdx.x + half]);
    __syncthreads();
  }
  const Value result = shared[0];
  __syncthreads();  // before the next use of `shared`
  return result;
}

__global__ void rows_kernel(float* logits, const int64_t* targets, double* losses, int64_t vocabulary,
                            bool with_gradient, float scale) {
  __shared__ double shared_sum[kThreads];
  __shared__ float shared_top[kThreads];
  float* row = logits + int64_t{blockIdx.x} * vocabulary;
  const int64_t target = targets[blockIdx.x];
  const float of_target = row[target];

  float top = row[0], zero = 0;
  for (int64_t i = threadIdx.x; i < vocabulary; i += kThreads) {
    top = fmaxf(top, row[i]);
    zero += row[i] * 0.0f;  // NaN when a logit is not finite, which fmaxf would hide
  }
  top = across_block(top, shared_top, [](float a, float b) { return fmaxf(a, b); });
  zero = across_block(zero, shared_top, [](float a, float b) { return a + b; });

  double sum = 0;
  for (int64_t i = threadIdx.x; i < vocabulary; i += kThreads) {
    const float e = exp_nonpositive(row[i] - top);
    sum += e;
    if (with_gradient) row[i] = e;
  }
  sum = across_block(sum, shared_sum, [](double a, double b) { return a + b; }) + zero;

  if (threadIdx.x == 0) losses[blockIdx.x] = log(sum) + top - of_target;
  if (!with_gradient) return;
  const float factor = static_cast<float>(scale / sum);
  for (int64_t i = threadIdx.x; i < vocabulary; i += kThreads)
    row[i] = row[i] * factor - (i == target ? scale : 0.0f);
}

}  // namespace

void cross_entropy_cuda(float* logits, const int64_t* targets, double* losses, int64_t rows,
                        int64_t vocabulary, bool with_gradient, float scale, void* stream) {
  for (int64_t start = 0; start < rows; start += INT_MAX) {
    const auto count = static_cast<unsigned>(rows - start < INT_MAX ? rows - start : INT_MAX);
    rows_kernel<<<count, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        logits + start * vocabulary, targets + start, losses + start, vocabulary, with_gradient, scale);
  }
}

}  // namespace cortune
