#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapter.h"
#include "layers.h"
#include "model_config.h"
#include "named_tensors.h"
#include "output_head.h"
#include "safetensors.h"

namespace ilr {

// Keys and values of what was read so far, per layer [rows, KV*D]. Who owns which rows is the generator's business.
struct KvCache {
  std::vector<at::Tensor> k, v;
};

// The decoder of llama, mistral, qwen2, qwen3, gemma2 and gemma3_text, driven by config.json; the same code on every device.
// q/k/v and gate/up are stored fused; the Hugging Face tensors are views of them, so that loading, sampling, training and
// saving share one storage.
// Weights are reference-counted: a copy of a Model is another handle on the same ones.
class Model {
 public:
  Model(const ModelConfig& config, at::ScalarType dtype, at::Device device);
  void read(const SafetensorsReader& weights);  // ILR_INVALID_MODEL on a missing tensor or another shape
  void draw(uint64_t seed);

  const ModelConfig& config() const { return config_; }
  at::ScalarType dtype() const { return options_.dtype().toScalarType(); }
  at::Device device() const { return options_.device(); }
  const NamedTensors& parameters() const { return parameters_; }    // fused, each once: what is trained
  NamedTensors hf_tensors() const { return hf_views(parameters_); }  // views under the Hugging Face names
  // The same split of any tensors shaped like the parameters (gradients, say).
  NamedTensors hf_views(const NamedTensors& fused) const;
  // The same weights under another adapter; nullptr: none.
  Model with_adapter(std::shared_ptr<const Adapter> adapter) const;
  const Adapter* adapter() const { return adapter_.get(); }
  Model clone() const;  // weights of its own, without the adapter
  bool is_shared() const { return owners_.use_count() > 1; }  // another handle on the same weights is alive
  // What is trained: the adapter's parameters where there is one, else the model's own.
  const NamedTensors& trained_parameters() const { return adapter_ ? adapter_->parameters() : parameters_; }
  void require_grad(bool on);  // of the trained parameters
  int64_t parameter_count() const;

  // Hidden states after the final norm, [T, C]. Without a cache rows attend each other, with gradient where it is on.
  // `checkpointing` keeps each layer's input alone for the backward pass; packing must outlive that.
  at::Tensor forward(const Packing& packing, bool checkpointing = false) const;
  // With a cache: row r is stored in cache row cache_rows[r]; no gradient.
  at::Tensor forward(const Packing& packing, const std::vector<int64_t>& cache_rows, KvCache& cache) const;
  const OutputHead& output_head() const { return head_; }
  KvCache make_cache(int64_t rows) const;
  int64_t cache_bytes_per_row() const;
  int64_t activation_bytes_per_token() const;  // of a training forward pass, roughly

 private:
  // What a family lacks is undefined.
  struct Layer {
    at::Tensor attention_norm_C, qkv_RC, qkv_bias_R, q_norm_D, k_norm_D, output_CA, attention_out_norm_C;
    at::Tensor mlp_norm_C, gate_up_FC, down_CF, mlp_out_norm_C;
    AttentionShape attention;
  };
  // Rotary tables grown to the longest position seen: of the layers without and with a window, often the same.
  struct Ropes {
    Rope full, windowed;
    const Rope& of(const Layer& layer) const { return layer.attention.window > 0 ? windowed : full; }
  };
  template <typename Attend>
  at::Tensor run_layer(const at::Tensor& x_TC, size_t l, Attend&& attend) const;
  at::Tensor embed(const Packing& packing) const;
  // x weight^T (+ bias) (+ residual), and the adapter's term where it has one for this place.
  at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
                     size_t layer, Adapter::Place place) const;
  at::Tensor norm(const at::Tensor& x_TC, const at::Tensor& w_C) const;
  at::Tensor norm_weight(const at::Tensor& w) const;
  // x + norm(branch W^T), without the norm where the family has none.
  at::Tensor add_branch(const at::Tensor& x_TC, const at::Tensor& branch, const at::Tensor& weight,
                        const at::Tensor& norm_C, size_t layer, Adapter::Place place) const;
  const Ropes& ropes_for(const Packing& packing) const;

  ModelConfig config_;
  at::TensorOptions options_;
  at::Tensor embedding_VC_, norm_C_;
  OutputHead head_;
  std::vector<Layer> layers_;
  NamedTensors parameters_;
  std::shared_ptr<const Adapter> adapter_;
  std::shared_ptr<const int> owners_ = std::make_shared<const int>(0);  // counts the handles on these weights
  mutable Ropes ropes_;
};

}  // namespace ilr
