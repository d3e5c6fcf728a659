#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ilr {

class MemoryCounter;

struct RuntimeOptions {
  std::string device = "cpu";  // cpu, cuda, cuda:N
  int threads = 0;             // CPU: compute threads of this runtime; 0: all cores
  int64_t memory_limit_bytes = 0;  // of its tensors on the CPU; beyond it ILR_OUT_OF_MEMORY; 0: what the machine has
};

// One device, its memory and one long-lived worker thread. Jobs run one at a time, in the order they were posted.
// Policies belong to a runtime; their methods are called from its jobs only.
class Runtime {
 public:
  explicit Runtime(const RuntimeOptions& options);  // Error ILR_INVALID_ARGUMENT, ILR_UNSUPPORTED (no such device)
  ~Runtime();                                       // runs no further job, joins
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Runs `job` on the worker, later. `job` must not throw.
  void post(std::function<void()> job);
  // Runs `job` on the worker and waits; an exception of the job is thrown here. Not to be called from a job: it would wait
  // for itself.
  void run(const std::function<void()>& job);

  const std::string& device() const;
  int threads() const;
  MemoryCounter& memory();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ilr
