#include "advantage.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ilr {
namespace {
constexpr double kSmallestSpread = 1e-6;
constexpr double kStdEpsilon = 1e-6;
}  // namespace

Advantages group_advantages(const std::vector<double>& rewards, const std::vector<int32_t>& group_index) {
  std::map<int32_t, std::vector<size_t>> members;
  for (size_t i = 0; i < rewards.size(); ++i) members[group_index[i]].push_back(i);

  Advantages out;
  out.values.assign(rewards.size(), 0);
  out.groups = static_cast<int64_t>(members.size());
  for (const auto& [group, rows] : members) {
    double sum = 0, low = rewards[rows[0]], high = low;
    for (const size_t i : rows) {
      sum += rewards[i];
      low = std::min(low, rewards[i]);
      high = std::max(high, rewards[i]);
    }
    if (high - low < kSmallestSpread) {
      ++out.zero_spread_groups;
      continue;
    }
    const double mean = sum / static_cast<double>(rows.size());
    double squares = 0;
    for (const size_t i : rows) squares += (rewards[i] - mean) * (rewards[i] - mean);
    const double std = std::sqrt(squares / static_cast<double>(rows.size()));
    for (const size_t i : rows) out.values[i] = (rewards[i] - mean) / (std + kStdEpsilon);
  }
  return out;
}

}  // namespace ilr
