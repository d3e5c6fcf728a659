#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
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
  std::vector<int32_t> ids;     // the stop id included
  std::vector<float> logprobs;  // nats, of the temperature-scaled distribution (temperature 1 where greedy)
  FinishReason finish_reason;
};

struct GenerateRequest {
  Ragged prompts;                // P, none empty
  int64_t samples_per_prompt;    // S >= 1
  std::vector<uint64_t> streams; // [P*S] one random stream per completion
  int64_t max_new_tokens;        // >= 1
  double temperature;            // >= 0; 0 takes the most likely token
  std::vector<int32_t> stop_ids;
  int64_t max_slots = 0;         // completions decoded side by side; 0: chosen from the memory at hand
};

struct GenerateCounters {
  int64_t prefill_tokens = 0;    // each unique prompt once
  int64_t decode_steps = 0;      // forward passes over the slots
  int64_t decode_tokens = 0;     // completion tokens, all
  int64_t slots = 0;
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
  std::vector<double> rewards;          // [B]; unused by nll
  std::vector<int32_t> group_index;     // [B] equal numbers form a group; unused by nll
  std::vector<double> extra_advantage;  // [B] added after normalisation
  std::vector<uint8_t> stage;           // [B] index into stage_weights
  std::vector<double> stage_weights;    // [S]
};

enum class Loss : uint8_t { dapo, nll };

struct UpdateOptions {
  Loss loss = Loss::dapo;
  double temperature = 1;
  double epsilon_low = 0.2;
  double epsilon_high = 0.28;
  double learning_rate = 1e-6;
  int64_t warmup_steps = 0;       // learning rate rises linearly over the optimiser's first steps
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;        // matrices only
  double max_grad_norm = 1;       // 0: no clipping
  int64_t micro_batch_tokens = 0; // 0: chosen by the core
};

struct UpdateResult {
  double loss = 0;
  // Means over the tokens that were computed: those of completions whose advantage is not 0. NaN where there were none.
  double entropy = 0;               // nats
  double ratio_mean = 1;
  double ratio_max = 1;
  double ratio_clipped_fraction = 0;
  double sampler_kl = 0;            // k3 = exp(d) - d - 1, d = logprob - sampler_logprob
  double sampler_max_abs_diff = 0;

  double grad_norm = 0;             // before clipping
  double learning_rate = 0;         // as used, warm-up included
  bool skipped = false;             // a gradient was not finite: weights and optimiser are as before
  int64_t step = 0;                 // optimiser steps taken, this one included
  int64_t skipped_steps = 0;        // over the policy's life
  int64_t trained_tokens = 0;
  int64_t forward_tokens = 0;       // prompts once per micro-batch
  int64_t micro_batches = 0;
  int64_t zero_spread_groups = 0;
  int64_t groups = 0;
  int64_t peak_bytes = 0;
  double seconds = 0;
  std::vector<double> advantages;   // [B] before extra_advantage
};

// How a caller follows and stops long work. `abort` is looked at between decode steps and micro-batches: Error ILR_ABORTED.
struct Control {
  const std::atomic<bool>* abort = nullptr;
  std::function<void(int64_t done, int64_t total)> progress;  // micro-batches of an update; may be empty
};

}  // namespace ilr
