#include "adapter_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "error.h"
#include "json.h"

namespace ilr {
namespace {

constexpr int64_t most_rank = 4096;
constexpr double most_alpha = 1e6;
constexpr const char* all_linear = "all-linear";

std::string adaptable_list() {
  std::string list;
  for (const std::string& name : kAdaptable) list += name + ", ";
  return list + "or \"" + all_linear + "\"";
}

bool is_adaptable(const std::string& name) {
  return std::find(kAdaptable.begin(), kAdaptable.end(), name) != kAdaptable.end();
}

// In the order of kAdaptable; `names` holds none but those.
std::vector<std::string> in_order(const std::set<std::string>& names) {
  std::vector<std::string> ordered;
  for (const std::string& name : kAdaptable) {
    if (names.contains(name)) ordered.push_back(name);
  }
  return ordered;
}

// Settings that change nothing in what a trained adapter computes: where it came from, how it was begun, how it was trained.
const std::set<std::string> inert{"peft_type",     "task_type",       "auto_mapping",  "peft_version",
                                  "revision",      "inference_mode",  "r",             "lora_alpha",
                                  "lora_dropout",  "target_modules",  "use_rslora",    "base_model_name_or_path",
                                  "megatron_core", "loftq_config",    "eva_config",    "qalora_group_size",
                                  "layers_pattern", "init_lora_weights", "bias",       "runtime_config",
                                  "ensure_weight_tying"};

// null, false, 0, "", [] and {} leave a setting off.
bool is_off(const Json& value) {
  if (value.is_null()) return true;
  if (const bool* flag = value.as_bool()) return !*flag;
  if (const int64_t* number = value.as_int()) return *number == 0;
  if (const std::string* text = value.as_string()) return text->empty();
  if (const Json::Array* array = value.as_array()) return array->empty();
  if (const Json::Object* object = value.as_object()) return object->empty();
  return false;
}

class Reader {
 public:
  Reader(const Json& root, std::string source) : root_(root), source_(std::move(source)) {}

  [[noreturn]] void refuse(const std::string& key, const std::string& expected, const Json* got) const {
    throw Error("ILR_INVALID_MODEL", source_ + ": " + key + ": expected " + expected + ", got " +
                                         (got == nullptr ? "nothing" : describe_json(*got)));
  }
  [[noreturn]] void unsupported(const std::string& key, const Json& got, const std::string& supported) const {
    throw Error("ILR_UNSUPPORTED", source_ + ": " + key + " " + describe_json(got) + " is not supported; " + supported);
  }
  const Json* find(const std::string& key) const {
    const Json* json = root_.find(key);
    return json == nullptr || json->is_null() ? nullptr : json;
  }
  double number_or(const std::string& key, double least, double most, double fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return fallback;
    double number = NAN;
    if (const double* real = std::get_if<double>(&json->value)) number = *real;
    if (const int64_t* integer = json->as_int()) number = static_cast<double>(*integer);
    if (!(number >= least && number <= most)) {
      refuse(key, "a number from " + describe_json(Json{least}) + " to " + describe_json(Json{most}), json);
    }
    return number;
  }
  bool flag_or(const std::string& key, bool fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return fallback;
    if (json->as_bool() == nullptr) refuse(key, "true or false", json);
    return *json->as_bool();
  }
  std::string text_or(const std::string& key, const std::string& fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return fallback;
    if (json->as_string() == nullptr) refuse(key, "a string", json);
    return *json->as_string();
  }

 private:
  const Json& root_;
  std::string source_;
};

int64_t read_rank(const Reader& reader) {
  const Json* rank = reader.find("r");
  const int64_t* value = rank == nullptr ? nullptr : rank->as_int();
  if (value == nullptr || *value < 1 || *value > most_rank) {
    reader.refuse("r", "a rank from 1 to " + std::to_string(most_rank), rank);
  }
  return *value;
}

std::vector<std::string> read_targets(const Reader& reader) {
  const Json* targets = reader.find("target_modules");
  if (targets != nullptr && targets->as_string() != nullptr && *targets->as_string() == all_linear) return kAdaptable;
  const Json::Array* list = targets == nullptr ? nullptr : targets->as_array();
  if (targets != nullptr && targets->as_string() != nullptr) {
    reader.unsupported("target_modules", *targets, "a list of " + adaptable_list() + " is");
  }
  if (list == nullptr || list->empty()) reader.refuse("target_modules", "a list of " + adaptable_list(), targets);
  std::vector<std::string> names;
  for (const Json& item : *list) {
    const std::string* name = item.as_string();
    if (name == nullptr) reader.refuse("target_modules", "a list of strings", targets);
    if (!is_adaptable(name->substr(name->rfind('.') + 1))) {
      reader.unsupported("target_modules", item, "a list of " + adaptable_list() + " is");
    }
    names.push_back(*name);
  }
  return names;
}

void refuse_unsupported(const Json& root, const Reader& reader) {
  if (reader.text_or("peft_type", "LORA") != "LORA") {
    reader.unsupported("peft_type", *reader.find("peft_type"), "\"LORA\" is");
  }
  if (reader.text_or("task_type", "CAUSAL_LM") != "CAUSAL_LM") {
    reader.unsupported("task_type", *reader.find("task_type"), "\"CAUSAL_LM\" is");
  }
  if (reader.text_or("bias", "none") != "none") reader.unsupported("bias", *reader.find("bias"), "\"none\" is");
  // These start from a base whose weights they changed.
  if (const Json* init = reader.find("init_lora_weights"); init != nullptr && init->as_bool() == nullptr) {
    const std::string* text = init->as_string();
    if (text == nullptr || (*text != "gaussian" && *text != "orthogonal" && *text != "eva")) {
      reader.unsupported("init_lora_weights", *init, "convert the adapter to a plain one with PEFT's save_pretrained(..., "
                                                     "path_initial_model_for_weight_conversion=...) first");
    }
  }
  for (const auto& [key, value] : *root.as_object()) {
    if (inert.contains(key) || is_off(value)) continue;
    reader.unsupported(key, value, "leave it out, or merge the adapter into its base with PEFT and load the whole model");
  }
}

}  // namespace

double AdapterConfig::scale() const {
  const double r = static_cast<double>(rank);
  return alpha / (rank_stabilized ? std::sqrt(r) : r);
}

bool AdapterConfig::adapts(const std::string& path) const {
  return std::any_of(target_modules.begin(), target_modules.end(), [&](const std::string& target) {
    return path == target || path.ends_with("." + target);
  });
}

AdapterConfig make_adapter_config(int64_t rank, double alpha, bool rank_stabilized,
                                  const std::vector<std::string>& target_modules) {
  if (rank < 1 || rank > most_rank) {
    throw Error("ILR_INVALID_ARGUMENT",
                "adapter.rank: expected 1 to " + std::to_string(most_rank) + ", got " + std::to_string(rank));
  }
  if (!(alpha > 0 && alpha <= most_alpha)) {
    throw Error("ILR_INVALID_ARGUMENT", "adapter.alpha: expected a number above 0, at most 1e6, got " + std::to_string(alpha));
  }
  if (target_modules.empty()) {
    throw Error("ILR_INVALID_ARGUMENT", "adapter.targetModules: expected some of " + adaptable_list() + ", got none");
  }
  std::set<std::string> names;
  for (const std::string& name : target_modules) {
    if (name == all_linear) {
      names.insert(kAdaptable.begin(), kAdaptable.end());
    } else if (is_adaptable(name)) {
      names.insert(name);
    } else {
      throw Error("ILR_INVALID_ARGUMENT",
                  "adapter.targetModules: expected " + adaptable_list() + ", got " + describe_json(Json{name}));
    }
  }
  AdapterConfig config;
  config.rank = rank;
  config.alpha = alpha;
  config.rank_stabilized = rank_stabilized;
  config.target_modules = in_order(names);
  return config;
}

AdapterConfig parse_adapter_config(const std::string& json, const std::string& source) {
  const Json root = parse_json(json, source, {.max_bytes = size_t{1} << 20, .max_values = 1 << 16});
  if (root.as_object() == nullptr) {
    throw Error("ILR_INVALID_MODEL", source + ": expected an object, got " + describe_json(root));
  }
  const Reader reader(root, source);
  refuse_unsupported(root, reader);
  AdapterConfig config;
  config.rank = read_rank(reader);
  config.alpha = reader.number_or("lora_alpha", 0, most_alpha, 8);
  config.dropout = reader.number_or("lora_dropout", 0, 1, 0);
  config.rank_stabilized = reader.flag_or("use_rslora", false);
  config.target_modules = read_targets(reader);
  config.base = reader.text_or("base_model_name_or_path", "");
  return config;
}

std::string adapter_config_json(const AdapterConfig& config) {
  std::string targets;
  for (const std::string& name : config.target_modules) targets += (targets.empty() ? "" : ", ") + quote_json(name);
  const auto number = [](double value) {  // the shortest text that reads back as the same double
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  };
  return "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n  \"base_model_name_or_path\": " +
         (config.base.empty() ? "null" : quote_json(config.base)) + ",\n  \"inference_mode\": true,\n  \"r\": " +
         std::to_string(config.rank) + ",\n  \"lora_alpha\": " + number(config.alpha) + ",\n  \"lora_dropout\": " +
         number(config.dropout) + ",\n  \"use_rslora\": " + (config.rank_stabilized ? "true" : "false") +
         ",\n  \"use_dora\": false,\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"init_lora_weights\": true,\n" +
         "  \"target_modules\": [" + targets + "]\n}\n";
}

}  // namespace ilr
