#pragma once

#include <napi.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "../core/policy.h"
#include "../core/runtime.h"
#include "call.h"
#include "failure.h"

namespace ilr::addon {

// A policy and its place. The JavaScript thread owns all of it but `policy`, which only the runtime's worker touches.
struct PolicyCore {
  std::unique_ptr<Policy> policy;
  PolicyInfo info;  // as of the last settled call
  bool disposed = false;
};

// A runtime with its policies. Only the JavaScript thread ends `runtime`: its worker must not join itself.
struct RuntimeCore {
  std::unique_ptr<Runtime> runtime;
  std::future<void> opening;  // on a thread of its own: a GPU takes a second
  std::vector<std::shared_ptr<PolicyCore>> policies;
  bool disposed = false;
};

// All state of one JavaScript environment (the main thread or a worker_thread), and the way back to its thread.
// Methods are for that thread, `deliver` and `post_news` for any.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  static std::shared_ptr<Environment> create(Napi::Env env);

  using Event = std::function<void(Napi::Env)>;
  // Runs `event` on the JavaScript thread, later and in order; drops it where the environment has ended.
  void deliver(Event event);
  // Changes what `call` has to tell, and sees that it is told.
  void post_news(const std::shared_ptr<Call>& call, const std::function<void(Call&)>& change);

  // What a job hands back: made into the promise's value on the JavaScript thread.
  using Settle = std::function<Napi::Value(Napi::Env)>;
  // Posts `work` to the runtime's worker; it is skipped where abort came first. Returns {promise, abort()}.
  Napi::Object start(Napi::Env env, Runtime& runtime, const std::shared_ptr<Call>& call, std::function<Settle()> work);

  // Opens on a thread of its own; the call settles with `wrap` of it.
  Napi::Object open_runtime(Napi::Env env, const RuntimeOptions& options,
                            std::function<Napi::Value(Napi::Env, std::shared_ptr<RuntimeCore>)> wrap);
  // Both wait for the jobs posted before, then free, then run `done` (may be empty).
  void dispose_policy(Napi::Env env, const std::shared_ptr<RuntimeCore>& runtime,
                      const std::shared_ptr<PolicyCore>& policy, Event done);
  void dispose_runtime(Napi::Env env, const std::shared_ptr<RuntimeCore>& runtime, Event done);

  // Aborts every call and tells nothing any more.
  void stop();
  // Waits for running jobs; false where one was still running at the deadline.
  bool wait_until(std::chrono::steady_clock::time_point deadline);
  // After stop(): frees policies and runtimes and joins their threads.
  void close();
  bool has_runtimes() const { return !runtimes_.empty(); }

 private:
  Environment() = default;
  static void on_wake(Napi::Env env, Napi::Function, Environment* self, void*);
  using Wake = Napi::TypedThreadSafeFunction<Environment, void, &Environment::on_wake>;

  void drain(Napi::Env env);
  void settle(Napi::Env env, const std::shared_ptr<Call>& call, const Settle& value);
  void fail(Napi::Env env, const std::shared_ptr<Call>& call, const Failure& failure);
  void finish(Napi::Env env, const std::shared_ptr<Call>& call);
  Napi::Object track(Napi::Env env, const std::shared_ptr<Call>& call);
  // Posts `job`, then `event`; the event loop stays alive until then.
  void post_and_deliver(Napi::Env env, Runtime& runtime, std::function<void()> job, Event event);
  void hold(Napi::Env env);
  void release(Napi::Env env);

  Wake wake_;
  int64_t held_ = 0;
  std::set<std::shared_ptr<Call>> calls_;
  std::vector<std::shared_ptr<RuntimeCore>> runtimes_;

  std::mutex mutex_;  // guards what follows
  std::vector<Event> events_;
  bool awake_ = false;
  bool closed_ = false;
};

}  // namespace ilr::addon
