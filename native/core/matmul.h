#pragma once

#include <ATen/core/Tensor.h>

namespace ilr {

// c_MN = a_MK b_KN, or c_MN += a_MK b_KN. a and b may be transposed views; c is contiguous. No gradient.
// On the CPU a row of c does not depend on the other rows of a, bit for bit; elsewhere this is at::mm.
void matrix_product_into(at::Tensor& c_MN, const at::Tensor& a_MK, const at::Tensor& b_KN, bool accumulate = false);
at::Tensor matrix_product(const at::Tensor& a_MK, const at::Tensor& b_KN);

// x_TC weight_OC^T (+ bias_O) (+ residual_TO) -> [T, O], differentiable. bias and residual may be undefined.
at::Tensor linear_layer(const at::Tensor& x_TC, const at::Tensor& weight_OC, const at::Tensor& bias_O = {},
                  const at::Tensor& residual_TO = {});

}  // namespace ilr
