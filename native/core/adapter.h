#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "adapter_config.h"
#include "low_rank.h"
#include "model_config.h"
#include "named_tensors.h"
#include "safetensors.h"

namespace ilr {

// LoRA terms (arXiv 2106.09685) on the matrices of a model's layers: what is trained while the base is shared and fixed.
// A lies fused as the base does (q/k/v and gate/up end to end); PEFT's tensors are views. float32 beside a bfloat16 base.
class Adapter {
 public:
  // The four matrices of a layer as they are stored.
  enum Place : uint8_t { qkv, output, gate_up, down };

  // A drawn as PEFT draws it, uniform in ±1/sqrt(C) (Kaiming with a = sqrt 5), and B zero: the model computes as its base.
  // A matrix's draws depend on the seed, its layer and its name alone.
  static Adapter draw(const AdapterConfig&, const ModelConfig&, at::TensorOptions, uint64_t seed);
  // From PEFT's adapter_model.safetensors. Error ILR_INVALID_MODEL naming the tensor: missing, of another shape, or one
  // that neither the configuration nor the model asks for.
  static Adapter read(const AdapterConfig&, const ModelConfig&, at::TensorOptions, const SafetensorsReader& weights);

  const AdapterConfig& config() const { return config_; }
  const LowRank* find(int64_t layer, Place place) const;  // nullptr where it is not adapted
  const NamedTensors& parameters() const { return parameters_; }         // fused, each once: what is trained
  NamedTensors peft_tensors() const { return peft_views(parameters_); }  // views under PEFT's names
  NamedTensors peft_views(const NamedTensors& fused) const;  // the same split of tensors shaped like the parameters
  int64_t parameter_count() const;
  // A Hugging Face tensor of the base plus this adapter's term: a new one, or `weight` itself where it is not adapted.
  at::Tensor merged(const std::string& name, const at::Tensor& weight) const;

 private:
  struct Module {
    std::string name;  // q_proj
    int64_t row, rows;  // in the stored matrix
  };
  struct Site {  // an adapted stored matrix
    int64_t layer;
    Place place;
    std::string path;   // model.layers.0.self_attn.
    std::string fused;  // qkv_proj
    int64_t inputs;
    std::vector<Module> modules;
  };
  static std::vector<Site> sites_of(const AdapterConfig&, const ModelConfig&);
  Adapter(const AdapterConfig&, const ModelConfig&, at::TensorOptions);

  AdapterConfig config_;
  std::vector<Site> sites_;
  std::vector<LowRank> terms_;                  // [sites]
  std::vector<std::array<int64_t, 4>> lookup_;  // [layers][place] index of the site, -1: none
  NamedTensors parameters_;                     // A and B of each site
};

}  // namespace ilr
