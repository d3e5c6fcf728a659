#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model.h"
#include "optimizer.h"
#include "policy.h"

namespace ilr {

// The inside of a policy. The core's own tests look in here; nobody else.
struct Policy::State {
  State(Runtime& runtime, const ModelConfig& config, const PolicyOptions& options);
  State(Runtime& runtime, const Model& shared, const PolicyOptions& options);

  // Logits of every position of one sequence, uncached: [T, V].
  at::Tensor logits(const std::vector<int32_t>& ids) const;
  // The gradient of a batch under the Hugging Face names (PEFT's, of an adapter), without a step. `result` may be null.
  std::map<std::string, at::Tensor> gradients(const TrainingBatch& batch, const UpdateOptions& options,
                                              UpdateResult* result) const;
  std::map<std::string, at::Tensor> hf_tensors() const;
  std::map<std::string, at::Tensor> weights() const;  // what is trained, as it is saved: of the adapter (PEFT), or the model

  Runtime& runtime;
  PolicyOptions options;
  std::string base;  // the model's folder, absolute; empty where it has none
  Model model;
  std::optional<TokenBytes> token_bytes;  // none until a caller hands them over
  std::optional<AdamW> optimizer;  // of the trained parameters; none where the policy is frozen
};

}  // namespace ilr
