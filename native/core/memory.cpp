#include "memory_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "error.h"
#include "machine_memory.h"

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

Error out_of_memory(size_t asked, int64_t held, int64_t free, const char* where) {
  const auto mb = [](auto bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
    return std::string(text);
  };
  return Error("ILR_OUT_OF_MEMORY", "out of memory: asked for " + mb(asked) + " beside the " + mb(held) +
                                        " that this runtime holds, but " + mb(free) + " were free " + where);
}

}  // namespace

class RuntimeMemory final : public MemoryCounter {
 public:
  explicit RuntimeMemory(int64_t limit) : limit_(limit) {}
  int64_t bytes() const override { return bytes_.load(std::memory_order_relaxed); }
  int64_t peak_bytes() const override { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() override { peak_.store(bytes_.load()); }

  void* take(size_t bytes) {
    void* block = nullptr;
    const size_t asked = bytes;
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
    if (block == nullptr) block = allocate(bytes, asked);
    users_.fetch_add(1);
    const int64_t now = bytes_.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
    int64_t peak = peak_.load();
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
    return block;
  }

  void give(void* block, size_t bytes) {
    keep_or_free(block, bytes);
    drop();
  }

  // The runtime ends: nothing is kept for reuse any more. The object goes with the last tensor.
  void close() {
    {
      std::lock_guard lock(mutex_);
      open_ = false;
      release_cached();
    }
    malloc_trim(0);  // glibc keeps what small blocks left behind in the arena of a thread that has ended
    drop();
  }

 private:
  void keep_or_free(void* block, size_t bytes) {
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

  // A block from the system. What is kept for reuse goes back to it before memory is said to be out.
  void* allocate(size_t bytes, size_t asked) {
    std::unique_lock lock(mutex_);
    const int64_t wanted = static_cast<int64_t>(std::min<size_t>(bytes, INT64_MAX / 2));
    if (bytes_.load() + static_cast<int64_t>(cached_) > limit_ - wanted) release_cached();
    const int64_t held = bytes_.load();
    if (held > limit_ - wanted) throw out_of_memory(asked, held, std::max<int64_t>(0, limit_ - held), "below its limit");
    lock.unlock();
    try {
      return c10::alloc_cpu(bytes);
    } catch (const c10::Error&) {
      lock.lock();
      release_cached();
      lock.unlock();
    }
    try {
      return c10::alloc_cpu(bytes);
    } catch (const c10::Error&) {
      throw out_of_memory(asked, held, free_machine_bytes(), "on this machine");
    }
  }

  // With the mutex held.
  void release_cached() {
    for (auto& list : free_) {
      for (void* block : list) c10::free_cpu(block);
      list.clear();
    }
    cached_ = 0;
  }

  void drop() {
    if (users_.fetch_sub(1) == 1) delete this;
  }

  const int64_t limit_;
  std::atomic<int64_t> users_{1};  // the runtime and each block
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

RuntimeMemory* open_runtime_memory(int64_t limit_bytes) {
  static CountingAllocator allocator;
  static std::once_flag installed;
  std::call_once(installed, [] { c10::SetCPUAllocator(&allocator, 1); });
  return new RuntimeMemory(limit_bytes > 0 ? limit_bytes : machine_bytes());
}

MemoryCounter& counter_of(RuntimeMemory* memory) { return *memory; }
void use_on_this_thread(RuntimeMemory* memory) { current_memory = memory; }
void close_runtime_memory(RuntimeMemory* memory) { memory->close(); }

}  // namespace ilr
