#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string>

#include "json.h"

// The format: 8 bytes of header length (little-endian), a JSON header, then the tensors' bytes end to end.
// https://github.com/huggingface/safetensors#format
namespace ilr::safetensors {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

struct Dtype {
  const char* name;
  at::ScalarType type;
  int64_t bytes;
};

inline constexpr std::array<Dtype, 10> dtypes{{{"F64", at::kDouble, 8},
                                              {"F32", at::kFloat, 4},
                                              {"F16", at::kHalf, 2},
                                              {"BF16", at::kBFloat16, 2},
                                              {"I64", at::kLong, 8},
                                              {"I32", at::kInt, 4},
                                              {"I16", at::kShort, 2},
                                              {"I8", at::kChar, 1},
                                              {"U8", at::kByte, 1},
                                              {"BOOL", at::kBool, 1}}};

inline std::string supported_dtypes() {
  std::string text;
  for (const Dtype& dtype : dtypes) {
    if (!text.empty()) text += ' ';
    text += dtype.name;
  }
  return text;
}

inline std::string shown(const std::string& name) { return describe_json(Json{name}); }

}  // namespace ilr::safetensors
