// Where tensors on the CPU get their memory.
#pragma once

namespace cortune {

// From now on tensors take memory that is given again to later tensors. libtorch asks the C library, which
// hands large blocks back to the system and takes them anew, zeroed page by page: a fifth of the time of a
// training step on long sequences; and glibc before 2.38 never fills holes between aligned blocks.
void use_reusing_allocator();

// Hands back to the system what is held for later tensors: for the end of a job.
void release_held_memory();

}  // namespace cortune
