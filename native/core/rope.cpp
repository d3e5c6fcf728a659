#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sin.h>

#include <cmath>
#include <numbers>

#include "layers.h"

namespace ilr {
namespace {

// Of the scaling of Llama 3.1: fast rotations are kept, slow ones slowed by the factor, and those between blended.
double llama3_frequency(double frequency, const RopeConfig& rope) {
  const double turns = static_cast<double>(rope.original_max_positions) * frequency / (2 * std::numbers::pi);
  if (turns > rope.high_freq_factor) return frequency;
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  const double kept = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - kept) * frequency / rope.factor + kept * frequency;
}

// [D/2] float64.
at::Tensor rope_frequencies(const RopeConfig& rope, int64_t head_dim) {
  const at::Tensor exponent = at::arange(0, head_dim, 2, at::kDouble) / static_cast<double>(head_dim);
  at::Tensor frequencies = at::pow(at::Scalar(rope.theta), exponent).reciprocal();
  double* data = frequencies.mutable_data_ptr<double>();
  for (int64_t i = 0; i < frequencies.numel(); ++i) {
    if (rope.scaling == RopeConfig::Scaling::linear) data[i] /= rope.factor;
    if (rope.scaling == RopeConfig::Scaling::llama3) data[i] = llama3_frequency(data[i], rope);
  }
  return frequencies;
}

}  // namespace

Rope make_rope(int64_t positions, int64_t head_dim, const RopeConfig& config, at::ScalarType dtype, at::Device device) {
  const at::Tensor frequencies = rope_frequencies(config, head_dim);
  // Hugging Face rounds the frequencies and the angles to float32 before the cosine; float64 keeps them whole.
  const auto angle_type = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor angles = at::outer(at::arange(positions, angle_type), frequencies.to(angle_type));
  return {at::cos(angles).to(device, dtype), at::sin(angles).to(device, dtype)};
}

}  // namespace ilr
