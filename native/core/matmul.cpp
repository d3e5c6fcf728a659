#include "matmul.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>
#include <type_traits>

#include "abort.h"
#include "cpu_kernels.h"

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kWorkPerThread = 1 << 20;  // multiplications below which a second thread costs more than it gains
constexpr int64_t kWorkPerBlock = int64_t{1} << 31;  // multiplications between two looks at the abort flag: a tenth of a second

// Calls part(begin, end) for blocks of rows, columns or tiles that cost `work_each`, until the flag is set.
template <typename Part>
void in_blocks(const AbortFlag& abort, int64_t begin, int64_t end, int64_t work_each, const Part& part) {
  const int64_t block = std::max<int64_t>(64, kWorkPerBlock / std::max<int64_t>(1, work_each));
  for (int64_t i = begin; i < end && !abort.is_set(); i += block) part(i, std::min(end, i + block));
}

template <typename B>
const B* data_of(const at::Tensor& tensor) {
  if constexpr (std::is_same_v<B, Bf16>) {
    return reinterpret_cast<const Bf16*>(tensor.const_data_ptr<at::BFloat16>());
  } else {
    return tensor.const_data_ptr<B>();
  }
}

template <typename T, typename B>
void run_gemm(const GemmArgs<T, B>& args) {
  if constexpr (std::is_same_v<B, Bf16>) {
    cpu_kernels<T>().gemm_bf16(args);
  } else {
    cpu_kernels<T>().gemm(args);
  }
}

template <typename T, typename B = T>
void multiply_on_cpu(at::Tensor& c, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  const GemmArgs<T, B> whole{a.const_data_ptr<T>(), data_of<B>(b), c.mutable_data_ptr<T>(), a.size(0), b.size(1),
                          a.size(1), a.stride(0), a.stride(1), b.stride(0), b.stride(1), c.stride(0), accumulate};
  const int64_t work = std::max<int64_t>(1, whole.k * std::max(whole.m, whole.n));
  const AbortFlag abort;
  // The longer side is shared out, in whole tiles of columns: each thread packs what it needs of b.
  if (whole.n > whole.m) {
    constexpr int64_t tile = 64;
    const int64_t tiles = (whole.n + tile - 1) / tile;
    const int64_t grain = std::max<int64_t>(1, kWorkPerThread / (whole.k * whole.m * tile + 1));
    at::parallel_for(0, tiles, grain, [&](int64_t first, int64_t last) {
      in_blocks(abort, first, last, whole.k * whole.m * tile, [&](int64_t begin, int64_t end) {
        GemmArgs<T, B> part = whole;
        part.b += begin * tile * whole.b_column;
        part.c += begin * tile;
        part.n = std::min(end * tile, whole.n) - begin * tile;
        run_gemm(part);
      });
    });
  } else {
    const int64_t grain = std::max<int64_t>(1, kWorkPerThread * whole.m / (work * whole.n + 1));
    at::parallel_for(0, whole.m, grain, [&](int64_t first, int64_t last) {
      in_blocks(abort, first, last, whole.k * whole.n, [&](int64_t begin, int64_t end) {
        GemmArgs<T, B> part = whole;
        part.a += begin * whole.a_row;
        part.c += begin * whole.c_row;
        part.m = end - begin;
        run_gemm(part);
      });
    });
  }
}

// b is bfloat16.
void multiply_bf16(at::Tensor& c, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  if (c.device().is_cpu()) {
    at::Tensor sums = c.scalar_type() == at::kFloat ? c : accumulate ? c.to(at::kFloat) : at::empty(c.sizes(), c.options().dtype(at::kFloat));
    multiply_on_cpu<float, Bf16>(sums, a.to(at::kFloat), b, accumulate);
    if (!sums.is_same(c)) c.copy_(sums);
    return;
  }
  const at::Tensor narrow_a = a.to(at::kBFloat16);
  const at::Tensor product = c.scalar_type() == at::kFloat ? at::mm(narrow_a, b, at::kFloat) : at::mm(narrow_a, b);
  accumulate ? c.add_(product) : c.copy_(product);
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& residual) {
    ctx->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    ctx->saved_data["has_bias"] = bias.has_value();
    ctx->saved_data["has_residual"] = residual.has_value();
    // On the CPU a bfloat16 output is summed in float32, bias and residual included, and rounded once.
    const auto type = x.device().is_cpu() ? sum_type(x.scalar_type()) : x.scalar_type();
    at::Tensor y = residual ? residual->to(type, false, /*copy=*/true)
                            : at::empty({x.size(0), weight.size(0)}, x.options().dtype(type));
    if (bias && residual) {
      y.add_(*bias);
    } else if (bias) {
      y.copy_(bias->expand_as(y));
    }
    matrix_product_into(y, x, weight.t(), bias || residual);
    return y.to(x.scalar_type());
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
  throw_if_aborted("product");
  if (b_KN.scalar_type() == at::kBFloat16) {
    multiply_bf16(c_MN, a_MK, b_KN, accumulate);
  } else if (c_MN.device().is_cpu() && c_MN.scalar_type() == at::kFloat) {
    multiply_on_cpu<float>(c_MN, a_MK, b_KN, accumulate);
  } else if (c_MN.device().is_cpu() && c_MN.scalar_type() == at::kDouble) {
    multiply_on_cpu<double>(c_MN, a_MK, b_KN, accumulate);
  } else if (accumulate) {
    c_MN.addmm_(a_MK, b_KN);
  } else {
    at::mm_out(c_MN, a_MK, b_KN);
  }
  throw_if_aborted("product end");
}

at::Tensor matrix_product(const at::Tensor& a_MK, const at::Tensor& b_KN, std::optional<at::ScalarType> type) {
  at::Tensor c = at::empty({a_MK.size(0), b_KN.size(1)}, b_KN.options().dtype(type.value_or(b_KN.scalar_type())));
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
