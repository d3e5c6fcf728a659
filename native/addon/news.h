#pragma once

#include <napi.h>

#include "call.h"

namespace ilr::addon {

// Hands over what has come since the last time: tokens, then completions, then progress. JavaScript thread.
// A callback that throws aborts the call; src/native lets none throw.
void tell_news(Napi::Env env, Call& call);

}  // namespace ilr::addon
