#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../core/policy.h"
#include "../core/types.h"
#include "call.h"

namespace ilr::addon {

// JavaScript values to the core's, copied. Kinds are checked here; values by the core (validate.h), which sees the
// copies, so that nothing can change in between. A name that is not read is refused. Throws ilr::Error ILR_INVALID_ARGUMENT naming the value, what was
// expected and what came.

RuntimeOptions runtime_options(const Napi::Value& value);
PolicyOptions create_options(const Napi::Value& value);
struct LoadOptions {
  PolicyOptions policy;
  bool with_optimizer;
};
LoadOptions load_options(const Napi::Value& value);
LoadOptions share_options(const Napi::Value& value);
struct SaveOptions {
  bool with_optimizer;
  bool merge;
};
SaveOptions save_options(const Napi::Value& value);
std::string text(const Napi::Value& value, const std::string& where, size_t longest);
uint64_t seed(const Napi::Value& value);

GenerateRequest generate_request(const Napi::Value& value);
TokenBytes token_bytes(const Napi::Value& value);
ScoreRequest score_request(const Napi::Value& value);
TrainingBatch training_batch(const Napi::Value& value);
UpdateOptions update_options(const Napi::Value& value);

// The function of that name, or empty.
Napi::FunctionReference callback(const Napi::Value& value, const char* name);

// The core's values to JavaScript, copied.

Napi::Value to_js(Napi::Env env, const std::vector<int32_t>& values);
Napi::Value to_js(Napi::Env env, const Completion& completion);
Napi::Value to_js(Napi::Env env, const GenerateCounters& counters);
Napi::Value to_js(Napi::Env env, const ScoreResult& result);
Napi::Value to_js(Napi::Env env, const UpdateResult& result);
Napi::Value to_js(Napi::Env env, const PolicyInfo& info);

}  // namespace ilr::addon
