// Norms on the CPU: a row at a time, SIMD along it, sums in the value's own type by as many partial sums as a
// register holds.
#include "norm.h"

#include <ATen/Parallel.h>

#include "vec.h"

namespace cortune {
namespace {

constexpr int64_t kGrain = 16;  // rows of one piece of work

template <typename T>
CORTUNE_BOTH void forward_row(const T* x, const T* weight, const T* bias, double eps, T* y, T& mean,
                              T& inverse, int64_t channels) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  mean = 0;
  int64_t c = 0;
  if (bias) {
    Vec<T> sum = {};
    for (; c + kStep <= channels; c += kStep) sum += load(x + c);
    T total = sum_of<T>(sum);
    for (; c < channels; ++c) total += x[c];
    mean = total / static_cast<T>(channels);
  }
  Vec<T> squares = {};
  for (c = 0; c + kStep <= channels; c += kStep) {
    const auto d = load(x + c) - mean;
    squares += d * d;
  }
  T total = sum_of<T>(squares);
  for (; c < channels; ++c) total += (x[c] - mean) * (x[c] - mean);
  // Squares that overflow would give 1 / inf = 0 and hide that the row is lost: 0 * inf is not a number.
  inverse = 1 / std::sqrt(total / static_cast<T>(channels) + static_cast<T>(eps)) + total * T(0);
  for (c = 0; c + kStep <= channels; c += kStep) {
    auto value = (load(x + c) - mean) * inverse * load(weight + c);
    if (bias) value += load(bias + c);
    store<T>(y + c, value);
  }
  for (; c < channels; ++c) y[c] = norm_value(x[c], mean, inverse, weight[c], bias ? bias[c] : T(0));
}

template <typename T>
CORTUNE_BOTH void backward_row(const T* x, const T* dy, const T* weight, T mean, T inverse, bool centred,
                               T* dx, int64_t channels) {
  constexpr int64_t kStep = VecOf<T>::kSize;
  Vec<T> sums = {}, products = {};
  int64_t c = 0;
  for (; c + kStep <= channels; c += kStep) {
    const auto g = load(dy + c) * load(weight + c);
    sums += g;
    products += g * (load(x + c) - mean);
  }
  T sum = sum_of<T>(sums), product = sum_of<T>(products);
  for (; c < channels; ++c) {
    sum += dy[c] * weight[c];
    product += dy[c] * weight[c] * (x[c] - mean);
  }
  const T mean_g = centred ? sum / static_cast<T>(channels) : T(0);
  const T mean_gh = product * inverse / static_cast<T>(channels);
  for (c = 0; c + kStep <= channels; c += kStep)
    store<T>(dx + c,
             inverse * (load(dy + c) * load(weight + c) - mean_g - (load(x + c) - mean) * inverse * mean_gh));
  for (; c < channels; ++c) dx[c] = norm_gradient(x[c], mean, inverse, dy[c], weight[c], mean_g, mean_gh);
}

// dweight += dy h, dbias += dy over the rows of one lane, for channels [from, to).
template <typename T>
CORTUNE_BOTH void weight_columns(const T* x, const T* dy, const T* mean, const T* inverse, T* dweight,
                                 T* dbias, int64_t rows, int64_t channels, int64_t from, int64_t to) {
  for (int64_t n = 0; n < rows; ++n) {
    const T m = mean ? mean[n] : T(0);
    for (int64_t c = from; c < to; ++c) {
      const T d = dy[n * channels + c];
      dweight[c] += d * (x[n * channels + c] - m) * inverse[n];
      if (dbias) dbias[c] += d;
    }
  }
}

CORTUNE_SIMD void forward_one(const float* x, const float* w, const float* b, double eps, float* y,
                              float& mean, float& inverse, int64_t channels) {
  forward_row(x, w, b, eps, y, mean, inverse, channels);
}
void forward_one(const double* x, const double* w, const double* b, double eps, double* y, double& mean,
                 double& inverse, int64_t channels) {
  forward_row(x, w, b, eps, y, mean, inverse, channels);
}
CORTUNE_SIMD void backward_one(const float* x, const float* dy, const float* w, float mean, float inverse,
                               bool centred, float* dx, int64_t channels) {
  backward_row(x, dy, w, mean, inverse, centred, dx, channels);
}
void backward_one(const double* x, const double* dy, const double* w, double mean, double inverse,
                  bool centred, double* dx, int64_t channels) {
  backward_row(x, dy, w, mean, inverse, centred, dx, channels);
}
CORTUNE_SIMD void weight_one(const float* x, const float* dy, const float* mean, const float* inverse,
                             float* dw, float* db, int64_t rows, int64_t channels, int64_t from, int64_t to) {
  weight_columns(x, dy, mean, inverse, dw, db, rows, channels, from, to);
}
void weight_one(const double* x, const double* dy, const double* mean, const double* inverse, double* dw,
                double* db, int64_t rows, int64_t channels, int64_t from, int64_t to) {
  weight_columns(x, dy, mean, inverse, dw, db, rows, channels, from, to);
}

}  // namespace

template <typename T>
void norm_cpu(const T* x, const T* weight, const T* bias, double eps, T* y, T* mean, T* inverse,
              const NormShape& s) {
  at::parallel_for(0, s.lanes * s.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t own = row / s.rows * s.weight_stride;
      T no_mean = 0;
      forward_one(x + row * s.channels, weight + own, bias ? bias + own : nullptr, eps, y + row * s.channels,
                  mean ? mean[row] : no_mean, inverse[row], s.channels);
    }
  });
}

template <typename T>
void norm_backward_cpu(const T* x, const T* dy, const T* weight, const T* mean, const T* inverse, T* dx,
                       T* dweight, T* dbias, const NormShape& s) {
  if (dx)
    at::parallel_for(0, s.lanes * s.rows, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        backward_one(x + row * s.channels, dy + row * s.channels, weight + row / s.rows * s.weight_stride,
                     mean ? mean[row] : T(0), inverse[row], mean != nullptr, dx + row * s.channels,
                     s.channels);
    });
  if (!dweight) return;
  constexpr int64_t kColumns = 128;  // of one piece of work
  const int64_t blocks = (s.channels + kColumns - 1) / kColumns;
  at::parallel_for(0, s.lanes * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t k = piece / blocks, from = piece % blocks * kColumns, row = k * s.rows;
      weight_one(x + row * s.channels, dy + row * s.channels, mean ? mean + row : nullptr, inverse + row,
                 dweight + k * s.channels, dbias ? dbias + k * s.channels : nullptr, s.rows, s.channels, from,
                 std::min(from + kColumns, s.channels));
    }
  });
}

template void norm_cpu(const float*, const float*, const float*, double, float*, float*, float*,
                       const NormShape&);
template void norm_cpu(const double*, const double*, const double*, double, double*, double*, double*,
                       const NormShape&);
template void norm_backward_cpu(const float*, const float*, const float*, const float*, const float*, float*,
                                float*, float*, const NormShape&);
template void norm_backward_cpu(const double*, const double*, const double*, const double*, const double*,
                                double*, double*, double*, const NormShape&);

}  // namespace cortune
