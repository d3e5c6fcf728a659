#pragma once

#include <ATen/core/Tensor.h>

#include "types.h"

// Losses of M trained tokens, the tokens of whole completions one after another. Every loss is a sum over tokens, each
// weighted by a coefficient that token_weights.h fixes before the forward pass, so that a batch's sum does not depend on
// how it is cut into micro-batches. Tensors are of one dtype; sums over a completion are taken in float64.
namespace ilr {

// What the policy term reads. No gradient but of logprobs_M.
struct PolicyTokens {
  at::Tensor logprobs_M;      // nats, of the policy that learns
  at::Tensor old_logprobs_M;  // nats, of the old policy
  at::Tensor advantages_M;
  at::Tensor coefficients_M;  // 0 where a mask leaves the token out
  at::Tensor completion_M;    // int64: which of K completions a token belongs to
  at::Tensor lengths_K;       // float64: trained tokens of each
};

struct PolicyLoss {
  at::Tensor loss;            // scalar with gradient; minimise it
  at::Tensor ratios_M;        // no gradient: exp of the log-ratio at the level asked for
  at::Tensor clipped_low_M;   // bool: the gradient was removed, the ratio being too low for a negative advantage
  at::Tensor clipped_high_M;  // bool: removed, the ratio being too high; cispo: its weight was capped
};

// r is exp(l), l = logprob - old_logprob of a token, or its mean over the completion (GSPO, arXiv 2507.18071, Eq. 7).
// grpo, bnpo, dr_grpo, dapo, luspo: -min(min(r, delta) A, clip(r, 1 - eps_low, 1 + eps_high) A). arXiv 2402.03300 Eq. 3,
//   2503.14476 Eq. 8, 2503.20783 (dr_grpo); delta: 2505.07291. They differ in their coefficients.
// cispo: -min(r, cap) A logprob, the weight without gradient. arXiv 2506.13585 Eq. 4.
// sapo: -(4 / tau) sigmoid(tau (r - 1)) A, tau by the sign of A. arXiv 2511.20347.
// vespo: -phi(w) A logprob, phi = exp(lambda + k ln w - lambda w) without gradient, k and lambda by the sign of A,
//   ln w = sum over the completion of clamp(l, -20, 20) + clamp(ln importance weight, ln 1e-8, 20), clamped to
//   [ln 1e-8, 20], whichever ratio is chosen. TRL's definition. importance_M: undefined where there is no correction.
PolicyLoss policy_loss(const PolicyTokens& tokens, const at::Tensor& importance_M, const UpdateOptions& options);

// KL divergence from the reference policy, with d = ref_logprob - logprob: k1 = -d, k2 = d^2 / 2, k3 = e^d - d - 1
// (Schulman 2020). kl_unbiased: times the token's ratio to the old policy, with its gradient (DeepSeek-V3.2,
// arXiv 2512.02556), so that the expected gradient is the divergence's own.
struct KlLoss {
  at::Tensor loss;      // scalar with gradient: sum of coefficient * kl (* ratio); without beta
  at::Tensor values_M;  // no gradient, without the ratio
};
KlLoss kl_loss(const at::Tensor& logprobs_M, const at::Tensor& old_logprobs_M, const at::Tensor& ref_logprobs_M,
               const at::Tensor& coefficients_M, const UpdateOptions& options);

// -sum of coefficient * value: the negative log-likelihood of log-probs, the entropy bonus of entropies.
at::Tensor negative_weighted_sum(const at::Tensor& values_M, const at::Tensor& coefficients_M);

}  // namespace ilr
