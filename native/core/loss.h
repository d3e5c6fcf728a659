#pragma once

#include <ATen/core/Tensor.h>

#include "types.h"

namespace ilr {

// Loss of trained tokens, each weighted by coefficients_M (stage weight / trained tokens of the stage, so that a whole
// batch's sum is a mean however it is cut into micro-batches). Scalar with gradient; minimise it.
struct TokenLoss {
  at::Tensor loss;
  at::Tensor ratios_M;   // no gradient; undefined for nll
  at::Tensor clipped_M;  // bool: the clip removed this token's gradient
};

// Clipped surrogate: -min(r A, clip(r, 1 - eps_low, 1 + eps_high) A), r = exp(logprobs - old_logprobs).
// arXiv 2402.03300 Eq. 3 with the asymmetric clip and token mean of DAPO, arXiv 2503.14476 Eq. 8 and 12.
TokenLoss clipped_surrogate(const at::Tensor& logprobs_M, const at::Tensor& old_logprobs_M,
                            const at::Tensor& advantages_M, const at::Tensor& coefficients_M,
                            const UpdateOptions& options);

// Negative log-likelihood.
TokenLoss negative_log_likelihood(const at::Tensor& logprobs_M, const at::Tensor& coefficients_M);

}  // namespace ilr
