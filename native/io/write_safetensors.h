// Writes safetensors files so that a file with the final name is always whole.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "task.h"

namespace cortune {

// Float32 tensors on the CPU, in the order given, and `__metadata__`. Written beside `path`, flushed to the
// disk, then renamed over it. On any failure (kIo: full disk, no permission; kCancelled) `path` is as it was
// and nothing is left behind.
void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const Task& task);

}  // namespace cortune
