#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model.h"
#include "types.h"

namespace ilr {

// AdamW (arXiv 1711.05101) over a model's parameters: moments in the parameters' dtype, decay of all but norms and biases,
// the learning rate of schedule.h, clipping by the global norm (summed in double). A step whose gradient is not finite changes nothing and is counted.
class AdamW {
 public:
  explicit AdamW(const NamedTensors& parameters);

  // Reads .grad of the parameters (a parameter without one has a gradient of 0) and clears it.
  // Fills grad_norm, learning_rate, skipped, step and skipped_steps of `result`.
  void step(const UpdateOptions& options, UpdateResult& result);

  int64_t steps() const { return steps_; }
  int64_t skipped_steps() const { return skipped_; }
  NamedTensors state() const;  // exp_avg.<name>, exp_avg_sq.<name>
  std::map<std::string, std::string> counters() const;
  void read(const SafetensorsReader& file);  // ILR_INVALID_MODEL where it belongs to another model

 private:
  void apply(const UpdateOptions& options, UpdateResult& result);

  NamedTensors parameters_, exp_avg_, exp_avg_sq_;
  int64_t steps_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace ilr
