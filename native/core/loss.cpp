#include "loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>

namespace ilr {

TokenLoss clipped_surrogate(const at::Tensor& logprobs_M, const at::Tensor& old_logprobs_M,
                            const at::Tensor& advantages_M, const at::Tensor& coefficients_M,
                            const UpdateOptions& options) {
  // A ratio that overflows is clipped where the advantage is positive, but exp's gradient would be 0 times infinity: NaN.
  // Beyond exp(80) it is clipped whatever epsilon_high is. Where the advantage is negative it is infinite indeed.
  const at::Tensor differences = logprobs_M - old_logprobs_M;
  const at::Tensor ratios = at::exp(at::where(advantages_M.gt(0), differences.clamp_max(80), differences));
  const at::Tensor free = ratios * advantages_M;
  const at::Tensor clipped = at::clamp(ratios, 1 - options.epsilon_low, 1 + options.epsilon_high) * advantages_M;
  const at::Tensor loss = (at::minimum(free, clipped) * coefficients_M).sum().neg();
  return {loss, ratios.detach(), at::lt(clipped, free).detach()};
}

TokenLoss negative_log_likelihood(const at::Tensor& logprobs_M, const at::Tensor& coefficients_M) {
  return {(logprobs_M * coefficients_M).sum().neg(), {}, {}};
}

}  // namespace ilr
