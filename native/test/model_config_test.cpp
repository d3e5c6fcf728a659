#include "model_config.h"

#include <string>

#include "check.h"
#include "json.h"
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

std::string llama(const std::string& extra) {
  std::string text = qwen2(extra);
  return text.replace(text.find("\"qwen2\""), 7, "\"llama\"");
}

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
  CHECK_EQUAL(config.rope_theta, 10000.0);
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
               "rope_scaling":null,"architectures":["Qwen2ForCausalLM"],"layer_types":["full_attention"])"));
  CHECK_EQUAL(config.num_kv_heads, 2);
  CHECK_EQUAL(config.head_dim, 16);
  CHECK_EQUAL(config.max_positions, 64);
  CHECK_EQUAL(config.rms_norm_eps, 1e-5);
  CHECK_EQUAL(config.rope_theta, 500000.0);
  CHECK_EQUAL(config.tie_embeddings, true);
  CHECK(config.eos_ids == (std::vector<int32_t>{3, 5}));
  CHECK(parse_model_config(qwen2(R"("eos_token_id":60)")).eos_ids == std::vector<int32_t>{60});
}

TEST("config: transformers 5 keeps rope_theta in rope_parameters") {
  CHECK_EQUAL(parse_model_config(qwen2(R"("rope_parameters":{"rope_type":"default","rope_theta":1000000.0})")).rope_theta,
              1e6);
  CHECK_EQUAL(parse_model_config(qwen2(R"("rope_scaling":{"type":"default"},"rope_theta":5000)")).rope_theta, 5000.0);
}

TEST("config: what is not there yet is named") {
  const auto check = [](const std::string& text, const std::string& part) {
    CHECK_THROWS("ILR_UNSUPPORTED", part, parse_model_config(text));
  };
  check(with("model_type", "\"mistral\""), "model_type: \"mistral\" is not supported yet; llama");
  check(qwen2(R"("architectures":["Qwen2ForSequenceClassification"])"), "Qwen2ForSequenceClassification");
  check(qwen2(R"("rope_scaling":{"rope_type":"llama3","factor":8})"), "rope_scaling");
  check(qwen2(R"("rope_parameters":{"rope_type":"yarn","rope_theta":1e6})"), "rope_parameters");
  check(qwen2(R"("use_sliding_window":true)"), "use_sliding_window");
  check(qwen2(R"("layer_types":["full_attention","sliding_attention"])"), "layer_types");
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
  const std::string text = read_text(golden("llama-untied/config.json"));
  int read = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'0', '9', '-', '"', '[', '}', 'e', '\xFF'}) {
      std::string changed = text;
      changed[at] = byte;
      try {
        const ModelConfig config = parse_model_config(changed);
        CHECK(config.num_heads % config.num_kv_heads == 0 && config.head_dim % 2 == 0 && config.vocab_size > 0);
        ++read;
      } catch (const Error& error) {
        CHECK(error.code() == "ILR_INVALID_MODEL" || error.code() == "ILR_UNSUPPORTED");
      }
    }
  }
  CHECK(read > 0);
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

TEST("config: published configs are read, or refused by name") {
  int read = 0;
  int refused = 0;
  for (const auto& item : std::filesystem::directory_iterator(shared("model-configs"))) {
    const std::string name = item.path().filename().string();
    if (!name.ends_with(".json") || name.ends_with("generation_config.json")) continue;
    const std::string text = read_text(item.path());
    const std::string type = *parse_json(text, name).find("model_type")->as_string();
    const bool is_ours = type == "qwen2" || (type == "llama" && name.starts_with("SmolLM"));
    if (is_ours) {
      CHECK_EQUAL(parse_model_config(text).model_type, type);
      ++read;
    } else if (type == "llama") {
      CHECK_THROWS("ILR_UNSUPPORTED", "rope_scaling", parse_model_config(text));
      ++refused;
    } else {
      CHECK_THROWS("ILR_UNSUPPORTED", "\"" + type + "\"", parse_model_config(text));
      ++refused;
    }
  }
  CHECK_EQUAL(read, 7);
  CHECK(refused >= 10);
}

TEST("config: SmolLM2-135M and Qwen2.5-0.5B have their known sizes") {
  const ModelConfig smol = parse_model_config(read_text(shared("model-configs/SmolLM2-135M.json")));
  CHECK_EQUAL(smol.hidden_size, 576);
  CHECK_EQUAL(smol.num_kv_heads, 3);
  CHECK_EQUAL(smol.head_dim, 64);
  CHECK_EQUAL(smol.rope_theta, 100000.0);
  CHECK_EQUAL(smol.tie_embeddings, true);
  const ModelConfig qwen = parse_model_config(read_text(shared("model-configs/Qwen2.5-0.5B-Instruct.json")));
  CHECK_EQUAL(qwen.num_layers, 24);
  CHECK_EQUAL(qwen.rope_theta, 1e6);
  CHECK(qwen.eos_ids == std::vector<int32_t>{151645});
}

}  // namespace
}  // namespace ilr::test
