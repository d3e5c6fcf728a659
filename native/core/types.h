#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

// The plain values that cross the core's boundary: token ids and numbers, never tensors, never text.
// src/policy.ts holds the same shapes in TypeScript.
namespace ilr {

// n sequences end to end: sequence i is ids[offsets[i] .. offsets[i+1]). offsets: [n+1], from 0, rising.
struct Ragged {
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets{0};
  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  const int32_t* begin(int64_t i) const { return ids.data() + offsets[i]; }
};

enum class FinishReason : uint8_t { stop, length, context };  // context: the model's positions are used up

struct Completion {
  int64_t index;                // prompt * samples_per_prompt + sample
  std::vector<int32_t> ids;     // exactly what was sampled: the stop id and the whole of a stop string included
  std::vector<float> logprobs;  // nats, of the temperature-scaled distribution (temperature 1 where greedy)
  FinishReason finish_reason;
  int64_t stop_string = -1;     // index of the stop string that ended it
  int64_t text_bytes = 0;       // where one did: bytes of its text before the stop string
};

// What each token writes, in bytes: token i's are bytes[offsets[i] .. offsets[i+1]). Special tokens write nothing.
// offsets: [n+1], from 0, rising; n may be below the model's vocabulary, which may be padded.
struct TokenBytes {
  std::vector<uint8_t> bytes;
  std::vector<int32_t> offsets{0};
  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// How the distribution of a token is changed before it is drawn, in this order (that of transformers): logit bias,
// repetition penalty, bad words, temperature, top-k, top-p, min-p. The defaults change nothing.
struct GenerateRequest {
  Ragged prompts;                // P, none empty
  int64_t samples_per_prompt;    // S >= 1
  std::vector<uint64_t> streams; // [P*S] one random stream per completion
  int64_t max_new_tokens;        // >= 1
  double temperature;            // >= 0; 0 takes the most likely token
  int64_t top_k = 0;             // >= 0: of the k most likely tokens, and those as likely as the k-th; 0: of all
  double top_p = 1;              // (0, 1]: of the fewest most likely tokens that hold this mass. arXiv 1904.09751
  double min_p = 0;              // [0, 1]: of tokens at least this times as likely as the most likely. arXiv 2407.01082
  double repetition_penalty = 1; // > 0: divides a positive logit of a token of prompt or completion, multiplies a negative one. arXiv 1909.05858
  std::vector<int32_t> logit_bias_ids;
  std::vector<double> logit_bias;         // [logit_bias_ids] added to the logits
  Ragged bad_words;                       // token sequences that never appear; a prompt's end may begin one
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_strings;  // UTF-8; needs the policy's token bytes
  bool batch_invariant = false;           // promise, or ILR_UNSUPPORTED: a completion's bits depend on its prompt and stream alone
  int64_t max_slots = 0;         // completions decoded side by side; 0: chosen from the memory at hand
};

struct GenerateCounters {
  int64_t prefill_tokens = 0;    // each unique prompt once
  int64_t decode_steps = 0;      // forward passes over the slots
  int64_t decode_tokens = 0;     // completion tokens, all
  int64_t slots = 0;
  int64_t put_off = 0;           // times a completion gave up its cache rows to older ones
  int64_t recomputed_tokens = 0; // of prompts and completions whose rows had been given up
  int64_t peak_bytes = 0;        // beyond what was held when the call began
  double seconds = 0;
};

struct ScoreRequest {
  Ragged sequences;
  std::vector<uint8_t> mask;     // [ids] 1: wanted; a sequence's first token has no log-prob, so 0 there
  double temperature = 1;        // > 0
  bool adapter = true;           // false: by the base without its adapter, a frozen reference policy
};

struct ScoreResult {
  std::vector<float> logprobs;   // [ids] nats, 0 where the mask is 0
  std::vector<float> entropies;  // [ids] nats
  int64_t peak_bytes = 0;
};

struct TrainingBatch {
  Ragged prompts;                       // each stored once, however many completions it has; may be empty sequences
  Ragged completions;                   // B
  std::vector<int32_t> prompt_index;    // [B]
  std::vector<uint8_t> mask;            // [completion ids] 1: trained
  std::vector<float> sampler_logprobs;  // [completion ids] nats; unused by nll
  std::vector<float> old_logprobs;      // [completion ids] nats, of the old policy by the scorer; empty: the sampler's
  std::vector<float> ref_logprobs;      // [completion ids] nats, of the reference policy; empty: none
  std::vector<double> rewards;          // [B]; unused by nll
  std::vector<int32_t> group_index;     // [B] equal numbers form a group; unused by nll
  std::vector<double> extra_advantage;  // [B] added after normalisation
  std::vector<uint8_t> stage;           // [B] index into stage_weights
  std::vector<double> stage_weights;    // [S]
  std::vector<double> baseline;         // [B] with Baseline::given; empty otherwise
  std::vector<double> stage_tokens;     // [S] what dapo, cispo and vespo divide a stage by; empty: its trained tokens
};

enum class Loss : uint8_t { grpo, bnpo, dr_grpo, dapo, cispo, sapo, luspo, vespo, nll };
enum class RatioLevel : uint8_t { token, sequence };
enum class KlEstimator : uint8_t { k1, k2, k3 };
enum class ImportanceCorrection : uint8_t { none, token_truncate, token_mask, sequence_truncate, sequence_mask };
enum class Baseline : uint8_t { group, leave_one_out, given };
enum class AdvantageScale : uint8_t { group, batch, none };
enum class Deviation : uint8_t { population, sample };
enum class Schedule : uint8_t { constant, linear, cosine };

struct AdvantageOptions {
  Baseline baseline = Baseline::group;
  AdvantageScale scale = AdvantageScale::group;
  Deviation deviation = Deviation::population;
  double epsilon = 1e-6;          // added to the deviation
};

// loss.h and token_weights.h have the formulas.
struct UpdateOptions {
  Loss loss = Loss::dapo;
  RatioLevel ratio = RatioLevel::token;
  double epsilon_low = 0.2;
  double epsilon_high = 0.28;
  std::optional<double> delta = std::nullopt;  // of the clipped losses: the largest ratio, whatever the advantage
  double cispo_cap = 5;
  double sapo_temperature_positive = 1;
  double sapo_temperature_negative = 1.05;
  double vespo_k_positive = 2;
  double vespo_lambda_positive = 3;
  double vespo_k_negative = 3;
  double vespo_lambda_negative = 2;
  int64_t max_completion_tokens = 0;  // of dr_grpo: at least 1
  double beta = 0;                // weight of the KL divergence from the reference policy
  KlEstimator kl = KlEstimator::k3;
  bool kl_unbiased = false;
  double entropy_bonus = 0;
  double top_entropy_fraction = 1;
  ImportanceCorrection importance_correction = ImportanceCorrection::none;
  double importance_max = 3;
  double importance_min = 0;
  std::optional<double> off_policy_threshold = std::nullopt;
  AdvantageOptions advantage = {};
  double temperature = 1;
  double learning_rate = 1e-6;
  int64_t warmup_steps = 0;       // learning rate rises linearly over the optimiser's first steps
  Schedule schedule = Schedule::constant;
  int64_t total_steps = 0;        // where linear and cosine end; above warmup_steps
  double min_learning_rate_fraction = 0;  // what is left of learning_rate there
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;        // matrices and embeddings; not norms, not biases
  double max_grad_norm = 1;       // 0: no clipping
  int64_t micro_batch_tokens = 0; // 0: chosen by the core
  bool gradient_checkpointing = false;  // layers are computed again in the backward pass: less memory, the same bits
};

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct UpdateResult {
  double loss = 0;
  // Of the tokens that were computed: those of completions whose advantage is not 0, or all trained ones where a KL or
  // entropy term is on. Means; NaN where there were none, or where the loss has no such thing.
  double entropy = kNone;           // nats
  double ratio_mean = kNone;        // of the ratio's level: a sequence's counts once per token
  double ratio_max = kNone;
  double ratio_clipped_fraction = kNone;  // tokens whose gradient the clip removed (cispo: capped); the sum of:
  double ratio_clipped_low_fraction = kNone;   // ratio below 1 - epsilon_low, advantage negative
  double ratio_clipped_high_fraction = kNone;  // above 1 + epsilon_high, delta or the cap
  double kl = kNone;                // from the reference policy, by the estimator chosen; without its unbiased factor
  double importance_mean = kNone;   // weight of a token by the importance correction
  double importance_max = kNone;
  double off_policy_dropped_fraction = kNone;
  double entropy_dropped_fraction = kNone;     // of all trained tokens
  double sampler_kl = kNone;        // k3 = exp(d) - d - 1, d = logprob - sampler_logprob
  double sampler_max_abs_diff = kNone;

  double grad_norm = 0;             // before clipping
  double learning_rate = 0;         // as used: warm-up and schedule included
  bool skipped = false;             // a gradient was not finite: weights and optimiser are as before
  int64_t step = 0;                 // optimiser steps taken, this one included
  int64_t skipped_steps = 0;        // over the policy's life
  int64_t trained_tokens = 0;
  int64_t learning_tokens = 0;      // of them, those with a term in the loss; 0: no step is taken
  int64_t forward_tokens = 0;       // prompts once per micro-batch
  int64_t micro_batches = 0;
  int64_t zero_spread_groups = 0;
  int64_t groups = 0;
  int64_t peak_bytes = 0;
  double seconds = 0;
  std::vector<double> advantages;   // [B] before extra_advantage
};

// How a caller follows and stops long work. abort.h says where `abort` is looked at: Error ILR_ABORTED.
struct Control {
  const std::atomic<bool>* abort = nullptr;
  std::function<void(int64_t done, int64_t total)> progress;  // micro-batches of an update; may be empty
};

}  // namespace ilr
