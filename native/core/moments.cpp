#include "moments.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "split_float.h"

namespace ilr {
namespace {

// The mixing function of SplitMix64 (Steele et al., OOPSLA 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

uint32_t random_bits(uint64_t seed, int64_t element) {
  return static_cast<uint32_t>(mix(seed + static_cast<uint64_t>(element) * 0x9E3779B97F4A7C15) >> 32);
}

using Code = std::array<float, 256>;

// The dynamic code of arXiv 2110.02861, section 1.3, as bitsandbytes' create_dynamic_map(signed, 7, 8) makes it: seven
// decades from 1 down, each finer than the one below; the midpoints of equal parts of [0.1, 1], then 0 and 1. Rising.
Code make_code(bool is_signed) {
  Code code{};
  size_t next = 0;
  for (int decade = 0; decade < 7; ++decade) {
    const int parts = 1 << (is_signed ? decade : decade + 1);
    const double power = std::pow(10.0, decade - 6);
    for (int i = 0; i < parts; ++i) {
      const double middle = 0.1 + 0.9 * (i + 0.5) / parts;
      code[next++] = static_cast<float>(power * middle);
      if (is_signed) code[next++] = static_cast<float>(-power * middle);
    }
  }
  code[next++] = 0;
  code[next++] = 1;
  std::sort(code.begin(), code.end());
  return code;
}

const Code& code_of(bool is_signed) {
  static const Code with_sign = make_code(true), without = make_code(false);
  return is_signed ? with_sign : without;
}

// The code below or above `value` with a chance in proportion to the distance.
uint8_t encode(const Code& code, float value, uint32_t random) {
  const auto above = std::upper_bound(code.begin(), code.end(), value);
  if (above == code.begin()) return 0;
  const auto low = static_cast<size_t>(above - code.begin() - 1);
  if (low + 1 == code.size()) return static_cast<uint8_t>(low);
  const float share = (value - code[low]) / (code[low + 1] - code[low]);
  const float u = static_cast<float>(random >> 8) * 0x1.0p-24F;
  return static_cast<uint8_t>(u < share ? low + 1 : low);
}

}  // namespace

Moment::Moment(const at::Tensor& p, MomentType type, bool second) : type_(type), second_(second) {
  if (type == MomentType::float32) {
    values_ = at::zeros_like(p, p.options().dtype(p.scalar_type() == at::kDouble ? at::kDouble : at::kFloat));
    return;
  }
  values_ = at::zeros(p.sizes(), p.options().dtype(type == MomentType::bfloat16 ? at::kBFloat16 : at::kByte)
                                     .requires_grad(false));
  if (type == MomentType::int8) {
    // Code 0 of the signed code is -0.99, but its scale is 0 until the first step.
    scales_ = at::zeros({(p.numel() + kMomentBlock - 1) / kMomentBlock}, p.options().dtype(at::kFloat).requires_grad(false));
  }
}

void Moment::load(int64_t begin, int64_t count, float* out) const {
  switch (type_) {
    case MomentType::float32: std::copy_n(values_.const_data_ptr<float>() + begin, count, out); return;
    case MomentType::bfloat16: {
      const auto* bits = reinterpret_cast<const uint16_t*>(values_.const_data_ptr<at::BFloat16>()) + begin;
      for (int64_t i = 0; i < count; ++i) out[i] = bf16_to_float(bits[i]);
      return;
    }
    case MomentType::int8: {
      const Code& code = code_of(!second_);
      const uint8_t* codes = values_.const_data_ptr<uint8_t>() + begin;
      const float scale = scales_.const_data_ptr<float>()[begin / kMomentBlock];
      for (int64_t i = 0; i < count; ++i) out[i] = code[codes[i]] * scale;
      if (second_) {
        for (int64_t i = 0; i < count; ++i) out[i] *= out[i];
      }
    }
  }
}

void Moment::store(int64_t begin, int64_t count, const float* in, uint64_t seed) {
  switch (type_) {
    case MomentType::float32: std::copy_n(in, count, values_.mutable_data_ptr<float>() + begin); return;
    case MomentType::bfloat16: {
      auto* bits = reinterpret_cast<uint16_t*>(values_.mutable_data_ptr<at::BFloat16>()) + begin;
      for (int64_t i = 0; i < count; ++i) bits[i] = round_to_bf16(in[i], random_bits(seed, begin + i));
      return;
    }
    case MomentType::int8: {
      const Code& code = code_of(!second_);
      float roots[kMomentBlock];
      float most = 0;
      for (int64_t i = 0; i < count; ++i) {
        roots[i] = second_ ? std::sqrt(in[i]) : in[i];
        most = std::max(most, std::abs(roots[i]));
      }
      uint8_t* codes = values_.mutable_data_ptr<uint8_t>() + begin;
      const float scale = most > 0 ? most : 1;
      for (int64_t i = 0; i < count; ++i) {
        codes[i] = encode(code, roots[i] / scale, random_bits(seed, begin + i));
        if (second_ && codes[i] == 0 && roots[i] > 0) codes[i] = 1;
      }
      scales_.mutable_data_ptr<float>()[begin / kMomentBlock] = most;
    }
  }
}

void Moment::append_state(const std::string& name, NamedTensors& state) const {
  state.emplace_back(name, values_);
  if (scales_.defined()) state.emplace_back(name + ".scale", scales_);
}

}  // namespace ilr
