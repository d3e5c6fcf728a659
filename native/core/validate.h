#pragma once

#include "model_config.h"
#include "types.h"

// Checks of everything a caller hands in, before any work: Error ILR_INVALID_ARGUMENT naming the field, what was
// expected and what came.
namespace ilr {

void check(const GenerateRequest& request, const ModelConfig& config);
void check(const ScoreRequest& request, const ModelConfig& config);
void check(const TrainingBatch& batch, const UpdateOptions& options, const ModelConfig& config);

}  // namespace ilr
