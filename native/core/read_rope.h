#pragma once

#include "config_reader.h"
#include "rope_config.h"

namespace ilr {

// Rotary positions of a config.json in either form: rope_parameters {rope_type, rope_theta, ...} of transformers 5, or
// rope_theta beside rope_scaling. `by_layer_type`: the family may nest one object per layer type (gemma3_text).
// Errors: ILR_INVALID_MODEL and ILR_UNSUPPORTED (a scaling other than linear and llama3), naming the key.
RopeConfig read_rope(const ConfigReader& reader, int64_t max_positions, bool by_layer_type);

// Those of gemma3_text's layers with a window.
RopeConfig read_local_rope(const ConfigReader& reader, int64_t max_positions);

}  // namespace ilr
