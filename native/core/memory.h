#pragma once

#include <cstdint>

namespace ilr {

// Bytes that one runtime's tensors hold, and the most they held since reset_peak.
class MemoryCounter {
 public:
  virtual ~MemoryCounter() = default;
  virtual int64_t bytes() const = 0;
  virtual int64_t peak_bytes() const = 0;
  virtual void reset_peak() = 0;
};

}  // namespace ilr
