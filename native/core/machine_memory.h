#pragma once

#include <cstdint>

namespace ilr {

// Memory and swap of the machine, or of the container (cgroup) where that has less. Where neither tells: the largest number.
int64_t machine_bytes();
// What could still be had of it, the process's own limit (ulimit -v) included.
int64_t free_machine_bytes();

}  // namespace ilr
