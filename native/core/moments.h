#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "named_tensors.h"

namespace ilr {

enum class MomentType : uint8_t { float32, bfloat16, int8 };

// Elements that share a scale: 256, as bitsandbytes and torchao use for arXiv 2110.02861.
constexpr int64_t kMomentBlock = 256;

// One running average of a parameter's gradient in memory. float32 (float64 in a float64 policy), bfloat16, or 8-bit codes
// with a float32 scale, the largest magnitude, per block. The narrow ones are rounded stochastically: an average that
// moves by less than half a step per update (beta2 = 0.999 moves by a thousandth, a bfloat16 step is a 256th) would
// otherwise stand still. The draws depend on step, tensor and element alone, so that a step repeats bit for bit.
class Moment {
 public:
  // `second`: of squares, not negative. 8 bits hold its root, whose range is that of the first moment, and never round
  // what is not 0 to 0: the step divides by it. (bitsandbytes codes the square itself.)
  Moment(const at::Tensor& parameter, MomentType type, bool second);

  // Elements [begin, begin + count) of the flattened parameter; begin is a multiple of kMomentBlock, count at most that.
  void load(int64_t begin, int64_t count, float* values) const;
  void store(int64_t begin, int64_t count, const float* values, uint64_t seed);

  const at::Tensor& values() const { return values_; }
  void append_state(const std::string& name, NamedTensors& state) const;

 private:
  MomentType type_;
  bool second_;
  at::Tensor values_;  // shaped like the parameter
  at::Tensor scales_;  // [blocks] float32; of int8
};

}  // namespace ilr
