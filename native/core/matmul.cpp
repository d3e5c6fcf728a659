#include "matmul.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "cpu_kernels.h"

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kWorkPerThread = 1 << 20;  // multiplications below which a second thread costs more than it gains

template <typename T>
void multiply_on_cpu(at::Tensor& c, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  const GemmArgs<T> whole{a.const_data_ptr<T>(), b.const_data_ptr<T>(), c.mutable_data_ptr<T>(), a.size(0), b.size(1),
                          a.size(1), a.stride(0), a.stride(1), b.stride(0), b.stride(1), c.stride(0), accumulate};
  const int64_t work = std::max<int64_t>(1, whole.k * std::max(whole.m, whole.n));
  // The longer side is shared out, in whole tiles of columns: each thread packs what it needs of b.
  if (whole.n > whole.m) {
    constexpr int64_t tile = 64;
    const int64_t tiles = (whole.n + tile - 1) / tile;
    const int64_t grain = std::max<int64_t>(1, kWorkPerThread / (whole.k * whole.m * tile + 1));
    at::parallel_for(0, tiles, grain, [&](int64_t begin, int64_t end) {
      GemmArgs<T> part = whole;
      part.b += begin * tile * whole.b_column;
      part.c += begin * tile;
      part.n = std::min(end * tile, whole.n) - begin * tile;
      cpu_kernels<T>().gemm(part);
    });
  } else {
    const int64_t grain = std::max<int64_t>(1, kWorkPerThread * whole.m / (work * whole.n + 1));
    at::parallel_for(0, whole.m, grain, [&](int64_t begin, int64_t end) {
      GemmArgs<T> part = whole;
      part.a += begin * whole.a_row;
      part.c += begin * whole.c_row;
      part.m = end - begin;
      cpu_kernels<T>().gemm(part);
    });
  }
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& residual) {
    ctx->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    ctx->saved_data["has_bias"] = bias.has_value();
    ctx->saved_data["has_residual"] = residual.has_value();
    at::Tensor y = residual ? residual->clone() : at::empty({x.size(0), weight.size(0)}, x.options());
    if (bias && residual) {
      y.add_(*bias);
    } else if (bias) {
      y.copy_(bias->expand_as(y));
    }
    matrix_product_into(y, x, weight.t(), bias || residual);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], dy = grads[0].contiguous();
    at::Tensor dx, dweight, dbias, dresidual;
    if (ctx->needs_input_grad(0)) dx = matrix_product(dy, weight);
    if (ctx->needs_input_grad(1)) dweight = matrix_product(dy.t(), x);
    // Edges are of the tensors that are there: without a bias the residual is the third.
    const bool has_bias = ctx->saved_data["has_bias"].toBool();
    if (has_bias && ctx->needs_input_grad(2)) dbias = dy.sum(0);
    if (ctx->saved_data["has_residual"].toBool() && ctx->needs_input_grad(has_bias ? 3 : 2)) dresidual = dy;
    return {dx, dweight, dbias, dresidual};
  }
};

}  // namespace

void matrix_product_into(at::Tensor& c_MN, const at::Tensor& a_MK, const at::Tensor& b_KN, bool accumulate) {
  const at::NoGradGuard no_grad;
  if (c_MN.numel() == 0) return;
  if (c_MN.device().is_cpu() && c_MN.scalar_type() == at::kFloat) {
    multiply_on_cpu<float>(c_MN, a_MK, b_KN, accumulate);
  } else if (c_MN.device().is_cpu() && c_MN.scalar_type() == at::kDouble) {
    multiply_on_cpu<double>(c_MN, a_MK, b_KN, accumulate);
  } else if (accumulate) {
    c_MN.addmm_(a_MK, b_KN);
  } else {
    at::mm_out(c_MN, a_MK, b_KN);
  }
}

at::Tensor matrix_product(const at::Tensor& a_MK, const at::Tensor& b_KN) {
  at::Tensor c = at::empty({a_MK.size(0), b_KN.size(1)}, a_MK.options());
  matrix_product_into(c, a_MK, b_KN);
  return c;
}

at::Tensor linear_layer(const at::Tensor& x_TC, const at::Tensor& weight_OC, const at::Tensor& bias_O,
                  const at::Tensor& residual_TO) {
  const auto present = [](const at::Tensor& tensor) {
    return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
  };
  return Linear::apply(x_TC, weight_OC, present(bias_O), present(residual_TO));
}

}  // namespace ilr
