#include "model_config.h"

#include <cmath>
#include <map>
#include <string>

#include "check.h"
#include "model.h"
#include "safetensors.h"

namespace ilr::test {
namespace {

// A qwen2 config with `extra` members put in front; of equal keys the reader would refuse the text, so they must be new.
std::string qwen2(const std::string& extra = "") {
  return "{" + extra + (extra.empty() ? "" : ",") +
         R"("model_type":"qwen2","vocab_size":61,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4})";
}

std::string with(const std::string& key, const std::string& value) {
  std::string text = qwen2();
  const size_t at = text.find("\"" + key + "\":");
  if (at == std::string::npos) return qwen2("\"" + key + "\":" + value);
  const size_t begin = at + key.size() + 3;
  return text.replace(begin, text.find_first_of(",}", begin) - begin, value);
}

std::string family(const std::string& model_type, const std::string& extra = "") {
  std::string text = qwen2(extra);
  return text.replace(text.find("\"qwen2\""), 7, "\"" + model_type + "\"");
}

std::string llama(const std::string& extra) { return family("llama", extra); }

using Windows = std::vector<int64_t>;

void check_invalid(const std::string& key, const std::string& value) {
  CHECK_THROWS("ILR_INVALID_MODEL", key, parse_model_config(with(key, value)));
}

TEST("config: defaults are those of the architecture") {
  const ModelConfig config = parse_model_config(qwen2());
  CHECK_EQUAL(config.model_type, "qwen2");
  CHECK_EQUAL(config.num_kv_heads, 4);
  CHECK_EQUAL(config.head_dim, 8);
  CHECK_EQUAL(config.max_positions, 32768);
  CHECK_EQUAL(config.rms_norm_eps, 1e-6);
  CHECK_EQUAL(config.rope.theta, 10000.0);
  CHECK_EQUAL(config.initializer_range, 0.02);
  CHECK_EQUAL(config.tie_embeddings, false);
  CHECK_EQUAL(config.qkv_bias, true);
  CHECK(config.eos_ids.empty());
  CHECK_EQUAL(config.json, qwen2());
  CHECK_EQUAL(parse_model_config(llama("")).qkv_bias, false);
  CHECK_EQUAL(parse_model_config(llama("")).max_positions, 2048);
}

TEST("config: keys given are read") {
  const ModelConfig config = parse_model_config(
      qwen2(R"("num_key_value_heads":2,"head_dim":16,"max_position_embeddings":64,"rms_norm_eps":1e-5,"rope_theta":500000,
               "initializer_range":0.1,"tie_word_embeddings":true,"eos_token_id":[3,5,3],"use_sliding_window":false,
               "rope_scaling":null,"architectures":["Qwen2ForCausalLM"],"layer_types":["full_attention","full_attention"])"));
  CHECK_EQUAL(config.num_kv_heads, 2);
  CHECK_EQUAL(config.head_dim, 16);
  CHECK_EQUAL(config.max_positions, 64);
  CHECK_EQUAL(config.rms_norm_eps, 1e-5);
  CHECK_EQUAL(config.rope.theta, 500000.0);
  CHECK_EQUAL(config.tie_embeddings, true);
  CHECK(config.eos_ids == (std::vector<int32_t>{3, 5}));
  CHECK(parse_model_config(qwen2(R"("eos_token_id":60)")).eos_ids == std::vector<int32_t>{60});
}

TEST("config: transformers 5 keeps rope_theta in rope_parameters") {
  CHECK_EQUAL(parse_model_config(qwen2(R"("rope_parameters":{"rope_type":"default","rope_theta":1000000.0})")).rope.theta,
              1e6);
  CHECK_EQUAL(parse_model_config(qwen2(R"("rope_scaling":{"type":"default"},"rope_theta":5000)")).rope.theta, 5000.0);
}

TEST("config: llama3 and linear scaling are read in both forms") {
  const std::string llama3 = R"({"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,)"
                             R"("original_max_position_embeddings":8192,"rope_type":"llama3"})";
  const RopeConfig expected{500000, RopeConfig::Scaling::llama3, 32, 1, 4, 8192};
  CHECK(parse_model_config(llama("\"rope_theta\":500000.0,\"rope_scaling\":" + llama3)).rope == expected);
  std::string nested = llama3;
  nested.insert(1, "\"rope_theta\":500000.0,");
  CHECK(parse_model_config(llama("\"rope_parameters\":" + nested)).rope == expected);
  const RopeConfig linear = parse_model_config(llama(R"("rope_scaling":{"type":"linear","factor":4})")).rope;
  CHECK(linear == (RopeConfig{10000, RopeConfig::Scaling::linear, 4}));
  // Without it, transformers takes the whole context for the original one.
  const auto original = [](const std::string& extra) {
    return parse_model_config(llama(extra + R"("max_position_embeddings":77,"rope_scaling":{"rope_type":"llama3",)"
                                            R"("factor":8,"low_freq_factor":1,"high_freq_factor":4})"))
        .rope.original_max_positions;
  };
  CHECK_EQUAL(original(""), 77);
  CHECK_EQUAL(original("\"original_max_position_embeddings\":13,"), 13);
  const auto refuse = [](const std::string& rope, const std::string& part) {
    CHECK_THROWS("ILR_INVALID_MODEL", part, parse_model_config(llama("\"rope_scaling\":" + rope)));
  };
  refuse(R"({"rope_type":"llama3","factor":8})", "rope_scaling.low_freq_factor: expected a number, got nothing");
  refuse(R"({"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4})", "rope_scaling.high_freq_factor");
  refuse(R"({"rope_type":"linear","factor":0})", "rope_scaling.factor");
  refuse(R"({"rope_type":"linear"})", "rope_scaling.factor");
  refuse("3", "rope_scaling");
}

TEST("config: layers have the windows that transformers gives them") {
  const auto windows = [](const std::string& text) { return parse_model_config(text).windows; };
  CHECK(windows(llama("\"sliding_window\":8")) == (Windows{0, 0}));
  CHECK(windows(family("mistral")) == (Windows{4096, 4096}));
  CHECK(windows(family("mistral", "\"sliding_window\":8")) == (Windows{8, 8}));
  CHECK(windows(family("mistral", "\"sliding_window\":null")) == (Windows{0, 0}));
  CHECK(windows(qwen2(R"("sliding_window":8,"max_window_layers":1)")) == (Windows{0, 0}));
  CHECK(windows(qwen2(R"("use_sliding_window":true,"sliding_window":8,"max_window_layers":1)")) == (Windows{0, 8}));
  CHECK(windows(qwen2(R"("use_sliding_window":true,"sliding_window":8,"max_window_layers":0)")) == (Windows{8, 8}));
  CHECK(windows(qwen2(R"("use_sliding_window":true)")) == (Windows{0, 0}));  // max_window_layers is 28
  CHECK(windows(family("qwen3", R"("use_sliding_window":true,"sliding_window":8,"layer_types":["sliding_attention","full_attention"])")) ==
        (Windows{8, 0}));
  CHECK(windows(family("gemma2")) == (Windows{4096, 0}));
  CHECK(windows(family("gemma3_text", "\"sliding_window\":8")) == (Windows{8, 8}));
  CHECK(windows(family("gemma3_text", R"("sliding_window":8,"sliding_window_pattern":2)")) == (Windows{8, 0}));
  CHECK(windows(family("gemma3_text", R"("sliding_window":8,"layer_types":["full_attention","sliding_attention"])")) ==
        (Windows{0, 8}));
  CHECK_THROWS("ILR_INVALID_MODEL", "layer_types: expected no \"sliding_attention\"",
               parse_model_config(qwen2(R"("layer_types":["full_attention","sliding_attention"])")));
  CHECK_THROWS("ILR_INVALID_MODEL", "layer_types: expected a list of 2",
               parse_model_config(qwen2(R"("layer_types":["full_attention"])")));
  CHECK_THROWS("ILR_INVALID_MODEL", "sliding_window", parse_model_config(family("mistral", "\"sliding_window\":0")));
}

TEST("config: gemma's defaults are those of its two generations") {
  const ModelConfig two = parse_model_config(family("gemma2"));
  CHECK_EQUAL(two.head_dim, 256);
  CHECK(two.tie_embeddings && two.norm_adds_one && two.branch_norms && !two.qk_norm && !two.qkv_bias);
  CHECK(two.activation == Activation::gelu_tanh);
  CHECK_CLOSE(two.embedding_scale, std::sqrt(32.0), 1e-15);
  CHECK_EQUAL(two.score_scale, 1.0 / 16);
  CHECK_EQUAL(two.attention_softcap, 50.0);
  CHECK_EQUAL(two.logit_softcap, 30.0);
  CHECK(two.local_rope == RopeConfig{10000} && two.rope == RopeConfig{10000});
  const ModelConfig plain =
      parse_model_config(family("gemma2", R"("attn_logit_softcapping":null,"final_logit_softcapping":null,"query_pre_attn_scalar":64)"));
  CHECK_EQUAL(plain.attention_softcap, 0.0);
  CHECK_EQUAL(plain.logit_softcap, 0.0);
  CHECK_EQUAL(plain.score_scale, 1.0 / 8);
  const ModelConfig three = parse_model_config(family("gemma3_text"));
  CHECK(three.qk_norm && three.norm_adds_one && three.tie_embeddings);
  CHECK_EQUAL(three.attention_softcap, 0.0);
  CHECK_EQUAL(three.logit_softcap, 0.0);
  CHECK(three.rope == RopeConfig{1e6} && three.local_rope == RopeConfig{10000});
  const ModelConfig nested = parse_model_config(
      family("gemma3_text", R"("rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,"rope_theta":1e5},)"
                            R"("sliding_attention":{"rope_type":"default","rope_theta":500}})"));
  CHECK(nested.rope == (RopeConfig{1e5, RopeConfig::Scaling::linear, 8}) && nested.local_rope == RopeConfig{500});
  CHECK_EQUAL(parse_model_config(family("qwen3")).head_dim, 128);
}

TEST("config: what is not there yet is named") {
  const auto check = [](const std::string& text, const std::string& part) {
    CHECK_THROWS("ILR_UNSUPPORTED", part, parse_model_config(text));
  };
  check(with("model_type", "\"phi3\""), "model_type: \"phi3\" is not supported yet; llama, mistral, qwen2, qwen3, gemma2 and gemma3_text");
  check(qwen2(R"("architectures":["Qwen2ForSequenceClassification"])"), "Qwen2ForSequenceClassification");
  check(qwen2(R"("rope_scaling":{"rope_type":"dynamic","factor":8})"), "rope_scaling");
  check(qwen2(R"("rope_parameters":{"rope_type":"yarn","rope_theta":1e6})"), "rope_parameters");
  check(qwen2(R"("rope_parameters":{"full_attention":{"rope_type":"default"}})"), "rope_parameters");
  check(qwen2(R"("layer_types":["full_attention","chunked_attention"])"), "layer_types: \"chunked_attention\"");
  check(family("mistral", R"("layer_types":["full_attention","sliding_attention"])"), "layer_types");
  check(family("gemma2", R"("hidden_activation":"gelu")"), "hidden_activation: \"gelu\"");
  check(family("gemma2", R"("use_bidirectional_attention":true)"), "use_bidirectional_attention");
  check(family("gemma3_text", R"("attn_logit_softcapping":50)"), "attn_logit_softcapping");
  check(family("qwen3", R"("attention_bias":true)"), "attention_bias");
  check(qwen2(R"("hidden_act":"gelu")"), "hidden_act: \"gelu\"");
  check(qwen2(R"("quantization_config":{"bits":4})"), "quantization_config");
  check(qwen2(R"("mlp_bias":true)"), "mlp_bias");
  check(qwen2(R"("partial_rotary_factor":0.5)"), "partial_rotary_factor");
  check(llama(R"("attention_bias":true)"), "attention_bias");
}

TEST("config: wrong and hostile values are refused by key") {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"}) {
    for (const char* value : {"0", "-1", "1.5", "\"8\"", "true", "null", "[]", "9223372036854775807", "1e300"}) {
      check_invalid(key, value);
    }
  }
  check_invalid("num_key_value_heads", "3");
  check_invalid("num_attention_heads", "5");
  check_invalid("head_dim", "7");
  check_invalid("head_dim", "100000");
  check_invalid("hidden_size", "34");
  CHECK_THROWS("ILR_INVALID_MODEL", "head_dim", parse_model_config(with("hidden_size", "36")));  // 36 / 4 heads = 9, odd
  check_invalid("max_position_embeddings", "0");
  check_invalid("rms_norm_eps", "-1");
  check_invalid("rms_norm_eps", "\"x\"");
  check_invalid("rope_theta", "0");
  check_invalid("tie_word_embeddings", "1");
  check_invalid("eos_token_id", "61");
  check_invalid("eos_token_id", "[-1]");
  check_invalid("eos_token_id", "{}");
  check_invalid("architectures", "\"Qwen2ForCausalLM\"");
  check_invalid("layer_types", "3");
  check_invalid("rope_parameters", "[]");
  check_invalid("model_type", "7");
  CHECK_THROWS("ILR_INVALID_MODEL", "expected a JSON object", parse_model_config("[]"));
  CHECK_THROWS("ILR_INVALID_MODEL", "model_type", parse_model_config("{}"));
  CHECK_THROWS("ILR_INVALID_MODEL", "byte", parse_model_config("{"));
}

TEST("config: no byte of a config, changed, gives anything but a config or an error") {
  for (const char* model : {"llama-untied", "llama3-fp16", "qwen3", "gemma3"}) {
    const std::string text = read_text(golden(std::string(model) + "/config.json"));
    int read = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      for (const char byte : {'0', '9', '-', '"', '[', '}', 'e', '\xFF'}) {
        std::string changed = text;
        changed[at] = byte;
        try {
          const ModelConfig config = parse_model_config(changed);
          CHECK(config.num_heads % config.num_kv_heads == 0 && config.head_dim % 2 == 0 && config.vocab_size > 0);
          CHECK(static_cast<int64_t>(config.windows.size()) == config.num_layers && config.score_scale > 0);
          CHECK(config.rope.theta >= 1 && config.rope.factor >= 1 && config.rope.high_freq_factor > config.rope.low_freq_factor);
          ++read;
        } catch (const Error& error) {
          CHECK(error.code() == "ILR_INVALID_MODEL" || error.code() == "ILR_UNSUPPORTED");
        }
      }
    }
    CHECK(read > 0);
  }
}

TEST("config: the eos ids of generation_config.json come first") {
  const TemporaryFolder folder;
  CHECK_THROWS("ILR_IO", "config.json", read_model_config(folder.path()));
  write_text(folder / "config.json", qwen2("\"eos_token_id\":1"));
  CHECK(read_model_config(folder.path()).eos_ids == std::vector<int32_t>{1});
  write_text(folder / "generation_config.json", R"({"temperature":0.7})");
  CHECK(read_model_config(folder.path()).eos_ids == std::vector<int32_t>{1});
  write_text(folder / "generation_config.json", R"({"eos_token_id":[2,3]})");
  CHECK(read_model_config(folder.path()).eos_ids == (std::vector<int32_t>{2, 3}));
  write_text(folder / "generation_config.json", R"({"eos_token_id":[2,99]})");
  CHECK_THROWS("ILR_INVALID_MODEL", "generation_config.json: eos_token_id", read_model_config(folder.path()));
}

// Counted by transformers on the meta device: counts.py beside the golden files.
TEST("config: published configs have the parameters that transformers counts, and build") {
  const std::map<std::string, int64_t> counts{
      {"Llama-3.1-8B-Instruct", 8030261248},
      {"Llama-3.1-8B", 8030261248},
      {"Llama-3.2-1B-Instruct", 1235814400},
      {"Llama-3.2-1B", 1235814400},
      {"Llama-3.2-3B-Instruct", 3212749824},
      {"Mistral-7B-v0.3", 7248023552},
      {"Qwen2.5-0.5B-Instruct", 494032768},
      {"Qwen2.5-1.5B-Instruct", 1543714304},
      {"Qwen2.5-14B-Instruct", 14770033664},
      {"Qwen2.5-3B-Instruct", 3085938688},
      {"Qwen2.5-7B-Instruct", 7615616512},
      {"Qwen3-0.6B", 596049920},
      {"Qwen3-1.7B", 1720574976},
      {"Qwen3-4B", 4022468096},
      {"Qwen3-8B", 8190735360},
      {"SmolLM2-135M", 134515008},
      {"SmolLM2-360M", 361821120},
      {"gemma-2-2b-it", 2614341888},
      {"gemma-3-1b-it", 999885952}};
  int read = 0;
  for (const auto& item : std::filesystem::directory_iterator(shared("model-configs"))) {
    const std::string name = item.path().stem().string();
    if (item.path().extension() != ".json" || name.ends_with("generation_config")) continue;
    const ModelConfig config = parse_model_config(read_text(item.path()));
    if (!counts.contains(name)) {
      fail(__FILE__, __LINE__, "no count for " + name);
      continue;
    }
    CHECK_EQUAL(parameter_count(config), counts.at(name));
    // The meta device has shapes and no memory.
    const Model model(config, at::kBFloat16, at::Device(at::kMeta));
    CHECK_EQUAL(model.parameter_count(), counts.at(name));
    ++read;
  }
  CHECK_EQUAL(read, static_cast<int>(counts.size()));
}

TEST("config: SmolLM2-135M and Qwen2.5-0.5B have their known sizes") {
  const ModelConfig smol = parse_model_config(read_text(shared("model-configs/SmolLM2-135M.json")));
  CHECK_EQUAL(smol.hidden_size, 576);
  CHECK_EQUAL(smol.num_kv_heads, 3);
  CHECK_EQUAL(smol.head_dim, 64);
  CHECK_EQUAL(smol.rope.theta, 100000.0);
  CHECK_EQUAL(smol.tie_embeddings, true);
  const ModelConfig qwen = parse_model_config(read_text(shared("model-configs/Qwen2.5-0.5B-Instruct.json")));
  CHECK_EQUAL(qwen.num_layers, 24);
  CHECK_EQUAL(qwen.rope.theta, 1e6);
  CHECK(qwen.eos_ids == std::vector<int32_t>{151645});
}

}  // namespace
}  // namespace ilr::test
