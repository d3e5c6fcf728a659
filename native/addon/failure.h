#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace ilr::addon {

// What went wrong, as it crosses threads: a code of src/errors.ts, a message, and where LibTorch said more than its first
// line, all that it said, its backtrace included.
struct Failure {
  std::string code;
  std::string message;
  std::string detail;
};

// Every C++ exception has a code: ilr::Error its own, memory ILR_OUT_OF_MEMORY, anything else ILR_TORCH.
// `advice` is what an ILR_OUT_OF_MEMORY should try; may be null.
Failure describe(const std::exception_ptr& exception, const char* advice = nullptr);

// A JavaScript Error with `code`, and `cause` where there is detail; src/native/call.ts makes an IlrError of it.
Napi::Error to_js(Napi::Env env, const Failure& failure);

// Runs a method's body on the JavaScript thread; whatever it throws becomes a JavaScript exception.
template <class Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js(env, describe(std::current_exception()));
  }
}

}  // namespace ilr::addon
