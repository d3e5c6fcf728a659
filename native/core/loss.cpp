#include "loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

namespace ilr {

TokenLoss clipped_surrogate(const at::Tensor& logprobs_M, const at::Tensor& old_logprobs_M,
                            const at::Tensor& advantages_M, const at::Tensor& coefficients_M,
                            const UpdateOptions& options) {
  const at::Tensor ratios = at::exp(logprobs_M - old_logprobs_M);
  const at::Tensor free = ratios * advantages_M;
  const at::Tensor clipped = at::clamp(ratios, 1 - options.epsilon_low, 1 + options.epsilon_high) * advantages_M;
  const at::Tensor loss = (at::minimum(free, clipped) * coefficients_M).sum().neg();
  return {loss, ratios.detach(), at::lt(clipped, free).detach()};
}

TokenLoss negative_log_likelihood(const at::Tensor& logprobs_M, const at::Tensor& coefficients_M) {
  return {(logprobs_M * coefficients_M).sum().neg(), {}, {}};
}

}  // namespace ilr
