#pragma once

#include <cstdint>

namespace ilr {

// Rotary positions: their base, and how the frequencies are slowed for contexts longer than the one first trained on.
struct RopeConfig {
  enum class Scaling : uint8_t { none, linear, llama3 };
  double theta = 10000;
  Scaling scaling = Scaling::none;
  double factor = 1;                   // linear, llama3
  double low_freq_factor = 1;          // llama3: wavelengths above original / low are slowed by the factor,
  double high_freq_factor = 4;         //         those below original / high are kept, between them it is blended
  int64_t original_max_positions = 1;  // llama3
  bool operator==(const RopeConfig&) const = default;
};

}  // namespace ilr
