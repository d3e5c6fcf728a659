#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace ilr {

// One row to draw a token for: which row of the logits, and the uniform number that decides.
struct Draw {
  int64_t row;
  double u;
};

struct Drawn {
  int32_t id;
  float logprob;  // nats, of softmax(logits / temperature); of softmax(logits) where greedy
};

// logits_RV: float32 or float64, unscaled. temperature 0 takes the first of the most likely tokens.
// Throws ILR_TORCH where the logits of a row are not finite.
std::vector<Drawn> draw_tokens(const at::Tensor& logits_RV, const std::vector<Draw>& draws, double temperature);

}  // namespace ilr
