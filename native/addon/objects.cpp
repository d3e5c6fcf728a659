#include "objects.h"

#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <utility>

#include "../core/error.h"
#include "../core/memory.h"
#include "convert.h"
#include "fields.h"

namespace ilr::addon {
namespace {

constexpr size_t longest_path = 4096;
constexpr size_t longest_config = 1 << 20;

struct RuntimeHandle {
  Napi::Env env;
  std::shared_ptr<Environment> environment;
  std::shared_ptr<RuntimeCore> core;
  ~RuntimeHandle() { environment->dispose_runtime(env, core, {}); }
  Runtime& runtime() const {
    if (core->disposed) throw Error("ILR_DISPOSED", "The runtime was disposed; open another.");
    return *core->runtime;
  }
};

struct PolicyHandle {
  std::shared_ptr<RuntimeHandle> owner;  // the runtime outlives its policies
  std::shared_ptr<PolicyCore> core;
  ~PolicyHandle() { owner->environment->dispose_policy(owner->env, owner->core, core, {}); }
  Environment& environment() const { return *owner->environment; }
  // Asked for after the arguments are read: reading them can run JavaScript that disposes.
  Runtime& runtime() const {
    if (core->disposed) throw Error("ILR_DISPOSED", "The policy was disposed; load or create another.");
    return owner->runtime();
  }
};

using Method = std::function<Napi::Value(const Napi::CallbackInfo&)>;

void add_method(Napi::Object& object, const char* name, Method method) {
  object.Set(name, Napi::Function::New(
                       object.Env(),
                       [method = std::move(method)](const Napi::CallbackInfo& info) {
                         return guarded(info.Env(), [&] { return method(info); });
                       },
                       name));
}

using Dispose = std::function<void(Environment::Event)>;

Napi::Value disposed(Napi::Env env, const Dispose& dispose) {
  auto deferred = Napi::Promise::Deferred::New(env);
  dispose([deferred](Napi::Env env) { deferred.Resolve(env.Undefined()); });
  return deferred.Promise();
}

Control control_of(const std::shared_ptr<Environment>& environment, const std::shared_ptr<Call>& call) {
  Control control;
  control.abort = &call->abort;
  if (!call->on_progress.IsEmpty()) {
    control.progress = [environment, call](int64_t done, int64_t total) {
      environment->post_news(call, [&](Call& news) { news.progress = {done, total}; });
    };
  }
  return control;
}

Napi::Value generate(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  auto request = std::make_shared<GenerateRequest>(generate_request(info[0]));
  auto call = std::make_shared<Call>(info.Env());
  call->memory_advice = "fewer completions side by side (maxSlots), shorter ones (maxNewTokens) or fewer prompts a call need less";
  call->on_completion = callback(info[1], "onCompletion");
  call->on_tokens = callback(info[1], "onTokens");
  std::function<void(int64_t, int32_t)> on_token;
  const auto environment = policy->environment().shared_from_this();
  if (!call->on_tokens.IsEmpty()) {
    on_token = [environment, call](int64_t index, int32_t id) {
      environment->post_news(call, [&](Call& news) {
        news.tokens.push_back(static_cast<int32_t>(index));
        news.tokens.push_back(id);
      });
    };
  }
  auto on_completion = [environment, call](Completion completion) {
    environment->post_news(call, [&](Call& news) { news.completions.push_back(std::move(completion)); });
  };
  auto work = [core = policy->core, control = control_of(environment, call), request, on_completion, on_token] {
    const GenerateCounters counters = core->policy->generate(*request, on_completion, on_token, control);
    return Environment::Settle([counters](Napi::Env env) { return to_js(env, counters); });
  };
  return environment->start(info.Env(), policy->runtime(), call, work);
}

Napi::Value logprobs(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  auto request = std::make_shared<ScoreRequest>(score_request(info[0]));
  auto call = std::make_shared<Call>(info.Env());
  call->memory_advice = "fewer or shorter sequences a call need less";
  const auto environment = policy->environment().shared_from_this();
  auto work = [core = policy->core, control = control_of(environment, call), request] {
    auto result = std::make_shared<ScoreResult>(core->policy->logprobs(*request, control));
    return Environment::Settle([result](Napi::Env env) { return to_js(env, *result); });
  };
  return environment->start(info.Env(), policy->runtime(), call, work);
}

Napi::Value update(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  const UpdateOptions options = update_options(info[1]);
  auto batch = std::make_shared<TrainingBatch>(training_batch(info[0]));
  auto call = std::make_shared<Call>(info.Env());
  call->memory_advice = "a lower microBatchTokens needs less, and so does gradientCheckpointing";
  call->on_progress = callback(info[1], "onProgress");
  const auto environment = policy->environment().shared_from_this();
  auto work = [core = policy->core, control = control_of(environment, call), batch, options] {
    auto result = std::make_shared<UpdateResult>(core->policy->update(*batch, options, control));
    return Environment::Settle([core, result](Napi::Env env) {
      core->info.step = result->step;
      return to_js(env, *result);
    });
  };
  return environment->start(info.Env(), policy->runtime(), call, work);
}

Napi::Value set_token_bytes(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  auto table = std::make_shared<TokenBytes>(token_bytes(info[0]));
  auto work = [core = policy->core, table] {
    core->policy->set_token_bytes(std::move(*table));
    return Environment::Settle([](Napi::Env env) { return env.Undefined(); });
  };
  return policy->environment().start(info.Env(), policy->runtime(), std::make_shared<Call>(info.Env()), work);
}

Napi::Value save(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  const std::filesystem::path folder = text(info[0], "folder", longest_path);
  const SaveOptions options = save_options(info[1]);
  auto work = [core = policy->core, folder, options] {
    core->policy->save(folder, options.with_optimizer, options.merge);
    return Environment::Settle([](Napi::Env env) { return env.Undefined(); });
  };
  return policy->environment().start(info.Env(), policy->runtime(), std::make_shared<Call>(info.Env()), work);
}

Napi::Value share_policy(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy);

// Marks the objects that hold a policy, so that no other object is taken for one.
constexpr napi_type_tag policy_tag{0x6f1d9ac0b1fe4d5aULL, 0x9b7c21f6a43e8d10ULL};

std::shared_ptr<PolicyHandle> policy_of(const Napi::Value& value) {
  bool is_policy = false;
  void* handle = nullptr;
  if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &policy_tag, &is_policy) != napi_ok ||
      !is_policy || napi_unwrap(value.Env(), value, &handle) != napi_ok) {
    refuse("other", "a policy of this addon", describe_value(value));
  }
  return *static_cast<std::shared_ptr<PolicyHandle>*>(handle);
}

void hold_policy(Napi::Object object, const std::shared_ptr<PolicyHandle>& policy) {
  auto* handle = new std::shared_ptr<PolicyHandle>(policy);
  const auto free = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<PolicyHandle>*>(data); };
  if (napi_wrap(object.Env(), object, handle, free, nullptr, nullptr) != napi_ok) {
    delete handle;
    throw Napi::Error::New(object.Env(), "The policy object could not be made.");
  }
  napi_type_tag_object(object.Env(), object, &policy_tag);
}

// From a policy of another runtime the weights are copied on that one's worker, in its queue's order; this one's waits for
// them in its own. A job waits only for one that was posted before it, so that no two wait for each other.
Napi::Value copy_from(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  const std::shared_ptr<PolicyHandle> other = policy_of(info[0]);
  if (!info[1].IsNumber()) refuse("mix", "a number from 0 to 1", describe_value(info[1]));
  const double mix = info[1].As<Napi::Number>().DoubleValue();
  Runtime &own = policy->runtime(), &source = other->runtime();
  std::function<Environment::Settle()> work;
  const auto settled = [](Napi::Env env) { return env.Undefined(); };
  if (&own == &source) {
    work = [core = policy->core, from = other->core, mix, settled] {
      core->policy->copy_from(*from->policy, mix);
      return Environment::Settle(settled);
    };
  } else {
    auto weights = std::make_shared<std::promise<std::shared_ptr<const Policy::Weights>>>();
    source.post([from = other->core, weights] {
      try {
        weights->set_value(from->policy->copy_weights());
      } catch (...) {
        weights->set_exception(std::current_exception());
      }
    });
    auto copied = std::make_shared<std::future<std::shared_ptr<const Policy::Weights>>>(weights->get_future());
    work = [core = policy->core, copied, mix, settled] {
      core->policy->copy_from(*copied->get(), mix);
      return Environment::Settle(settled);
    };
  }
  return policy->environment().start(info.Env(), own, std::make_shared<Call>(info.Env()), work);
}

Napi::Object policy_object(Napi::Env env, const std::shared_ptr<PolicyHandle>& policy) {
  Napi::Object object = Napi::Object::New(env);
  hold_policy(object, policy);
  add_method(object, "info", [policy](const Napi::CallbackInfo& info) {
    return to_js(info.Env(), policy->core->info);
  });
  add_method(object, "generate", [policy](const Napi::CallbackInfo& info) { return generate(info, policy); });
  add_method(object, "logprobs", [policy](const Napi::CallbackInfo& info) { return logprobs(info, policy); });
  add_method(object, "update", [policy](const Napi::CallbackInfo& info) { return update(info, policy); });
  add_method(object, "copyFrom", [policy](const Napi::CallbackInfo& info) { return copy_from(info, policy); });
  add_method(object, "share", [policy](const Napi::CallbackInfo& info) { return share_policy(info, policy); });
  add_method(object, "setTokenBytes", [policy](const Napi::CallbackInfo& info) {
    return set_token_bytes(info, policy);
  });
  add_method(object, "save", [policy](const Napi::CallbackInfo& info) { return save(info, policy); });
  add_method(object, "dispose", [policy](const Napi::CallbackInfo& info) {
    return disposed(info.Env(), [&](Environment::Event done) {
      policy->environment().dispose_policy(info.Env(), policy->owner->core, policy->core, std::move(done));
    });
  });
  return object;
}

using MakePolicy = std::function<std::unique_ptr<Policy>(Runtime&)>;

// The policy is its runtime's from the start, so that an environment that ends meanwhile frees it on the worker.
Napi::Value start_policy(Napi::Env env, const std::shared_ptr<RuntimeHandle>& owner, const MakePolicy& make) {
  Runtime& runtime = owner->runtime();
  auto core = std::make_shared<PolicyCore>();
  owner->core->policies.push_back(core);
  auto call = std::make_shared<Call>(env);
  call->memory_advice = "a frozen policy (trainable false), an adapter, or an optimiser with smaller moments needs less";
  call->keeps = owner;
  auto work = [environment = owner->environment, owner_core = owner->core, &runtime, core, make,
               weak = std::weak_ptr(owner)] {
    try {
      core->policy = make(runtime);
    } catch (...) {
      environment->deliver([owner_core, core](Napi::Env) { std::erase(owner_core->policies, core); });
      throw;
    }
    return Environment::Settle([core, info = core->policy->info(), weak](Napi::Env env) -> Napi::Value {
      core->info = info;
      if (core->disposed) throw Error("ILR_DISPOSED", "The runtime was disposed meanwhile; open another.");
      return policy_object(env, std::make_shared<PolicyHandle>(weak.lock(), core));
    });
  };
  return owner->environment->start(env, runtime, call, work);
}

Napi::Value load_policy(const Napi::CallbackInfo& info, const std::shared_ptr<RuntimeHandle>& owner) {
  const std::filesystem::path folder = text(info[0], "folder", longest_path);
  const LoadOptions options = load_options(info[1]);
  return start_policy(info.Env(), owner, [=](Runtime& runtime) {
    return Policy::load(runtime, folder, options.policy, options.with_optimizer);
  });
}

// Another policy over the weights of one.
Napi::Value share_policy(const Napi::CallbackInfo& info, const std::shared_ptr<PolicyHandle>& policy) {
  const LoadOptions options = share_options(info[0]);
  policy->runtime();  // neither is disposed
  return start_policy(info.Env(), policy->owner, [core = policy->core, options](Runtime&) {
    return core->policy->share(options.policy, options.with_optimizer);
  });
}

Napi::Value create_policy(const Napi::CallbackInfo& info, const std::shared_ptr<RuntimeHandle>& owner) {
  const std::string config = text(info[0], "config", longest_config);
  const uint64_t weights_seed = seed(info[1]);
  const PolicyOptions options = create_options(info[2]);
  return start_policy(info.Env(), owner, [=](Runtime& runtime) {
    return Policy::create(runtime, config, weights_seed, options);
  });
}

}  // namespace

Napi::Object runtime_object(Napi::Env env, const std::shared_ptr<Environment>& environment,
                            const std::shared_ptr<RuntimeCore>& core) {
  auto runtime = std::make_shared<RuntimeHandle>(env, environment, core);
  Napi::Object object = Napi::Object::New(env);
  object.Set("device", core->runtime->device());
  object.Set("threads", Napi::Number::New(env, core->runtime->threads()));
  add_method(object, "memoryBytes", [runtime](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(runtime->runtime().memory().bytes()));
  });
  add_method(object, "loadPolicy", [runtime](const Napi::CallbackInfo& info) { return load_policy(info, runtime); });
  add_method(object, "createPolicy", [runtime](const Napi::CallbackInfo& info) {
    return create_policy(info, runtime);
  });
  add_method(object, "dispose", [runtime](const Napi::CallbackInfo& info) {
    return disposed(info.Env(), [&](Environment::Event done) {
      runtime->environment->dispose_runtime(info.Env(), runtime->core, std::move(done));
    });
  });
  return object;
}

}  // namespace ilr::addon
