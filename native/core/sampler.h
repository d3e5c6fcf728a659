#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "logits_processor.h"

namespace ilr {

// One row to draw a token for: which row of the logits, the uniform number that decides, and what was written before.
struct Draw {
  int64_t row;
  double u;
  History history = {};
};

struct Drawn {
  int32_t id;
  float logprob;  // nats, of softmax(logits / temperature), whatever the processor; of softmax(logits) where greedy
};

// Draws one token per row from softmax(logits / temperature) as the processor changes it: the first token, in order of
// ids, at which the cumulative mass exceeds u. logits_RV: unscaled; processor: null changes nothing. temperature 0 takes the first of the most likely
// tokens; top-k, top-p and min-p then change nothing.
// Throws ILR_TORCH where the logits of a row are not finite, ILR_INVALID_ARGUMENT where the processor leaves no token.
std::vector<Drawn> draw_tokens(const at::Tensor& logits_RV, const std::vector<Draw>& draws, double temperature,
                               const LogitsProcessor* processor = nullptr);

}  // namespace ilr
