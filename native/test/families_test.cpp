#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "policy_fixture.h"

#include "check.h"

// Every model family against transformers and against the plain model of golden/plain_model.py.
namespace ilr::test {
namespace {

constexpr double tolerance = 1e-4;          // of the largest logit: float32 against float32 in another order of summation
constexpr double mutant = 100 * tolerance;  // what a feature bent out of shape must miss by, at least
constexpr double gradient_tolerance32 = 1e-5, gradient_tolerance64 = 1e-10;  // of a tensor's norm; the goldens are float64
const std::vector<std::string> families{"llama3-fp16", "mistral-window", "qwen2-window", "qwen3", "gemma2", "gemma3"};

void expect_below(double error, double bound, const std::string& what) {
  if (error <= bound) return;
  std::ostringstream message;
  message << what << ": expected an error of at most " << bound << ", got " << error;
  fail(__FILE__, __LINE__, message.str());
}

struct Sequence {
  std::vector<int32_t> ids;
  at::Tensor logits_TV;  // of transformers
};

std::vector<Sequence> golden_sequences(const std::string& family) {
  const SafetensorsReader file = SafetensorsReader::open_file(golden(family + ".logits.safetensors"));
  std::vector<Sequence> sequences;
  for (const std::string i : {"0", "1"}) {
    sequences.push_back({values_of<int32_t>(file.view(i + ".ids")), file.view(i + ".logits").clone()});
  }
  return sequences;
}

at::Tensor logits_of(const Model& model, const std::vector<int32_t>& ids) {
  const at::NoGradGuard no_grad;
  Packing packing;
  packing.append(ids.data(), static_cast<int64_t>(ids.size()));
  packing.close_family();
  return model.output_head().logits(model.forward(packing));
}

// How far the family's model is from its golden logits where `change` bends its config, or its weights.
double error_after(const std::string& family, const std::function<void(ModelConfig&)>& change,
                   const std::function<void(Tensors&)>& change_weights = {}) {
  const at::NoGradGuard no_grad;
  ModelConfig config = read_model_config(golden(family));
  change(config);
  Model model(config, at::kFloat, at::kCPU);
  model.read(SafetensorsReader::open_folder(golden(family)));
  if (change_weights) {
    const NamedTensors views = model.hf_tensors();
    Tensors tensors{views.begin(), views.end()};
    change_weights(tensors);
  }
  double worst = 0;
  for (const Sequence& s : golden_sequences(family)) worst = std::max(worst, max_error(logits_of(model, s.ids), s.logits_TV));
  return worst;
}

TEST("families: logits equal those of transformers, far beyond windows and the context that scaling starts from") {
  for (const std::string& family : families) {
    expect_below(error_after(family, [](ModelConfig&) {}), tolerance, family);
  }
}

TEST("families: the golden folders are what they are said to be") {
  const auto config = [](const std::string& family) { return read_model_config(golden(family)); };
  CHECK(config("llama3-fp16").rope.scaling == RopeConfig::Scaling::llama3);
  CHECK_EQUAL(config("llama3-fp16").rope.original_max_positions, 16);
  CHECK(config("llama3-fp16").eos_ids == (std::vector<int32_t>{3, 7, 11}));
  CHECK(config("mistral-window").windows == (std::vector<int64_t>{8, 8}));
  CHECK(config("qwen2-window").windows == (std::vector<int64_t>{0, 8}));
  CHECK(config("qwen3").windows == (std::vector<int64_t>{0, 8}));
  CHECK(config("gemma2").windows == (std::vector<int64_t>{8, 0}));
  CHECK(config("gemma3").windows == (std::vector<int64_t>{8, 0}));
  CHECK(config("gemma3").rope.scaling == RopeConfig::Scaling::linear);
  const auto dtype = [](const std::string& family) {
    return SafetensorsReader::open_folder(golden(family)).view("model.norm.weight").scalar_type();
  };
  CHECK(dtype("llama3-fp16") == at::kHalf);
  CHECK(dtype("gemma2") == at::kBFloat16 && dtype("qwen2-window") == at::kBFloat16);
  CHECK(std::filesystem::exists(golden("mistral-window/model.safetensors.index.json")));
  for (const std::string& family : families) CHECK(golden_sequences(family).front().ids.size() == 100);
}

TEST("families mutant: each setting, bent, misses") {
  using Change = std::function<void(ModelConfig&)>;
  struct Mutant {
    std::string family, name;
    Change change;
  };
  const auto swap_windows = [](ModelConfig& c) { std::swap(c.windows[0], c.windows[1]); };
  const auto window_of = [](int64_t from, int64_t to) {
    return [from, to](ModelConfig& c) {
      for (int64_t& w : c.windows) w = w == from ? to : w;
    };
  };
  std::vector<Mutant> mutants{
      {"llama3-fp16", "no scaling", [](ModelConfig& c) { c.rope.scaling = RopeConfig::Scaling::none; }},
      {"llama3-fp16", "linear scaling", [](ModelConfig& c) { c.rope.scaling = RopeConfig::Scaling::linear; }},
      {"llama3-fp16", "factor", [](ModelConfig& c) { c.rope.factor = 4; }},
      {"llama3-fp16", "low_freq_factor", [](ModelConfig& c) { c.rope.low_freq_factor = 0.25; }},
      {"llama3-fp16", "high_freq_factor", [](ModelConfig& c) { c.rope.high_freq_factor = 1.5; }},
      {"llama3-fp16", "original context", [](ModelConfig& c) { c.rope.original_max_positions = 128; }},
      {"mistral-window", "window in one layer", [](ModelConfig& c) { c.windows[0] = 0; }},
      {"qwen2-window", "windows swapped", swap_windows},
      {"qwen3", "windows swapped", swap_windows},
      {"qwen3", "no norm of q and k", [](ModelConfig& c) { c.qk_norm = false; }},
      {"gemma2", "windows swapped", swap_windows},
      {"gemma2", "score softcap", [](ModelConfig& c) { c.attention_softcap = 0; }},
      {"gemma2", "score softcap of half", [](ModelConfig& c) { c.attention_softcap /= 2; }},
      {"gemma2", "logit softcap", [](ModelConfig& c) { c.logit_softcap = 0; }},
      {"gemma3", "windows swapped", swap_windows},
      {"gemma3", "one rope for all", [](ModelConfig& c) { c.local_rope = c.rope; }},
      {"gemma3", "ropes swapped", [](ModelConfig& c) { std::swap(c.rope, c.local_rope); }},
      {"gemma3", "no linear scaling", [](ModelConfig& c) { c.rope.scaling = RopeConfig::Scaling::none; }},
      {"gemma3", "no norm of q and k", [](ModelConfig& c) { c.qk_norm = false; }}};
  for (const std::string family : {"mistral-window", "qwen2-window", "qwen3", "gemma2", "gemma3"}) {
    mutants.push_back({family, "no window", window_of(8, 0)});
    mutants.push_back({family, "a key fewer", window_of(8, 7)});
    mutants.push_back({family, "a key more", window_of(8, 9)});
  }
  for (const std::string family : {"gemma2", "gemma3"}) {
    mutants.push_back({family, "norms scale by w", [](ModelConfig& c) { c.norm_adds_one = false; }});
    mutants.push_back({family, "embeddings as they are", [](ModelConfig& c) { c.embedding_scale = 1; }});
    mutants.push_back({family, "silu", [](ModelConfig& c) { c.activation = Activation::silu; }});
    mutants.push_back({family, "scale of 1/sqrt(D)", [](ModelConfig& c) { c.score_scale = 1 / std::sqrt(8.0); }});
  }
  for (const Mutant& m : mutants) {
    // A model that does not ask for a tensor of the file refuses it: that shows too.
    double error = 1;
    try {
      error = error_after(m.family, m.change);
    } catch (const Error& refused) {
      CHECK(m.name == "no norm of q and k" && refused.code() == "ILR_INVALID_MODEL");
    }
    if (!(error > mutant)) fail(__FILE__, __LINE__, m.family + ", " + m.name + " does not show: " + std::to_string(error));
  }
}

TEST("families mutant: the weight of every norm matters") {
  for (const std::string& family : families) {
    int norms = 0;
    for (const std::string& name : SafetensorsReader::open_folder(golden(family)).names()) {
      if (name.find("norm") == std::string::npos) continue;
      const double error = error_after(
          family, [](ModelConfig&) {}, [&](Tensors& t) { t.at(name).fill_(family.starts_with("gemma") ? 0 : 1); });
      if (!(error > mutant)) fail(__FILE__, __LINE__, family + ": " + name + " does not show: " + std::to_string(error));
      ++norms;
    }
    CHECK_EQUAL(norms, family == "gemma3" ? 13 : family == "gemma2" || family == "qwen3" ? 9 : 5);
  }
}

TEST("families: gradients equal those of plain PyTorch in float64, whatever the micro-batches") {
  for (const std::string& family : families) {
    const GoldenUpdate golden_update = read_golden_update(family, "dapo");
    for (const auto& [dtype, bound] :
         {std::pair<std::string, double>{"float32", gradient_tolerance32}, {"float64", gradient_tolerance64}}) {
      with_policy(golden(family), dtype, [&](Policy& policy) {
        for (const int64_t budget : {0, 30}) {
          UpdateOptions options = golden_update.options;
          options.micro_batch_tokens = budget;
          UpdateResult result;
          expect_below(worst_error(policy.state().gradients(golden_update.batch, options, &result), golden_update.gradients),
                       bound, family + " " + dtype);
          CHECK_CLOSE(result.loss, golden_update.report.at("loss"), dtype == "float64" ? 1e-9 : 1e-4);
        }
      });
    }
  }
}

TEST("families mutant: a window, a softcap and a norm of q and k show in gradients") {
  const auto gradient_error = [](const std::string& family, const std::string& from, const std::string& to) {
    const TemporaryFolder folder;
    std::filesystem::copy(golden(family), folder.path());
    std::string text = read_text(folder / "config.json");
    const size_t at = text.find(from);
    CHECK(at != std::string::npos);
    write_text(folder / "config.json", text.replace(at, from.size(), to));
    const GoldenUpdate golden_update = read_golden_update(family, "dapo");
    double error = 0;
    with_policy(folder.path(), "float64", [&](Policy& policy) {
      error = worst_error(policy.state().gradients(golden_update.batch, golden_update.options, nullptr), golden_update.gradients);
    });
    return error;
  };
  constexpr double least = 100 * gradient_tolerance32;
  CHECK(gradient_error("mistral-window", "\"sliding_window\": 8", "\"sliding_window\": 9") > least);
  CHECK(gradient_error("gemma2", "\"attn_logit_softcapping\": 6.0", "\"attn_logit_softcapping\": null") > least);
  CHECK(gradient_error("gemma2", "\"final_logit_softcapping\": 4.0", "\"final_logit_softcapping\": null") > least);
  CHECK(gradient_error("llama3-fp16", "\"factor\": 8.0", "\"factor\": 4.0") > least);
  CHECK(gradient_error("gemma3", "\"factor\": 4.0", "\"factor\": 2.0") > least);
}

GenerateRequest request_for(const std::vector<std::vector<int32_t>>& prompts, int64_t samples, int64_t tokens,
                            double temperature) {
  GenerateRequest request{};
  for (const auto& prompt : prompts) {
    request.prompts.ids.insert(request.prompts.ids.end(), prompt.begin(), prompt.end());
    request.prompts.offsets.push_back(static_cast<int32_t>(request.prompts.ids.size()));
  }
  request.samples_per_prompt = samples;
  for (uint64_t i = 0; i < prompts.size() * static_cast<uint64_t>(samples); ++i) request.streams.push_back(50 + i);
  request.max_new_tokens = tokens;
  request.temperature = temperature;
  return request;
}

std::map<int64_t, Completion> generate_all(Policy& policy, const GenerateRequest& request) {
  std::map<int64_t, Completion> completions;
  policy.generate(request, [&](Completion c) { completions[c.index] = std::move(c); }, {}, {});
  return completions;
}

// make_families.py asserts that no chosen token leads by less than 1e-3, so that no rounding may choose another.
TEST("families: 64 greedy tokens are those of transformers") {
  for (const std::string& family : families) {
    const SafetensorsReader file = SafetensorsReader::open_file(golden(family + ".logits.safetensors"));
    with_policy(golden(family), "float32", [&](Policy& policy) {
      const std::vector<std::vector<int32_t>> prompts{values_of<int32_t>(file.view("greedy.0.prompt")),
                                                      values_of<int32_t>(file.view("greedy.1.prompt"))};
      const auto completions = generate_all(policy, request_for(prompts, 1, 64, 0));
      for (const auto& [index, completion] : completions) {
        CHECK_EQUAL(completion.ids.size(), 64U);
        CHECK(completion.ids == values_of<int32_t>(file.view("greedy." + std::to_string(index) + ".completion")));
      }
      CHECK_EQUAL(completions.size(), 2U);
    });
  }
}

// Windows of the sampler lie over a shared prompt and a cache, those of scorer and trainer over packed rows; the softcap of
// the logits is in all three.
TEST("families: sampler, scorer and trainer agree on what was drawn") {
  for (const std::string& family : families) {
    with_policy(golden(family), "float64", [&](Policy& policy) {
      const GenerateRequest request = request_for({{5, 9, 2, 41, 7, 7, 30, 1, 19, 22, 4}, {12}}, 3, 40, 0.8);
      TrainingBatch batch = read_golden_update(family, "dapo").batch;
      batch.prompts = request.prompts;
      batch.completions = {};
      batch.prompt_index.clear();
      batch.mask.clear();
      batch.sampler_logprobs.clear();
      ScoreRequest scored;
      scored.temperature = request.temperature;
      for (const auto& [index, c] : generate_all(policy, request)) {
        const int64_t prompt = index / 3;
        batch.completions.ids.insert(batch.completions.ids.end(), c.ids.begin(), c.ids.end());
        batch.completions.offsets.push_back(static_cast<int32_t>(batch.completions.ids.size()));
        batch.prompt_index.push_back(static_cast<int32_t>(prompt));
        batch.mask.resize(batch.completions.ids.size(), 1);
        batch.sampler_logprobs.insert(batch.sampler_logprobs.end(), c.logprobs.begin(), c.logprobs.end());
        auto& ids = scored.sequences.ids;
        ids.insert(ids.end(), request.prompts.begin(prompt), request.prompts.begin(prompt) + request.prompts.length(prompt));
        scored.mask.resize(ids.size(), 0);
        ids.insert(ids.end(), c.ids.begin(), c.ids.end());
        scored.mask.resize(ids.size(), 1);
        scored.sequences.offsets.push_back(static_cast<int32_t>(ids.size()));
      }
      const ScoreResult result = policy.logprobs(scored, {});
      size_t next = 0;
      for (size_t i = 0; i < scored.mask.size(); ++i) {
        if (scored.mask[i] == 0) continue;
        CHECK_CLOSE(result.logprobs[i], batch.sampler_logprobs[next++], 2e-6);  // both rounded to float32
      }
      batch.group_index = {0, 0, 0, 1, 1, 1};
      batch.rewards = {1, 0, 0.5, 0, 0.2, 1};
      batch.extra_advantage.assign(6, 0);
      batch.stage.assign(6, 0);
      UpdateOptions options = read_golden_update(family, "dapo").options;
      options.temperature = request.temperature;
      UpdateResult trained;
      policy.state().gradients(batch, options, &trained);
      CHECK_EQUAL(trained.trained_tokens, 6 * 40);
      expect_below(trained.sampler_max_abs_diff, 2e-6, family + ": sampler against trainer");
    });
  }
}

TEST("families: with and without a cache they agree, a window across the end of the prompt included") {
  for (const std::string& family : families) {
    Model model(read_model_config(golden(family)), at::kDouble, at::kCPU);
    {
      const at::NoGradGuard no_grad;
      model.read(SafetensorsReader::open_folder(golden(family)));
    }
    const std::vector<int32_t> ids = golden_sequences(family).front().ids;
    for (const int64_t prefix : {1, 5, 8, 30, 99}) {
      expect_below(max_error(cached_logits(model, ids, prefix), logits_of(model, ids)), 1e-12, family);
    }
  }
}

TEST("families: a quantised file says so, and what is supported") {
  const SafetensorsReader file = SafetensorsReader::open_folder(golden("qwen3"));
  const std::string quantised = "model.layers.1.mlp.down_proj.weight";
  for (const at::ScalarType type : {at::kByte, at::kInt}) {
    const TemporaryFolder folder;
    NamedTensors tensors;
    for (const std::string& name : file.names()) {
      tensors.emplace_back(name, name == quantised ? file.view(name).to(type) : file.view(name));
    }
    write_safetensors(folder / "model.safetensors", tensors, {});
    Model model(read_model_config(golden("qwen3")), at::kFloat, at::kCPU);
    CHECK_THROWS("ILR_UNSUPPORTED", "\"" + quantised + "\" holds", model.read(SafetensorsReader::open_folder(folder.path())));
    CHECK_THROWS("ILR_UNSUPPORTED", "float32, float16 and bfloat16 files are supported",
                 model.read(SafetensorsReader::open_folder(folder.path())));
  }
}

TEST("families: a saved folder holds the tensors that transformers wrote, and loads again bit for bit") {
  for (const std::string& family : families) {
    const TemporaryFolder folder;
    const std::vector<int32_t> ids = golden_sequences(family).front().ids;
    at::Tensor before;
    with_policy(golden(family), "float32", [&](Policy& policy) {
      policy.save(folder.path(), false);
      before = policy.state().logits(ids);
    });
    const SafetensorsReader written = SafetensorsReader::open_folder(folder.path());
    const SafetensorsReader original = SafetensorsReader::open_folder(golden(family));
    CHECK(written.names() == original.names());
    for (const std::string& name : original.names()) {
      CHECK(written.view(name).equal(original.view(name).to(at::kFloat)));
    }
    CHECK_EQUAL(read_text(folder / "config.json"), read_text(golden(family) / "config.json"));
    with_policy(folder.path(), "float32", [&](Policy& policy) { CHECK(policy.state().logits(ids).equal(before)); });
  }
}

}  // namespace
}  // namespace ilr::test
