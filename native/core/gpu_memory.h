#pragma once

#include <memory>

#include "memory.h"

namespace ilr {

// What LibTorch's allocator holds on a GPU, of all runtimes of the process together.
std::unique_ptr<MemoryCounter> open_gpu_memory(int device_index);

}  // namespace ilr
