// Operations with a backward pass written by hand: the forward pass computes without autograd, then records
// what its gradient is.
#pragma once
#include <functional>
#include <vector>

#include "../pch.h"

namespace cortune {

using Tensors = std::vector<at::Tensor>;

// Which inputs' gradients are asked for.
using Wanted = std::vector<bool>;
// From the gradients of the outputs (undefined for an output nothing depends on) to those of the inputs;
// those not wanted may stay undefined.
using Backward = std::function<Tensors(Tensors& gradients, const Wanted& wanted)>;

// Is a gradient of any of them asked for? Undefined ones count as none.
bool needs_gradient(const Tensors& inputs);

// Makes fresh `outputs` (computed from `inputs` under NoGradGuard) part of the graph; they are returned as
// they are when no input needs a gradient. What `backward` captured is freed once it has run.
Tensors record(const Tensors& inputs, Tensors outputs, Backward backward);
at::Tensor record(const Tensors& inputs, at::Tensor output, Backward backward);

}  // namespace cortune
