#include "token_weights.h"

#include <algorithm>
#include <cmath>

namespace ilr {
namespace {

struct StageCounts {
  double tokens = 0, completions = 0;  // trained; with any trained token
};

double normaliser(const UpdateOptions& o, const StageCounts& stage, double stage_tokens, double own) {
  switch (o.loss) {
    case Loss::grpo:
    case Loss::sapo: return stage.completions * own;
    case Loss::dr_grpo: return stage.completions * static_cast<double>(o.max_completion_tokens);
    case Loss::luspo: return stage.completions;
    case Loss::dapo:
    case Loss::cispo:
    case Loss::vespo: return stage_tokens;
    default: return stage.tokens;
  }
}

// The importance weight of log-ratio `l` under the options.
double bounded_weight(double l, const UpdateOptions& o) {
  const double weight = std::exp(l);
  const bool truncates = o.importance_correction == ImportanceCorrection::token_truncate ||
                         o.importance_correction == ImportanceCorrection::sequence_truncate;
  if (truncates) return std::clamp(weight, o.importance_min, o.importance_max);
  return weight >= o.importance_min && weight <= o.importance_max ? weight : 0;
}

std::vector<double> importance_weights(const TrainingBatch& b, const UpdateOptions& o) {
  std::vector<double> weights(b.completions.ids.size(), 1);
  const bool by_sequence = o.importance_correction == ImportanceCorrection::sequence_truncate ||
                           o.importance_correction == ImportanceCorrection::sequence_mask;
  for (int64_t i = 0; i < b.completions.size(); ++i) {
    double sum = 0;
    for (int64_t t = b.completions.offsets[i]; t < b.completions.offsets[i + 1]; ++t) {
      if (b.mask[t] == 0) continue;
      const double l = static_cast<double>(b.old_logprobs[t]) - static_cast<double>(b.sampler_logprobs[t]);
      sum += l;
      weights[t] = bounded_weight(l, o);
    }
    if (!by_sequence) continue;
    const double weight = bounded_weight(sum, o);
    std::fill(weights.begin() + b.completions.offsets[i], weights.begin() + b.completions.offsets[i + 1], weight);
  }
  return weights;
}

}  // namespace

TokenWeights weigh_tokens(const TrainingBatch& b, const UpdateOptions& o) {
  TokenWeights out;
  std::vector<StageCounts> stages(b.stage_weights.size());
  for (int64_t i = 0; i < b.completions.size(); ++i) {
    const auto begin = b.mask.begin() + b.completions.offsets[i];
    out.trained.push_back(std::count(begin, begin + b.completions.length(i), uint8_t{1}));
    stages[b.stage[i]].tokens += static_cast<double>(out.trained.back());
    stages[b.stage[i]].completions += out.trained.back() > 0 ? 1 : 0;
  }
  for (int64_t i = 0; i < b.completions.size(); ++i) {
    const size_t s = b.stage[i];
    const bool learns = out.trained[i] > 0;
    const double tokens = b.stage_tokens.empty() ? stages[s].tokens : b.stage_tokens[s];
    const double own = static_cast<double>(out.trained[i]);
    out.coefficients.push_back(learns ? b.stage_weights[s] / normaliser(o, stages[s], tokens, own) : 0);
    out.entropy_coefficients.push_back(learns ? o.entropy_bonus * b.stage_weights[s] / stages[s].tokens : 0);
  }
  if (o.importance_correction != ImportanceCorrection::none) out.importance = importance_weights(b, o);
  return out;
}

std::vector<uint8_t> keep_most_entropic(const std::vector<double>& entropies, const std::vector<int64_t>& places,
                                        double fraction) {
  std::vector<uint8_t> kept(entropies.size(), 0);
  if (places.empty()) return kept;
  std::vector<double> sorted;
  for (const int64_t place : places) sorted.push_back(entropies[place]);
  // What lies at or above an interpolated quantile lies at or above the order statistic that ends its interval; the small
  // number forgives the rounding of 1 - fraction.
  const auto rank = static_cast<int64_t>(std::ceil((1 - fraction) * static_cast<double>(sorted.size() - 1) - 1e-9));
  const auto threshold = sorted.begin() + std::max<int64_t>(rank, 0);
  std::nth_element(sorted.begin(), threshold, sorted.end());
  for (const int64_t place : places) kept[place] = entropies[place] >= *threshold ? 1 : 0;
  return kept;
}

}  // namespace ilr
