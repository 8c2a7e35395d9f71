// llama.cpp's block formats, back to float32: the arithmetic of ggml's reference, bit for bit. Each format's
// layout stands above its function; f16 scales are exact in float32, and every value is one product, or a
// product and a sum, rounded each: this file is compiled without contraction to fused multiply-add.
#include "io/dequant.h"

#include <bit>
#include <cstring>

namespace cortune {
namespace {

float half(const uint8_t* in) {
  uint16_t bits;
  std::memcpy(&bits, in, 2);
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1F;
  const uint32_t mantissa = bits & 0x3FF;
  if (exponent == 0) {  // subnormal: mantissa * 2^-24, exact
    const float value = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | mantissa << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

int low(uint8_t byte) { return byte & 0x0F; }
int high(uint8_t byte) { return byte >> 4; }

// Q4_0: f16 d, 16 bytes of nibbles (low: numbers 0-15, high: 16-31). x = d * (q - 8).
void q4_0(const uint8_t* in, float* out) {
  const float d = half(in);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(in[2 + i]) - 8);
    out[i + 16] = d * static_cast<float>(high(in[2 + i]) - 8);
  }
}

// Q4_1: f16 d, f16 m, nibbles. x = d * q + m.
void q4_1(const uint8_t* in, float* out) {
  const float d = half(in);
  const float m = half(in + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(in[4 + i])) + m;
    out[i + 16] = d * static_cast<float>(high(in[4 + i])) + m;
  }
}

// Q5_0: f16 d, 32 fifth bits, nibbles. x = d * (q - 16).
void q5_0(const uint8_t* in, float* out) {
  const float d = half(in);
  uint32_t fifth;
  std::memcpy(&fifth, in + 2, 4);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((low(in[6 + i]) | static_cast<int>(fifth >> i & 1) << 4) - 16);
    out[i + 16] =
        d * static_cast<float>((high(in[6 + i]) | static_cast<int>(fifth >> (i + 16) & 1) << 4) - 16);
  }
}

// Q5_1: f16 d, f16 m, 32 fifth bits, nibbles. x = d * q + m.
void q5_1(const uint8_t* in, float* out) {
  const float d = half(in);
  const float m = half(in + 2);
  uint32_t fifth;
  std::memcpy(&fifth, in + 4, 4);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low(in[8 + i]) | static_cast<int>(fifth >> i & 1) << 4) + m;
    out[i + 16] = d * static_cast<float>(high(in[8 + i]) | static_cast<int>(fifth >> (i + 16) & 1) << 4) + m;
  }
}

// Q8_0: f16 d, 32 int8. x = d * q.
void q8_0(const uint8_t* in, float* out) {
  const float d = half(in);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(in[2 + i])) * d;
}

// Eight 6-bit scales and minima in 12 bytes (Q4_K, Q5_K): the first four whole in bytes 0-3 and 4-7, the last
// four with their low nibbles in bytes 8-11 and their top two bits above the first four.
void scale_min(const uint8_t* in, int group, int* scale, int* minimum) {
  if (group < 4) {
    *scale = in[group] & 0x3F;
    *minimum = in[group + 4] & 0x3F;
  } else {
    *scale = low(in[group + 4]) | (in[group - 4] >> 6) << 4;
    *minimum = high(in[group + 4]) | (in[group] >> 6) << 4;
  }
}

// Q4_K: f16 d, f16 dmin, 12 bytes of scales, 128 bytes of nibbles; 8 groups of 32. x = (d * s) * q - dmin *
// m.
void q4_k(const uint8_t* in, float* out) {
  const uint8_t* nibbles = in + 16;
  for (int group = 0; group < 8; ++group) {
    int scale = 0;
    int minimum = 0;
    scale_min(in + 4, group, &scale, &minimum);
    const float d = half(in) * static_cast<float>(scale);
    const float m = half(in + 2) * static_cast<float>(minimum);
    const uint8_t* bytes = nibbles + 32 * (group / 2);
    for (int i = 0; i < 32; ++i)
      out[32 * group + i] = d * static_cast<float>(group % 2 == 0 ? low(bytes[i]) : high(bytes[i])) - m;
  }
}

// Q5_K: as Q4_K, with 32 bytes of fifth bits (bit g of byte i: number i of group g) before the nibbles.
void q5_k(const uint8_t* in, float* out) {
  const uint8_t* fifth = in + 16;
  const uint8_t* nibbles = in + 48;
  for (int group = 0; group < 8; ++group) {
    int scale = 0;
    int minimum = 0;
    scale_min(in + 4, group, &scale, &minimum);
    const float d = half(in) * static_cast<float>(scale);
    const float m = half(in + 2) * static_cast<float>(minimum);
    const uint8_t* bytes = nibbles + 32 * (group / 2);
    for (int i = 0; i < 32; ++i) {
      const int q = (group % 2 == 0 ? low(bytes[i]) : high(bytes[i])) | (fifth[i] >> group & 1) << 4;
      out[32 * group + i] = d * static_cast<float>(q) - m;
    }
  }
}

// Q6_K: 128 bytes of low nibbles, 64 bytes of top bits, 16 int8 scales, f16 d; two halves of four rows of 32.
// x = (d * s) * (q - 32), a scale for each 16 numbers.
void q6_k(const uint8_t* in, float* out) {
  const float d = half(in + 208);
  const uint8_t* scales = in + 192;
  for (int row = 0; row < 8; ++row) {
    const uint8_t* nibbles = in + 64 * (row / 4) + 32 * (row % 2);
    const uint8_t* top = in + 128 + 32 * (row / 4);
    for (int i = 0; i < 32; ++i) {
      const int q = (row % 4 < 2 ? low(nibbles[i]) : high(nibbles[i])) | (top[i] >> 2 * (row % 4) & 3) << 4;
      const float scale = d * static_cast<float>(static_cast<int8_t>(scales[2 * row + i / 16]));
      out[32 * row + i] = scale * static_cast<float>(q - 32);
    }
  }
}

template <void (*Block)(const uint8_t*, float*), int kBytes, int kNumbers>
void run(const uint8_t* in, float* out, int64_t blocks) {
  for (int64_t block = 0; block < blocks; ++block) Block(in + block * kBytes, out + block * kNumbers);
}

}  // namespace

void dequantize(Kind kind, const uint8_t* in, float* out, int64_t blocks) {
  switch (kind) {
    case Kind::kQ4_0:
      return run<q4_0, 18, 32>(in, out, blocks);
    case Kind::kQ4_1:
      return run<q4_1, 20, 32>(in, out, blocks);
    case Kind::kQ5_0:
      return run<q5_0, 22, 32>(in, out, blocks);
    case Kind::kQ5_1:
      return run<q5_1, 24, 32>(in, out, blocks);
    case Kind::kQ8_0:
      return run<q8_0, 34, 32>(in, out, blocks);
    case Kind::kQ4_K:
      return run<q4_k, 144, 256>(in, out, blocks);
    case Kind::kQ5_K:
      return run<q5_k, 176, 256>(in, out, blocks);
    case Kind::kQ6_K:
      return run<q6_k, 210, 256>(in, out, blocks);
    default:
      return;
  }
}

}  // namespace cortune
