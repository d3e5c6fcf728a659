#include "memory_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace ilr {
namespace {

// Blocks from 32 KB up are kept for reuse: glibc returns such blocks to the system, and the page faults of taking them
// back cost a tiny model half its time. Eight size classes per power of two waste at most an eighth.
constexpr size_t kSmallestCached = 32 << 10;
constexpr size_t kLargestCached = size_t{64} << 20;
constexpr size_t kMostCached = size_t{512} << 20;
constexpr size_t kClasses = 8 * 48;
constexpr size_t kAlignment = 64;

size_t class_of(size_t bytes) {
  const int top = std::bit_width(bytes - 1);  // bytes <= 2^top
  const size_t base = size_t{1} << (top - 1);
  const size_t step = base / 8;
  return static_cast<size_t>(top - 1) * 8 + (bytes - base - 1) / step;
}

size_t class_bytes(size_t index) {
  const size_t base = size_t{1} << (index / 8);
  return base + base / 8 * (index % 8 + 1);
}

}  // namespace

class RuntimeMemory final : public MemoryCounter {
 public:
  int64_t bytes() const override { return bytes_.load(std::memory_order_relaxed); }
  int64_t peak_bytes() const override { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() override { peak_.store(bytes_.load()); }

  void* take(size_t bytes) {
    void* block = nullptr;
    if (bytes >= kSmallestCached && bytes <= kLargestCached) {
      const size_t index = class_of(bytes);
      std::lock_guard lock(mutex_);
      auto& list = free_[index];
      if (!list.empty()) {
        block = list.back();
        list.pop_back();
        cached_ -= class_bytes(index);
      }
      bytes = class_bytes(index);
    }
    if (block == nullptr) block = c10::alloc_cpu(bytes);
    const int64_t now = bytes_.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
    int64_t peak = peak_.load();
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
    return block;
  }

  void give(void* block, size_t bytes) {
    if (bytes >= kSmallestCached && bytes <= kLargestCached) {
      const size_t index = class_of(bytes);
      bytes_.fetch_sub(static_cast<int64_t>(class_bytes(index)));
      std::lock_guard lock(mutex_);
      if (open_ && cached_ + class_bytes(index) <= kMostCached) {
        free_[index].push_back(block);
        cached_ += class_bytes(index);
        return;
      }
    } else {
      bytes_.fetch_sub(static_cast<int64_t>(bytes));
    }
    c10::free_cpu(block);
  }

  void close() {
    std::lock_guard lock(mutex_);
    open_ = false;
    for (auto& list : free_) {
      for (void* block : list) c10::free_cpu(block);
      list.clear();
    }
    cached_ = 0;
  }

 private:
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> peak_{0};
  std::mutex mutex_;
  std::array<std::vector<void*>, kClasses> free_;
  size_t cached_ = 0;
  bool open_ = true;
};

namespace {

thread_local RuntimeMemory* current_memory = nullptr;

// In front of every block: whose it is, so that it goes back there whichever thread frees it.
struct Header {
  RuntimeMemory* owner;
  size_t bytes;
};
static_assert(sizeof(Header) <= kAlignment);

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t n) override {
    if (n == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    if (n > SIZE_MAX - kAlignment) throw std::bad_alloc();
    const size_t bytes = n + kAlignment;
    RuntimeMemory* owner = current_memory;
    void* block = owner != nullptr ? owner->take(bytes) : c10::alloc_cpu(bytes);
    new (block) Header{owner, bytes};
    void* data = static_cast<char*>(block) + kAlignment;
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* dest, const void* src, std::size_t count) const override { std::memcpy(dest, src, count); }

 private:
  static void release(void* data) {
    if (data == nullptr) return;
    void* block = static_cast<char*>(data) - kAlignment;
    const Header header = *static_cast<Header*>(block);
    if (header.owner != nullptr) {
      header.owner->give(block, header.bytes);
    } else {
      c10::free_cpu(block);
    }
  }
};

}  // namespace

RuntimeMemory* open_runtime_memory() {
  static CountingAllocator allocator;
  static std::once_flag installed;
  std::call_once(installed, [] { c10::SetCPUAllocator(&allocator, 1); });
  return new RuntimeMemory();
}

MemoryCounter& counter_of(RuntimeMemory* memory) { return *memory; }
void use_on_this_thread(RuntimeMemory* memory) { current_memory = memory; }
void close_runtime_memory(RuntimeMemory* memory) { memory->close(); }

}  // namespace ilr
