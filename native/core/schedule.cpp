#include "schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ilr {

double learning_rate_at(int64_t step, const UpdateOptions& o) {
  const double warm =
      o.warmup_steps > 0 ? std::min(1.0, static_cast<double>(step) / static_cast<double>(o.warmup_steps)) : 1.0;
  if (o.schedule == Schedule::constant || step <= o.warmup_steps) return o.learning_rate * warm;
  const double past = static_cast<double>(step - 1 - o.warmup_steps);
  const double p = std::min(1.0, past / static_cast<double>(o.total_steps - o.warmup_steps));
  const double left = o.schedule == Schedule::linear ? 1 - p : (1 + std::cos(std::numbers::pi * p)) / 2;
  const double f = o.min_learning_rate_fraction;
  return o.learning_rate * (f + (1 - f) * left);
}

}  // namespace ilr
