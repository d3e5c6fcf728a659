#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <napi.h>
#include <torch/headeronly/version.h>

#include <memory>

#include "convert.h"
#include "environment.h"
#include "failure.h"
#include "objects.h"

namespace ilr::addon {
namespace {

// Proves that LibTorch is there and computes: 0 + 1 + … + 9 = 45.
Napi::Value self_test(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("torch", TORCH_VERSION);
    out.Set("threads", at::get_num_threads());
    out.Set("sum", at::arange(10).sum().item<int64_t>());
    return out;
  });
}

// Shows callers what LibTorch's own refusals become: two shapes that do not add up.
Napi::Value self_test_error(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    at::arange(2).add(at::arange(3));
    return info.Env().Undefined();
  });
}

Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const bool has_cuda = at::globalContext().hasCUDA();
    return Napi::Number::New(info.Env(), has_cuda ? static_cast<double>(at::detail::getCUDAHooks().deviceCount()) : 0);
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto environment = Environment::create(env);
  exports.Set("version", ILR_VERSION);
  exports.Set("selfTest", Napi::Function::New(env, self_test, "selfTest"));
  exports.Set("selfTestError", Napi::Function::New(env, self_test_error, "selfTestError"));
  exports.Set("cudaDevices", Napi::Function::New(env, cuda_devices, "cudaDevices"));
  exports.Set("openRuntime", Napi::Function::New(
                                 env,
                                 [environment](const Napi::CallbackInfo& info) -> Napi::Value {
                                   return guarded(info.Env(), [&] {
                                     return environment->open_runtime(
                                         info.Env(), runtime_options(info[0]), [environment](Napi::Env env, auto core) {
                                           return runtime_object(env, environment, core);
                                         });
                                   });
                                 },
                                 "openRuntime"));
  return exports;
}

}  // namespace
}  // namespace ilr::addon

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) { return ilr::addon::init(env, exports); }
NODE_API_MODULE(ilr, init_addon)
