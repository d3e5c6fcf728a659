#include "model_config.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "error.h"
#include "json.h"
#include "safetensors.h"

namespace ilr {
namespace {

// Beyond any published model, and small enough that no product of three of them overflows int64.
constexpr int64_t max_width = int64_t{1} << 17;
constexpr int64_t max_feed_forward = int64_t{1} << 20;
constexpr int64_t max_vocabulary = int64_t{1} << 22;
constexpr int64_t max_layers = 1024;
constexpr int64_t max_heads = 1024;
constexpr int64_t max_head_dim = 1024;
constexpr int64_t max_context = int64_t{1} << 24;
constexpr int64_t max_json_bytes = int64_t{4} << 20;

constexpr const char* supported_models = "llama (LlamaForCausalLM) and qwen2 (Qwen2ForCausalLM) are supported";

// Keys of one config.json, each checked as it is read. A key that says null counts as absent.
class Reader {
 public:
  Reader(const Json& root, std::string source) : root_(root), source_(std::move(source)) {}

  const Json* find(const std::string& key) const {
    const Json* json = root_.find(key);
    return json == nullptr || json->is_null() ? nullptr : json;
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& expected, const Json* got) const {
    const std::string shown = got == nullptr ? "nothing" : describe_json(*got);
    throw Error("ILR_INVALID_MODEL", source_ + ": " + key + ": expected " + expected + ", got " + shown);
  }

  [[noreturn]] void unsupported(const std::string& key, const std::string& what, const std::string& supported) const {
    throw Error("ILR_UNSUPPORTED", source_ + ": " + key + ": " + what + " is not supported yet; " + supported);
  }

  int64_t size(const std::string& key, int64_t most) const {
    const Json* json = find(key);
    if (json == nullptr) refuse(key, size_text(most), nullptr);
    return checked_size(key, *json, most);
  }

  int64_t size_or(const std::string& key, int64_t most, int64_t fallback) const {
    const Json* json = find(key);
    return json == nullptr ? fallback : checked_size(key, *json, most);
  }

  double number_or(const std::string& key, double least, double most, double fallback) const {
    const Json* json = find(key);
    return json == nullptr ? fallback : checked_number(key, *json, least, most);
  }

  double checked_number(const std::string& key, const Json& json, double least, double most) const {
    double number = NAN;
    if (const double* real = std::get_if<double>(&json.value)) number = *real;
    if (const int64_t* integer = json.as_int()) number = static_cast<double>(*integer);
    if (!(number >= least && number <= most)) {
      refuse(key, "a number from " + describe_json(Json{least}) + " to " + describe_json(Json{most}), &json);
    }
    return number;
  }

  bool flag_or(const std::string& key, bool fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return fallback;
    if (json->as_bool() == nullptr) refuse(key, "true or false", json);
    return *json->as_bool();
  }

  const std::string* text_or_null(const std::string& key) const {
    const Json* json = find(key);
    if (json == nullptr) return nullptr;
    if (json->as_string() == nullptr) refuse(key, "a string", json);
    return json->as_string();
  }

  // An id or a list of ids; empty where the key is absent.
  std::vector<int32_t> token_ids(const std::string& key, int64_t vocab_size) const {
    const Json* json = find(key);
    std::vector<int32_t> ids;
    if (json == nullptr) return ids;
    const std::string expected =
        "a token id from 0 to " + std::to_string(vocab_size - 1) + " (below vocab_size), or a list of them";
    const auto add = [&](const Json& item) {
      const int64_t* id = item.as_int();
      if (id == nullptr || *id < 0 || *id >= vocab_size) refuse(key, expected, json);
      if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(static_cast<int32_t>(*id));
    };
    if (const Json::Array* array = json->as_array()) {
      for (const Json& item : *array) add(item);
    } else {
      add(*json);
    }
    return ids;
  }

 private:
  static std::string size_text(int64_t most) { return "an integer from 1 to " + std::to_string(most); }

  int64_t checked_size(const std::string& key, const Json& json, int64_t most) const {
    const int64_t* value = json.as_int();
    if (value == nullptr || *value < 1 || *value > most) refuse(key, size_text(most), &json);
    return *value;
  }

  const Json& root_;
  std::string source_;
};

std::string read_model_type(const Reader& reader) {
  const std::string* model_type = reader.text_or_null("model_type");
  if (model_type == nullptr) reader.refuse("model_type", "\"llama\" or \"qwen2\"", nullptr);
  if (*model_type != "llama" && *model_type != "qwen2") {
    reader.unsupported("model_type", describe_json(Json{*model_type}), supported_models);
  }
  const std::string architecture = *model_type == "llama" ? "LlamaForCausalLM" : "Qwen2ForCausalLM";
  const Json* named = reader.find("architectures");
  if (named == nullptr) return *model_type;
  const Json::Array* list = named->as_array();
  if (list == nullptr) reader.refuse("architectures", "a list of class names", named);
  const bool has_ours = std::any_of(list->begin(), list->end(), [&](const Json& item) {
    return item.as_string() != nullptr && *item.as_string() == architecture;
  });
  if (!has_ours) reader.unsupported("architectures", describe_json(*named), supported_models);
  return *model_type;
}

// transformers 5 writes rope_parameters {rope_type, rope_theta}; before, rope_theta stood alone beside rope_scaling.
double read_rope_theta(const Reader& reader) {
  constexpr double least = 1;
  constexpr double most = 1e12;
  double theta = reader.number_or("rope_theta", least, most, 10000);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* rope = reader.find(key);
    if (rope == nullptr) continue;
    if (rope->as_object() == nullptr) reader.refuse(key, "an object or null", rope);
    const Json* type = rope->find("rope_type");
    if (type == nullptr) type = rope->find("type");
    const bool is_plain = type != nullptr && type->as_string() != nullptr && *type->as_string() == "default";
    const bool is_absent = type == nullptr && std::string(key) == "rope_parameters";
    if (!is_plain && !is_absent) {
      reader.unsupported(key, "scaled rotary positions, " + describe_json(*rope) + ",",
                         "only plain rotary positions are (rope_scaling null, or rope_type \"default\")");
    }
    if (const Json* own = rope->find("rope_theta"); own != nullptr && !own->is_null()) {
      theta = reader.checked_number(std::string(key) + ".rope_theta", *own, least, most);
    }
    if (const Json* part = rope->find("partial_rotary_factor"); part != nullptr && !part->is_null()) {
      if (reader.checked_number(std::string(key) + ".partial_rotary_factor", *part, 0, 1) != 1) {
        reader.unsupported(std::string(key) + ".partial_rotary_factor", describe_json(*part), "only 1 is");
      }
    }
  }
  return theta;
}

void refuse_unsupported_features(const Reader& reader, const std::string& model_type) {
  if (const std::string* activation = reader.text_or_null("hidden_act"); activation != nullptr && *activation != "silu") {
    reader.unsupported("hidden_act", describe_json(Json{*activation}), "\"silu\" is");
  }
  // A llama config that asks for attention biases asks for one on o_proj too.
  if (model_type == "llama" && reader.flag_or("attention_bias", false)) {
    reader.unsupported("attention_bias", "a bias on o_proj", "llama without attention biases, and qwen2, are");
  }
  for (const char* key : {"mlp_bias", "use_sliding_window", "rope_interleaved"}) {
    if (reader.flag_or(key, false)) reader.unsupported(key, "true", "only false is");
  }
  if (const Json* quantization = reader.find("quantization_config")) {
    reader.unsupported("quantization_config", describe_json(*quantization),
                       "save the model in float32, float16 or bfloat16 without quantisation");
  }
  if (reader.number_or("partial_rotary_factor", 0, 1, 1) != 1) {
    reader.unsupported("partial_rotary_factor", describe_json(*reader.find("partial_rotary_factor")), "only 1 is");
  }
  const Json* layer_types = reader.find("layer_types");
  if (layer_types == nullptr) return;
  if (layer_types->as_array() == nullptr) reader.refuse("layer_types", "a list of strings", layer_types);
  for (const Json& type : *layer_types->as_array()) {
    if (type.as_string() == nullptr || *type.as_string() != "full_attention") {
      reader.unsupported("layer_types", describe_json(type), "only \"full_attention\" is");
    }
  }
}

void read_heads(const Reader& reader, ModelConfig& config) {
  config.num_heads = reader.size("num_attention_heads", max_heads);
  config.num_kv_heads = reader.size_or("num_key_value_heads", max_heads, config.num_heads);
  const std::string heads = std::to_string(config.num_heads);
  if (config.num_heads % config.num_kv_heads != 0) {
    reader.refuse("num_key_value_heads", "a divisor of num_attention_heads " + heads, reader.find("num_key_value_heads"));
  }
  if (reader.find("head_dim") == nullptr && config.hidden_size % config.num_heads != 0) {
    reader.refuse("hidden_size", "a multiple of num_attention_heads " + heads + ", or head_dim beside it",
                  reader.find("hidden_size"));
  }
  config.head_dim = reader.size_or("head_dim", max_head_dim, config.hidden_size / config.num_heads);
  if (config.head_dim > max_head_dim || config.head_dim % 2 != 0) {
    const Json got{config.head_dim};
    reader.refuse("head_dim", "an even number up to " + std::to_string(max_head_dim) + ", as rotary positions turn pairs",
                  &got);
  }
}

ModelConfig parse(const std::string& text, const std::string& source) {
  const Json root = parse_json(text, source);
  if (root.as_object() == nullptr) {
    throw Error("ILR_INVALID_MODEL", source + ": expected a JSON object, got " + describe_json(root));
  }
  const Reader reader(root, source);
  ModelConfig config;
  config.model_type = read_model_type(reader);
  refuse_unsupported_features(reader, config.model_type);
  config.vocab_size = reader.size("vocab_size", max_vocabulary);
  config.hidden_size = reader.size("hidden_size", max_width);
  config.intermediate_size = reader.size("intermediate_size", max_feed_forward);
  config.num_layers = reader.size("num_hidden_layers", max_layers);
  read_heads(reader, config);
  // The defaults are those of transformers' LlamaConfig and Qwen2Config, which leave them out of the file.
  config.max_positions = reader.size_or("max_position_embeddings", max_context, config.model_type == "llama" ? 2048 : 32768);
  config.rms_norm_eps = reader.number_or("rms_norm_eps", 0, 1, 1e-6);
  config.rope_theta = read_rope_theta(reader);
  config.initializer_range = reader.number_or("initializer_range", 0, 10, 0.02);
  config.tie_embeddings = reader.flag_or("tie_word_embeddings", false);
  config.qkv_bias = config.model_type == "qwen2";
  config.eos_ids = reader.token_ids("eos_token_id", config.vocab_size);
  config.json = text;
  return config;
}

}  // namespace

ModelConfig parse_model_config(const std::string& json) { return parse(json, "config.json"); }

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  ModelConfig config = parse(read_text(file, max_json_bytes), file.string());
  const std::filesystem::path generation = folder / "generation_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(generation, ignored)) return config;
  const Json root = parse_json(read_text(generation, max_json_bytes), generation.string());
  const std::vector<int32_t> ids = Reader(root, generation.string()).token_ids("eos_token_id", config.vocab_size);
  if (!ids.empty()) config.eos_ids = ids;
  return config;
}

}  // namespace ilr
