// llama.cpp's block formats, back to float32: the arithmetic of ggml's reference, bit for bit.
#pragma once
#include <cstdint>

#include "io/header.h"

namespace cortune {

// Whole blocks, `blocks` of them, from `in` (any alignment) to `out`. `kind` must be one of the kQ* kinds.
void dequantize(Kind kind, const uint8_t* in, float* out, int64_t blocks);

}  // namespace cortune
