#pragma once

#include <cstdint>
#include <vector>

#include "types.h"

namespace ilr {

// How much each trained token of a batch counts: known before any gradient is taken, so that cutting the batch into
// micro-batches changes nothing. Float64.
struct TokenWeights {
  std::vector<int64_t> trained;               // [B] trained tokens of each completion
  std::vector<double> coefficients;           // [B] of each of its tokens, in the policy and the KL term
  std::vector<double> entropy_coefficients;   // [B] the same in the entropy bonus
  std::vector<double> importance;             // [completion ids] importance correction; empty: none
  std::vector<uint8_t> kept;                  // [completion ids] 1: the entropy mask keeps it; empty: all are kept
};

// Coefficients of a stage of weight w, with T trained tokens in B completions that have any, |o| of them in one:
//   dapo, cispo, vespo, nll   w / T, T from stage_tokens where given (not for nll)
//   bnpo                      w / T
//   grpo, sapo                w / (B |o|)
//   dr_grpo                   w / (B max_completion_tokens)
//   luspo                     w / B (the loss of a sequence times its length, arXiv 2602.05261)
// Entropy bonus: entropy_bonus w / T, whatever the loss.
// Importance correction: exp(old - sampler) of a token or summed over its completion, truncated to
// [importance_min, importance_max] or 0 outside of it. https://fengyao.notion.site/off-policy-rl, TRL's four modes.
TokenWeights weigh_tokens(const TrainingBatch& batch, const UpdateOptions& options);

// The entropy mask, arXiv 2506.01939: [completion ids], 1 on tokens whose entropy is at least the (1 - fraction) quantile
// of all the `places` (linear interpolation between order statistics).
std::vector<uint8_t> keep_most_entropic(const std::vector<double>& entropies, const std::vector<int64_t>& places,
                                        double fraction);

}  // namespace ilr
