#include "model_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <system_error>

#include "config_reader.h"
#include "error.h"
#include "json.h"
#include "read_rope.h"
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

constexpr const char* supported_models =
    "llama, mistral, qwen2, qwen3, gemma2 and gemma3_text (their ...ForCausalLM classes) are supported";
constexpr const char* unquantised = "save the model in float32, float16 or bfloat16 without quantisation";
constexpr const char* full = "full_attention";
constexpr const char* sliding = "sliding_attention";

// What the architecture fixes, and what transformers' configuration class takes where the file leaves a key out.
struct Family {
  const char* model_type;
  const char* architecture;
  int64_t max_positions;
  int64_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  bool is_gemma = false;
  bool qk_norm = false;
};
constexpr Family families[] = {{"llama", "LlamaForCausalLM", 2048},
                               {"mistral", "MistralForCausalLM", 131072},
                               {"qwen2", "Qwen2ForCausalLM", 32768},
                               {"qwen3", "Qwen3ForCausalLM", 32768, 128, false, true},
                               {"gemma2", "Gemma2ForCausalLM", 8192, 256, true, false},
                               {"gemma3_text", "Gemma3ForCausalLM", 131072, 256, true, true}};

const Family& read_family(const ConfigReader& reader) {
  const std::string* model_type = reader.text_or_null("model_type");
  if (model_type == nullptr) reader.refuse("model_type", "a model type, such as \"llama\"", nullptr);
  const Family* family = std::find_if(std::begin(families), std::end(families),
                                      [&](const Family& f) { return *model_type == f.model_type; });
  if (family == std::end(families)) reader.unsupported("model_type", describe_json(Json{*model_type}), supported_models);
  const Json* named = reader.find("architectures");
  if (named == nullptr) return *family;
  const Json::Array* list = named->as_array();
  if (list == nullptr) reader.refuse("architectures", "a list of class names", named);
  const bool has_ours = std::any_of(list->begin(), list->end(), [&](const Json& item) {
    return item.as_string() != nullptr && *item.as_string() == family->architecture;
  });
  if (!has_ours) reader.unsupported("architectures", describe_json(*named), supported_models);
  return *family;
}

void refuse_unsupported_features(const ConfigReader& reader, const Family& family) {
  const char* key = family.is_gemma ? "hidden_activation" : "hidden_act";
  const std::string expected = family.is_gemma ? "gelu_pytorch_tanh" : "silu";
  if (const std::string* activation = reader.text_or_null(key); activation != nullptr && *activation != expected) {
    reader.unsupported(key, describe_json(Json{*activation}), "\"" + expected + "\" is");
  }
  // qwen2 has biases on q, k and v whatever the file says; elsewhere the key asks for one on o_proj too.
  if (std::string(family.model_type) != "qwen2" && reader.flag_or("attention_bias", false)) {
    reader.unsupported("attention_bias", "a bias on o_proj",
                       std::string(family.model_type) + " without attention biases, and qwen2, are");
  }
  for (const char* flag : {"mlp_bias", "rope_interleaved", "use_bidirectional_attention"}) {
    if (reader.flag_or(flag, false)) reader.unsupported(flag, "true", "only false is");
  }
  if (const Json* quantization = reader.find("quantization_config")) {
    reader.unsupported("quantization_config", describe_json(*quantization), unquantised);
  }
  // transformers reads the key of a gemma3_text config and then leaves it out of the arithmetic.
  if (family.is_gemma && family.qk_norm && reader.find("attn_logit_softcapping") != nullptr) {
    reader.unsupported("attn_logit_softcapping", describe_json(*reader.find("attn_logit_softcapping")),
                       "only null is in gemma3_text");
  }
}

void read_heads(const ConfigReader& reader, const Family& family, ModelConfig& config) {
  config.num_heads = reader.size("num_attention_heads", max_heads);
  config.num_kv_heads = reader.size_or("num_key_value_heads", max_heads, config.num_heads);
  const std::string heads = std::to_string(config.num_heads);
  if (config.num_heads % config.num_kv_heads != 0) {
    reader.refuse("num_key_value_heads", "a divisor of num_attention_heads " + heads, reader.find("num_key_value_heads"));
  }
  if (family.head_dim == 0 && reader.find("head_dim") == nullptr && config.hidden_size % config.num_heads != 0) {
    reader.refuse("hidden_size", "a multiple of num_attention_heads " + heads + ", or head_dim beside it",
                  reader.find("hidden_size"));
  }
  const int64_t usual = family.head_dim != 0 ? family.head_dim : config.hidden_size / config.num_heads;
  config.head_dim = reader.size_or("head_dim", max_head_dim, usual);
  if (config.head_dim > max_head_dim || config.head_dim % 2 != 0) {
    const Json got{config.head_dim};
    reader.refuse("head_dim", "an even number up to " + std::to_string(max_head_dim) + ", as rotary positions turn pairs",
                  &got);
  }
}

// sliding_window of the layers that have one; 0: no layer has.
int64_t read_window(const ConfigReader& reader, const Family& family) {
  const std::string type = family.model_type;
  if (type == "llama") return 0;
  if ((type == "qwen2" || type == "qwen3") && !reader.flag_or("use_sliding_window", false)) return 0;
  if (reader.is_null("sliding_window") && !family.is_gemma) return 0;
  return reader.size_or("sliding_window", max_context, 4096);
}

// Whether a layer has the window where layer_types does not say.
bool has_window_by_default(const ConfigReader& reader, const Family& family, int64_t layer) {
  const std::string type = family.model_type;
  if (type == "gemma2") return layer % 2 == 0;
  if (type == "gemma3_text") {
    const int64_t pattern = reader.size_or("sliding_window_pattern", max_layers,
                                           reader.size_or("_sliding_window_pattern", max_layers, 6));
    return (layer + 1) % pattern != 0;
  }
  if (type == "mistral") return true;
  return static_cast<double>(layer) >= reader.number_or("max_window_layers", 0, max_layers, 28);
}

std::vector<int64_t> read_windows(const ConfigReader& reader, const Family& family, int64_t layers) {
  const int64_t window = read_window(reader, family);
  const Json* types = reader.find("layer_types");
  if (types != nullptr &&
      (types->as_array() == nullptr || static_cast<int64_t>(types->as_array()->size()) != layers)) {
    reader.refuse("layer_types", "a list of " + std::to_string(layers) + " strings, one per layer", types);
  }
  std::vector<int64_t> windows;
  for (int64_t l = 0; l < layers; ++l) {
    bool has_window = window > 0 && has_window_by_default(reader, family, l);
    if (types != nullptr) {
      const Json& json = (*types->as_array())[static_cast<size_t>(l)];
      const std::string type = json.as_string() != nullptr ? *json.as_string() : "";
      if (type != full && type != sliding) {
        reader.unsupported("layer_types", describe_json(json),
                           std::string("\"") + full + "\" and \"" + sliding + "\" are");
      }
      if (type == sliding && window == 0) {
        reader.refuse("layer_types", std::string("no \"") + sliding + "\" where the model has no sliding window", &json);
      }
      // transformers gives every layer of a mistral the window, whatever the list says.
      if (std::string(family.model_type) == "mistral" && (type == sliding) != has_window) {
        reader.unsupported("layer_types", describe_json(json) + " in a mistral with sliding_window",
                           "a window in every layer is, or sliding_window null");
      }
      has_window = type == sliding;
    }
    windows.push_back(has_window ? window : 0);
  }
  return windows;
}

// 0: none, where the file says null.
double read_softcap(const ConfigReader& reader, const char* key, double usual) {
  return reader.is_null(key) ? 0 : reader.number_or(key, 1e-3, 1e6, usual);
}

ModelConfig parse(const std::string& text, const std::string& source) {
  const Json root = parse_json(text, source);
  if (root.as_object() == nullptr) {
    throw Error("ILR_INVALID_MODEL", source + ": expected a JSON object, got " + describe_json(root));
  }
  const ConfigReader reader(root, source);
  const Family& family = read_family(reader);
  refuse_unsupported_features(reader, family);
  ModelConfig config;
  config.model_type = family.model_type;
  config.vocab_size = reader.size("vocab_size", max_vocabulary);
  config.hidden_size = reader.size("hidden_size", max_width);
  config.intermediate_size = reader.size("intermediate_size", max_feed_forward);
  config.num_layers = reader.size("num_hidden_layers", max_layers);
  read_heads(reader, family, config);
  config.max_positions = reader.size_or("max_position_embeddings", max_context, family.max_positions);
  config.rms_norm_eps = reader.number_or("rms_norm_eps", 0, 1, 1e-6);
  config.initializer_range = reader.number_or("initializer_range", 0, 10, 0.02);
  const bool has_local_rope = config.model_type == "gemma3_text";
  config.rope = read_rope(reader, config.max_positions, has_local_rope);
  config.local_rope = has_local_rope ? read_local_rope(reader, config.max_positions) : config.rope;
  config.windows = read_windows(reader, family, config.num_layers);
  config.tie_embeddings = reader.flag_or("tie_word_embeddings", family.is_gemma);
  config.qkv_bias = config.model_type == "qwen2";
  config.qk_norm = family.qk_norm;
  config.score_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  if (family.is_gemma) {
    config.norm_adds_one = config.branch_norms = true;
    config.activation = Activation::gelu_tanh;
    config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
    config.score_scale = 1 / std::sqrt(reader.number_or("query_pre_attn_scalar", 1e-6, 1e9, 256));
    const bool has_softcaps = config.model_type == "gemma2";
    config.attention_softcap = has_softcaps ? read_softcap(reader, "attn_logit_softcapping", 50) : 0;
    config.logit_softcap = read_softcap(reader, "final_logit_softcapping", has_softcaps ? 30 : 0);
  }
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
  config.generation_json = read_text(generation, max_json_bytes);
  const Json root = parse_json(config.generation_json, generation.string());
  const std::vector<int32_t> ids = ConfigReader(root, generation.string()).token_ids("eos_token_id", config.vocab_size);
  if (!ids.empty()) config.eos_ids = ids;
  return config;
}

int64_t parameter_count(const ModelConfig& c) {
  const int64_t width = c.hidden_size, attended = c.num_heads * c.head_dim;
  const int64_t qkv = attended + 2 * c.num_kv_heads * c.head_dim;
  const int64_t norms = (c.branch_norms ? 4 : 2) * width + (c.qk_norm ? 2 * c.head_dim : 0);
  const int64_t layer = norms + qkv * (width + (c.qkv_bias ? 1 : 0)) + attended * width + 3 * c.intermediate_size * width;
  return c.num_layers * layer + width + (c.tie_embeddings ? 1 : 2) * c.vocab_size * width;
}

}  // namespace ilr
