#include "loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logical_not.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace ilr {
namespace {

// exp beyond it is clipped, capped or saturated in every loss that has a bound, and is finite in float32 still.
constexpr double kLargestLogRatio = 80;
constexpr double kVespoTokenBound = 20;
constexpr double kVespoLargest = 20;
const double kVespoSmallest = std::log(1e-8);

// The sum over each token's completion, float64 [K].
at::Tensor completion_sums(const at::Tensor& values_M, const PolicyTokens& t) {
  return at::zeros(t.lengths_K.sizes(), t.lengths_K.options()).index_add(0, t.completion_M, values_M.to(at::kDouble));
}

at::Tensor spread(const at::Tensor& values_K, const PolicyTokens& t) {
  return values_K.index_select(0, t.completion_M).to(t.logprobs_M.scalar_type());
}

at::Tensor log_ratios(const PolicyTokens& t, RatioLevel level) {
  const at::Tensor differences = t.logprobs_M - t.old_logprobs_M;
  return level == RatioLevel::token ? differences : spread(completion_sums(differences, t) / t.lengths_K, t);
}

// By the sign of the advantage, in float64: a Scalar of at::where would be rounded to float32.
at::Tensor choose(const at::Tensor& condition_M, double yes, double no) {
  const at::TensorOptions options = condition_M.options().dtype(at::kDouble);
  return at::where(condition_M, at::scalar_tensor(yes, options), at::scalar_tensor(no, options));
}

at::Tensor none(const at::Tensor& like_M) { return at::zeros_like(like_M, like_M.options().dtype(at::kBool)); }

PolicyLoss clipped(const PolicyTokens& t, const at::Tensor& log_ratios_M, const UpdateOptions& o) {
  // A ratio that overflows is clipped where the advantage is positive, but exp's gradient would be 0 times infinity: NaN.
  // So would it be where the advantage or the coefficient is 0. Where the advantage is negative it is infinite indeed.
  const at::Tensor bounded = log_ratios_M.clamp_max(kLargestLogRatio);
  const at::Tensor ratios = at::exp(
      o.delta ? bounded
              : at::where(t.advantages_M.lt(0).logical_and(t.coefficients_M.ne(0)), log_ratios_M, bounded));
  const at::Tensor free = (o.delta ? ratios.clamp_max(*o.delta) : ratios) * t.advantages_M;
  const at::Tensor clipped = at::clamp(ratios, 1 - o.epsilon_low, 1 + o.epsilon_high) * t.advantages_M;
  const at::Tensor loss = (at::minimum(free, clipped) * t.coefficients_M).sum().neg();
  const at::Tensor by_clip = at::lt(clipped, free).detach(), negative = t.advantages_M.lt(0);
  const at::Tensor by_delta = o.delta ? negative.logical_and(ratios.detach().gt(*o.delta)) : none(by_clip);
  return {loss, ratios.detach(), by_clip.logical_and(negative),
          by_clip.logical_and(negative.logical_not()).logical_or(by_delta)};
}

PolicyLoss capped(const PolicyTokens& t, const at::Tensor& log_ratios_M, const UpdateOptions& o) {
  const at::Tensor ratios = at::exp(log_ratios_M.detach());
  const at::Tensor weights = ratios.clamp_max(o.cispo_cap) * t.advantages_M * t.coefficients_M;
  return {negative_weighted_sum(t.logprobs_M, weights), ratios, none(ratios), ratios.gt(o.cispo_cap)};
}

PolicyLoss soft(const PolicyTokens& t, const at::Tensor& log_ratios_M, const UpdateOptions& o) {
  const at::Tensor ratios = at::exp(log_ratios_M.clamp_max(kLargestLogRatio));
  const at::Tensor tau = choose(t.advantages_M.gt(0), o.sapo_temperature_positive, o.sapo_temperature_negative)
                             .to(ratios.scalar_type());
  const at::Tensor gates = at::sigmoid((ratios - 1) * tau) * (4 / tau);
  return {negative_weighted_sum(gates * t.advantages_M, t.coefficients_M), ratios.detach(), none(ratios), none(ratios)};
}

PolicyLoss variational(const PolicyTokens& t, const at::Tensor& log_ratios_M, const at::Tensor& importance_M,
                       const UpdateOptions& o) {
  const at::Tensor differences = t.logprobs_M.detach() - t.old_logprobs_M;
  at::Tensor log_w_K = completion_sums(differences.clamp(-kVespoTokenBound, kVespoTokenBound), t);
  if (importance_M.defined()) {
    const at::Tensor logs = importance_M.to(at::kDouble).log();
    log_w_K = log_w_K + completion_sums(logs.clamp(kVespoSmallest, kVespoLargest), t);
  }
  const at::Tensor log_w_M = log_w_K.clamp(kVespoSmallest, kVespoLargest).index_select(0, t.completion_M);  // float64
  const at::Tensor low = t.advantages_M.lt(0);
  const at::Tensor k = choose(low, o.vespo_k_negative, o.vespo_k_positive);
  const at::Tensor lambda = choose(low, o.vespo_lambda_negative, o.vespo_lambda_positive);
  const at::Tensor phi = at::exp(lambda + k * log_w_M - lambda * at::exp(log_w_M)).to(t.logprobs_M.scalar_type());
  const at::Tensor ratios = at::exp(log_ratios_M.detach());
  return {negative_weighted_sum(t.logprobs_M, phi * t.advantages_M * t.coefficients_M), ratios, none(ratios), none(ratios)};
}

}  // namespace

PolicyLoss policy_loss(const PolicyTokens& t, const at::Tensor& importance_M, const UpdateOptions& o) {
  const at::Tensor ratios = log_ratios(t, o.ratio);
  switch (o.loss) {
    case Loss::cispo: return capped(t, ratios, o);
    case Loss::sapo: return soft(t, ratios, o);
    case Loss::vespo: return variational(t, ratios, importance_M, o);
    default: return clipped(t, ratios, o);
  }
}

KlLoss kl_loss(const at::Tensor& logprobs_M, const at::Tensor& old_logprobs_M, const at::Tensor& ref_logprobs_M,
               const at::Tensor& coefficients_M, const UpdateOptions& o) {
  // Values and slopes by hand: autograd's e^d - 1 loses the digits of a small d, and its 0 times infinity is NaN where the
  // ratio vanishes and e^d overflows.
  const at::Tensor lp = logprobs_M.detach(), d = ref_logprobs_M - lp;
  const at::Tensor values = o.kl == KlEstimator::k1   ? d.neg()
                            : o.kl == KlEstimator::k2 ? d * d / 2
                                                      : at::expm1(d) - d;
  at::Tensor terms = values;
  at::Tensor slopes;
  if (!o.kl_unbiased) {
    slopes = o.kl == KlEstimator::k1 ? at::ones_like(d) : o.kl == KlEstimator::k2 ? d.neg() : at::expm1(d).neg();
  } else {
    const at::Tensor ratios = at::exp(lp - old_logprobs_M);
    terms = ratios * values;
    if (o.kl == KlEstimator::k3) {
      // r e^d = exp(ref - old) has no overflow of its own.
      terms = at::where(d.gt(20), at::exp(ref_logprobs_M - old_logprobs_M) - ratios * (d + 1), terms);
      slopes = ratios * d.neg();
    } else {
      slopes = ratios * (o.kl == KlEstimator::k1 ? 1 - d : values - d);
    }
  }
  const at::Tensor value = (terms * coefficients_M).sum();
  const at::Tensor slope = (slopes * coefficients_M * (logprobs_M - lp)).sum();  // 0, with the gradient
  return {value + slope, values};
}

at::Tensor negative_weighted_sum(const at::Tensor& values_M, const at::Tensor& coefficients_M) {
  return (values_M * coefficients_M).sum().neg();
}

}  // namespace ilr
