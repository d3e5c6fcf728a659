#include "runtime.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/Parallel.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "error.h"
#include "gpu_memory.h"
#include "memory_allocator.h"

namespace ilr {

struct Runtime::State {
  std::string device;
  int threads = 1;
  RuntimeMemory* memory = nullptr;
  std::unique_ptr<MemoryCounter> gpu_memory;  // where the device is a GPU
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> jobs;
  bool closing = false;
  std::thread worker;

  // A long-lived thread: a new one per call would rebuild its OpenMP team and lose thread-local state.
  void work() {
    use_on_this_thread(memory);
    // The first parallel loop of a thread takes over the number that another runtime set last. It is got over with before
    // our own is set; the program and LibTorch may each have a flag of it.
    at::internal::lazy_init_num_threads();
    at::get_num_threads();
    at::set_num_threads(threads);
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return closing || !jobs.empty(); });
        if (closing) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      job();
    }
  }
};

namespace {

void check_device(const std::string& device) {
  if (device == "cpu") return;
  if (device.rfind("cuda", 0) != 0) {
    throw Error("ILR_INVALID_ARGUMENT", "device: expected cpu, cuda or cuda:N, got \"" + device + "\"");
  }
  const int gpus = at::globalContext().hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
  if (gpus == 0) {
    throw Error("ILR_UNSUPPORTED",
                "device " + device + ": this LibTorch sees no CUDA device; use --device cpu, or see `ilr-native doctor`");
  }
  if (at::Device(device).index() >= gpus) {
    throw Error("ILR_INVALID_ARGUMENT", "device " + device + ": expected a number below " + std::to_string(gpus) +
                                            ", the number of GPUs that LibTorch sees");
  }
}

// cuda is cuda:0: every tensor of the runtime then lies on the same, named device.
std::string whole_name(const std::string& device) { return device == "cuda" ? "cuda:0" : device; }

}  // namespace

Runtime::Runtime(const RuntimeOptions& options) : state_(std::make_unique<State>()) {
  check_device(options.device);
  if (options.threads < 0 || options.threads > 1024) {
    throw Error("ILR_INVALID_ARGUMENT",
                "threads: expected 0 (all cores) to 1024, got " + std::to_string(options.threads));
  }
  state_->device = options.device;
  if (options.device != "cpu") {
    at::globalContext().lazyInitDevice(at::kCUDA);
    state_->gpu_memory = open_gpu_memory(at::Device(whole_name(options.device)).index());
  }
  const unsigned cores = std::thread::hardware_concurrency();
  state_->threads = options.threads > 0 ? options.threads : static_cast<int>(cores > 0 ? cores : 1);
  state_->memory = open_runtime_memory(options.memory_limit_bytes);
  state_->worker = std::thread([state = state_.get()] { state->work(); });
}

Runtime::~Runtime() {
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->wake.notify_all();
  state_->worker.join();
  close_runtime_memory(state_->memory);
}

void Runtime::post(std::function<void()> job) {
  {
    std::lock_guard lock(state_->mutex);
    state_->jobs.push_back(std::move(job));
  }
  state_->wake.notify_one();
}

void Runtime::run(const std::function<void()>& job) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  std::exception_ptr failure;
  post([&] {
    try {
      job();
    } catch (...) {
      failure = std::current_exception();
    }
    std::lock_guard lock(mutex);
    done = true;
    finished.notify_one();
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
  if (failure) std::rethrow_exception(failure);
}

const std::string& Runtime::device() const { return state_->device; }
int Runtime::threads() const { return state_->threads; }
MemoryCounter& Runtime::memory() {
  return state_->gpu_memory ? *state_->gpu_memory : counter_of(state_->memory);
}

}  // namespace ilr
