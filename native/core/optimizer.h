#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "moments.h"
#include "named_tensors.h"
#include "safetensors.h"
#include "types.h"

namespace ilr {

// adamw: a float32 master of each bfloat16 weight (wider weights are their own master).
// lean: bfloat16 weights alone, and the 16 bits that make each the float32 master (split_float.h).
enum class OptimizerKind : uint8_t { adamw, lean };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  MomentType moments = MomentType::float32;  // of matrices; those of vectors (norms, biases) are float32 always
};

// `moments` empty: float32 for adamw, bfloat16 for lean. ILR_INVALID_ARGUMENT naming the option.
OptimizerOptions parse_optimizer(const std::string& optimizer, const std::string& moments);

// AdamW (arXiv 1711.05101) over a model's parameters: decay of all but norms and biases, the learning rate of schedule.h,
// clipping by the global norm (summed in double). A step whose gradient is not finite changes nothing and is counted.
// Bytes per parameter beside weights and gradients (2 each in bfloat16, 4 in float32), of matrices:
//   float32 weights, adamw, moments float32 / bfloat16 / int8    8 / 4 / 2.03
//   bfloat16 weights, adamw                                     12 / 8 / 6.03
//   bfloat16 weights, lean                                      10 / 6 / 4.03
class AdamW {
 public:
  // ILR_UNSUPPORTED where the parameters' dtype or device has no such optimiser.
  explicit AdamW(const NamedTensors& parameters, const OptimizerOptions& options = {});

  // Reads .grad of the parameters (a parameter without one has a gradient of 0) and clears it.
  // Fills grad_norm, learning_rate, skipped, step and skipped_steps of `result`.
  void step(const UpdateOptions& options, UpdateResult& result);

  // The weights were written by somebody else: they are the master now. Moments and counters stay.
  void adopt_weights();

  int64_t steps() const { return steps_; }
  int64_t skipped_steps() const { return skipped_; }
  int64_t bytes() const;
  // exp_avg.<name>, exp_avg_sq.<name> (exp_avg_sq_root.<name> in int8), each with .scale in int8; master.<name> or
  // remainder.<name>.
  NamedTensors state() const;
  std::map<std::string, std::string> metadata() const;  // optimizer, moments, steps, skipped
  // ILR_INVALID_MODEL where it belongs to another model or another kind of optimiser, which it names.
  void read(const SafetensorsReader& file);

 private:
  struct Slot {
    std::string name;
    at::Tensor weight, master, remainder;  // master and remainder: of bfloat16 weights, one of them
    Moment first, second;
  };
  void apply(const UpdateOptions& options, UpdateResult& result);
  void apply_fused(const UpdateOptions& options, const UpdateResult& result, double clip);
  void apply_by_blocks(const UpdateOptions& options, const UpdateResult& result, double clip);
  void step_blocks(Slot& slot, uint64_t index, int64_t begin, int64_t end, const UpdateOptions& options, double rate,
                   double clip);
  bool is_fused() const;
  bool is_on_cpu() const;

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace ilr
