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

constexpr auto patience = std::chrono::seconds(5);

std::mutex mutex;
std::vector<std::weak_ptr<Environment>>& environments() {
  static auto* all = new std::vector<std::weak_ptr<Environment>>();  // outlives static destructors
  return *all;
}

void on_exit_event(Environment& environment) {
  environment.stop();
  if (environment.wait_until(std::chrono::steady_clock::now() + patience)) environment.close();
}

void on_process_exit(int status, void*) {
  const std::lock_guard lock(mutex);
  for (const auto& weak : environments()) {
    const auto environment = weak.lock();
    if (environment && environment->has_runtimes()) _exit(status);
  }
}

// Node closes an addon with the last worker_thread that loaded it; the handler above must stay where it is.
void pin_this_library() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&on_process_exit), &info) != 0) {
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

void install_handler() {
  pin_this_library();
  on_exit(on_process_exit, nullptr);
}

}  // namespace

void close_at_process_exit(Napi::Env env, const std::shared_ptr<Environment>& environment) {
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto listener = Napi::Function::New(
      env, [environment](const Napi::CallbackInfo&) { on_exit_event(*environment); }, "closeIlrNative");
  process.Get("once").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), listener});

  static std::once_flag installed;
  std::call_once(installed, install_handler);
  const std::lock_guard lock(mutex);
  std::erase_if(environments(), [](const auto& weak) { return weak.expired(); });
  environments().push_back(environment);
}

}  // namespace ilr::addon
