#include "failure.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "../core/error.h"

namespace ilr::addon {
namespace {

constexpr size_t longest_line = 500;  // a missing operator's message runs to kilobytes

std::string first_line(const std::string& text) { return text.substr(0, std::min(text.find('\n'), longest_line)); }

Failure describe_torch(const c10::Error& error) {
  const std::string message = first_line(error.what_without_backtrace());
  // The CPU allocator has no exception class of its own.
  const bool no_memory = message.find("allocate memory") != std::string::npos ||
                         message.find("not enough memory") != std::string::npos;
  return {no_memory ? "ILR_OUT_OF_MEMORY" : "ILR_TORCH", message, error.what()};
}

Failure describe_any(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {error.code(), error.what(), ""};
  } catch (const c10::OutOfMemoryError& error) {
    return {"ILR_OUT_OF_MEMORY", first_line(error.what_without_backtrace()), error.what()};
  } catch (const c10::Error& error) {
    return describe_torch(error);
  } catch (const std::bad_alloc&) {
    return {"ILR_OUT_OF_MEMORY", "out of memory: the system refused a block outside the tensors", ""};
  } catch (const std::exception& error) {
    return {"ILR_TORCH", first_line(error.what()), error.what()};
  } catch (...) {
    return {"ILR_TORCH", "an unknown C++ exception", ""};
  }
}

}  // namespace

Failure describe(const std::exception_ptr& exception, const char* advice) {
  Failure failure = describe_any(exception);
  if (failure.code == "ILR_OUT_OF_MEMORY" && advice != nullptr) failure.message += std::string("; ") + advice;
  return failure;
}

Napi::Error to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  if (!failure.detail.empty()) error.Set("cause", Napi::Error::New(env, failure.detail).Value());
  return error;
}

}  // namespace ilr::addon
