#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ilr {

// What config.json says, checked: every size positive and below a sane bound, heads dividing, an architecture we have.
struct ModelConfig {
  std::string model_type;  // llama or qwen2
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;        // C
  int64_t intermediate_size = 0;  // F
  int64_t num_layers = 0;         // L
  int64_t num_heads = 0;          // H
  int64_t num_kv_heads = 0;       // KV
  int64_t head_dim = 0;           // D
  int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  double initializer_range = 0.02;
  bool tie_embeddings = false;
  bool qkv_bias = false;
  std::vector<int32_t> eos_ids;   // may be empty
  std::string json;               // the text it came from, written back as it was
};

// Errors: ILR_INVALID_MODEL naming the key, what was expected and what came; ILR_UNSUPPORTED naming the architecture or
// feature (rope_scaling, sliding window, quantisation, another activation) and what is supported.
ModelConfig parse_model_config(const std::string& json);

// config.json of a folder, with the eos ids of generation_config.json where it has some.
ModelConfig read_model_config(const std::filesystem::path& folder);

}  // namespace ilr
