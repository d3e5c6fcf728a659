#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime.h"
#include "types.h"

namespace ilr {

struct PolicyOptions {
  std::string dtype = "float32";  // of weights and arithmetic; float64 on the CPU, for checking
  bool trainable = true;          // false: no optimiser, update throws ILR_INVALID_ARGUMENT
};

struct PolicyInfo {
  std::string model_type;
  int64_t vocab_size;
  int64_t context_length;         // max_position_embeddings
  int64_t parameters;             // tied embeddings counted once
  std::vector<int32_t> eos_ids;   // of generation_config.json, else config.json; may be empty
  std::string dtype;
  std::string device;
  int64_t step;                   // optimiser steps taken
};

// A model with its optimiser: samples, scores, learns. Every method runs on the runtime's worker (Runtime::run, post).
// One storage of the weights serves all of them.
class Policy {
 public:
  // Reads a Hugging Face folder: config.json, model.safetensors or model.safetensors.index.json with its shards, and
  // optimizer.safetensors where `with_optimizer`. Errors: ILR_IO, ILR_INVALID_MODEL, ILR_UNSUPPORTED.
  static std::unique_ptr<Policy> load(Runtime&, const std::filesystem::path& folder, const PolicyOptions&,
                                      bool with_optimizer);
  // Random weights, N(0, initializer_range); biases 0, norms 1. The same seed gives the same weights on every machine.
  static std::unique_ptr<Policy> create(Runtime&, const std::string& config_json, uint64_t seed, const PolicyOptions&);
  ~Policy();

  PolicyInfo info() const;

  // Calls `on_completion` as each one ends, and `on_token` (may be empty) for each token, both on the worker thread.
  GenerateCounters generate(const GenerateRequest&, const std::function<void(Completion)>& on_completion,
                            const std::function<void(int64_t index, int32_t id)>& on_token, const Control&);
  ScoreResult logprobs(const ScoreRequest&, const Control&);
  UpdateResult update(const TrainingBatch&, const UpdateOptions&, const Control&);

  // Writes config.json and model.safetensors, and optimizer.safetensors where `with_optimizer`; each file is synced.
  // The folder must exist. Error ILR_IO (a full disk included) leaves the policy as it was.
  void save(const std::filesystem::path& folder, bool with_optimizer) const;

  struct State;  // what the core's own tests look into
  State& state() { return *state_; }

 private:
  explicit Policy(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ilr
