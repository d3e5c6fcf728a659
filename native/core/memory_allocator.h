#pragma once

#include "memory.h"

namespace ilr {

// A runtime's CPU memory: counted, and kept for reuse while the runtime lives. Installs the process's counting
// allocator once. The object goes with its runtime
// and the last tensor, which may outlive it.
class RuntimeMemory;
// limit_bytes: beyond it an allocation throws ILR_OUT_OF_MEMORY; 0: what the machine has.
RuntimeMemory* open_runtime_memory(int64_t limit_bytes);
MemoryCounter& counter_of(RuntimeMemory* memory);
void use_on_this_thread(RuntimeMemory* memory);
void close_runtime_memory(RuntimeMemory* memory);

}  // namespace ilr
