#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "types.h"

namespace ilr {

// A mean that is taken bit by bit, with its largest value. NaN before anything came.
class RunningMean {
 public:
  void add(double sum, int64_t count, double largest);
  void add(const at::Tensor& values);
  void add(const std::vector<double>& values);
  double mean() const { return sum_ / static_cast<double>(count_); }
  double largest() const { return largest_; }

 private:
  double sum_ = 0, largest_ = kNone;
  int64_t count_ = 0;
};

// What an update reports of its tokens: sums over micro-batches that become means.
struct UpdateSums {
  RunningMean entropy, ratio, clipped_low, clipped_high, kl, importance, off_policy, sampler_kl, sampler_diff;

  // log-probs of trained tokens by the trainer and by the sampler, float64 nats.
  void add_sampler(const std::vector<double>& logprobs, const std::vector<double>& sampler_logprobs);
  void finish(UpdateResult& result) const;
};

}  // namespace ilr
