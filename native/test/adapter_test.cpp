#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "adapter.h"
#include "memory.h"
#include "policy_fixture.h"
#include "runtime.h"

#include "check.h"

namespace ilr::test {
namespace {

constexpr double tolerance = 1e-4;          // of the largest logit, as for whole models
constexpr double mutant = 100 * tolerance;  // what a missing part must miss by, at least

struct Golden {
  std::string name, base;
};
const std::vector<Golden> goldens{{"lora-all", "qwen2-tied"}, {"lora-some", "llama-untied"}};

using Use = std::function<void(Policy&)>;

void on_worker(const std::function<void(Runtime&)>& use) {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  runtime.run([&] { use(runtime); });
}

PolicyOptions adapted(const std::filesystem::path& folder, const std::string& dtype = "float32", bool trainable = true) {
  PolicyOptions options{.dtype = dtype, .trainable = trainable};
  options.adapter = AdapterOptions{.folder = folder};
  return options;
}

PolicyOptions fresh(uint64_t seed = 1, const std::vector<std::string>& targets = {"all-linear"}) {
  PolicyOptions options;
  options.adapter = AdapterOptions{.rank = 4, .alpha = 8, .target_modules = targets, .seed = seed};
  return options;
}

void with_golden(const Golden& model, const std::string& dtype, const Use& use) {
  on_worker([&](Runtime& runtime) {
    use(*Policy::load(runtime, golden(model.base), adapted(golden(model.name), dtype), false));
  });
}

double golden_error(const Policy::State& state, const std::string& name) {
  const SafetensorsReader file = SafetensorsReader::open_file(golden(name + ".logits.safetensors"));
  double worst = 0;
  for (const std::string i : {"0", "1", "2"}) {
    worst = std::max(worst, max_error(state.logits(values_of<int32_t>(file.view(i + ".ids"))), file.view(i + ".logits")));
  }
  return worst;
}

Tensors tensors_of(const Policy& policy) {
  const NamedTensors views = const_cast<Policy&>(policy).state().model.adapter()->peft_tensors();
  return {views.begin(), views.end()};
}

GoldenUpdate training() {
  GoldenUpdate update = read_golden_update("qwen2-tied", "dapo");
  update.options.learning_rate = 1e-2;
  return update;
}

TEST("LoRA: logits equal PEFT's") {
  for (const Golden& model : goldens) {
    for (const char* dtype : {"float32", "float64"}) {
      with_golden(model, dtype, [&](Policy& policy) {
        const double error = golden_error(policy.state(), model.name);
        if (!(error <= tolerance)) fail(__FILE__, __LINE__, model.name + ": error " + std::to_string(error));
      });
    }
  }
}

TEST("LoRA mutants: without the adapter, a module of it, its scale or its place, logits miss") {
  for (const Golden& model : goldens) {
    with_golden(model, "float32", [&](Policy& policy) {
      const at::NoGradGuard no_grad;
      Policy::State& state = policy.state();
      for (const auto& [name, tensor] : tensors_of(policy)) {
        const at::Tensor view = tensor, kept = tensor.clone();
        view.zero_();
        if (!(golden_error(state, model.name) > mutant)) fail(__FILE__, __LINE__, "no one misses " + name);
        view.copy_(kept);
      }
      CHECK(golden_error(state, model.name) <= tolerance);
      state.model = state.model.with_adapter(nullptr);
      CHECK(golden_error(state, model.name) > mutant);
    });
    const TemporaryFolder folder;
    std::filesystem::copy(golden(model.name), folder.path());
    const std::string text = read_text(folder / "adapter_config.json");
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"lora_alpha\": ", "\"lora_alpha\": 1"},
                                   {"\"use_rslora\": false", "\"use_rslora\": true"},
                                   {"\"use_rslora\": true", "\"use_rslora\": false"}}) {
      const size_t at = text.find(from);
      if (at == std::string::npos) continue;
      write_text(folder / "adapter_config.json", std::string(text).replace(at, from.size(), to));
      on_worker([&](Runtime& runtime) {
        const auto policy = Policy::load(runtime, golden(model.base), adapted(folder.path()), false);
        CHECK(golden_error(policy->state(), model.name) > mutant);
      });
    }
  }
}

TEST("LoRA: gradients of A and B equal PEFT's, and the base has none") {
  for (const Golden& model : goldens) {
    const GoldenUpdate expected = read_golden_update(model.name, "nll");
    for (const auto& [dtype, bound] : {std::pair<const char*, double>{"float32", 1e-5}, {"float64", 1e-10}}) {
      with_golden(model, dtype, [&](Policy& policy) {
        UpdateResult result;
        const Tensors got = policy.state().gradients(expected.batch, expected.options, &result);
        const double error = worst_error(got, expected.gradients);
        if (!(error <= bound)) fail(__FILE__, __LINE__, model.name + " " + dtype + ": " + std::to_string(error * 1e6) + "e-6");
        CHECK_CLOSE(result.loss, expected.report.at("loss"), dtype == std::string("float64") ? 1e-10 : 1e-5);
        for (const auto& [name, p] : policy.state().model.parameters()) {
          if (p.requires_grad() || p.grad().defined()) fail(__FILE__, __LINE__, "the base has a gradient: " + name);
        }
      });
    }
  }
}

TEST("LoRA gradient mutant: another scale misses") {
  const GoldenUpdate expected = read_golden_update("lora-all", "nll");
  with_golden(goldens[0], "float64", [&](Policy& policy) {
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : tensors_of(policy)) {
      if (name.find("lora_B") != std::string::npos) at::Tensor(tensor).mul_(1.001);
    }
    CHECK(worst_error(policy.state().gradients(expected.batch, expected.options, nullptr), expected.gradients) > 1e-8);
  });
}

TEST("LoRA gradient: order, shared prompts and micro-batches change nothing but rounding") {
  for (const auto& [dtype, bound] : {std::pair<const char*, double>{"float32", 1e-5}, {"float64", 1e-11}}) {
    with_golden(goldens[0], dtype, [&](Policy& policy) {
      const GoldenUpdate update = training();
      const Tensors whole = policy.state().gradients(update.batch, update.options, nullptr);
      std::vector<int64_t> order(static_cast<size_t>(update.batch.completions.size()));
      std::iota(order.rbegin(), order.rend(), 0);
      CHECK(worst_error(policy.state().gradients(reordered(update.batch, order, false), update.options, nullptr), whole) <= bound);
      CHECK(worst_error(policy.state().gradients(reordered(update.batch, order, true), update.options, nullptr), whole) <= bound);
      UpdateOptions cut = update.options;
      cut.micro_batch_tokens = 1;
      CHECK(worst_error(policy.state().gradients(update.batch, cut, nullptr), whole) <= bound);
    });
  }
}

TEST("LoRA: prefill and decoding through the cache agree with the packed pass") {
  for (const Golden& model : goldens) {
    with_golden(model, "float64", [&](Policy& policy) {
      const at::NoGradGuard no_grad;
      const std::vector<int32_t> ids{5, 9, 14, 3, 22, 41, 8, 17};
      const Model& m = policy.state().model;
      KvCache cache = m.make_cache(8);
      Packing prompt;
      prompt.append(ids.data(), 5);
      std::vector<at::Tensor> hidden{m.forward(prompt, {0, 1, 2, 3, 4}, cache)};
      for (int64_t t = 5; t < 8; ++t) {
        Packing step;
        step.ids = {ids[t]};
        step.positions = {static_cast<int32_t>(t)};
        step.segments = {{0, 1, 0, 5, 5, t - 5}};
        hidden.push_back(m.forward(step, {t}, cache));
      }
      CHECK(max_error(m.output_head().logits(at::cat(hidden)), policy.state().logits(ids)) <= 1e-12);
    });
  }
}

TEST("LoRA: a new adapter computes as its base, from the same draws whatever else it adapts") {
  on_worker([](Runtime& runtime) {
    const auto base = Policy::load(runtime, golden("qwen2-tied"), {.trainable = false}, false);
    const auto all = base->share(fresh(7), false), some = base->share(fresh(7, {"down_proj", "k_proj"}), false);
    const std::vector<int32_t> ids{1, 2, 3, 4, 5, 6};
    CHECK(at::equal(all->state().logits(ids), base->state().logits(ids)));
    const Tensors of_all = tensors_of(*all), of_some = tensors_of(*some), of_other = tensors_of(*base->share(fresh(8), false));
    CHECK_EQUAL(of_all.size(), size_t{28});
    CHECK_EQUAL(of_some.size(), size_t{8});
    for (const auto& [name, tensor] : of_some) CHECK(at::equal(tensor, of_all.at(name)));
    std::vector<at::Tensor> draws;
    for (const auto& [name, tensor] : of_all) {
      if (name.find("lora_B") != std::string::npos) {
        CHECK_EQUAL(tensor.abs().max().item<double>(), 0.0);
        continue;
      }
      CHECK(!at::equal(tensor, of_other.at(name)));
      draws.push_back((tensor * std::sqrt(static_cast<double>(tensor.size(1)))).flatten());  // uniform in -1..1
      CHECK(draws.back().abs().max().item<double>() <= 1);
    }
    const at::Tensor draw = at::cat(draws);  // 2048 values: their mean and square within five standard errors
    CHECK_EQUAL(draw.numel(), 2 * 4 * (6 * 32 + 48));
    CHECK_CLOSE(draw.mean().item<double>(), 0, 5 / std::sqrt(3.0 * 1920));
    CHECK_CLOSE(draw.square().mean().item<double>(), 1.0 / 3, 5 * 0.298 / std::sqrt(1920.0));
  });
}

// Bytes that `open` adds to what the runtime holds.
int64_t bytes_of(Runtime& runtime, std::vector<std::unique_ptr<Policy>>& policies,
                 const std::function<std::unique_ptr<Policy>()>& open) {
  const int64_t before = runtime.memory().bytes();
  policies.push_back(open());
  return runtime.memory().bytes() - before;
}

TEST("LoRA: two adapters and a frozen policy hold one base, which no update changes") {
  // Wide, so that the weights are much larger than the activations of a few tokens.
  const std::string config = R"({"model_type":"llama","vocab_size":61,"hidden_size":256,"intermediate_size":1024,)"
                             R"("num_hidden_layers":2,"num_attention_heads":4,"max_position_embeddings":64})";
  on_worker([&](Runtime& runtime) {
    std::vector<std::unique_ptr<Policy>> policies;
    const int64_t base = bytes_of(runtime, policies, [&] { return Policy::create(runtime, config, 3, {.trainable = false}); });
    Policy& frozen = *policies[0];
    const int64_t weights = frozen.info().parameters * 4;
    CHECK(base >= weights);
    int64_t adapters = 0;
    for (const uint64_t seed : {1, 2}) {
      adapters += bytes_of(runtime, policies, [&] { return frozen.share(fresh(seed), false); });
      CHECK_EQUAL(policies.back()->info().trained_parameters, int64_t{2 * 4 * (4 * 512 + 3 * 1280)});
    }
    adapters += bytes_of(runtime, policies, [&] { return frozen.share({.trainable = false}, false); });
    // Adapter and its two moments, twice; each of its tensors is rounded up to a block.
    CHECK(adapters < weights / 4);
    Tensors before = copy_of(frozen.state().hf_tensors());
    GoldenUpdate update = training();
    update.options.micro_batch_tokens = 1;
    for (const size_t i : {1, 2}) {
      const UpdateResult result = policies[i]->update(update.batch, update.options, {});
      CHECK(!result.skipped);
      CHECK(result.grad_norm > 0);
      CHECK(result.peak_bytes < weights / 2);  // neither a gradient nor a moment of the base
    }
    CHECK(are_identical(before, frozen.state().hf_tensors()));
    for (size_t i = 1; i < 4; ++i) {
      for (const auto& [name, tensor] : policies[i]->state().hf_tensors()) {
        CHECK(tensor.data_ptr() == frozen.state().hf_tensors().at(name).data_ptr());
      }
    }
    const std::vector<int32_t> ids{1, 2, 3, 4};
    CHECK(!at::equal(policies[1]->state().logits(ids), policies[2]->state().logits(ids)));
    CHECK(at::equal(policies[3]->state().logits(ids), frozen.state().logits(ids)));
    // The weights live as long as anybody uses them.
    const at::Tensor logits = policies[1]->state().logits(ids);
    policies.erase(policies.begin());
    CHECK(at::equal(policies[0]->state().logits(ids), logits));
    policies.clear();
    before.clear();
    CHECK(runtime.memory().bytes() < weights / 4);
  });
}

TEST("share: a policy that trains every weight has them to itself") {
  on_worker([](Runtime& runtime) {
    const GoldenUpdate update = training();
    const auto frozen = Policy::load(runtime, golden("qwen2-tied"), {.trainable = false}, false);
    const auto full = frozen->share({}, false);
    const auto snapshot = full->share({.trainable = false}, false);
    const auto lora = full->share(fresh(), false);
    const Tensors before = copy_of(frozen->state().hf_tensors());
    full->update(update.batch, update.options, {});
    CHECK(!are_identical(before, full->state().hf_tensors()));
    for (const Policy* policy : {frozen.get(), snapshot.get(), lora.get()}) {
      CHECK(are_identical(before, const_cast<Policy*>(policy)->state().hf_tensors()));
    }
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "optimiser", frozen->share({}, true));
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapter's folder", frozen->share(fresh(), true));
  });
}

TEST("LoRA: with adapter false, logprobs are those of the base, bit for bit") {
  on_worker([](Runtime& runtime) {
    const auto base = Policy::load(runtime, golden("qwen2-tied"), {.trainable = false}, false);
    const auto lora = base->share(adapted(golden("lora-all")), false);
    ScoreRequest request{.sequences = {{3, 9, 12, 20, 7}, {0, 5}}, .mask = {0, 1, 1, 1, 1}};
    const std::vector<float> own = lora->logprobs(request, {}).logprobs, expected = base->logprobs(request, {}).logprobs;
    request.adapter = false;
    CHECK(lora->logprobs(request, {}).logprobs == expected);
    CHECK(own != expected);
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "has none", base->logprobs(request, {}));
  });
}

TEST("LoRA: saved in PEFT's format and loaded, it is the same, and goes on bit for bit") {
  const GoldenUpdate update = training();
  const TemporaryFolder folder;
  Tensors after;
  on_worker([&](Runtime& runtime) {
    const auto policy = Policy::load(runtime, golden("qwen2-tied"), adapted(golden("lora-all")), false);
    policy->update(update.batch, update.options, {});
    policy->save(folder.path(), true);
    CHECK(!std::filesystem::exists(folder / "config.json"));
    policy->update(update.batch, update.options, {});
    after = copy_of(tensors_of(*policy));
    CHECK_EQUAL(policy->info().step, 2);
  });
  on_worker([&](Runtime& runtime) {
    const auto policy = Policy::load(runtime, golden("qwen2-tied"), adapted(folder.path()), true);
    CHECK_EQUAL(policy->info().step, 1);
    CHECK_EQUAL(policy->info().adapter->rank, 4);
    CHECK_EQUAL(policy->info().adapter->alpha, 6.0);
    CHECK_EQUAL(parse_adapter_config(read_text(folder / "adapter_config.json"), "").base,
                std::filesystem::canonical(golden("qwen2-tied")).string());
    policy->update(update.batch, update.options, {});
    CHECK(are_identical(after, tensors_of(*policy)));
  });
}

TEST("LoRA: merged, the model gives the adapted logits") {
  for (const Golden& model : goldens) {
    for (const auto& [dtype, bound] : {std::pair<const char*, double>{"float32", 1e-5}, {"float64", 1e-12}}) {
      const TemporaryFolder folder;
      const std::vector<int32_t> ids{1, 30, 7, 45, 2, 2, 60};
      at::Tensor logits;
      with_golden(model, dtype, [&](Policy& policy) {
        const Tensors before = copy_of(policy.state().hf_tensors());
        policy.save(folder.path(), false, true);
        logits = policy.state().logits(ids);
        CHECK(are_identical(before, policy.state().hf_tensors()));
      });
      with_policy(folder.path(), dtype, [&](Policy& policy) {
        const double error = max_error(policy.state().logits(ids), logits);
        if (!(error <= bound)) fail(__FILE__, __LINE__, model.name + " " + dtype + ": " + std::to_string(error * 1e6) + "e-6");
      });
    }
  }
}

TEST("LoRA: what cannot be saved is refused") {
  on_worker([](Runtime& runtime) {
    const TemporaryFolder folder;
    const auto lora = Policy::load(runtime, golden("qwen2-tied"), fresh(), false);
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "merged model has no optimiser", lora->save(folder.path(), true, true));
    lora->save(folder.path(), false);
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "holds an adapter", lora->save(folder.path(), false, true));
    const auto plain = Policy::load(runtime, golden("qwen2-tied"), {}, false);
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "has none", plain->save(folder.path(), false, true));
  });
}

std::string config_with(const std::string& rest) {
  return R"({"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"])" + (rest.empty() ? "" : "," + rest) + "}";
}

TEST("LoRA config: what PEFT writes is read, and what is written says the same") {
  for (const Golden& model : goldens) {
    const AdapterConfig read = parse_adapter_config(read_text(golden(model.name) / "adapter_config.json"), "");
    CHECK_EQUAL(read.base, "../" + model.base);
    const AdapterConfig again = parse_adapter_config(adapter_config_json(read), "");
    CHECK_EQUAL(again.rank, read.rank);
    CHECK_EQUAL(again.alpha, read.alpha);
    CHECK(again.rank_stabilized == read.rank_stabilized);
    CHECK(again.target_modules == read.target_modules);
    CHECK_EQUAL(again.base, read.base);
  }
  CHECK(parse_adapter_config(R"({"r":2,"target_modules":"all-linear","lora_dropout":0.1})", "").target_modules == kAdaptable);
  CHECK_EQUAL(parse_adapter_config(config_with(R"("use_rslora":true)"), "").scale(), 4.0);
  CHECK_EQUAL(parse_adapter_config(config_with(""), "").scale(), 2.0);
  CHECK(parse_adapter_config(adapter_config_json(make_adapter_config(3, 0.1, false, {"up_proj", "k_proj"})), "").alpha == 0.1);
}

TEST("LoRA config: a target is a module's path or the end of it") {
  const auto config = [](const std::string& targets) {
    return parse_adapter_config(R"({"r":1,"target_modules":[)" + targets + "]}", "");
  };
  CHECK(config(R"("self_attn.q_proj")").adapts("model.layers.3.self_attn.q_proj"));
  CHECK(config(R"("model.layers.3.mlp.up_proj")").adapts("model.layers.3.mlp.up_proj"));
  CHECK(!config(R"("model.layers.3.mlp.up_proj")").adapts("model.layers.13.mlp.up_proj"));
  CHECK(!config(R"("layers.3.mlp.up_proj")").adapts("model.layers.13.mlp.up_proj"));
  CHECK(!config(R"("up_proj")").adapts("model.layers.3.mlp.gate_up_proj"));
  // One layer alone, and none.
  const ModelConfig model = read_model_config(golden("qwen2-tied"));
  const auto options = at::TensorOptions().dtype(at::kFloat);
  CHECK_EQUAL(Adapter::draw(config(R"("layers.1.mlp.up_proj")"), model, options, 1).parameter_count(), 32 + 48);
  CHECK_THROWS("ILR_INVALID_MODEL", "layers.9.mlp.up_proj", Adapter::draw(config(R"("layers.9.mlp.up_proj")"), model, options, 1));
}

TEST("LoRA config: settings that would change what it computes are refused by name") {
  for (const std::string setting :
       {R"("use_dora":true)", R"("bias":"all")", R"("modules_to_save":["lm_head"])", R"("rank_pattern":{"q_proj":8})",
        R"("alpha_pattern":{"q_proj":8})", R"("layers_to_transform":[1])", R"("fan_in_fan_out":true)",
        R"("lora_bias":true)", R"("trainable_token_indices":[1])", R"("target_parameters":["x"])",
        R"("exclude_modules":["v_proj"])", R"("use_qalora":true)", R"("megatron_config":{"a":1})",
        R"("layer_replication":[[0,1]])", R"("alora_invocation_tokens":[5])", R"("init_lora_weights":"pissa")",
        R"("a_setting_of_tomorrow":2)", R"("task_type":"SEQ_CLS")"}) {
    const std::string name = setting.substr(1, setting.find('"', 1) - 1);
    CHECK_THROWS("ILR_UNSUPPORTED", name, parse_adapter_config(config_with(setting), "adapter_config.json"));
  }
  CHECK_THROWS("ILR_UNSUPPORTED", "peft_type", parse_adapter_config(R"({"peft_type":"IA3"})", ""));
  CHECK_THROWS("ILR_UNSUPPORTED", "lm_head", parse_adapter_config(R"({"r":1,"target_modules":["lm_head"]})", ""));
  CHECK_THROWS("ILR_UNSUPPORTED", "target_modules", parse_adapter_config(R"({"r":1,"target_modules":".*proj"})", ""));
}

TEST("LoRA config: wrong and hostile values are refused by key") {
  for (const std::string r : {"0", "-1", "4097", "1.5", "\"8\"", "null", "9223372036854775807"}) {
    CHECK_THROWS("ILR_INVALID_MODEL", "r: ", parse_adapter_config(R"({"target_modules":["q_proj"],"r":)" + r + "}", ""));
  }
  CHECK_THROWS("ILR_INVALID_MODEL", "target_modules", parse_adapter_config(R"({"r":1})", ""));
  CHECK_THROWS("ILR_INVALID_MODEL", "target_modules", parse_adapter_config(R"({"r":1,"target_modules":[]})", ""));
  CHECK_THROWS("ILR_INVALID_MODEL", "target_modules", parse_adapter_config(R"({"r":1,"target_modules":[3]})", ""));
  CHECK_THROWS("ILR_INVALID_MODEL", "lora_alpha", parse_adapter_config(R"({"r":1,"target_modules":["q_proj"],"lora_alpha":-1})", ""));
  CHECK_THROWS("ILR_INVALID_MODEL", "expected an object", parse_adapter_config("[]", ""));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapter.rank", make_adapter_config(0, 1, false, {"q_proj"}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapter.alpha", make_adapter_config(1, 0, false, {"q_proj"}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapter.targetModules", make_adapter_config(1, 1, false, {}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "\"embed_tokens\"", make_adapter_config(1, 1, false, {"embed_tokens"}));
}

TEST("LoRA config: no byte of it, changed, gives anything but a config or an error") {
  const std::string text = read_text(golden("lora-some/adapter_config.json"));
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char byte : {'0', '"', '{', ']', '\xff', '-', 'e'}) {
      std::string changed = text;
      changed[i] = byte;
      try {
        const AdapterConfig config = parse_adapter_config(changed, "");
        CHECK(config.rank >= 1 && config.rank <= 4096);
      } catch (const Error& error) {
        CHECK(error.code() == "ILR_INVALID_MODEL" || error.code() == "ILR_UNSUPPORTED");
      }
    }
  }
}

// Loads an adapter whose tensors `change` altered.
void load_changed(const std::function<void(Tensors&)>& change) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(golden("lora-all/adapter_config.json"), folder / "adapter_config.json");
  {
    const SafetensorsReader file = SafetensorsReader::open_file(golden("lora-all/adapter_model.safetensors"));
    Tensors tensors;
    for (const std::string& name : file.names()) tensors[name] = file.view(name).clone();
    change(tensors);
    write_safetensors(folder / "adapter_model.safetensors", {tensors.begin(), tensors.end()}, {});
  }
  on_worker([&](Runtime& runtime) { Policy::load(runtime, golden("qwen2-tied"), adapted(folder.path()), false); });
}

TEST("LoRA: tensors that are missing, of another shape or too many are refused by name") {
  const std::string name = "base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight";
  load_changed([](Tensors&) {});
  load_changed([&](Tensors& t) { t[name] = t.at(name).to(at::kBFloat16); });
  CHECK_THROWS("ILR_INVALID_MODEL", name, load_changed([&](Tensors& t) { t.erase(name); }));
  CHECK_THROWS("ILR_INVALID_MODEL", "[16, 4] (rank and base), the file has [16, 3]",
               load_changed([&](Tensors& t) { t[name] = t.at(name).narrow(1, 0, 3); }));
  CHECK_THROWS("ILR_INVALID_MODEL", "lm_head",
               load_changed([&](Tensors& t) { t["base_model.model.lm_head.lora_A.weight"] = t.at(name); }));
  // An adapter of another base.
  CHECK_THROWS("ILR_INVALID_MODEL", "adapter tensor", on_worker([](Runtime& runtime) {
                 Policy::load(runtime, golden("llama-untied"), adapted(golden("lora-all")), false);
               }));
  CHECK_THROWS("ILR_IO", "adapter_config.json", on_worker([](Runtime& runtime) {
                 Policy::load(runtime, golden("qwen2-tied"), adapted(golden("qwen2-tied")), false);
               }));
  CHECK_THROWS("ILR_INVALID_MODEL", "is an adapter", on_worker([](Runtime& runtime) {
                 Policy::load(runtime, golden("lora-all"), {}, false);
               }));
  const TemporaryFolder pickled;
  std::filesystem::copy_file(golden("lora-all/adapter_config.json"), pickled / "adapter_config.json");
  write_text(pickled / "adapter_model.bin", "x");
  CHECK_THROWS("ILR_UNSUPPORTED", "pickle", on_worker([&](Runtime& runtime) {
                 Policy::load(runtime, golden("qwen2-tied"), adapted(pickled.path()), false);
               }));
}

}  // namespace
}  // namespace ilr::test
