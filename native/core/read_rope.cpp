#include "read_rope.h"

#include <string>

namespace ilr {
namespace {

constexpr double kLeastTheta = 1, kMostTheta = 1e12;
constexpr double kMostFactor = 1e6;
constexpr int64_t kMostPositions = int64_t{1} << 24;
constexpr const char* supported = "rope_type \"default\", \"linear\" and \"llama3\" are";

// One object of rotary settings, and the name to call it by.
struct RopeObject {
  const Json* json;
  std::string name;

  const Json* find(const char* key) const {
    const Json* found = json->find(key);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
};

void refuse_partial(const ConfigReader& reader, const std::string& key, const Json* part) {
  if (part != nullptr && reader.checked_number(key, *part, 0, 1) != 1) {
    reader.unsupported(key, describe_json(*part), "only 1 is");
  }
}

double read_factor(const ConfigReader& reader, const RopeObject& rope, const char* key, double least) {
  const std::string name = rope.name + "." + key;
  const Json* json = rope.find(key);
  if (json == nullptr) reader.refuse(name, "a number", nullptr);
  return reader.checked_number(name, *json, least, kMostFactor);
}

void read_llama3(const ConfigReader& reader, const RopeObject& rope, int64_t max_positions, RopeConfig& config) {
  config.scaling = RopeConfig::Scaling::llama3;
  config.factor = read_factor(reader, rope, "factor", 1);
  config.low_freq_factor = read_factor(reader, rope, "low_freq_factor", 1e-6);
  config.high_freq_factor = read_factor(reader, rope, "high_freq_factor", 1e-6);
  if (config.high_freq_factor <= config.low_freq_factor) {
    reader.refuse(rope.name + ".high_freq_factor", "a number above low_freq_factor", rope.find("high_freq_factor"));
  }
  const char* key = "original_max_position_embeddings";
  config.original_max_positions = reader.size_or(key, kMostPositions, max_positions);
  if (const Json* own = rope.find(key); own != nullptr && reader.find(key) == nullptr) {
    config.original_max_positions = reader.checked_size(rope.name + "." + key, *own, kMostPositions);
  }
}

RopeConfig read_object(const ConfigReader& reader, const RopeObject& rope, double theta, int64_t max_positions,
                       bool needs_type) {
  RopeConfig config{theta};
  if (rope.json->as_object() == nullptr) reader.refuse(rope.name, "an object or null", rope.json);
  if (const Json* own = rope.find("rope_theta")) {
    config.theta = reader.checked_number(rope.name + ".rope_theta", *own, kLeastTheta, kMostTheta);
  }
  refuse_partial(reader, rope.name + ".partial_rotary_factor", rope.find("partial_rotary_factor"));
  const Json* type = rope.find("rope_type");
  if (type == nullptr) type = rope.find("type");
  const bool is_text = type != nullptr && type->as_string() != nullptr;
  const std::string name = is_text ? *type->as_string() : type == nullptr && !needs_type ? "default" : "";
  if (name == "llama3") {
    read_llama3(reader, rope, max_positions, config);
  } else if (name == "linear") {
    config.scaling = RopeConfig::Scaling::linear;
    config.factor = read_factor(reader, rope, "factor", 1);
  } else if (name != "default") {
    reader.unsupported(rope.name, "scaled rotary positions, " + describe_json(*rope.json) + ",", supported);
  }
  return config;
}

// rope_parameters of one layer type, or null where the object is not nested.
const Json* find_nested(const ConfigReader& reader, const char* layer_type) {
  const Json* parameters = reader.find("rope_parameters");
  const Json* nested = parameters != nullptr ? parameters->find(layer_type) : nullptr;
  return nested == nullptr || nested->is_null() ? nullptr : nested;
}

}  // namespace

RopeConfig read_rope(const ConfigReader& reader, int64_t max_positions, bool by_layer_type) {
  refuse_partial(reader, "partial_rotary_factor", reader.find("partial_rotary_factor"));
  const double theta = reader.number_or("rope_theta", kLeastTheta, kMostTheta, by_layer_type ? 1e6 : 10000);
  if (const Json* scaling = reader.find("rope_scaling")) {
    return read_object(reader, {scaling, "rope_scaling"}, theta, max_positions, true);
  }
  for (const char* layer_type : {"full_attention", "sliding_attention"}) {
    if (find_nested(reader, layer_type) != nullptr && !by_layer_type) {
      reader.unsupported("rope_parameters", std::string("an object for ") + layer_type, "one for all layers is");
    }
  }
  if (const Json* nested = find_nested(reader, "full_attention")) {
    return read_object(reader, {nested, "rope_parameters.full_attention"}, theta, max_positions, false);
  }
  const Json* parameters = reader.find("rope_parameters");
  if (parameters == nullptr || find_nested(reader, "sliding_attention") != nullptr) return {theta};
  return read_object(reader, {parameters, "rope_parameters"}, theta, max_positions, false);
}

RopeConfig read_local_rope(const ConfigReader& reader, int64_t max_positions) {
  const double theta = reader.number_or("rope_local_base_freq", kLeastTheta, kMostTheta, 10000);
  const Json* nested = find_nested(reader, "sliding_attention");
  if (nested == nullptr) return {theta};
  return read_object(reader, {nested, "rope_parameters.sliding_attention"}, theta, max_positions, false);
}

}  // namespace ilr
