// Norms on CUDA: a block a row, sums meet in shared memory; gradients of weights a thread a channel.
#include "cuda_block.h"
#include "norm.h"

namespace cortune {
namespace {

__global__ void forward_rows(const float* x, const float* weight, const float* bias, float eps, float* y,
                             float* mean, float* inverse, NormShape s) {
  const int64_t row = blockIdx.x, at = row * s.channels, own = row / s.rows * s.weight_stride;
  float sum = 0;
  if (bias)
    for (int64_t c = threadIdx.x; c < s.channels; c += kBlock) sum += x[at + c];
  const float m = bias ? block_sum(sum) / static_cast<float>(s.channels) : 0.0f;
  float squares = 0;
  for (int64_t c = threadIdx.x; c < s.channels; c += kBlock) squares += (x[at + c] - m) * (x[at + c] - m);
  const float total = block_sum(squares);
  const float i = rsqrtf(total / static_cast<float>(s.channels) + eps) + total * 0.0f;
  for (int64_t c = threadIdx.x; c < s.channels; c += kBlock)
    y[at + c] = norm_value(x[at + c], m, i, weight[own + c], bias ? bias[own + c] : 0.0f);
  if (threadIdx.x > 0) return;
  inverse[row] = i;
  if (mean) mean[row] = m;
}

__global__ void backward_rows(const float* x, const float* dy, const float* weight, const float* mean,
                              const float* inverse, float* dx, NormShape s) {
  const int64_t row = blockIdx.x, at = row * s.channels, own = row / s.rows * s.weight_stride;
  const float m = mean ? mean[row] : 0.0f, i = inverse[row];
  float g = 0, gh = 0;
  for (int64_t c = threadIdx.x; c < s.channels; c += kBlock) {
    g += dy[at + c] * weight[own + c];
    gh += dy[at + c] * weight[own + c] * (x[at + c] - m) * i;
  }
  const float mean_g = mean ? block_sum(g) / static_cast<float>(s.channels) : 0.0f;
  const float mean_gh = block_sum(gh) / static_cast<float>(s.channels);
  for (int64_t c = threadIdx.x; c < s.channels; c += kBlock)
    dx[at + c] = norm_gradient(x[at + c], m, i, dy[at + c], weight[own + c], mean_g, mean_gh);
}

__global__ void backward_weights(const float* x, const float* dy, const float* mean, const float* inverse,
                                 float* dweight, float* dbias, NormShape s) {
  const int64_t c = int64_t{blockIdx.x} * kBlock + threadIdx.x, lane = blockIdx.y;
  if (c >= s.channels) return;
  float weight = 0, bias = 0;
  for (int64_t row = lane * s.rows; row < (lane + 1) * s.rows; ++row) {
    const float d = dy[row * s.channels + c];
    weight += d * (x[row * s.channels + c] - (mean ? mean[row] : 0.0f)) * inverse[row];
    bias += d;
  }
  dweight[lane * s.channels + c] += weight;
  if (dbias) dbias[lane * s.channels + c] += bias;
}

}  // namespace

void norm_cuda(const float* x, const float* weight, const float* bias, double eps, float* y, float* mean,
               float* inverse, const NormShape& s, void* stream) {
  const auto rows = static_cast<unsigned>(s.lanes * s.rows);
  if (rows == 0) return;
  forward_rows<<<rows, kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
      x, weight, bias, static_cast<float>(eps), y, mean, inverse, s);
}

void norm_backward_cuda(const float* x, const float* dy, const float* weight, const float* mean,
                        const float* inverse, float* dx, float* dweight, float* dbias, const NormShape& s,
                        void* stream) {
  const auto rows = static_cast<unsigned>(s.lanes * s.rows);
  if (rows == 0) return;
  const auto queue = static_cast<cudaStream_t>(stream);
  if (dx) backward_rows<<<rows, kBlock, 0, queue>>>(x, dy, weight, mean, inverse, dx, s);
  const dim3 columns(static_cast<unsigned>((s.channels + kBlock - 1) / kBlock),
                     static_cast<unsigned>(s.lanes));
  if (dweight) backward_weights<<<columns, kBlock, 0, queue>>>(x, dy, mean, inverse, dweight, dbias, s);
}

}  // namespace cortune
