#include "environment.h"

#include <utility>

#include "../core/abort.h"
#include "../core/error.h"
#include "news.h"
#include "process_exit.h"

namespace ilr::addon {
namespace {

const Failure aborted{"ILR_ABORTED", "The call was aborted.", ""};

}  // namespace

std::shared_ptr<Environment> Environment::create(Napi::Env env) {
  std::shared_ptr<Environment> self(new Environment());
  self->wake_ = Wake::New(env, "ilr-native", 0, 1, self.get());
  self->wake_.Unref(env);
  // Added after the threadsafe function, so that it runs before that one's own hook: the workers are joined first.
  env.AddCleanupHook([self] {
    self->stop();
    self->close();
  });
  close_at_process_exit(env, self);
  return self;
}

void Environment::deliver(Event event) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  events_.push_back(std::move(event));
  if (awake_) return;
  awake_ = true;
  wake_.NonBlockingCall();
}

void Environment::post_news(const std::shared_ptr<Call>& call, const std::function<void(Call&)>& change) {
  {
    const std::lock_guard lock(call->mutex);
    change(*call);
    if (call->news_posted) return;
    call->news_posted = true;
  }
  deliver([call](Napi::Env env) { tell_news(env, *call); });
}

void Environment::on_wake(Napi::Env env, Napi::Function, Environment* self, void*) {
  if (env != nullptr) self->drain(env);  // null: the environment is ending
}

void Environment::drain(Napi::Env env) {
  const auto keep = shared_from_this();
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(events_);
    awake_ = false;
  }
  for (Event& event : events) {
    const Napi::HandleScope scope(env);
    try {
      event(env);
    } catch (...) {
      // Only an environment that is being terminated refuses to take a settled promise: there is nobody to tell.
    }
  }
}

Napi::Object Environment::track(Napi::Env env, const std::shared_ptr<Call>& call) {
  calls_.insert(call);
  hold(env);
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("promise", call->deferred.Promise());
  handle.Set("abort", Napi::Function::New(env, [self = shared_from_this(), call](const Napi::CallbackInfo& info) {
    call->abort = true;
    // A call that still waits for its turn ends now.
    auto queued = Call::Stage::queued;
    if (call->stage.compare_exchange_strong(queued, Call::Stage::ended)) self->fail(info.Env(), call, aborted);
  }));
  return handle;
}

Napi::Object Environment::start(Napi::Env env, Runtime& runtime, const std::shared_ptr<Call>& call,
                                std::function<Settle()> work) {
  Napi::Object handle = track(env, call);
  runtime.post([self = shared_from_this(), call, work = std::move(work)] {
    auto queued = Call::Stage::queued;
    if (call->abort || !call->stage.compare_exchange_strong(queued, Call::Stage::running)) return;
    const AbortScope scope(&call->abort);
    try {
      self->deliver([self, call, value = work()](Napi::Env env) { self->settle(env, call, value); });
    } catch (...) {
      self->deliver([self, call, failure = describe(std::current_exception(), call->memory_advice)](Napi::Env env) {
        self->fail(env, call, failure);
      });
    }
  });
  return handle;
}

void Environment::settle(Napi::Env env, const std::shared_ptr<Call>& call, const Settle& value) {
  try {
    const Napi::Value result = value(env);
    if (calls_.contains(call)) call->deferred.Resolve(result);
    finish(env, call);
  } catch (const Napi::Error& error) {
    call->deferred.Reject(error.Value());
    finish(env, call);
  } catch (...) {
    fail(env, call, describe(std::current_exception()));
  }
}

void Environment::fail(Napi::Env env, const std::shared_ptr<Call>& call, const Failure& failure) {
  if (calls_.contains(call)) call->deferred.Reject(to_js(env, failure).Value());
  finish(env, call);
}

void Environment::finish(Napi::Env env, const std::shared_ptr<Call>& call) {
  if (calls_.erase(call) == 0) return;
  call->stage = Call::Stage::ended;
  call->drop_references();
  release(env);
}

Napi::Object Environment::open_runtime(Napi::Env env, const RuntimeOptions& options,
                                       std::function<Napi::Value(Napi::Env, std::shared_ptr<RuntimeCore>)> wrap) {
  auto call = std::make_shared<Call>(env);
  call->stage = Call::Stage::running;
  auto core = std::make_shared<RuntimeCore>();
  runtimes_.push_back(core);
  Napi::Object handle = track(env, call);
  core->opening = std::async(std::launch::async, [self = shared_from_this(), core, call, options, wrap] {
    try {
      core->runtime = std::make_unique<Runtime>(options);
      self->deliver([self, core, call, wrap](Napi::Env env) {
        core->opening.get();
        self->settle(env, call, [core, wrap](Napi::Env env) { return wrap(env, core); });
      });
    } catch (...) {
      self->deliver([self, core, call, failure = describe(std::current_exception())](Napi::Env env) {
        core->opening.get();
        std::erase(self->runtimes_, core);
        self->fail(env, call, failure);
      });
    }
  });
  return handle;
}

void Environment::post_and_deliver(Napi::Env env, Runtime& runtime, std::function<void()> job, Event event) {
  hold(env);
  runtime.post([self = shared_from_this(), job = std::move(job), event = std::move(event)] {
    job();
    self->deliver([self, event](Napi::Env env) {
      self->release(env);
      event(env);
    });
  });
}

void Environment::dispose_policy(Napi::Env env, const std::shared_ptr<RuntimeCore>& runtime,
                                 const std::shared_ptr<PolicyCore>& policy, Event done) {
  if (policy->disposed || runtime->disposed || !runtime->runtime) {
    if (done) deliver(std::move(done));
    return;
  }
  policy->disposed = true;
  post_and_deliver(env, *runtime->runtime, [policy] { policy->policy.reset(); },
                   [runtime, policy, done = std::move(done)](Napi::Env env) {
                     std::erase(runtime->policies, policy);
                     if (done) done(env);
                   });
}

void Environment::dispose_runtime(Napi::Env env, const std::shared_ptr<RuntimeCore>& runtime, Event done) {
  if (runtime->disposed || !runtime->runtime) {
    if (done) deliver(std::move(done));
    return;
  }
  runtime->disposed = true;
  for (auto& policy : runtime->policies) policy->disposed = true;
  auto free_policies = [policies = runtime->policies] {
    for (auto& policy : policies) policy->policy.reset();
  };
  post_and_deliver(env, *runtime->runtime, std::move(free_policies),
                   [self = shared_from_this(), runtime, done = std::move(done)](Napi::Env env) {
                     runtime->policies.clear();
                     runtime->runtime.reset();  // its queue is empty: joins at once
                     std::erase(self->runtimes_, runtime);
                     if (done) done(env);
                   });
}

void Environment::hold(Napi::Env env) {
  if (held_++ == 0) wake_.Ref(env);
}

void Environment::release(Napi::Env env) {
  if (--held_ == 0) wake_.Unref(env);
}

void Environment::stop() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (const auto& call : calls_) call->abort = true;
}

bool Environment::wait_until(std::chrono::steady_clock::time_point deadline) {
  for (const auto& core : runtimes_) {
    if (core->opening.valid() && core->opening.wait_until(deadline) == std::future_status::timeout) return false;
    if (!core->runtime) continue;
    auto idle = std::make_shared<std::promise<void>>();
    core->runtime->post([idle] { idle->set_value(); });
    if (idle->get_future().wait_until(deadline) == std::future_status::timeout) return false;
  }
  return true;
}

void Environment::close() {
  for (const auto& core : runtimes_) {
    if (core->opening.valid()) core->opening.wait();
    core->disposed = true;
    if (!core->runtime) continue;
    for (const auto& policy : core->policies) policy->disposed = true;
    core->runtime->run([&] {
      for (const auto& policy : core->policies) policy->policy.reset();
    });
    core->runtime.reset();
    core->policies.clear();
  }
  runtimes_.clear();
  for (const auto& call : calls_) call->drop_references();
  calls_.clear();
  std::vector<Event> events;
  const std::lock_guard lock(mutex_);
  events.swap(events_);
}

}  // namespace ilr::addon
