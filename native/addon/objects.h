#pragma once

#include <napi.h>

#include <memory>

#include "environment.h"

namespace ilr::addon {

// JavaScript objects over the core's. Their methods are closures that own a handle; when all of them are collected, an
// undisposed policy or runtime is freed as by dispose(). So no method trusts its `this`.
Napi::Object runtime_object(Napi::Env env, const std::shared_ptr<Environment>& environment,
                            const std::shared_ptr<RuntimeCore>& core);

}  // namespace ilr::addon
