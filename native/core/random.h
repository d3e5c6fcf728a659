#pragma once

#include <cmath>
#include <cstdint>

// Counter-based randomness: Philox4x32-10 (Salmon et al., SC'11). A draw is a pure function of its stream and position,
// so it depends on no other draw, no slot, no batch and no thread.
namespace ilr {

struct PhiloxBlock {
  uint32_t word[4];
};

inline PhiloxBlock philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  PhiloxBlock c{{static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
                 static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)}};
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.word[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ k0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

// Uniform in [0, 1) with 53 bits, at `position` of `stream`.
inline double uniform_at(uint64_t stream, uint64_t position) {
  const PhiloxBlock b = philox(stream, position, 0);
  const uint64_t bits = (uint64_t{b.word[0]} << 32) | b.word[1];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

// Standard normal at `index` of tensor `tensor` under `seed` (Box-Muller).
inline double normal_at(uint64_t seed, uint64_t tensor, uint64_t index) {
  const PhiloxBlock b = philox(seed, index, tensor + 1);
  const double u = (static_cast<double>(b.word[0]) + 0.5) * 0x1.0p-32;
  const double v = static_cast<double>(b.word[1]) * 0x1.0p-32;
  return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
}

}  // namespace ilr
