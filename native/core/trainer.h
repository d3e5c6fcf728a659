#pragma once

#include "model.h"
#include "types.h"

namespace ilr {

// Advantages, forward and backward of a whole batch, in micro-batches: adds to .grad of the parameters and fills what
// it knows of `result`. The prompt of a micro-batch's completions is computed once. Completions whose advantage is 0
// are computed only where a KL or entropy term is on (their tokens count in the mean in any case).
void accumulate_gradients(const Model& model, const TrainingBatch& batch, const UpdateOptions& options,
                          const Control& control, UpdateResult& result);

}  // namespace ilr
