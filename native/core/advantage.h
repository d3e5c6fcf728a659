#pragma once

#include <cstdint>
#include <vector>

#include "types.h"

namespace ilr {

struct Advantages {
  std::vector<double> values;  // [B]
  int64_t groups = 0;
  int64_t zero_spread_groups = 0;
};

// (reward - baseline) / (deviation + epsilon), in float64; rewards up to 1e308 do not overflow on the way.
// Baseline: the group's mean (arXiv 2402.03300 §4.1), the mean of the group's others (RLOO, arXiv 2402.14740), or
// `given` [B]. Deviation: of the group's rewards, of the whole batch's (arXiv 2508.08221), or none (arXiv 2503.20783, then
// without epsilon); around the mean, or around a given baseline, where it is a root mean square that never vanishes
// beside an advantage. A group whose rewards differ by less than 1e-6 gets exactly 0, so that rounding never looks like a
// signal; not so with a given baseline, against which equal rewards do say something.
Advantages normalised_advantages(const std::vector<double>& rewards, const std::vector<int32_t>& group_index,
                                 const AdvantageOptions& options = {}, const std::vector<double>& given = {});

}  // namespace ilr
