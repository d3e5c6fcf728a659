#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "packing.h"
#include "types.h"

namespace ilr {

// Completions of one micro-batch, prompt by prompt. A completion is never cut.
using MicroBatch = std::vector<int64_t>;

// The batch's completions for which `is_wanted`, in micro-batches of about `budget` packed tokens.
std::vector<MicroBatch> cut(const TrainingBatch& batch, int64_t budget, const std::function<bool(int64_t)>& is_wanted);

// The M trained tokens of a micro-batch, completion by completion: row `source` of the hidden states predicts `target`.
struct TrainedTokens {
  std::vector<int64_t> sources, targets;
  std::vector<int64_t> places;       // [M] into the batch's completion ids
  std::vector<int64_t> completions;  // [M] into the micro-batch
  int64_t size() const { return static_cast<int64_t>(sources.size()); }
};

// Lays the micro-batch out: each prompt once, its completions behind it.
Packing pack(const TrainingBatch& batch, const MicroBatch& micro, TrainedTokens& tokens);

}  // namespace ilr
