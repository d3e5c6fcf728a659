#include "abort.h"

#include <utility>

#include "error.h"

namespace ilr {
namespace {

thread_local const std::atomic<bool>* current_flag = nullptr;
thread_local std::function<void(const char*)> current_probe;

[[noreturn]] void throw_aborted() { throw Error("ILR_ABORTED", "the work was aborted"); }

}  // namespace

AbortScope::AbortScope(const std::atomic<bool>* flag) : outer_(current_flag) {
  if (flag != nullptr) current_flag = flag;
}

AbortScope::~AbortScope() { current_flag = outer_; }

void throw_if_aborted(const char* place) {
  if (current_probe) current_probe(place);
  if (AbortFlag().is_set()) throw_aborted();
}

void throw_if_aborted(const Control& control) {
  if (control.abort != nullptr && control.abort->load(std::memory_order_relaxed)) throw_aborted();
}

AbortFlag::AbortFlag() : flag_(current_flag) {}

void set_abort_probe(std::function<void(const char*)> probe) { current_probe = std::move(probe); }

}  // namespace ilr
