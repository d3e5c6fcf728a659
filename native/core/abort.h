#pragma once

#include <atomic>
#include <functional>

#include "types.h"

namespace ilr {

// The flag that ends the work of this thread while the scope lives; null leaves the one outside in force. The seam opens one
// for every job, so that what is deep inside (a layer, its backward pass, a block of a file) can look without being handed it.
class AbortScope {
 public:
  explicit AbortScope(const std::atomic<bool>* flag);
  ~AbortScope();
  AbortScope(const AbortScope&) = delete;
  AbortScope& operator=(const AbortScope&) = delete;

 private:
  const std::atomic<bool>* outer_;
};

// Error ILR_ABORTED where the flag of this thread's scope is set. It stands wherever work goes on: before each matrix product
// and between its blocks, between blocks of attention, of weights that are read, drawn or written. `place` is for tests.
void throw_if_aborted(const char* place);
void throw_if_aborted(const Control& control);

// For loops that other threads run: those look here, end early, and the thread of the scope throws afterwards.
class AbortFlag {
 public:
  AbortFlag();  // of this thread's scope
  bool is_set() const { return flag_ != nullptr && flag_->load(std::memory_order_relaxed); }

 private:
  const std::atomic<bool>* flag_;
};

// Called at every throw_if_aborted(place) of this thread, for tests: they abort at a place and count what comes after.
void set_abort_probe(std::function<void(const char* place)> probe);

}  // namespace ilr
