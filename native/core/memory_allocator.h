#pragma once

#include "memory.h"

namespace ilr {

// A runtime's CPU memory: counted, and kept for reuse while the runtime lives. Installs the process's counting
// allocator once. The object itself is never freed, because a tensor may outlive its runtime.
class RuntimeMemory;
RuntimeMemory* open_runtime_memory();
MemoryCounter& counter_of(RuntimeMemory* memory);
void use_on_this_thread(RuntimeMemory* memory);
void close_runtime_memory(RuntimeMemory* memory);

}  // namespace ilr
