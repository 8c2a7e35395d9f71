// Where tensors on the CPU get their memory.
#pragma once

namespace cortune {

// From now on tensors take memory that the C library can give again to a tensor of the same size. libtorch
// asks for aligned memory instead, whose holes glibc before 2.38 never fills with a request of the same size:
// the peak of a training step then lies up to 1.7 times higher.
void use_reusing_allocator();

}  // namespace cortune
