#include "gpu_memory.h"

#include <c10/core/CachingDeviceAllocator.h>

namespace ilr {
namespace {

class GpuMemory final : public MemoryCounter {
 public:
  explicit GpuMemory(int device_index) : index_(static_cast<c10::DeviceIndex>(device_index)) {}
  int64_t bytes() const override { return allocated().current; }
  int64_t peak_bytes() const override { return allocated().peak; }
  void reset_peak() override { allocator().resetPeakStats(index_); }

 private:
  static c10::DeviceAllocator& allocator() { return *c10::getDeviceAllocator(c10::kCUDA); }
  c10::CachingAllocator::Stat allocated() const {
    return allocator()
        .getDeviceStats(index_)
        .allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  }
  c10::DeviceIndex index_;
};

}  // namespace

std::unique_ptr<MemoryCounter> open_gpu_memory(int device_index) { return std::make_unique<GpuMemory>(device_index); }

}  // namespace ilr
