#include "validate.h"

#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "error.h"

namespace ilr {
namespace {

template <typename... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error("ILR_INVALID_ARGUMENT", text.str());
}

void expect_size(const char* name, size_t got, size_t expected) {
  if (got != expected) refuse(name, ": expected ", expected, " elements, got ", got);
}

void expect_range(const char* name, double value, double low, double high, const char* meaning) {
  if (!(value >= low && value <= high)) refuse(name, ": expected ", meaning, ", got ", value);
}

void check_ragged(const char* name, const Ragged& r, int64_t vocab, bool may_be_empty) {
  if (r.offsets.empty() || r.offsets.front() != 0) refuse(name, ".offsets: expected to start with 0");
  for (int64_t i = 0; i < r.size(); ++i) {
    if (r.offsets[i + 1] < r.offsets[i]) {
      refuse(name, ".offsets: expected to rise, got ", r.offsets[i], " before ", r.offsets[i + 1], " at ", i + 1);
    }
    if (r.length(i) == 0 && !may_be_empty) refuse(name, ": sequence ", i, " is empty");
  }
  if (r.offsets.back() != static_cast<int64_t>(r.ids.size())) {
    refuse(name, ".offsets: expected to end with ", r.ids.size(), " (the number of ids), got ", r.offsets.back());
  }
  for (size_t i = 0; i < r.ids.size(); ++i) {
    if (r.ids[i] < 0 || r.ids[i] >= vocab) {
      refuse(name, ".ids[", i, "]: expected a token id below ", vocab, " (the model's vocabulary), got ", r.ids[i],
             "; does the tokenizer belong to this model?");
    }
  }
}

void check_mask(const char* name, const std::vector<uint8_t>& mask, size_t expected) {
  expect_size(name, mask.size(), expected);
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] > 1) refuse(name, "[", i, "]: expected 0 or 1, got ", static_cast<int>(mask[i]));
  }
}

template <typename T>
void check_finite(const char* name, const std::vector<T>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) refuse(name, "[", i, "]: expected a finite number, got ", values[i]);
  }
}

template <typename T>
void check_optional(const char* name, const std::vector<T>& values, size_t expected) {
  if (values.empty()) return;
  expect_size(name, values.size(), expected);
  check_finite(name, values);
}

bool is_clipped(Loss loss) {
  return loss != Loss::cispo && loss != Loss::sapo && loss != Loss::vespo && loss != Loss::nll;
}

void check_nll(const UpdateOptions& o) {
  const auto unused = [](const char* name, bool is_set) {
    if (is_set) refuse(name, ": expected to be left out with loss nll, which has no old or reference policy");
  };
  unused("beta", o.beta != 0);
  unused("topEntropyFraction", o.top_entropy_fraction != 1);
  unused("importanceCorrection", o.importance_correction != ImportanceCorrection::none);
  unused("offPolicyThreshold", o.off_policy_threshold.has_value());
  unused("delta", o.delta.has_value());
}

// Options of the loss, each for itself and together.
void check_terms(const TrainingBatch& b, const UpdateOptions& o) {
  expect_range("epsilonLow", o.epsilon_low, 0, 1, "0 to 1");
  expect_range("epsilonHigh", o.epsilon_high, 0, 1e6, "0 to 1e6");
  expect_range("cispoCap", o.cispo_cap, 1e-6, 1e6, "1e-6 to 1e6 (a weight, not 1 + epsilon)");
  expect_range("sapoTemperaturePositive", o.sapo_temperature_positive, 1e-3, 1e3, "0.001 to 1000");
  expect_range("sapoTemperatureNegative", o.sapo_temperature_negative, 1e-3, 1e3, "0.001 to 1000");
  expect_range("vespoKPositive", o.vespo_k_positive, 0, 100, "0 to 100");
  expect_range("vespoKNegative", o.vespo_k_negative, 0, 100, "0 to 100");
  expect_range("vespoLambdaPositive", o.vespo_lambda_positive, 1e-3, 100, "0.001 to 100");
  expect_range("vespoLambdaNegative", o.vespo_lambda_negative, 1e-3, 100, "0.001 to 100");
  expect_range("beta", o.beta, 0, 1e6, "0 (no KL term) to 1e6");
  expect_range("entropyBonus", o.entropy_bonus, 0, 1e6, "0 (none) to 1e6");
  expect_range("topEntropyFraction", o.top_entropy_fraction, 1e-6, 1, "above 0, to 1 (all tokens)");
  expect_range("importanceMax", o.importance_max, 1e-6, 1e6, "1e-6 to 1e6");
  expect_range("importanceMin", o.importance_min, 0, o.importance_max, "0 (no lower bound) to importanceMax");
  expect_range("maxCompletionTokens", static_cast<double>(o.max_completion_tokens), o.loss == Loss::dr_grpo ? 1 : 0,
               1 << 30, "at least 1 with loss dr_grpo, which divides by it");
  if (o.off_policy_threshold) expect_range("offPolicyThreshold", *o.off_policy_threshold, -1e6, 1e6, "a finite number");
  if (o.loss == Loss::nll) return check_nll(o);
  if (o.loss == Loss::luspo && o.ratio != RatioLevel::sequence) {
    refuse("ratio: expected sequence with loss luspo, which weighs a whole sequence by its length, got token");
  }
  if (o.delta) {
    if (!is_clipped(o.loss)) refuse("delta: expected to be left out with cispo, sapo and vespo, which do not clip");
    expect_range("delta", *o.delta, 1 + o.epsilon_high, 1e6, "at least 1 + epsilonHigh, at most 1e6");
  }
  if (o.beta != 0 && b.ref_logprobs.empty()) {
    refuse("completions.refLogprobs: expected with beta ", o.beta, " the log-probs of a reference policy, got none");
  }
  if (o.importance_correction == ImportanceCorrection::none) return;
  if (b.old_logprobs.empty()) {
    refuse("completions.oldLogprobs: expected with importanceCorrection, which is their ratio to samplerLogprobs, got none");
  }
  if (o.loss == Loss::vespo && o.importance_correction != ImportanceCorrection::token_truncate &&
      o.importance_correction != ImportanceCorrection::token_mask) {
    refuse("importanceCorrection: expected token_truncate or token_mask with loss vespo, whose weight is a product over tokens");
  }
}

void check_advantages(const TrainingBatch& b, const AdvantageOptions& o) {
  expect_range("stdEpsilon", o.epsilon, 0, 1e3, "0 to 1000");
  const size_t count = static_cast<size_t>(b.completions.size());
  if (o.baseline == Baseline::given) {
    expect_size("baseline", b.baseline.size(), count);
    check_finite("baseline", b.baseline);
  } else if (!b.baseline.empty()) {
    refuse("baseline: expected in the batch only with the option baseline \"given\"");
  }
  if (o.scale == AdvantageScale::batch && o.deviation == Deviation::sample && count < 2) {
    refuse("std: expected population, or a batch of at least two completions");
  }
}

constexpr double kMostBias = 1e4;
constexpr int64_t kMostBadWords = 65536, kLongestBadWord = 1024;

void check_logit_bias(const GenerateRequest& r, int64_t vocab) {
  expect_size("logitBias.values", r.logit_bias.size(), r.logit_bias_ids.size());
  std::set<int32_t> seen;
  for (size_t i = 0; i < r.logit_bias_ids.size(); ++i) {
    const int32_t id = r.logit_bias_ids[i];
    if (id < 0 || id >= vocab) refuse("logitBias.ids[", i, "]: expected a token id below ", vocab, ", got ", id);
    if (!seen.insert(id).second) refuse("logitBias.ids[", i, "]: expected each token once, got ", id, " twice");
    expect_range("logitBias.values", r.logit_bias[i], -kMostBias, kMostBias,
                 "numbers from -10000 to 10000 (badWords rule a token out)");
  }
}

void check_bad_words(const Ragged& words, int64_t vocab) {
  check_ragged("badWords", words, vocab, false);
  if (words.size() > kMostBadWords) refuse("badWords: expected at most ", kMostBadWords, ", got ", words.size());
  std::set<int32_t> single;
  for (int64_t w = 0; w < words.size(); ++w) {
    if (words.length(w) > kLongestBadWord) {
      refuse("badWords: expected at most ", kLongestBadWord, " tokens in each, got ", words.length(w), " in ", w);
    }
    if (words.length(w) == 1) single.insert(*words.begin(w));
  }
  if (static_cast<int64_t>(single.size()) >= vocab) refuse("badWords: they rule out every token of the vocabulary");
}

}  // namespace

void check(const GenerateRequest& r, const ModelConfig& config) {
  check_ragged("prompts", r.prompts, config.vocab_size, false);
  expect_range("samplesPerPrompt", static_cast<double>(r.samples_per_prompt), 1, 1 << 20, "1 to 1048576");
  expect_size("streams", r.streams.size(), static_cast<size_t>(r.prompts.size() * r.samples_per_prompt));
  expect_range("maxNewTokens", static_cast<double>(r.max_new_tokens), 1, 1 << 24, "1 to 16777216");
  expect_range("temperature", r.temperature, 0, 100, "a number from 0 (greedy) to 100");
  if (r.temperature > 0 && r.temperature < 1e-3) refuse("temperature: expected 0 or at least 0.001, got ", r.temperature);
  expect_range("topK", static_cast<double>(r.top_k), 0, 1 << 24, "0 (all tokens) to 16777216");
  if (!(r.top_p > 0 && r.top_p <= 1)) refuse("topP: expected a number above 0, up to 1 (all tokens), got ", r.top_p);
  expect_range("minP", r.min_p, 0, 1, "a number from 0 (all tokens) to 1");
  expect_range("repetitionPenalty", r.repetition_penalty, 0.01, 100, "a number from 0.01 to 100, 1 for none");
  check_logit_bias(r, config.vocab_size);
  check_bad_words(r.bad_words, config.vocab_size);
  expect_range("maxSlots", static_cast<double>(r.max_slots), 0, 1 << 20, "0 (chosen by the core) to 1048576");
  for (const int32_t id : r.stop_ids) {
    if (id < 0 || id >= config.vocab_size) refuse("stopIds: expected ids below ", config.vocab_size, ", got ", id);
  }
}

void check(const ScoreRequest& r, const ModelConfig& config) {
  check_ragged("sequences", r.sequences, config.vocab_size, false);
  check_mask("mask", r.mask, r.sequences.ids.size());
  expect_range("temperature", r.temperature, 1e-3, 100, "a number from 0.001 to 100");
  for (int64_t i = 0; i < r.sequences.size(); ++i) {
    if (r.mask[r.sequences.offsets[i]] != 0) {
      refuse("mask: the first token of sequence ", i, " has no log-prob, its mask must be 0");
    }
    if (r.sequences.length(i) > config.max_positions) {
      refuse("sequences: sequence ", i, " has ", r.sequences.length(i), " tokens, the model has ",
             config.max_positions, " positions");
    }
  }
}

void check(const TrainingBatch& b, const UpdateOptions& o, const ModelConfig& config) {
  check_ragged("prompts", b.prompts, config.vocab_size, true);
  check_ragged("completions", b.completions, config.vocab_size, false);
  const size_t count = static_cast<size_t>(b.completions.size());
  if (count == 0) refuse("completions: expected at least one");
  expect_size("completions.promptIndex", b.prompt_index.size(), count);
  check_mask("completions.mask", b.mask, b.completions.ids.size());
  expect_size("stage", b.stage.size(), count);
  check_finite("stageWeights", b.stage_weights);
  for (const double w : b.stage_weights) expect_range("stageWeights", w, 0, 1e6, "0 to 1e6");
  for (size_t i = 0; i < count; ++i) {
    const int32_t p = b.prompt_index[i];
    if (p < 0 || p >= b.prompts.size()) {
      refuse("completions.promptIndex[", i, "]: expected below ", b.prompts.size(), ", got ", p);
    }
    if (b.stage[i] >= b.stage_weights.size()) {
      refuse("stage[", i, "]: expected below ", b.stage_weights.size(), " (stageWeights), got ",
             static_cast<int>(b.stage[i]));
    }
    if (b.prompts.length(p) == 0 && b.mask[b.completions.offsets[i]] != 0) {
      refuse("completions.mask: completion ", i, " has an empty prompt, so its first token cannot be trained");
    }
    const int64_t length = b.prompts.length(p) + b.completions.length(i);
    if (length > config.max_positions) {
      refuse("completions: completion ", i, " and its prompt have ", length, " tokens, the model has ",
             config.max_positions, " positions");
    }
  }
  expect_range("temperature", o.temperature, 1e-3, 100, "a number from 0.001 to 100");
  expect_range("learningRate", o.learning_rate, 0, 1e3, "0 to 1000");
  expect_range("warmupSteps", static_cast<double>(o.warmup_steps), 0, 1e12, "0 or more");
  expect_range("minLearningRateFraction", o.min_learning_rate_fraction, 0, 1, "0 to 1");
  expect_range("totalSteps", static_cast<double>(o.total_steps), 0, 1e12, "0 or more");
  if (o.schedule != Schedule::constant && o.total_steps <= o.warmup_steps) {
    refuse("totalSteps: the ", o.schedule == Schedule::linear ? "linear" : "cosine",
           " schedule ends there, expected more than warmupSteps (", o.warmup_steps, "), got ", o.total_steps);
  }
  expect_range("beta1", o.beta1, 0, 1 - 1e-9, "0 to below 1");
  expect_range("beta2", o.beta2, 0, 1 - 1e-9, "0 to below 1");
  expect_range("epsilon", o.epsilon, 1e-30, 1, "a small positive number");
  expect_range("weightDecay", o.weight_decay, 0, 1e3, "0 to 1000");
  expect_range("maxGradNorm", o.max_grad_norm, 0, 1e12, "0 (no clipping) or more");
  expect_range("microBatchTokens", static_cast<double>(o.micro_batch_tokens), 0, 1 << 30, "0 (chosen by the core) or more");
  check_terms(b, o);
  if (o.loss == Loss::nll) return;

  expect_size("completions.samplerLogprobs", b.sampler_logprobs.size(), b.completions.ids.size());
  check_finite("completions.samplerLogprobs", b.sampler_logprobs);
  check_optional("completions.oldLogprobs", b.old_logprobs, b.completions.ids.size());
  check_optional("completions.refLogprobs", b.ref_logprobs, b.completions.ids.size());
  expect_size("rewards", b.rewards.size(), count);
  check_finite("rewards", b.rewards);
  expect_size("groupIndex", b.group_index.size(), count);
  expect_size("extraAdvantage", b.extra_advantage.size(), count);
  check_finite("extraAdvantage", b.extra_advantage);
  check_optional("stageTokens", b.stage_tokens, b.stage_weights.size());
  for (const double tokens : b.stage_tokens) expect_range("stageTokens", tokens, 1e-3, 1e15, "a positive number");
  check_advantages(b, o.advantage);
  std::map<int32_t, int64_t> members;
  for (const int32_t g : b.group_index) ++members[g];
  for (const auto& [group, size] : members) {
    const bool needs_others = o.advantage.baseline != Baseline::given ||
                              (o.advantage.scale == AdvantageScale::group && o.advantage.deviation == Deviation::sample);
    if (size < 2 && needs_others) {
      refuse("groupIndex: group ", group, " has one completion; an advantage is relative to a group, expected at least 2");
    }
  }
}

}  // namespace ilr
