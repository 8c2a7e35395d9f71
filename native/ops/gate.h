// Activations and gated activations with their backward passes (native/kernels/gate.h).
#pragma once
#include <string>

#include "../pch.h"

namespace cortune {

// f(x) or, with `up` defined, f(x) * up; f is silu, gelu, gelu_tanh or relu (else kConfig). Takes over x and
// up: their values are gone once the backward pass has run.
at::Tensor gate(const std::string& activation, const at::Tensor& x, const at::Tensor& up = {});

}  // namespace cortune
