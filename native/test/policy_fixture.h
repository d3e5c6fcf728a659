#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "policy.h"
#include "policy_state.h"
#include "safetensors.h"

// Policies, batches and comparisons that the tests of the engine share.
namespace ilr::test {

using Tensors = std::map<std::string, at::Tensor>;

// Opens a policy on a CPU runtime of one thread and calls `use` on its worker.
void with_policy(const std::filesystem::path& folder, const std::string& dtype, const std::function<void(Policy&)>& use,
                 bool with_optimizer = false);
void with_policy(const std::filesystem::path& folder, const PolicyOptions& options, const std::function<void(Policy&)>& use,
                 bool with_optimizer = false);
// The same, for random weights of a config.
void with_random_policy(const std::string& config_json, uint64_t seed, const std::string& dtype,
                        const std::function<void(Policy&)>& use);

// A tiny config of either model type, 2 layers, untied unless said.
std::string tiny_config(const std::string& model_type, int64_t vocab_size = 61, bool tied = false);

// The same with head_dim 8 and, where the family has them, a window of 8 and q and k scaled by 1 / sqrt(8).
std::string family_config(const std::string& model_type);

// max |a - b| / max |b|.
double max_error(const at::Tensor& a, const at::Tensor& b);
// ||a - b|| / ||b|| of the worst tensor, in float64.
double worst_error(const Tensors& got, const Tensors& expected);
// True where both hold the same names and bits.
bool are_identical(const Tensors& a, const Tensors& b);
Tensors copy_of(const Tensors& tensors);

// A golden file of a loss and its gradients: what went in and what came out.
struct GoldenUpdate {
  TrainingBatch batch;
  UpdateOptions options;
  Tensors gradients;                     // by Hugging Face name, float64
  std::map<std::string, double> report;  // loss, entropy, ...
  std::vector<double> advantages;
};
GoldenUpdate read_golden_update(const std::string& model, const std::string& loss);

template <typename T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  const T* data = flat.const_data_ptr<T>();
  return std::vector<T>(data, data + flat.numel());
}

// The batch with its completions in another order, and each completion with a prompt of its own where `split`.
TrainingBatch reordered(const TrainingBatch& batch, const std::vector<int64_t>& order, bool split);

// Logits of `ids` through a cache: the first `prefix` ids at once in rows of their own, then one at a time elsewhere.
at::Tensor cached_logits(const Model& model, const std::vector<int32_t>& ids, int64_t prefix);

}  // namespace ilr::test
