#pragma once

#include <cstdint>
#include <vector>

namespace ilr {

struct Advantages {
  std::vector<double> values;  // [B]
  int64_t groups = 0;
  int64_t zero_spread_groups = 0;
};

// Group-normalised advantages: (reward - mean) / (population std + 1e-6) within each group, in float64.
// arXiv 2402.03300 §4.1. A group whose rewards differ by less than 1e-6 gets exactly 0, so that rounding never looks
// like a signal.
Advantages group_advantages(const std::vector<double>& rewards, const std::vector<int32_t>& group_index);

}  // namespace ilr
