#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "rope_config.h"

namespace ilr {

enum class Activation : uint8_t { silu, gelu_tanh };

// What config.json says, checked: every size positive and below a sane bound, heads dividing, an architecture we have.
struct ModelConfig {
  std::string model_type;  // llama, mistral, qwen2, qwen3, gemma2 or gemma3_text
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;        // C
  int64_t intermediate_size = 0;  // F
  int64_t num_layers = 0;         // L
  int64_t num_heads = 0;          // H
  int64_t num_kv_heads = 0;       // KV
  int64_t head_dim = 0;           // D
  int64_t max_positions = 0;
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;
  RopeConfig rope;
  RopeConfig local_rope;          // of the layers with a window (gemma3_text has another base there)
  std::vector<int64_t> windows;   // [L] keys that a query sees, its own included; 0: every key up to its own
  bool tie_embeddings = false;
  bool qkv_bias = false;             // qwen2
  bool qk_norm = false;              // qwen3, gemma3_text: RMSNorm of each head of q and k, before the rotation
  bool norm_adds_one = false;        // gemma: a norm scales by 1 + w
  bool branch_norms = false;         // gemma: a second norm at the end of attention and of the feed-forward
  Activation activation = Activation::silu;
  double embedding_scale = 1;        // gemma: sqrt(C)
  double score_scale = 0;            // of q·k
  double attention_softcap = 0;      // gemma2: scores are softcap * tanh(score / softcap); 0: none
  double logit_softcap = 0;          // gemma2: the same for logits
  std::vector<int32_t> eos_ids;      // may be empty
  std::string json;                  // the text it came from, written back as it was
  std::string generation_json;       // of generation_config.json, likewise; empty where there is none
};

// Errors: ILR_INVALID_MODEL naming the key, what was expected and what came; ILR_UNSUPPORTED naming the architecture or
// feature (another rope scaling, quantisation, another activation) and what is supported.
ModelConfig parse_model_config(const std::string& json);

// config.json of a folder, with the eos ids of generation_config.json where it has some.
ModelConfig read_model_config(const std::filesystem::path& folder);

// Of the whole model, a tied embedding once; nothing is allocated.
int64_t parameter_count(const ModelConfig& config);

}  // namespace ilr
