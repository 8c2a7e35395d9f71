// How LoRA's factors begin, as PEFT has it.
#pragma once
#include <string>

#include "../pch.h"

namespace cortune {

// Factors of one module and lane.
struct LowRank {
  at::Tensor a;  // [r, in]
  at::Tensor b;  // [out, r]
};

// Does the initialisation take the first factors' product away from the base, so that the model begins as it
// was?
bool takes_from_base(const std::string& init);

// default: A as nn.Linear (Kaiming uniform with a = sqrt(5), which is 1 / sqrt(in)), B zero. gaussian: A
// normal(0, 1 / r), B zero. orthogonal: random A and B whose product is zero; an even rank. pissa (Meng et
// al. 2024, arXiv:2404.02948): the first singular vectors of W; olora (Buyukakyuz 2024, arXiv:2406.01775):
// the first of its QR decomposition. Throws kArgument for another.
LowRank initial_factors(const std::string& init, const at::Tensor& weight, int64_t rank, double scale,
                        at::Generator draws);

}  // namespace cortune
