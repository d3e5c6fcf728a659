#include "optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "error.h"
#include "json.h"
#include "schedule.h"
#include "split_float.h"

namespace ilr {
namespace {

constexpr int64_t kNormElements = int64_t{1} << 18;
constexpr const char* kFile = "optimizer.safetensors";

// Summed in double, run by run; a small float32 tensor is one float32 sum, which keeps five digits.
double sum_of_squares(const at::Tensor& gradient) {
  const at::Tensor flat = gradient.reshape(-1);
  const bool is_small = flat.numel() <= kNormElements && gradient.scalar_type() == at::kFloat;
  const auto type = is_small ? at::kFloat : at::kDouble;
  double squares = 0;
  for (int64_t begin = 0; begin < flat.numel(); begin += kNormElements) {
    const at::Tensor run = flat.narrow(0, begin, std::min(kNormElements, flat.numel() - begin));
    const double norm = at::linalg_vector_norm(run, 2, std::nullopt, false, type).item<double>();
    squares += norm * norm;
  }
  return squares;
}

// What torch.optim's users and transformers' Trainer.get_decay_parameter_names decay: all but norms and biases, which
// are the vectors; embeddings do.
bool decays(const at::Tensor& parameter) { return parameter.dim() > 1; }

const char* name_of(OptimizerKind kind) { return kind == OptimizerKind::lean ? "lean" : "adamw"; }
const char* name_of(MomentType type) {
  return type == MomentType::float32 ? "float32" : type == MomentType::bfloat16 ? "bfloat16" : "int8";
}

std::string read_text_field(const std::map<std::string, std::string>& metadata, const std::string& key,
                            const std::string& fallback) {
  const auto found = metadata.find(key);
  return found != metadata.end() ? found->second : fallback;
}

int64_t read_count(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const std::string text = read_text_field(metadata, key, "");
  int64_t value = -1;
  const auto end = text.data() + text.size();
  if (text.empty() || std::from_chars(text.data(), end, value).ptr != end) value = -1;
  if (value < 0) {
    throw Error("ILR_INVALID_MODEL", std::string(kFile) + ": expected a whole number \"" + key + "\" in its metadata");
  }
  return value;
}

uint16_t* bits_of(const at::Tensor& bf16) { return reinterpret_cast<uint16_t*>(bf16.mutable_data_ptr<at::BFloat16>()); }

}  // namespace

OptimizerOptions parse_optimizer(const std::string& optimizer, const std::string& moments) {
  OptimizerOptions options;
  if (optimizer == "lean") {
    options = {OptimizerKind::lean, MomentType::bfloat16};
  } else if (optimizer != "adamw") {
    throw Error("ILR_INVALID_ARGUMENT", "optimizerKind: expected adamw or lean, got \"" + optimizer + "\"");
  }
  for (const MomentType type : {MomentType::float32, MomentType::bfloat16, MomentType::int8}) {
    if (moments == name_of(type)) options.moments = type;
  }
  if (!moments.empty() && moments != name_of(options.moments)) {
    throw Error("ILR_INVALID_ARGUMENT", "moments: expected float32, bfloat16 or int8, got \"" + moments + "\"");
  }
  return options;
}

AdamW::AdamW(const NamedTensors& parameters, const OptimizerOptions& options) : options_(options) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, p] : parameters) {
    const bool is_bf16 = p.scalar_type() == at::kBFloat16;
    if (options.kind == OptimizerKind::lean && !is_bf16) {
      throw Error("ILR_UNSUPPORTED", std::string("optimizer lean keeps bfloat16 weights and the 16 bits that they lack; what is "
                                                 "trained here is ") + c10::toString(p.scalar_type()) +
                                         ": open the policy with dtype bfloat16, or use adamw (an adapter's weights are "
                                         "float32: adamw with bfloat16 or int8 moments)");
    }
    if (options.moments != MomentType::float32 && p.scalar_type() == at::kDouble) {
      throw Error("ILR_UNSUPPORTED", std::string("moments ") + name_of(options.moments) +
                                         ": a float64 policy is for checking, its moments are float64; leave moments out");
    }
    const MomentType type = p.dim() > 1 ? options.moments : MomentType::float32;
    slots_.push_back({name, p, {}, {}, Moment(p, type, false), Moment(p, type, true)});
    if (!is_bf16) continue;
    if (options.kind == OptimizerKind::lean) {
      slots_.back().remainder = at::zeros(p.sizes(), p.options().dtype(at::kShort).requires_grad(false));
    } else {
      slots_.back().master = p.detach().to(at::kFloat);
    }
  }
  if (!is_fused() && !is_on_cpu()) {
    throw Error("ILR_UNSUPPORTED", "optimizer lean, and moments bfloat16 and int8, run on the CPU only so far; use adamw with float32 "
                                   "moments on " + slots_.front().weight.device().str());
  }
}

bool AdamW::is_on_cpu() const { return slots_.empty() || slots_.front().weight.device().is_cpu(); }

// PyTorch's fused step: of wide weights, and elsewhere than on the CPU of a float32 master, which costs float32 gradients.
bool AdamW::is_fused() const {
  const bool is_narrow = !slots_.empty() && slots_.front().weight.scalar_type() == at::kBFloat16;
  return options_.moments == MomentType::float32 && options_.kind == OptimizerKind::adamw && !(is_narrow && is_on_cpu());
}

void AdamW::step(const UpdateOptions& o, UpdateResult& result) {
  const at::NoGradGuard no_grad;
  double squares = 0;
  for (const Slot& slot : slots_) {
    if (slot.weight.grad().defined()) squares += sum_of_squares(slot.weight.grad());
  }
  result.grad_norm = std::sqrt(squares);
  result.skipped = !std::isfinite(result.grad_norm);
  if (result.skipped) {
    ++skipped_;
  } else {
    apply(o, result);
  }
  for (const Slot& slot : slots_) slot.weight.mutable_grad().reset();
  result.step = steps_;
  result.skipped_steps = skipped_;
}

void AdamW::apply(const UpdateOptions& o, UpdateResult& result) {
  const double clip = o.max_grad_norm > 0 ? std::min(1.0, o.max_grad_norm / (result.grad_norm + 1e-6)) : 1.0;
  result.learning_rate = learning_rate_at(steps_ + 1, o);
  is_fused() ? apply_fused(o, result, clip) : apply_by_blocks(o, result, clip);
}

void AdamW::apply_fused(const UpdateOptions& o, const UpdateResult& result, double clip) {
  const int64_t step = steps_ + 1;
  // One fused call for what decays and one for what does not. All that can run out of memory comes before the
  // first of them, so that a step is taken whole or not at all.
  struct Group {
    std::vector<at::Tensor> params, grads, exp_avgs, exp_avg_sqs, steps;
  } groups[2];
  for (const Slot& slot : slots_) {
    const at::Tensor& p = slot.weight;
    Group& group = groups[decays(p) ? 0 : 1];
    if (!p.grad().defined()) p.mutable_grad() = at::zeros_like(p);
    at::Tensor grad = slot.master.defined() ? p.grad().to(at::kFloat) : p.grad();
    if (clip != 1) grad.mul_(clip);
    group.params.push_back(slot.master.defined() ? slot.master : p);
    group.grads.push_back(grad);
    group.exp_avgs.push_back(slot.first.values());
    group.exp_avg_sqs.push_back(slot.second.values());
    group.steps.push_back(
        at::full({}, static_cast<double>(step), p.options().dtype(at::kFloat).requires_grad(false)));
  }
  steps_ = step;
  for (Group& group : groups) {
    if (group.params.empty()) continue;
    at::_fused_adamw_(group.params, group.grads, group.exp_avgs, group.exp_avg_sqs, {}, group.steps,
                      result.learning_rate, o.beta1, o.beta2, &group == groups ? o.weight_decay : 0, o.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
  for (const Slot& slot : slots_) {
    if (slot.master.defined()) at::Tensor(slot.weight).copy_(slot.master);
  }
}

// Nothing here allocates: a step is taken whole.
void AdamW::apply_by_blocks(const UpdateOptions& o, const UpdateResult& result, double clip) {
  ++steps_;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const int64_t count = slot.weight.numel(), blocks = (count + kMomentBlock - 1) / kMomentBlock;
    at::parallel_for(0, blocks, 64, [&](int64_t begin, int64_t end) {
      step_blocks(slot, i, begin * kMomentBlock, std::min(end * kMomentBlock, count), o, result.learning_rate, clip);
    });
  }
}

void AdamW::step_blocks(Slot& slot, uint64_t index, int64_t begin, int64_t end, const UpdateOptions& o, double rate,
                        double clip) {
  const at::Tensor& grad = slot.weight.grad();
  const bool is_bf16 = slot.weight.scalar_type() == at::kBFloat16;
  uint16_t* weights16 = is_bf16 ? bits_of(slot.weight) : nullptr;
  int16_t* remainders = slot.remainder.defined() ? slot.remainder.mutable_data_ptr<int16_t>() : nullptr;
  float* master = remainders != nullptr ? nullptr : (is_bf16 ? slot.master : slot.weight).mutable_data_ptr<float>();
  const uint16_t* grads16 = is_bf16 && grad.defined() ? bits_of(grad) : nullptr;
  const float* grads = !is_bf16 && grad.defined() ? grad.const_data_ptr<float>() : nullptr;

  const double step = static_cast<double>(steps_);
  const auto beta1 = static_cast<float>(o.beta1), beta2 = static_cast<float>(o.beta2);
  const auto keep = static_cast<float>(1 - rate * (decays(slot.weight) ? o.weight_decay : 0));
  const auto size = static_cast<float>(rate / (1 - std::pow(o.beta1, step)));
  const auto inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(o.beta2, step)));
  const auto epsilon = static_cast<float>(o.epsilon), scale = static_cast<float>(clip);
  // Two draws per element of a tensor and step, no two from the same place.
  const uint64_t seed = (static_cast<uint64_t>(steps_) << 33) ^ (index << 1) ^ 0x632BE59BD9B4E019;

  float w[kMomentBlock], g[kMomentBlock], m[kMomentBlock], v[kMomentBlock];
  for (int64_t at = begin; at < end; at += kMomentBlock) {
    const int64_t n = std::min(kMomentBlock, end - at);
    for (int64_t i = 0; i < n; ++i) {
      w[i] = master != nullptr ? master[at + i] : join_float({weights16[at + i], remainders[at + i]});
      g[i] = scale * (grads16 != nullptr ? bf16_to_float(grads16[at + i]) : grads != nullptr ? grads[at + i] : 0);
    }
    slot.first.load(at, n, m);
    slot.second.load(at, n, v);
    for (int64_t i = 0; i < n; ++i) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
      w[i] = w[i] * keep - size * m[i] / (std::sqrt(v[i]) * inverse_root + epsilon);
    }
    slot.first.store(at, n, m, seed);
    slot.second.store(at, n, v, seed ^ 1);
    for (int64_t i = 0; i < n; ++i) {
      if (remainders != nullptr) {
        const SplitFloat split = split_float(w[i]);
        weights16[at + i] = split.weight;
        remainders[at + i] = split.remainder;
      } else {
        master[at + i] = w[i];
        if (is_bf16) weights16[at + i] = round_to_bf16(w[i]);
      }
    }
  }
}

void AdamW::adopt_weights() {
  const at::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    if (slot.master.defined()) slot.master.copy_(slot.weight);
    if (slot.remainder.defined()) slot.remainder.zero_();
  }
}

int64_t AdamW::bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : state()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

NamedTensors AdamW::state() const {
  NamedTensors all;
  for (const Slot& slot : slots_) slot.first.append_state("exp_avg." + slot.name, all);
  for (const Slot& slot : slots_) {
    slot.second.append_state((slot.second.values().scalar_type() == at::kByte ? "exp_avg_sq_root." : "exp_avg_sq.") + slot.name,
                             all);
  }
  for (const Slot& slot : slots_) {
    if (slot.master.defined()) all.emplace_back("master." + slot.name, slot.master);
    if (slot.remainder.defined()) all.emplace_back("remainder." + slot.name, slot.remainder);
  }
  return all;
}

std::map<std::string, std::string> AdamW::metadata() const {
  return {{"optimizer", name_of(options_.kind)},
          {"moments", name_of(options_.moments)},
          {"steps", std::to_string(steps_)},
          {"skipped", std::to_string(skipped_)}};
}

void AdamW::read(const SafetensorsReader& file) {
  const at::NoGradGuard no_grad;
  const std::string kind = read_text_field(file.metadata(), "optimizer", name_of(OptimizerKind::adamw));
  const std::string moments = read_text_field(file.metadata(), "moments", name_of(MomentType::float32));
  if (kind != name_of(options_.kind) || moments != name_of(options_.moments)) {
    throw Error("ILR_INVALID_MODEL", std::string(kFile) + ": it holds the state of optimizer " + kind.substr(0, 32) + " with moments " +
                                         moments.substr(0, 32) + ", the policy was opened with optimizer " +
                                         name_of(options_.kind) + " with moments " + name_of(options_.moments) +
                                         "; open it with those, or without its optimiser");
  }
  for (const auto& [name, tensor] : state()) {
    if (!file.contains(name) || at::IntArrayRef(file.shape(name)) != tensor.sizes()) {
      throw Error("ILR_INVALID_MODEL", std::string(kFile) + ": \"" + name +
                                           "\" is missing or has another shape; it belongs to another model");
    }
    if (file.view(name).scalar_type() != tensor.scalar_type()) {
      throw Error("ILR_INVALID_MODEL", std::string(kFile) + ": \"" + name + "\" is " +
                                           c10::toString(file.view(name).scalar_type()) + ", expected " +
                                           c10::toString(tensor.scalar_type()) + ": it was saved by a policy of another dtype");
    }
  }
  const NamedTensors own = state();
  for (const std::string& name : file.names()) {
    if (std::any_of(own.begin(), own.end(), [&](const auto& item) { return item.first == name; })) continue;
    throw Error("ILR_INVALID_MODEL", std::string(kFile) + ": this policy has no use for " + describe_json(Json{name}) +
                                         ": it was saved by a policy of another dtype or another model");
  }
  for (const auto& [name, tensor] : own) tensor.copy_(file.view(name));
  steps_ = read_count(file.metadata(), "steps");
  skipped_ = read_count(file.metadata(), "skipped");
}

}  // namespace ilr
