#include "policy_fixture.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>

#include "check.h"
#include "runtime.h"

namespace ilr::test {
namespace {

void on_worker(const std::function<std::unique_ptr<Policy>(Runtime&)>& open, const std::function<void(Policy&)>& use) {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  runtime.run([&] {
    const std::unique_ptr<Policy> policy = open(runtime);
    use(*policy);
  });
}

double norm_of(const at::Tensor& tensor) { return at::linalg_vector_norm(tensor.to(at::kDouble)).item<double>(); }

template <typename T>
std::vector<T> read_values(const SafetensorsReader& file, const std::string& name) {
  return values_of<T>(file.view(name));
}

double read_number(const SafetensorsReader& file, const std::string& name) { return file.view(name).item<double>(); }

}  // namespace

void with_policy(const std::filesystem::path& folder, const std::string& dtype, const std::function<void(Policy&)>& use,
                 bool with_optimizer) {
  on_worker([&](Runtime& runtime) { return Policy::load(runtime, folder, PolicyOptions{.dtype = dtype}, with_optimizer); },
            use);
}

void with_policy(const std::filesystem::path& folder, const PolicyOptions& options, const std::function<void(Policy&)>& use,
                 bool with_optimizer) {
  on_worker([&](Runtime& runtime) { return Policy::load(runtime, folder, options, with_optimizer); }, use);
}

void with_random_policy(const std::string& config_json, uint64_t seed, const std::string& dtype,
                        const std::function<void(Policy&)>& use) {
  on_worker([&](Runtime& runtime) { return Policy::create(runtime, config_json, seed, PolicyOptions{.dtype = dtype}); },
            use);
}

std::string tiny_config(const std::string& model_type, int64_t vocab_size, bool tied) {
  return R"({"model_type":")" + model_type + R"(","vocab_size":)" + std::to_string(vocab_size) +
         R"(,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,)" +
         R"("max_position_embeddings":64,"initializer_range":0.3,"tie_word_embeddings":)" + (tied ? "true" : "false") + "}";
}

std::string family_config(const std::string& model_type) {
  std::string config = tiny_config(model_type);
  config.pop_back();
  config += R"(,"head_dim":8,"sliding_window":8)";
  if (model_type.starts_with("gemma")) config += R"(,"query_pre_attn_scalar":8)";
  return config + "}";
}

double max_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor expected = b.to(at::kDouble);
  return (a.to(at::kDouble) - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

double worst_error(const Tensors& got, const Tensors& expected) {
  CHECK_EQUAL(got.size(), expected.size());
  double worst = 0;
  for (const auto& [name, tensor] : expected) {
    const double error = norm_of(got.at(name).to(at::kDouble) - tensor.to(at::kDouble)) / norm_of(tensor);
    if (!(error <= worst)) worst = error;  // NaN too
  }
  return worst;
}

bool are_identical(const Tensors& a, const Tensors& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.contains(item.first) && at::equal(item.second, b.at(item.first));
         });
}

Tensors copy_of(const Tensors& tensors) {
  Tensors copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().clone();
  return copies;
}

GoldenUpdate read_golden_update(const std::string& model, const std::string& loss) {
  const SafetensorsReader file = SafetensorsReader::open_file(golden(model + "." + loss + ".safetensors"));
  GoldenUpdate update;
  TrainingBatch& batch = update.batch;
  batch.prompts = {read_values<int32_t>(file, "batch.prompt_ids"), read_values<int32_t>(file, "batch.prompt_offsets")};
  batch.completions = {read_values<int32_t>(file, "batch.completion_ids"),
                       read_values<int32_t>(file, "batch.completion_offsets")};
  batch.prompt_index = read_values<int32_t>(file, "batch.prompt_index");
  batch.mask = read_values<uint8_t>(file, "batch.mask");
  batch.sampler_logprobs = read_values<float>(file, "batch.sampler_logprobs");
  batch.rewards = read_values<double>(file, "batch.rewards");
  batch.group_index = read_values<int32_t>(file, "batch.group_index");
  batch.extra_advantage = read_values<double>(file, "batch.extra_advantage");
  batch.stage = read_values<uint8_t>(file, "batch.stage");
  batch.stage_weights = read_values<double>(file, "batch.stage_weights");
  update.options.loss = loss == "nll" ? Loss::nll : Loss::dapo;
  update.options.temperature = read_number(file, "option.temperature");
  update.options.epsilon_low = read_number(file, "option.epsilon_low");
  update.options.epsilon_high = read_number(file, "option.epsilon_high");
  update.advantages = read_values<double>(file, "advantages");
  for (const std::string& name : file.names()) {
    if (name.starts_with("grad.")) update.gradients[name.substr(5)] = file.view(name).clone();
    if (name.starts_with("report.")) update.report[name.substr(7)] = read_number(file, name);
  }
  return update;
}

TrainingBatch reordered(const TrainingBatch& batch, const std::vector<int64_t>& order, bool split) {
  TrainingBatch result;
  result.stage_weights = batch.stage_weights;
  result.stage_tokens = batch.stage_tokens;
  if (!split) result.prompts = batch.prompts;
  const auto append = [](Ragged& to, const Ragged& from, int64_t i) {
    to.ids.insert(to.ids.end(), from.begin(i), from.begin(i) + from.length(i));
    to.offsets.push_back(static_cast<int32_t>(to.ids.size()));
  };
  for (const int64_t i : order) {
    if (split) append(result.prompts, batch.prompts, batch.prompt_index[i]);
    result.prompt_index.push_back(split ? static_cast<int32_t>(result.prompts.size() - 1) : batch.prompt_index[i]);
    append(result.completions, batch.completions, i);
    for (int32_t t = batch.completions.offsets[i]; t < batch.completions.offsets[i + 1]; ++t) {
      result.mask.push_back(batch.mask[t]);
      result.sampler_logprobs.push_back(batch.sampler_logprobs[t]);
      if (!batch.old_logprobs.empty()) result.old_logprobs.push_back(batch.old_logprobs[t]);
      if (!batch.ref_logprobs.empty()) result.ref_logprobs.push_back(batch.ref_logprobs[t]);
    }
    if (!batch.baseline.empty()) result.baseline.push_back(batch.baseline[i]);
    result.rewards.push_back(batch.rewards[i]);
    result.group_index.push_back(batch.group_index[i]);
    result.extra_advantage.push_back(batch.extra_advantage[i]);
    result.stage.push_back(batch.stage[i]);
  }
  return result;
}

at::Tensor cached_logits(const Model& model, const std::vector<int32_t>& ids, int64_t prefix) {
  const at::NoGradGuard no_grad;
  constexpr int64_t prefix_row = 3, own_row = 120;
  KvCache cache = model.make_cache(240);
  Packing packing;
  packing.append(ids.data(), prefix);
  packing.segments.back().own_begin = prefix_row;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < prefix; ++i) rows.push_back(prefix_row + i);
  std::vector<at::Tensor> hidden{model.forward(packing, rows, cache)};
  for (int64_t t = prefix; t < static_cast<int64_t>(ids.size()); ++t) {
    Packing step;
    step.ids = {ids[t]};
    step.positions = {static_cast<int32_t>(t)};
    step.segments = {{0, 1, prefix_row, prefix, own_row, t - prefix}};
    hidden.push_back(model.forward(step, {own_row + t - prefix}, cache));
  }
  return model.output_head().logits(at::cat(hidden));
}

}  // namespace ilr::test
