#include "logits_processor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace ilr {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// Token `back` places before the next one, 0 the last; -1 where the sequence is not that long.
int32_t token_before(const History& history, size_t back) {
  if (back < history.completion.size()) return history.completion[history.completion.size() - 1 - back];
  back -= history.completion.size();
  return back < history.prompt.size() ? history.prompt[history.prompt.size() - 1 - back] : -1;
}

}  // namespace

LogitsProcessor::LogitsProcessor(const GenerateRequest& request, int64_t vocab) : request_(request) {
  const Ragged& words = request.bad_words;
  for (int64_t w = 0; w < words.size(); ++w) {
    const int64_t length = words.length(w);
    if (length == 1) {
      single_bad_words_.push_back(*words.begin(w));
    } else {
      bad_words_after_[words.begin(w)[length - 2]].push_back(w);
    }
  }
  changes_scores_ = !request.logit_bias_ids.empty() || request.repetition_penalty != 1 || words.size() > 0;
  truncates_ = (request.top_k > 0 && request.top_k < vocab) || request.top_p < 1 || request.min_p > 0;
}

void LogitsProcessor::adjust(std::span<double> scores, const History& history) const {
  for (size_t i = 0; i < request_.logit_bias_ids.size(); ++i) {
    scores[static_cast<size_t>(request_.logit_bias_ids[i])] += request_.logit_bias[i];
  }
  if (request_.repetition_penalty != 1) {
    // Once per token, however often it came: from a copy of what the scores were before.
    const std::vector<double> biased(scores.begin(), scores.end());
    penalise(scores, history.prompt, biased);
    penalise(scores, history.completion, biased);
  }
  rule_out_bad_words(scores, history);
}

void LogitsProcessor::penalise(std::span<double> scores, std::span<const int32_t> ids,
                               const std::vector<double>& biased) const {
  const double penalty = request_.repetition_penalty;
  for (const int32_t id : ids) {
    const double score = biased[static_cast<size_t>(id)];
    scores[static_cast<size_t>(id)] = score < 0 ? score * penalty : score / penalty;
  }
}

void LogitsProcessor::rule_out_bad_words(std::span<double> scores, const History& history) const {
  for (const int32_t id : single_bad_words_) scores[static_cast<size_t>(id)] = kNever;
  if (bad_words_after_.empty()) return;
  const auto found = bad_words_after_.find(token_before(history, 0));
  if (found == bad_words_after_.end()) return;
  for (const int64_t w : found->second) {
    const int32_t* word = request_.bad_words.begin(w);
    const auto before = static_cast<size_t>(request_.bad_words.length(w) - 1);
    size_t equal = 1;  // the last one is, it was looked up
    while (equal < before && word[before - 1 - equal] == token_before(history, equal)) ++equal;
    if (equal == before) scores[static_cast<size_t>(word[before])] = kNever;
  }
}

void LogitsProcessor::truncate(std::span<double> scores) const {
  if (request_.top_k > 0 && request_.top_k < static_cast<int64_t>(scores.size())) keep_top_k(scores);
  if (request_.top_p < 1) keep_top_p(scores);
  if (request_.min_p > 0) keep_min_p(scores);
}

void LogitsProcessor::keep_top_k(std::span<double> scores) const {
  std::vector<double> sorted(scores.begin(), scores.end());
  const auto kth = sorted.begin() + (request_.top_k - 1);
  std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
  for (double& score : scores) {
    if (score < *kth) score = kNever;
  }
}

void LogitsProcessor::keep_top_p(std::span<double> scores) const {
  const double top = *std::max_element(scores.begin(), scores.end());
  std::vector<std::pair<double, int32_t>> heap;  // weight and -id: of equals the lower id comes first
  double total = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double weight = std::exp(scores[i] - top);
    if (!(weight > 0)) continue;
    heap.emplace_back(weight, -static_cast<int32_t>(i));
    total += weight;
  }
  std::make_heap(heap.begin(), heap.end());
  // A token is kept where the more likely ones hold less than the mass.
  double mass = 0;
  auto end = heap.end();
  while (end != heap.begin() && mass < request_.top_p * total) {
    std::pop_heap(heap.begin(), end);
    --end;
    mass += end->first;
  }
  for (auto dropped = heap.begin(); dropped != end; ++dropped) scores[static_cast<size_t>(-dropped->second)] = kNever;
}

void LogitsProcessor::keep_min_p(std::span<double> scores) const {
  const double top = *std::max_element(scores.begin(), scores.end());
  for (double& score : scores) {
    if (std::exp(score - top) < request_.min_p) score = kNever;
  }
}

}  // namespace ilr
