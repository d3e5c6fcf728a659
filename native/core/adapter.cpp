#include "adapter.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "error.h"
#include "matmul.h"
#include "random.h"

namespace ilr {
namespace {

constexpr const char* prefix = "base_model.model.";
constexpr const char* suffix_a = ".lora_A.weight";
constexpr const char* suffix_b = ".lora_B.weight";

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i != 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

std::vector<Adapter::Site> Adapter::sites_of(const AdapterConfig& adapter, const ModelConfig& c) {
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim, f = c.intermediate_size;
  const std::vector<Site> stored{
      {0, qkv, "self_attn.", "qkv_proj", c.hidden_size, {{"q_proj", 0, q}, {"k_proj", q, kv}, {"v_proj", q + kv, kv}}},
      {0, output, "self_attn.", "o_proj", q, {{"o_proj", 0, c.hidden_size}}},
      {0, gate_up, "mlp.", "gate_up_proj", c.hidden_size, {{"gate_proj", 0, f}, {"up_proj", f, f}}},
      {0, down, "mlp.", "down_proj", f, {{"down_proj", 0, c.hidden_size}}}};
  std::vector<Site> sites;
  for (int64_t l = 0; l < c.num_layers; ++l) {
    for (Site site : stored) {
      site.layer = l;
      site.path = "model.layers." + std::to_string(l) + "." + site.path;
      std::erase_if(site.modules, [&](const Module& module) { return !adapter.adapts(site.path + module.name); });
      if (!site.modules.empty()) sites.push_back(std::move(site));
    }
  }
  if (sites.empty()) {
    throw Error("ILR_INVALID_MODEL", "adapter_config.json: target_modules: no module of this base is meant by \"" +
                                         adapter.target_modules.front() + "\"");
  }
  return sites;
}

Adapter::Adapter(const AdapterConfig& config, const ModelConfig& model, at::TensorOptions options)
    : config_(config), sites_(sites_of(config, model)), lookup_(static_cast<size_t>(model.num_layers), {-1, -1, -1, -1}) {
  for (const Site& site : sites_) {
    LowRank term;
    int64_t rows = 0;
    for (const Module& module : site.modules) {
      term.parts.push_back({module.row, module.rows});
      rows += module.rows;
    }
    term.a_RC = at::empty({static_cast<int64_t>(site.modules.size()) * config.rank, site.inputs}, options);
    term.b_Or = at::zeros({rows, config.rank}, options);
    term.scale = config.scale();
    parameters_.emplace_back(site.path + site.fused + suffix_a, term.a_RC);
    parameters_.emplace_back(site.path + site.fused + suffix_b, term.b_Or);
    lookup_[site.layer][site.place] = static_cast<int64_t>(terms_.size());
    terms_.push_back(std::move(term));
  }
}

Adapter Adapter::draw(const AdapterConfig& config, const ModelConfig& model, at::TensorOptions options, uint64_t seed) {
  const at::NoGradGuard no_grad;
  Adapter adapter(config, model, options);
  for (size_t s = 0; s < adapter.sites_.size(); ++s) {
    const Site& site = adapter.sites_[s];
    const double bound = 1 / std::sqrt(static_cast<double>(site.inputs));
    at::Tensor values = at::empty(adapter.terms_[s].a_RC.sizes(), at::kDouble);
    double* next = values.mutable_data_ptr<double>();
    for (const Module& module : site.modules) {
      const int64_t which = std::find(kAdaptable.begin(), kAdaptable.end(), module.name) - kAdaptable.begin();
      // A word of this counter names the matrix, so that no two share draws.
      const uint64_t matrix = (uint64_t{1} << 63) | static_cast<uint64_t>(site.layer * 16 + which);
      for (int64_t i = 0; i < config.rank * site.inputs; ++i) {
        const PhiloxBlock block = philox(seed, static_cast<uint64_t>(i), matrix);
        *next++ = bound * (2 * ((static_cast<double>(block.word[0]) + 0.5) * 0x1.0p-32) - 1);
      }
    }
    adapter.terms_[s].a_RC.copy_(values);
  }
  return adapter;
}

Adapter Adapter::read(const AdapterConfig& config, const ModelConfig& model, at::TensorOptions options,
                      const SafetensorsReader& weights) {
  const at::NoGradGuard no_grad;
  // All is compared before anything of the rank that the file claims is allocated.
  std::set<std::string> known;
  const auto expect = [&](const std::string& name, const std::vector<int64_t>& shape) {
    known.insert(name);
    if (!weights.contains(name)) {
      throw Error("ILR_INVALID_MODEL", "the adapter's weights hold no tensor \"" + name +
                                           "\", which adapter_config.json asks for on this base");
    }
    if (weights.shape(name) != shape) {
      throw Error("ILR_INVALID_MODEL", "adapter tensor \"" + name + "\": expected shape " + shape_text(shape) +
                                           " (rank and base), the file has " + shape_text(weights.shape(name)));
    }
  };
  for (const Site& site : sites_of(config, model)) {
    for (const Module& module : site.modules) {
      expect(prefix + site.path + module.name + suffix_a, {config.rank, site.inputs});
      expect(prefix + site.path + module.name + suffix_b, {module.rows, config.rank});
    }
  }
  for (const std::string& name : weights.names()) {
    if (known.contains(name)) continue;
    throw Error("ILR_INVALID_MODEL", "the adapter's weights hold a tensor \"" + name +
                                         "\", which adapter_config.json does not ask for on this base");
  }
  Adapter adapter(config, model, options);
  for (const auto& [name, view] : adapter.peft_tensors()) view.copy_(weights.view(name));
  return adapter;
}

const LowRank* Adapter::find(int64_t layer, Place place) const {
  const int64_t term = lookup_[static_cast<size_t>(layer)][place];
  return term < 0 ? nullptr : &terms_[static_cast<size_t>(term)];
}

NamedTensors Adapter::peft_views(const NamedTensors& fused) const {
  NamedTensors views;
  for (size_t s = 0; s < sites_.size(); ++s) {
    const at::Tensor &a = fused[2 * s].second, &b = fused[2 * s + 1].second;
    int64_t place = 0, row = 0;
    for (const Module& module : sites_[s].modules) {
      const std::string name = prefix + sites_[s].path + module.name;
      views.emplace_back(name + suffix_a, a.narrow(0, place * config_.rank, config_.rank));
      views.emplace_back(name + suffix_b, b.narrow(0, row, module.rows));
      ++place;
      row += module.rows;
    }
  }
  return views;
}

int64_t Adapter::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters_) count += parameter.numel();
  return count;
}

at::Tensor Adapter::merged(const std::string& name, const at::Tensor& weight) const {
  const at::NoGradGuard no_grad;
  for (size_t s = 0; s < sites_.size(); ++s) {
    const LowRank& term = terms_[s];
    int64_t place = 0, row = 0;
    for (const Module& module : sites_[s].modules) {
      if (name == sites_[s].path + module.name + ".weight") {
        at::Tensor sum = at::empty(weight.sizes(), term.a_RC.options());
        sum.copy_(weight);
        matrix_product_into(sum, term.b_Or.narrow(0, row, module.rows) * term.scale,
                            term.a_RC.narrow(0, place * config_.rank, config_.rank), true);
        return sum.to(weight.scalar_type());
      }
      ++place;
      row += module.rows;
    }
  }
  return weight;
}

}  // namespace ilr
