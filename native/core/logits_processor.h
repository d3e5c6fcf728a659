#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "types.h"

namespace ilr {

// The tokens before the one that is drawn.
struct History {
  std::span<const int32_t> prompt;
  std::span<const int32_t> completion;
};

// Changes one row of logits as a request asks, in the order and with the meaning of transformers' logits processors
// (generation/logits_process.py, 5.x): SequenceBias, RepetitionPenalty, NoBadWords, Temperature, TopK, TopP, MinP.
// Departures: equally likely tokens at the edge of top-p are kept by lower id (transformers: unspecified); a bad word may be
// a stop id (transformers drops it). Works in float64, so that a row's result depends on the row alone.
class LogitsProcessor {
 public:
  LogitsProcessor(const GenerateRequest& request, int64_t vocab);

  // False: the distribution is softmax(logits / temperature) as it is.
  bool is_active() const { return changes_scores_ || truncates_; }

  // Bias, penalty and bad words on scores [V], the raw logits. A token that is ruled out becomes -infinity.
  void adjust(std::span<double> scores, const History& history) const;
  // Top-k, top-p and min-p on scores that are divided by the temperature: the tokens outside become -infinity.
  void truncate(std::span<double> scores) const;

 private:
  void penalise(std::span<double> scores, std::span<const int32_t> ids, const std::vector<double>& biased) const;
  void rule_out_bad_words(std::span<double> scores, const History& history) const;
  void keep_top_k(std::span<double> scores) const;
  void keep_top_p(std::span<double> scores) const;
  void keep_min_p(std::span<double> scores) const;

  const GenerateRequest& request_;
  std::vector<int32_t> single_bad_words_;
  std::unordered_map<int32_t, std::vector<int64_t>> bad_words_after_;  // longer ones, by their last token but one
  bool changes_scores_ = false;
  bool truncates_ = false;
};

}  // namespace ilr
