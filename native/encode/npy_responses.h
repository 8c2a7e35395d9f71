// Responses in a NumPy .npy file, read piece by piece: memory does not grow with the file.
#pragma once
#include <string>

#include "responses.h"

namespace cortune {

// A matrix [n, t] of float32 or float64, either byte order, C or Fortran order. Values become float32. The
// file is read, not mapped: one that shrinks or is replaced while in use ends in an error, never in a signal.
// Fails with kNotFound, kIo, kFormat (no .npy, truncated) or kData (another type or rank).
std::shared_ptr<const Responses> responses_in_npy(const std::string& path);

}  // namespace cortune
