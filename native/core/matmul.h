#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace ilr {

// The type that sums are kept in: float32 of bfloat16, else the type itself.
inline at::ScalarType sum_type(at::ScalarType type) { return type == at::kBFloat16 ? at::kFloat : type; }

// c_MN = a_MK b_KN, or c_MN += a_MK b_KN. a and b may be transposed views; c is contiguous. No gradient.
// Where b is bfloat16, a and c may be bfloat16 or float32: the sums are float32, and c is rounded once.
// On the CPU a row of c does not depend on the other rows of a, bit for bit; elsewhere this is at::mm.
void matrix_product_into(at::Tensor& c_MN, const at::Tensor& a_MK, const at::Tensor& b_KN, bool accumulate = false);
// In `type`, or in b's.
at::Tensor matrix_product(const at::Tensor& a_MK, const at::Tensor& b_KN, std::optional<at::ScalarType> type = {});

// x_TC weight_OC^T (+ bias_O) (+ residual_TO) -> [T, O], differentiable. bias and residual may be undefined.
at::Tensor linear_layer(const at::Tensor& x_TC, const at::Tensor& weight_OC, const at::Tensor& bias_O = {},
                  const at::Tensor& residual_TO = {});

}  // namespace ilr
