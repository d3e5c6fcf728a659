#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ilr {

// The matrices of a layer that LoRA can adapt, in the order they are stored.
inline const std::vector<std::string> kAdaptable{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                 "gate_proj", "up_proj", "down_proj"};

// What PEFT's adapter_config.json says of a LoRA adapter (arXiv 2106.09685), as far as it is supported.
struct AdapterConfig {
  int64_t rank = 8;
  double alpha = 8;
  bool rank_stabilized = false;           // rsLoRA (arXiv 2312.03732): alpha / sqrt(rank) in place of alpha / rank
  std::vector<std::string> target_modules;  // names of kAdaptable, or paths that end in one
  std::string base;                       // base_model_name_or_path; may be empty
  double dropout = 0;                     // written back as it was read; ilr-native trains without

  double scale() const;
  // PEFT's rule: a target is a module's whole path (model.layers.0.mlp.up_proj) or the end of it after a dot.
  bool adapts(const std::string& path) const;
};

// Checks and orders what a caller asks for; "all-linear" names all of kAdaptable. Error ILR_INVALID_ARGUMENT naming the
// value, what was expected and what came.
AdapterConfig make_adapter_config(int64_t rank, double alpha, bool rank_stabilized,
                                  const std::vector<std::string>& target_modules);

// Errors: ILR_INVALID_MODEL naming the key, what was expected and what came; ILR_UNSUPPORTED naming a setting (DoRA, bias,
// modules_to_save, rank_pattern, ...) that would change what the adapter computes.
AdapterConfig parse_adapter_config(const std::string& json, const std::string& source);

// As PEFT reads it.
std::string adapter_config_json(const AdapterConfig& config);

}  // namespace ilr
