#include "model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <set>

#include "checkpoint.h"
#include "abort.h"
#include "error.h"
#include "matmul.h"
#include "random.h"

namespace ilr {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i != 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

constexpr int64_t kValuesPerBlock = int64_t{1} << 22;  // read or drawn between two looks at the abort flag

// Reading from a disk takes its time.
void copy_rows(const at::Tensor& to, const at::Tensor& from) {
  const int64_t rows = to.size(0), width = std::max<int64_t>(1, to.numel() / std::max<int64_t>(1, rows));
  const int64_t block = std::max<int64_t>(1, kValuesPerBlock / width);
  for (int64_t row = 0; row < rows; row += block) {
    throw_if_aborted("read");
    const int64_t count = std::min(block, rows - row);
    to.narrow(0, row, count).copy_(from.narrow(0, row, count));
  }
}

std::string layer_name(int64_t layer, const char* part) {
  return "model.layers." + std::to_string(layer) + "." + part;
}

// Integers copied into a matrix would be taken for its values.
void refuse_quantised(const SafetensorsReader& weights) {
  for (const std::string& name : weights.names()) {
    if (!name.ends_with("weight") && !name.ends_with("qweight")) continue;
    const at::ScalarType type = weights.view(name).scalar_type();
    if (at::isFloatingType(type)) continue;
    throw Error("ILR_UNSUPPORTED", "tensor \"" + name + "\" holds " + c10::toString(type) +
                                       " values, as a quantised model does; float32, float16 and bfloat16 files are supported");
  }
}

// A layer that config.json does not mention would be left out without a word.
void refuse_leftovers(const SafetensorsReader& weights, const NamedTensors& wanted) {
  std::set<std::string> known;
  for (const auto& [name, view] : wanted) known.insert(name);
  for (const std::string& name : weights.names()) {
    if (!name.starts_with("model.layers.") || name.ends_with("rotary_emb.inv_freq") || known.contains(name)) continue;
    throw Error("ILR_INVALID_MODEL",
                "the weights hold a tensor \"" + name + "\", which config.json does not ask for; do they belong together?");
  }
}

}  // namespace

Model::Model(const ModelConfig& c, at::ScalarType dtype, at::Device device)
    : config_(c), options_(at::TensorOptions().dtype(dtype).device(device)) {
  const auto make = [&](const std::string& name, at::IntArrayRef shape) {
    parameters_.emplace_back(name, at::empty(shape, options_));
    return parameters_.back().second;
  };
  const int64_t width = c.hidden_size, attended = c.num_heads * c.head_dim;
  embedding_VC_ = make("model.embed_tokens.weight", {c.vocab_size, width});
  for (int64_t l = 0; l < c.num_layers; ++l) {
    const auto norm = [&](const char* part, int64_t size) { return make(layer_name(l, part) + ".weight", {size}); };
    Layer layer;
    layer.attention = {c.num_heads, c.num_kv_heads, c.head_dim, c.windows[l], c.score_scale, c.attention_softcap};
    layer.attention_norm_C = norm("input_layernorm", width);
    layer.qkv_RC = make(layer_name(l, "self_attn.qkv_proj.weight"), {layer.attention.row(), width});
    if (c.qkv_bias) layer.qkv_bias_R = make(layer_name(l, "self_attn.qkv_proj.bias"), {layer.attention.row()});
    if (c.qk_norm) {
      layer.q_norm_D = norm("self_attn.q_norm", c.head_dim);
      layer.k_norm_D = norm("self_attn.k_norm", c.head_dim);
    }
    layer.output_CA = make(layer_name(l, "self_attn.o_proj.weight"), {width, attended});
    // Hugging Face calls post_attention_layernorm the feed-forward's norm, and in gemma the one that ends attention.
    if (c.branch_norms) layer.attention_out_norm_C = norm("post_attention_layernorm", width);
    layer.mlp_norm_C = norm(c.branch_norms ? "pre_feedforward_layernorm" : "post_attention_layernorm", width);
    layer.gate_up_FC = make(layer_name(l, "mlp.gate_up_proj.weight"), {2 * c.intermediate_size, width});
    layer.down_CF = make(layer_name(l, "mlp.down_proj.weight"), {width, c.intermediate_size});
    if (c.branch_norms) layer.mlp_out_norm_C = norm("post_feedforward_layernorm", width);
    layers_.push_back(std::move(layer));
  }
  norm_C_ = make("model.norm.weight", {width});
  head_ = {c.tie_embeddings ? embedding_VC_ : make("lm_head.weight", {c.vocab_size, width}), c.logit_softcap};
}

NamedTensors Model::hf_views(const NamedTensors& fused) const {
  const int64_t q = config_.num_heads * config_.head_dim, kv = config_.num_kv_heads * config_.head_dim;
  const int64_t f = config_.intermediate_size;
  NamedTensors out;
  const auto split = [&](const std::string& name, const at::Tensor& t, const std::string& part,
                         const std::vector<std::pair<const char*, int64_t>>& pieces) {
    const size_t at = name.find(part);
    if (at == std::string::npos) return false;
    int64_t row = 0;
    for (const auto& [piece, rows] : pieces) {
      out.emplace_back(name.substr(0, at) + piece + name.substr(at + part.size()), t.narrow(0, row, rows));
      row += rows;
    }
    return true;
  };
  for (const auto& [name, t] : fused) {
    if (split(name, t, "qkv_proj", {{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}})) continue;
    if (split(name, t, "gate_up_proj", {{"gate_proj", f}, {"up_proj", f}})) continue;
    out.emplace_back(name, t);
  }
  return out;
}

void Model::read(const SafetensorsReader& weights) {
  const at::NoGradGuard no_grad;
  refuse_quantised(weights);
  refuse_leftovers(weights, hf_tensors());
  for (const auto& [name, view] : hf_tensors()) {
    if (!weights.contains(name)) {
      throw Error("ILR_INVALID_MODEL", "the weights hold no tensor \"" + name + "\", which config.json (" +
                                           config_.model_type + ") asks for");
    }
    const auto shape = weights.shape(name);
    if (at::IntArrayRef(shape) != view.sizes()) {
      throw Error("ILR_INVALID_MODEL", "tensor \"" + name + "\": config.json asks for shape " +
                                           shape_text(view.sizes()) + ", the weights have " + shape_text(shape));
    }
    copy_rows(view, weights.view(name));
  }
}

void Model::draw(uint64_t seed) {
  const at::NoGradGuard no_grad;
  uint64_t index = 0;
  for (const auto& [name, parameter] : parameters_) {
    throw_if_aborted("draw");
    const bool is_norm = name.find("norm") != std::string::npos;
    const bool is_bias = name.ends_with(".bias");
    if (is_norm || is_bias) {
      parameter.fill_(is_norm && !config_.norm_adds_one ? 1 : 0);
    } else {
      at::Tensor values = at::empty(parameter.sizes(), at::kFloat);
      float* data = values.mutable_data_ptr<float>();
      for (int64_t i = 0; i < values.numel(); ++i) {
        if (i % kValuesPerBlock == kValuesPerBlock - 1) throw_if_aborted("draw");
        data[i] = static_cast<float>(config_.initializer_range * normal_at(seed, index, static_cast<uint64_t>(i)));
      }
      parameter.copy_(values);
    }
    ++index;
  }
}

Model Model::with_adapter(std::shared_ptr<const Adapter> adapter) const {
  Model model = *this;
  model.adapter_ = std::move(adapter);
  return model;
}

Model Model::clone() const {
  const at::NoGradGuard no_grad;
  Model model(config_, options_.dtype().toScalarType(), options_.device());
  for (size_t i = 0; i < parameters_.size(); ++i) model.parameters_[i].second.copy_(parameters_[i].second);
  return model;
}

void Model::require_grad(bool on) {
  for (const auto& [name, parameter] : trained_parameters()) parameter.set_requires_grad(on);
}

int64_t Model::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters_) count += parameter.numel();
  return count;
}

const Model::Ropes& Model::ropes_for(const Packing& packing) const {
  int64_t needed = 1;
  for (const int32_t p : packing.positions) needed = std::max<int64_t>(needed, p + 1);
  const int64_t have = ropes_.full.cos.defined() ? ropes_.full.cos.size(0) : 0;
  if (needed > have) {
    const int64_t grown = std::min(std::max(needed, std::max<int64_t>(2 * have, 512)),
                                   std::max(needed, config_.max_positions));
    const auto make = [&](const RopeConfig& rope) {
      return make_rope(grown, config_.head_dim, rope, attention_type(dtype(), device()), device());
    };
    ropes_.full = make(config_.rope);
    ropes_.windowed = config_.local_rope == config_.rope ? ropes_.full : make(config_.local_rope);
  }
  return ropes_;
}

at::Tensor Model::norm_weight(const at::Tensor& w) const { return config_.norm_adds_one ? w.to(attention_type(dtype(), device())) + 1 : w; }

at::Tensor Model::norm(const at::Tensor& x_TC, const at::Tensor& w_C) const {
  return rms_norm(x_TC, norm_weight(w_C), config_.rms_norm_eps);
}

at::Tensor Model::project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const at::Tensor& residual, size_t layer, Adapter::Place place) const {
  at::Tensor y = linear_layer(x, weight, bias, residual);
  const LowRank* term = adapter_ ? adapter_->find(static_cast<int64_t>(layer), place) : nullptr;
  return term == nullptr ? y : add_low_rank(y, x, *term);
}

at::Tensor Model::embed(const Packing& packing) const {
  const at::Tensor ids = at::tensor(at::ArrayRef<int32_t>(packing.ids), at::kLong).to(options_.device());
  const at::Tensor x = embed_rows(embedding_VC_, ids);
  // transformers rounds the scale to the weights' dtype.
  return config_.embedding_scale != 1 ? x * at::scalar_tensor(config_.embedding_scale, options_) : x;
}

at::Tensor Model::add_branch(const at::Tensor& x_TC, const at::Tensor& branch, const at::Tensor& weight,
                             const at::Tensor& norm_C, size_t layer, Adapter::Place place) const {
  if (!norm_C.defined()) return project(branch, weight, {}, x_TC, layer, place);
  return x_TC + norm(project(branch, weight, {}, {}, layer, place), norm_C);
}

template <typename Attend>
at::Tensor Model::run_layer(const at::Tensor& x_TC, size_t l, Attend&& attend) const {
  const Layer& layer = layers_[l];
  at::Tensor qkv = project(norm(x_TC, layer.attention_norm_C), layer.qkv_RC, layer.qkv_bias_R, {}, l, Adapter::qkv);
  if (config_.qk_norm) {
    qkv = head_norm(qkv, norm_weight(layer.q_norm_D), norm_weight(layer.k_norm_D), layer.attention, config_.rms_norm_eps);
  }
  const at::Tensor y = add_branch(x_TC, attend(qkv, l), layer.output_CA, layer.attention_out_norm_C, l, Adapter::output);
  const at::Tensor gate_up = project(norm(y, layer.mlp_norm_C), layer.gate_up_FC, {}, {}, l, Adapter::gate_up);
  const at::Tensor gated = config_.activation == Activation::silu ? swiglu(gate_up) : geglu(gate_up);
  return add_branch(y, gated, layer.down_CF, layer.mlp_out_norm_C, l, Adapter::down);
}

at::Tensor Model::forward(const Packing& packing, bool checkpointing) const {
  // The tables are the layers' own: another forward pass may grow ropes_ before this one's backward pass.
  const auto attend = [this, &packing, ropes = ropes_for(packing)](const at::Tensor& qkv, size_t l) {
    return self_attention(qkv, packing, ropes.of(layers_[l]), layers_[l].attention);
  };
  at::Tensor x = embed(packing);
  for (size_t l = 0; l < layers_.size(); ++l) {
    const auto layer = [this, attend, l](const at::Tensor& input) { return run_layer(input, l, attend); };
    x = checkpointing ? checkpoint(x, layer) : layer(x);
  }
  return norm(x, norm_C_);
}

at::Tensor Model::forward(const Packing& packing, const std::vector<int64_t>& cache_rows, KvCache& cache) const {
  const at::NoGradGuard no_grad;
  const Ropes& ropes = ropes_for(packing);
  const auto attend = [&](const at::Tensor& qkv, size_t l) {
    const Layer& layer = layers_[l];
    return cached_attention(qkv, packing, cache_rows, ropes.of(layer), layer.attention, cache.k[l], cache.v[l]);
  };
  at::Tensor x = embed(packing);
  for (size_t l = 0; l < layers_.size(); ++l) x = run_layer(x, l, attend);
  return norm(x, norm_C_);
}

KvCache Model::make_cache(int64_t rows) const {
  KvCache cache;
  const auto options = options_.dtype(attention_type(dtype(), device()));
  for (int64_t l = 0; l < config_.num_layers; ++l) {
    cache.k.push_back(at::empty({rows, config_.num_kv_heads * config_.head_dim}, options));
    cache.v.push_back(at::empty({rows, config_.num_kv_heads * config_.head_dim}, options));
  }
  return cache;
}

int64_t Model::cache_bytes_per_row() const {
  return 2 * config_.num_layers * config_.num_kv_heads * config_.head_dim *
         static_cast<int64_t>(at::elementSize(attention_type(dtype(), device())));
}

int64_t Model::activation_bytes_per_token() const {
  // Per layer: two norms and their inputs, qkv twice, attention out, gate/up and their product; gemma's branches keep what
  // their own norms read and give, and a norm of the heads what it reads.
  const int64_t attended = config_.num_heads * config_.head_dim;
  const int64_t row = attended + 2 * config_.num_kv_heads * config_.head_dim;
  const int64_t per_layer = (config_.branch_norms ? 9 : 5) * config_.hidden_size + (config_.qk_norm ? 3 : 2) * row +
                            attended + 3 * config_.intermediate_size;
  return config_.num_layers * per_layer * static_cast<int64_t>(options_.dtype().itemsize());
}

}  // namespace ilr
