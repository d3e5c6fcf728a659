#pragma once

#include <cstdint>

#include "types.h"

namespace ilr {

// The learning rate of optimiser step `step` (the first is 1), in the units of options.learning_rate.
// Warm-up: rate * step / warmup_steps, so that no step has rate 0. After it, with p the share of the steps between
// warm-up and total_steps that are behind (0 at the first, clamped to 1) and f = min_learning_rate_fraction:
//   constant  rate
//   linear    rate * (f + (1 - f) (1 - p))
//   cosine    rate * (f + (1 - f) (1 + cos(pi p)) / 2)
// PyTorch's SequentialLR of LinearLR(1 / warmup, 1, warmup - 1) and of LinearLR or CosineAnnealingLR. transformers'
// schedules with warm-up equal it after the warm-up; theirs lies one step behind in it, with a first rate of 0.
double learning_rate_at(int64_t step, const UpdateOptions& options);

}  // namespace ilr
