#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu_kernels.h"

namespace ilr {

namespace gpu {
struct PackingOnDevice;
}

// Sequences end to end, never padded: row r holds ids[r] at positions[r] and attends what its segment says.
// Segments that read the same key rows form a family: families share no keys, so their backward passes can run side by
// side. family_offsets: [families+1] into segments.
struct Packing {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<Segment> segments;
  std::vector<int64_t> family_offsets{0};
  // Kept by gpu_packing.h from the first layer to the last; a packing is whole before it is used.
  mutable std::shared_ptr<const gpu::PackingOnDevice> on_device;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t families() const { return static_cast<int64_t>(family_offsets.size()) - 1; }
  void close_family() { family_offsets.push_back(static_cast<int64_t>(segments.size())); }

  // Appends a sequence of its own, or one that goes on from a prefix already in the packing. Returns its first row.
  int64_t append(const int32_t* begin, int64_t length, int64_t prefix_begin = 0, int64_t prefix_len = 0) {
    const int64_t row = tokens();
    for (int64_t i = 0; i < length; ++i) {
      ids.push_back(begin[i]);
      positions.push_back(static_cast<int32_t>(prefix_len + i));
    }
    if (length > 0) segments.push_back({row, length, prefix_begin, prefix_len, row, 0});
    return row;
  }
};

}  // namespace ilr
