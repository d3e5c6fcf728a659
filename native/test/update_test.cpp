#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <limits>
#include <string>

#include "policy_fixture.h"
#include "runtime.h"

#include "check.h"

namespace ilr::test {
namespace {

GoldenUpdate training(const std::string& loss = "dapo") {
  GoldenUpdate update = read_golden_update("qwen2-tied", loss);
  update.options.learning_rate = 1e-3;
  update.options.weight_decay = 0.01;
  return update;
}

UpdateResult step(Policy& policy, const GoldenUpdate& update) { return policy.update(update.batch, update.options, {}); }

Tensors weights_of(Policy& policy) { return copy_of(policy.state().hf_tensors()); }

Tensors moments_of(Policy& policy) {
  const NamedTensors state = policy.state().optimizer->state();
  return copy_of({state.begin(), state.end()});
}

struct GoldenAdamW {
  GoldenUpdate update;
  Tensors weights;
  std::vector<double> grad_norms, losses;
};

GoldenAdamW read_golden_adamw() {
  GoldenAdamW adamw{.update = read_golden_update("qwen2-tied", "dapo"), .weights = {}, .grad_norms = {}, .losses = {}};
  const SafetensorsReader file = SafetensorsReader::open_file(golden("qwen2-tied.adamw.safetensors"));
  const auto option = [&](const std::string& name) { return file.view("option." + name).item<double>(); };
  UpdateOptions& o = adamw.update.options;
  o.learning_rate = option("learning_rate");
  o.beta1 = option("beta1");
  o.beta2 = option("beta2");
  o.epsilon = option("epsilon");
  o.weight_decay = option("weight_decay");
  o.max_grad_norm = option("max_grad_norm");
  o.warmup_steps = static_cast<int64_t>(option("warmup_steps"));
  for (const std::string& name : file.names()) {
    if (name.starts_with("weight.")) adamw.weights[name.substr(7)] = file.view(name).clone();
  }
  adamw.grad_norms = values_of<double>(file.view("grad_norms"));
  adamw.losses = values_of<double>(file.view("losses"));
  return adamw;
}

TEST("AdamW: three clipped, warmed-up, decayed steps equal PyTorch") {
  const GoldenAdamW expected = read_golden_adamw();
  const std::vector<double> rates{0.005, 0.01, 0.01};
  // What a step changes, relative to its size. float32: the second gradient already differs by the first step's rounding.
  for (const auto& [dtype, bound] : {std::pair<const char*, double>{"float64", 1e-9}, {"float32", 1e-3}}) {
    with_policy(golden("qwen2-tied"), dtype, [&](Policy& policy) {
      const Tensors start = weights_of(policy);
      for (size_t i = 0; i < 3; ++i) {
        const UpdateResult result = step(policy, expected.update);
        CHECK_CLOSE(result.learning_rate, rates[i], 1e-15);
        CHECK_CLOSE(result.grad_norm / expected.grad_norms[i], 1, bound);
        CHECK_CLOSE(result.loss, expected.losses[i], bound);
        CHECK_EQUAL(result.step, static_cast<int64_t>(i) + 1);
        CHECK(!result.skipped);
      }
      Tensors change, expected_change;
      for (const auto& [name, weight] : start) {
        const at::Tensor from = weight.to(at::kDouble);
        change[name] = policy.state().hf_tensors().at(name).to(at::kDouble).sub(from);
        expected_change[name] = expected.weights.at(name).sub(from);
      }
      CHECK(worst_error(change, expected_change) <= bound);
    });
  }
}

TEST("update: a gradient that is not finite changes nothing and is counted") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    const GoldenUpdate update = training();
    step(policy, update);
    const Tensors moments = moments_of(policy);
    at::Tensor weight = policy.state().hf_tensors().at("model.layers.1.mlp.down_proj.weight");
    const at::NoGradGuard no_grad;
    const float kept = weight[0][0].item<float>();
    weight[0][0].fill_(std::numeric_limits<float>::infinity());
    const Tensors before = weights_of(policy);
    for (const int64_t count : {1, 2}) {
      const UpdateResult result = step(policy, update);
      CHECK(result.skipped);
      CHECK(!std::isfinite(result.grad_norm));
      CHECK_EQUAL(result.skipped_steps, count);
      CHECK_EQUAL(result.step, 1);
      CHECK(are_identical(before, policy.state().hf_tensors()));
      CHECK(are_identical(moments, moments_of(policy)));
    }
    // It goes on as if nothing had been.
    weight[0][0].fill_(kept);
    const UpdateResult result = step(policy, update);
    CHECK(!result.skipped);
    CHECK_EQUAL(result.step, 2);
    CHECK_EQUAL(result.skipped_steps, 2);
    const Tensors after = weights_of(policy);
    with_policy(golden("qwen2-tied"), "float32", [&](Policy& other) {
      step(other, update);
      step(other, update);
      CHECK(are_identical(after, other.state().hf_tensors()));
    });
  });
}

TEST("update: a ratio that overflows where it is clipped costs no step") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    GoldenUpdate update = training();
    TrainingBatch& b = update.batch;
    const auto best = std::max_element(update.advantages.begin(), update.advantages.end()) - update.advantages.begin();
    for (int32_t t = b.completions.offsets[best]; t < b.completions.offsets[best + 1]; ++t) b.sampler_logprobs[t] = -150;
    b.extra_advantage.assign(b.rewards.size(), 0);
    const UpdateResult result = step(policy, update);
    CHECK(!result.skipped);
    CHECK(result.grad_norm > 0);
  });
}

TEST("update: the sampler reads the storage that training writes") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    std::map<std::string, void*> places;
    for (const auto& [name, tensor] : policy.state().hf_tensors()) places[name] = tensor.data_ptr();
    const std::vector<int32_t> ids{1, 2, 3, 4};
    const at::Tensor before = policy.state().logits(ids);
    const Tensors start = weights_of(policy);
    step(policy, training());
    for (const auto& [name, tensor] : policy.state().hf_tensors()) {
      CHECK_EQUAL(tensor.data_ptr(), places.at(name));
      CHECK(!at::equal(tensor, start.at(name)));
    }
    CHECK(max_error(policy.state().logits(ids), before) > 1e-5);
  });
}

TEST("update: nll lowers its loss step by step, and needs no rewards") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    GoldenUpdate update = training("nll");
    update.batch.rewards.clear();
    update.batch.group_index.clear();
    update.batch.sampler_logprobs.clear();
    update.batch.extra_advantage.clear();
    double last = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 5; ++i) {
      const double loss = step(policy, update).loss;
      CHECK(loss < last);
      last = loss;
    }
  });
}

TEST("update: an abort leaves weights and moments as they were") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    GoldenUpdate update = training();
    update.options.micro_batch_tokens = 1;
    const Tensors weights = weights_of(policy);
    const Tensors moments = moments_of(policy);
    std::atomic<bool> abort{false};
    int64_t seen = 0;
    const Control control{.abort = &abort, .progress = [&](int64_t done, int64_t total) {
                            CHECK_EQUAL(done, ++seen);
                            CHECK(total > 3);
                            abort = done == 3;
                          }};
    CHECK_THROWS("ILR_ABORTED", "", policy.update(update.batch, update.options, control));
    CHECK_EQUAL(seen, 3);
    CHECK(are_identical(weights, policy.state().hf_tensors()));
    CHECK(are_identical(moments, moments_of(policy)));
    update.options.micro_batch_tokens = 0;
    step(policy, update);
    const Tensors after = weights_of(policy);
    with_policy(golden("qwen2-tied"), "float32", [&](Policy& other) {
      step(other, update);
      CHECK(are_identical(after, other.state().hf_tensors()));
    });
  });
}

TEST("save: what is loaded again is the same, bit for bit") {
  for (const std::string model : {"qwen2-tied", "llama-untied", "llama-tied-bf16"}) {
    const TemporaryFolder folder;
    Tensors saved;
    std::vector<int32_t> eos_ids;
    with_policy(golden(model), "float32", [&](Policy& policy) {
      saved = copy_of(policy.state().hf_tensors());
      eos_ids = policy.info().eos_ids;
      policy.save(folder.path(), false);
    });
    with_policy(folder.path(), "float32", [&](Policy& policy) {
      CHECK(are_identical(saved, policy.state().hf_tensors()));
      CHECK(policy.info().eos_ids == eos_ids);
    });
    CHECK_EQUAL(read_text(folder / "config.json"), read_text(golden(model) / "config.json"));
    CHECK(!std::filesystem::exists(folder / "optimizer.safetensors"));
  }
}

TEST("save: with its optimiser a policy goes on bit for bit") {
  const TemporaryFolder folder;
  const GoldenUpdate update = training();
  Tensors weights, moments;
  UpdateResult third;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    step(policy, update);
    step(policy, update);
    policy.save(folder.path(), true);
    third = step(policy, update);
    weights = weights_of(policy);
    moments = moments_of(policy);
  });
  with_policy(
      folder.path(), "float32",
      [&](Policy& policy) {
        CHECK_EQUAL(policy.info().step, 2);
        const UpdateResult result = step(policy, update);
        CHECK_EQUAL(result.loss, third.loss);
        CHECK_EQUAL(result.grad_norm, third.grad_norm);
        CHECK_EQUAL(result.step, 3);
        CHECK(are_identical(weights, policy.state().hf_tensors()));
        CHECK(are_identical(moments, moments_of(policy)));
      },
      true);
}

TEST("save: without its optimiser it leaves none of an earlier save behind") {
  const TemporaryFolder folder;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    policy.save(folder.path(), true);
    step(policy, training());
    policy.save(folder.path(), false);
  });
  CHECK_THROWS("ILR_IO", "optimizer.safetensors", with_policy(folder.path(), "float32", [](Policy&) {}, true));
}

TEST("save: a folder that is not there, or cannot be written, is ILR_IO") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    const TemporaryFolder folder;
    CHECK_THROWS("ILR_IO", "absent", policy.save(folder / "absent", false));
    std::filesystem::create_directory(folder / "model.safetensors");
    CHECK_THROWS("ILR_IO", "model.safetensors", policy.save(folder.path(), false));
  });
}

void copy_model(const std::filesystem::path& from, const TemporaryFolder& to) { std::filesystem::copy(from, to.path()); }

void check_load_refused(const TemporaryFolder& folder, const std::string& code, const std::string& part,
                        bool with_optimizer = false) {
  CHECK_THROWS(code, part, with_policy(folder.path(), "float32", [](Policy&) {}, with_optimizer));
}

void replace_in_config(const TemporaryFolder& folder, const std::string& from, const std::string& to) {
  std::string text = read_text(folder / "config.json");
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  if (at != std::string::npos) write_text(folder / "config.json", text.replace(at, from.size(), to));
}

TEST("load: a config that does not fit the weights is refused by tensor") {
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"vocab_size\": 61", "\"vocab_size\": 62"},
                                                        {"\"hidden_size\": 48", "\"hidden_size\": 64"},
                                                        {"\"intermediate_size\": 64", "\"intermediate_size\": 32"},
                                                        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"},
                                                        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4"}}) {
    const TemporaryFolder folder;
    copy_model(golden("llama-untied"), folder);
    replace_in_config(folder, from, to);
    check_load_refused(folder, "ILR_INVALID_MODEL", "model.");
  }
}

TEST("load: weights beyond the config's layers are refused") {
  const TemporaryFolder folder;
  copy_model(golden("llama-untied"), folder);
  replace_in_config(folder, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  check_load_refused(folder, "ILR_INVALID_MODEL", "model.layers.1");
}

TEST("load: missing, truncated and foreign files are clear errors") {
  {
    const TemporaryFolder folder;
    check_load_refused(folder, "ILR_IO", "config.json");
    std::filesystem::copy(golden("qwen2-tied/config.json"), folder / "config.json");
    check_load_refused(folder, "ILR_IO", "model.safetensors");
  }
  {
    const TemporaryFolder folder;
    copy_model(golden("qwen2-tied"), folder);
    std::filesystem::remove(folder / "model-00002-of-00002.safetensors");
    check_load_refused(folder, "ILR_IO", "model-00002-of-00002.safetensors");
  }
  {
    const TemporaryFolder folder;
    copy_model(golden("llama-untied"), folder);
    check_load_refused(folder, "ILR_IO", "optimizer.safetensors", true);
    std::filesystem::resize_file(folder / "model.safetensors", 100000);
    check_load_refused(folder, "ILR_INVALID_MODEL", "truncated");
  }
}

TEST("load: another model's optimiser is refused") {
  const TemporaryFolder folder;
  copy_model(golden("llama-untied"), folder);
  const TemporaryFolder other;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) { policy.save(other.path(), true); });
  std::filesystem::copy(other / "optimizer.safetensors", folder / "optimizer.safetensors");
  check_load_refused(folder, "ILR_INVALID_MODEL", "optimizer.safetensors", true);
}

TEST("update: a frozen policy samples but does not learn") {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  runtime.run([&] {
    const auto policy = Policy::load(runtime, golden("qwen2-tied"), PolicyOptions{.trainable = false}, false);
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "frozen", step(*policy, training()));
  });
}

TEST("update: what does not fit is refused before any work") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    const Tensors weights = weights_of(policy);
    const auto refuse = [&](const std::string& part, const std::function<void(TrainingBatch&, UpdateOptions&)>& change) {
      GoldenUpdate update = training();
      change(update.batch, update.options);
      CHECK_THROWS("ILR_INVALID_ARGUMENT", part, step(policy, update));
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    refuse("samplerLogprobs", [&](TrainingBatch& b, UpdateOptions&) { b.sampler_logprobs[7] = nan; });
    refuse("samplerLogprobs", [&](TrainingBatch& b, UpdateOptions&) { b.sampler_logprobs.pop_back(); });
    refuse("rewards", [&](TrainingBatch& b, UpdateOptions&) { b.rewards[0] = nan; });
    refuse("rewards", [&](TrainingBatch& b, UpdateOptions&) { b.rewards.pop_back(); });
    refuse("extraAdvantage",
           [&](TrainingBatch& b, UpdateOptions&) { b.extra_advantage[1] = std::numeric_limits<double>::infinity(); });
    refuse("mask", [&](TrainingBatch& b, UpdateOptions&) { b.mask[1] = 2; });
    refuse("mask", [&](TrainingBatch& b, UpdateOptions&) { b.mask.pop_back(); });
    refuse("promptIndex", [&](TrainingBatch& b, UpdateOptions&) { b.prompt_index[1] = 2; });
    refuse("promptIndex", [&](TrainingBatch& b, UpdateOptions&) { b.prompt_index[1] = -1; });
    refuse("stage", [&](TrainingBatch& b, UpdateOptions&) { b.stage[1] = 2; });
    refuse("stageWeights", [&](TrainingBatch& b, UpdateOptions&) { b.stage_weights[1] = nan; });
    refuse("groupIndex", [&](TrainingBatch& b, UpdateOptions&) { b.group_index[0] = 77; });
    refuse("ids", [&](TrainingBatch& b, UpdateOptions&) { b.completions.ids[3] = 61; });
    refuse("offsets", [&](TrainingBatch& b, UpdateOptions&) { b.completions.offsets[2] = -5; });
    refuse("64 positions", [&](TrainingBatch& b, UpdateOptions&) {
      b.prompts.ids.insert(b.prompts.ids.end(), 60, 1);
      b.prompts.offsets[2] += 60;
    });
    refuse("temperature", [&](TrainingBatch&, UpdateOptions& o) { o.temperature = 0; });
    refuse("learningRate", [&](TrainingBatch&, UpdateOptions& o) { o.learning_rate = nan; });
    refuse("beta1", [&](TrainingBatch&, UpdateOptions& o) { o.beta1 = 1; });
    CHECK(are_identical(weights, policy.state().hf_tensors()));
  });
}

// V = 152,000 and T = 4,096 with a tiny width: float32 [T, V] logits would take 2.5 GB.
TEST("memory: scoring and learning stay below a quarter of the logits") {
  constexpr int64_t vocabulary = 152000;
  constexpr int64_t tokens = 4096;
  constexpr int64_t quarter = tokens * vocabulary * 4 / 4;
  const std::string config = R"({"model_type":"llama","vocab_size":152000,"hidden_size":16,"intermediate_size":16,)"
                             R"("num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":4096,)"
                             R"("tie_word_embeddings":true})";
  with_random_policy(config, 1, "float32", [&](Policy& policy) {
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(t * 37 % vocabulary));
    ScoreRequest request;
    request.sequences = {ids, {0, tokens}};
    request.mask.assign(ids.size(), 1);
    request.mask[0] = 0;
    CHECK(policy.logprobs(request, {}).peak_bytes < quarter);
    TrainingBatch batch;
    batch.prompts = {{ids[0]}, {0, 1}};
    batch.completions = {{ids.begin() + 1, ids.end()}, {0, tokens - 1}};
    batch.prompt_index = {0};
    batch.mask.assign(ids.size() - 1, 1);
    batch.stage = {0};
    batch.stage_weights = {1};
    const UpdateResult result = policy.update(batch, UpdateOptions{.loss = Loss::nll}, {});
    CHECK(result.peak_bytes < quarter);
    CHECK(result.peak_bytes > vocabulary * 16 * 4);  // the gradient at least: the counter counts
    CHECK_EQUAL(result.trained_tokens, tokens - 1);
  });
}

}  // namespace
}  // namespace ilr::test
