#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime.h"
#include "types.h"

namespace ilr {

// A LoRA adapter (arXiv 2106.09685), trained in place of the model, which is its fixed base.
struct AdapterOptions {
  std::filesystem::path folder = {};  // in PEFT's format; empty: a new adapter, of what follows
  int64_t rank = 8;
  double alpha = 16;
  bool rank_stabilized = false;
  std::vector<std::string> target_modules{"all-linear"};
  uint64_t seed = 0;             // of A; B begins at zero
};

struct PolicyOptions {
  // Of weights and arithmetic: float32, bfloat16 (sums, norms, softmax, log-probs and losses stay float32), or float64 on
  // the CPU, for checking.
  std::string dtype = "float32";
  bool trainable = true;          // false: no optimiser, update throws ILR_INVALID_ARGUMENT
  std::string optimizer = "adamw";  // or lean: optimizer.h
  std::string moments = {};         // float32, bfloat16 or int8; empty: float32 for adamw, bfloat16 for lean
  std::optional<AdapterOptions> adapter = {};
};

struct AdapterInfo {
  int64_t rank;
  double alpha;
  bool rank_stabilized;
  std::vector<std::string> target_modules;
  int64_t parameters;
};

struct PolicyInfo {
  std::string model_type;
  int64_t vocab_size;
  int64_t context_length;         // max_position_embeddings
  int64_t parameters;             // of the model; tied embeddings counted once, an adapter's not
  std::vector<int32_t> eos_ids;   // of generation_config.json, else config.json; may be empty
  std::string dtype;
  std::string device;
  int64_t step;                   // optimiser steps taken
  int64_t trained_parameters;     // 0 where it is frozen
  std::optional<AdapterInfo> adapter;
  int64_t weight_bytes;           // of the model, which others may share, and of the adapter
  int64_t optimizer_bytes;        // moments, and master or remainder; 0 where it is frozen
};

// A model with its optimiser: samples, scores, learns. Every method runs on the runtime's worker (Runtime::run, post).
// One storage of the weights serves all of them, and may serve several policies (share).
class Policy {
 public:
  // Reads a Hugging Face folder: config.json, model.safetensors or model.safetensors.index.json with its shards, and
  // optimizer.safetensors where `with_optimizer`: of the adapter's folder where there is an adapter. Errors: ILR_IO,
  // ILR_INVALID_MODEL, ILR_UNSUPPORTED.
  static std::unique_ptr<Policy> load(Runtime&, const std::filesystem::path& folder, const PolicyOptions&,
                                      bool with_optimizer);
  // Random weights, N(0, initializer_range); biases 0, norms 1. The same seed gives the same weights on every machine.
  static std::unique_ptr<Policy> create(Runtime&, const std::string& config_json, uint64_t seed, const PolicyOptions&);
  // Another policy of the same model: frozen, or with an adapter of its own. It shares this one's weights unless these are
  // trained; then, and where it is itself to train all weights, it gets a copy as they are now. An adapter of this policy
  // is left out. `options.dtype` does not count.
  std::unique_ptr<Policy> share(const PolicyOptions& options, bool with_optimizer) const;
  ~Policy();

  PolicyInfo info() const;

  // What each token writes, for stop strings; kept for all later generate calls. Error ILR_INVALID_ARGUMENT.
  void set_token_bytes(TokenBytes table);
  // Calls `on_completion` as each one ends, and `on_token` (may be empty) for each token, both on the worker thread.
  GenerateCounters generate(const GenerateRequest&, const std::function<void(Completion)>& on_completion,
                            const std::function<void(int64_t index, int32_t id)>& on_token, const Control&);
  ScoreResult logprobs(const ScoreRequest&, const Control&);
  UpdateResult update(const TrainingBatch&, const UpdateOptions&, const Control&);

  // Weights <- mix * (those of `other`) + (1 - mix) * (these): a reference policy that follows (TRL: alpha 0.6). Exact at
  // mix 1. Both without an adapter; or both with adapters of one shape over one base, and mix 1 (a mix of two adapters'
  // factors is not the mix of their products). An optimiser's moments stay. Errors ILR_INVALID_ARGUMENT: other shapes, or
  // weights that serve other policies too.
  // `other` must be of the same runtime; what `copy_weights` hands out may cross threads.
  void copy_from(const Policy& other, double mix);
  class Weights;
  std::shared_ptr<const Weights> copy_weights() const;
  void copy_from(const Weights& weights, double mix);

  // Writes config.json and model.safetensors, or with an adapter PEFT's adapter_config.json (which names the base's
  // folder) and adapter_model.safetensors, or with `merge` the whole model with the adapter's terms added; and
  // optimizer.safetensors where `with_optimizer`, which names the weights it belongs to; generation_config.json where the
  // model was loaded with one. All are written and synced, then renamed together.
  // The folder must exist. Error ILR_IO (a full disk included) leaves the policy, and the folder's files, as they were.
  void save(const std::filesystem::path& folder, bool with_optimizer, bool merge = false) const;

  struct State;  // what the core's own tests look into
  State& state() { return *state_; }

 private:
  explicit Policy(std::unique_ptr<State> state);
  static std::unique_ptr<Policy> open(std::unique_ptr<State> state, bool with_optimizer);
  std::unique_ptr<State> state_;
};

}  // namespace ilr
