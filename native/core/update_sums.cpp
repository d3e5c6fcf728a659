#include "update_sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/max.h>
#include <ATen/ops/sum.h>

#include <algorithm>
#include <cmath>

namespace ilr {

void RunningMean::add(double sum, int64_t count, double largest) {
  sum_ += sum;
  count_ += count;
  largest_ = std::fmax(largest_, largest);
}

void RunningMean::add(const at::Tensor& values) {
  const at::Tensor v = values.detach().to(at::kDouble);
  add(v.sum().item<double>(), v.numel(), v.max().item<double>());
}

void RunningMean::add(const std::vector<double>& values) {
  for (const double value : values) add(value, 1, value);
}

void UpdateSums::add_sampler(const std::vector<double>& logprobs, const std::vector<double>& sampler_logprobs) {
  for (size_t i = 0; i < logprobs.size(); ++i) {
    const double d = logprobs[i] - sampler_logprobs[i];
    sampler_kl.add(std::expm1(d) - d, 1, 0);
    sampler_diff.add(0, 1, std::abs(d));
  }
}

void UpdateSums::finish(UpdateResult& result) const {
  result.entropy = entropy.mean();
  result.ratio_mean = ratio.mean();
  result.ratio_max = ratio.largest();
  result.ratio_clipped_low_fraction = clipped_low.mean();
  result.ratio_clipped_high_fraction = clipped_high.mean();
  result.ratio_clipped_fraction = result.ratio_clipped_low_fraction + result.ratio_clipped_high_fraction;
  result.kl = kl.mean();
  result.importance_mean = importance.mean();
  result.importance_max = importance.largest();
  result.off_policy_dropped_fraction = off_policy.mean();
  result.sampler_kl = sampler_kl.mean();
  result.sampler_max_abs_diff = sampler_diff.largest();
}

}  // namespace ilr
