#include "advantage.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace ilr {
namespace {

constexpr double kSmallestSpread = 1e-6;
constexpr double kLargestSquare = 1e100;

using Rows = std::vector<size_t>;

struct Rewards {
  const std::vector<double>& rewards;
  const std::vector<double>& given;  // empty unless the baseline is given
  const AdvantageOptions& options;

  // What values are multiplied by so that their squares do not overflow: a power of two, 1 for any but huge ones.
  double unit(const Rows& rows) const {
    double largest = 0;
    for (const size_t i : rows) {
      largest = std::max({largest, std::abs(rewards[i]), given.empty() ? 0 : std::abs(given[i])});
    }
    return largest > kLargestSquare ? std::ldexp(1.0, -std::ilogb(largest)) : 1;
  }

  double mean(const Rows& rows, double unit) const {
    double sum = 0;
    for (const size_t i : rows) sum += rewards[i] * unit;
    return sum / static_cast<double>(rows.size());
  }

  // In units, epsilon included.
  double deviation(const Rows& rows, double unit) const {
    const double centre = given.empty() ? mean(rows, unit) : 0;
    double squares = 0;
    for (const size_t i : rows) {
      const double d = rewards[i] * unit - (given.empty() ? centre : given[i] * unit);
      squares += d * d;
    }
    const size_t count = rows.size() - (options.deviation == Deviation::sample ? 1 : 0);
    return std::sqrt(squares / static_cast<double>(count)) + options.epsilon * unit;
  }

  bool has_spread(const Rows& rows) const {
    double low = rewards[rows[0]], high = low;
    for (const size_t i : rows) {
      low = std::min(low, rewards[i]);
      high = std::max(high, rewards[i]);
    }
    return !(high - low < kSmallestSpread);
  }
};

}  // namespace

Advantages normalised_advantages(const std::vector<double>& rewards, const std::vector<int32_t>& group_index,
                                 const AdvantageOptions& o, const std::vector<double>& given) {
  std::map<int32_t, Rows> groups;
  for (size_t i = 0; i < rewards.size(); ++i) groups[group_index[i]].push_back(i);
  const Rewards r{rewards, given, o};
  Rows all(rewards.size());
  std::iota(all.begin(), all.end(), 0);
  const bool by_batch = o.scale == AdvantageScale::batch;
  const double batch_unit = by_batch ? r.unit(all) : 1, batch_deviation = by_batch ? r.deviation(all, batch_unit) : 0;

  Advantages out;
  out.values.assign(rewards.size(), 0);
  out.groups = static_cast<int64_t>(groups.size());
  for (const auto& [group, rows] : groups) {
    if (!r.has_spread(rows)) {
      ++out.zero_spread_groups;
      if (given.empty()) continue;
    }
    const double unit = by_batch ? batch_unit : r.unit(rows);
    const double mean = r.mean(rows, unit), count = static_cast<double>(rows.size());
    const double divisor = by_batch                              ? batch_deviation
                           : o.scale == AdvantageScale::group ? r.deviation(rows, unit)
                                                              : unit;
    for (const size_t i : rows) {
      double residual = rewards[i] * unit - (given.empty() ? mean : given[i] * unit);
      if (o.baseline == Baseline::leave_one_out) residual *= count / (count - 1);
      if (residual != 0) out.values[i] = residual / divisor;
    }
  }
  return out;
}

}  // namespace ilr
