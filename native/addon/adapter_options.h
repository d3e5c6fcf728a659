#pragma once

#include <optional>

#include "../core/policy.h"
#include "fields.h"

namespace ilr::addon {

// `adapter` of a policy's options: {folder}, or {rank, alpha, rankStabilized, targetModules, seed}; none where it is left
// out. Values are checked by the core.
std::optional<AdapterOptions> adapter_options(const Fields& options);

Napi::Value to_js(Napi::Env env, const AdapterInfo& adapter);

}  // namespace ilr::addon
