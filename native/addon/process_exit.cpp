#include "process_exit.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <vector>

#include "environment.h"

namespace ilr::addon {
namespace {

std::mutex mutex;
std::vector<std::weak_ptr<Environment>>& environments() {
  static auto* all = new std::vector<std::weak_ptr<Environment>>();  // outlives static destructors
  return *all;
}

void on_process_exit(int status, void*) {
  const std::lock_guard lock(mutex);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (const auto& weak : environments()) {
    const auto environment = weak.lock();
    if (!environment) continue;
    environment->stop();
    if (!environment->wait_until(deadline)) _exit(status);
    environment->close();
  }
}

// Node closes an addon with the last worker_thread that loaded it; the handler above must stay where it is.
void pin_this_library() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&on_process_exit), &info) != 0) {
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

}  // namespace

void stop_at_process_exit(const std::weak_ptr<Environment>& environment) {
  const std::lock_guard lock(mutex);
  static const bool installed = [] {
    pin_this_library();
    return on_exit(on_process_exit, nullptr) == 0;
  }();
  (void)installed;
  auto& all = environments();
  std::erase_if(all, [](const auto& weak) { return weak.expired(); });
  all.push_back(environment);
}

}  // namespace ilr::addon
