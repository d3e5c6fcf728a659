#include "gpu_packing.h"

#include <ATen/ops/from_blob.h>

#include <limits>
#include <memory>

#include "error.h"

namespace ilr::gpu {
namespace {

int32_t narrow(int64_t value) {
  if (value < 0 || value > std::numeric_limits<int32_t>::max()) {
    throw Error("ILR_UNSUPPORTED", "a packing or cache of " + std::to_string(value) +
                                       " rows is more than a GPU kernel counts; lower maxSlots or microBatchTokens");
  }
  return static_cast<int32_t>(value);
}

std::vector<int32_t> rows_to_segments(const Packing& packing) {
  std::vector<int32_t> segment_of(packing.ids.size(), -1);
  for (size_t s = 0; s < packing.segments.size(); ++s) {
    const Segment& segment = packing.segments[s];
    for (int64_t r = segment.q_begin; r < segment.q_begin + segment.q_len; ++r) {
      segment_of.at(static_cast<size_t>(r)) = static_cast<int32_t>(s);
    }
  }
  return segment_of;
}

std::vector<int32_t> segments_to_families(const Packing& packing) {
  std::vector<int32_t> family_of(packing.segments.size(), 0);
  for (int64_t f = 0; f < packing.families(); ++f) {
    for (int64_t s = packing.family_offsets[f]; s < packing.family_offsets[f + 1]; ++s) {
      family_of.at(static_cast<size_t>(s)) = static_cast<int32_t>(f);
    }
  }
  return family_of;
}

std::shared_ptr<const PackingOnDevice> copy_to(const Packing& packing, at::Device device) {
  const size_t rows = packing.ids.size();
  std::vector<int32_t> words(packing.positions);
  const std::vector<int32_t> row_segment = rows_to_segments(packing), family = segments_to_families(packing);
  words.insert(words.end(), row_segment.begin(), row_segment.end());
  const size_t offsets_at = words.size();
  for (const int64_t offset : packing.family_offsets) words.push_back(narrow(offset));
  const size_t segments_at = words.size();
  for (size_t s = 0; s < packing.segments.size(); ++s) {
    const Segment& g = packing.segments[s];
    narrow(g.own_begin + g.own_past + g.q_len);
    for (const int64_t value : {g.q_begin, g.q_len, g.prefix_begin, g.prefix_len, g.own_begin, g.own_past}) {
      words.push_back(narrow(value));
    }
    words.push_back(family[s]);
  }
  auto copy = std::make_shared<PackingOnDevice>();
  // One copy, which has ended when `words` goes; to the CPU (in tests) a clone.
  copy->words = at::from_blob(words.data(), {static_cast<int64_t>(words.size())}, at::kInt).clone().to(device);
  const int32_t* base = copy->words.const_data_ptr<int32_t>();
  copy->view = {base, base + rows, reinterpret_cast<const DeviceSegment*>(base + segments_at), base + offsets_at,
                narrow(static_cast<int64_t>(rows))};
  return copy;
}
static_assert(sizeof(DeviceSegment) == 7 * sizeof(int32_t));

}  // namespace

const DevicePacking& packing_on(const Packing& packing, at::Device device) {
  if (!packing.on_device || packing.on_device->words.device() != device) packing.on_device = copy_to(packing, device);
  return packing.on_device->view;
}

}  // namespace ilr::gpu
