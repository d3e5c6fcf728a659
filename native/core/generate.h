#pragma once

#include <functional>

#include "model.h"
#include "types.h"

namespace ilr {

using OnCompletion = std::function<void(Completion)>;
using OnToken = std::function<void(int64_t index, int32_t id)>;

// Samples completions with continuous batching: a fixed number of slots, each holding one completion's keys and values,
// refilled as completions end. A prompt is computed once, however many completions it has, and its rows are shared.
// What is decoded beside what follows from the request alone, never from the clock.
// token_bytes may be null where the request has no stop strings.
// Throws ILR_INVALID_ARGUMENT on a prompt that fills the context, ILR_TORCH on logits that are not finite.
GenerateCounters generate(const Model& model, const GenerateRequest& request, const TokenBytes* token_bytes,
                          int64_t cache_byte_limit, const OnCompletion& on_completion, const OnToken& on_token,
                          const Control& control);

}  // namespace ilr
