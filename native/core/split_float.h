#pragma once

#include <bit>
#include <cstdint>

// bfloat16 is the upper half of a float32. These are its conversions, bit by bit.
namespace ilr {

inline float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// To the nearest, ties to even, as ATen rounds; NaN stays NaN.
inline uint16_t round_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FC0;
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Up or down with a chance in proportion to the distance, so that the mean is `value`; `random`: 16 uniform bits.
inline uint16_t round_to_bf16(float value, uint32_t random) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7F800000) == 0x7F800000) return round_to_bf16(value);
  return static_cast<uint16_t>((bits + (random & 0xFFFF)) >> 16);
}

// A float32 as a bfloat16 weight and what its bits are beyond it. A float32 lies at most half a bfloat16 step from its
// weight, so that a signed 16-bit remainder holds the rest exactly: 65,536 float32 to each weight. That is why ties are
// rounded away from zero: ties to even would give an even weight 65,537. A NaN is not kept apart from other NaNs.
struct SplitFloat {
  uint16_t weight;
  int16_t remainder;
};

inline SplitFloat split_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7F800000) == 0x7F800000) return {round_to_bf16(value), 0};
  const uint32_t weight = (bits + 0x8000) >> 16;
  return {static_cast<uint16_t>(weight), static_cast<int16_t>(static_cast<uint16_t>(bits - (weight << 16)))};
}

inline float join_float(SplitFloat s) {
  return std::bit_cast<float>((static_cast<uint32_t>(s.weight) << 16) + static_cast<uint32_t>(int32_t{s.remainder}));
}

}  // namespace ilr
