#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <string>
#include <utility>

#include "policy_fixture.h"

#include "check.h"

namespace ilr::test {
namespace {

constexpr double tolerance = 1e-4;          // of the largest logit: float32 against float32 in another order of summation
constexpr double mutant = 100 * tolerance;  // what a missing feature must miss by, at least
const std::vector<std::string> models{"qwen2-tied", "llama-untied", "llama-tied-bf16"};

struct Sequence {
  std::vector<int32_t> ids;
  at::Tensor logits_TV;  // of transformers
};

std::vector<Sequence> golden_sequences(const std::string& model) {
  const SafetensorsReader file = SafetensorsReader::open_file(golden(model + ".logits.safetensors"));
  std::vector<Sequence> sequences;
  for (const std::string i : {"0", "1", "2"}) {
    sequences.push_back({values_of<int32_t>(file.view(i + ".ids")), file.view(i + ".logits").clone()});
  }
  return sequences;
}

double golden_error(Policy& policy, const std::string& model) {
  double worst = 0;
  for (const Sequence& sequence : golden_sequences(model)) {
    worst = std::max(worst, max_error(policy.state().logits(sequence.ids), sequence.logits_TV));
  }
  return worst;
}

// The golden error of a model whose weights `change` altered.
double error_after(const std::string& model, const std::function<void(Tensors&)>& change) {
  double error = 0;
  with_policy(golden(model), "float32", [&](Policy& policy) {
    const at::NoGradGuard no_grad;
    Tensors tensors = policy.state().hf_tensors();
    change(tensors);
    error = golden_error(policy, model);
  });
  return error;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

// The golden error of a model whose config.json says something else.
double error_with_config(const std::string& model, const std::string& from, const std::string& to) {
  const TemporaryFolder folder;
  std::filesystem::copy(golden(model), folder.path());
  std::string text = read_text(folder / "config.json");
  replace(text, from, to);
  write_text(folder / "config.json", text);
  double error = 0;
  with_policy(folder.path(), "float32", [&](Policy& policy) { error = golden_error(policy, model); });
  return error;
}

TEST("logits: qwen2 and llama equal transformers") {
  for (const std::string& model : models) {
    for (const char* dtype : {"float32", "float64"}) {
      with_policy(golden(model), dtype, [&](Policy& policy) {
        const double error = golden_error(policy, model);
        if (!(error <= tolerance)) fail(__FILE__, __LINE__, model + " " + dtype + ": error " + std::to_string(error));
      });
    }
  }
}

TEST("logits mutant: another rope theta misses") {
  CHECK(error_with_config("qwen2-tied", "\"rope_theta\": 10000.0", "\"rope_theta\": 500.0") > mutant);
  CHECK(error_with_config("llama-untied", "\"rope_theta\": 500.0", "\"rope_theta\": 10000.0") > mutant);
  CHECK(error_with_config("llama-tied-bf16", "\"rope_theta\": 100000.0", "\"rope_theta\": 10000.0") > mutant);
}

TEST("logits mutant: no rotation misses") {
  for (const std::string& model : models) {
    with_policy(golden(model), "float32", [&](Policy& policy) {
      const at::NoGradGuard no_grad;
      const Sequence sequence = golden_sequences(model).front();
      Packing packing;
      packing.append(sequence.ids.data(), static_cast<int64_t>(sequence.ids.size()));
      packing.close_family();
      for (int32_t& position : packing.positions) position = 0;
      const Model& m = policy.state().model;
      CHECK(max_error(m.output_head().logits(m.forward(packing)), sequence.logits_TV) > mutant);
    });
  }
}

TEST("logits mutant: a bias of zero misses") {
  for (const std::string part : {"q", "k", "v"}) {
    for (const std::string layer : {"0", "1"}) {
      CHECK(error_after("qwen2-tied", [&](Tensors& t) {
              t.at("model.layers." + layer + ".self_attn." + part + "_proj.bias").zero_();
            }) > mutant);
    }
  }
}

TEST("logits mutant: a norm weight of one misses") {
  for (const std::string& model : models) {
    for (const char* name :
         {"model.norm.weight", "model.layers.0.input_layernorm.weight", "model.layers.1.input_layernorm.weight",
          "model.layers.0.post_attention_layernorm.weight", "model.layers.1.post_attention_layernorm.weight"}) {
      CHECK(error_after(model, [&](Tensors& t) { t.at(name).fill_(1); }) > mutant);
    }
  }
}

void swap_rows(at::Tensor tensor, int64_t a, int64_t b, int64_t count) {
  const at::Tensor kept = tensor.narrow(0, a, count).clone();
  tensor.narrow(0, a, count).copy_(tensor.narrow(0, b, count));
  tensor.narrow(0, b, count).copy_(kept);
}

// Heads 0..3 over key-value heads 0, 0, 1, 1. Taken round robin (0, 1, 0, 1) heads 1 and 2 change places.
TEST("logits mutant: heads grouped round robin miss") {
  for (const std::string& model : models) {
    const int64_t head_dim = read_model_config(golden(model)).head_dim;
    CHECK(error_after(model, [&](Tensors& t) {
            for (auto& [name, tensor] : t) {
              if (name.find("q_proj") != std::string::npos) swap_rows(tensor, head_dim, 2 * head_dim, head_dim);
              if (name.find("o_proj") != std::string::npos) swap_rows(tensor.t(), head_dim, 2 * head_dim, head_dim);
            }
          }) > mutant);
  }
}

TEST("logits mutant: tying where the config has none, and none where it ties, miss") {
  CHECK(error_with_config("llama-untied", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true") > mutant);
  const TemporaryFolder folder;
  const SafetensorsReader file = SafetensorsReader::open_file(golden("llama-tied-bf16/model.safetensors"));
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const std::string& name : file.names()) tensors.emplace_back(name, file.view(name));
  tensors.emplace_back("lm_head.weight", file.view("model.embed_tokens.weight").flip(1));
  write_safetensors(folder / "model.safetensors", tensors, {});
  std::string text = read_text(golden("llama-tied-bf16/config.json"));
  write_text(folder / "config.json", text);
  with_policy(folder.path(), "float32",
              [&](Policy& policy) { CHECK(golden_error(policy, "llama-tied-bf16") <= tolerance); });
  replace(text, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
  write_text(folder / "config.json", text);
  with_policy(folder.path(), "float32", [&](Policy& policy) { CHECK(golden_error(policy, "llama-tied-bf16") > mutant); });
}

TEST("logits mutant: another embedding, output or feed-forward misses") {
  CHECK(error_after("qwen2-tied", [](Tensors& t) { t.at("model.embed_tokens.weight").mul_(0.9); }) > mutant);
  CHECK(error_after("llama-untied", [](Tensors& t) { t.at("lm_head.weight").mul_(0.9); }) > mutant);
  CHECK(error_after("llama-untied", [](Tensors& t) {
          t.at("model.layers.0.mlp.gate_proj.weight").copy_(t.at("model.layers.0.mlp.up_proj.weight"));
        }) > mutant);
}

TEST("logits: with and without a cache they agree") {
  for (const std::string& model : models) {
    for (const auto& [dtype, bound] : {std::pair<const char*, double>{"float32", 1e-5}, {"float64", 1e-12}}) {
      with_policy(golden(model), dtype, [&](Policy& policy) {
        const std::vector<int32_t> ids = golden_sequences(model).front().ids;
        for (const int64_t prefix : {1, 10, 39}) {
          const double error = max_error(cached_logits(policy.state().model, ids, prefix), policy.state().logits(ids));
          if (!(error <= bound))
            fail(__FILE__, __LINE__, model + " " + dtype + ": error " + std::to_string(error * 1e6) + "e-6");
        }
      });
    }
  }
}

}  // namespace
}  // namespace ilr::test
