#include "optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <charconv>
#include <cmath>

#include "error.h"
#include "schedule.h"

namespace ilr {
namespace {

constexpr int64_t kNormElements = int64_t{1} << 18;

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

double global_norm(const NamedTensors& parameters) {
  double squares = 0;
  for (const auto& [name, p] : parameters) {
    if (p.grad().defined()) squares += sum_of_squares(p.grad());
  }
  return std::sqrt(squares);
}

int64_t read_count(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  int64_t value = -1;
  if (found != metadata.end()) {
    const std::string& text = found->second;
    const auto end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr != end) value = -1;
  }
  if (value < 0) {
    throw Error("ILR_INVALID_MODEL", "optimizer.safetensors: expected a whole number \"" + key + "\" in its metadata");
  }
  return value;
}

}  // namespace

AdamW::AdamW(const NamedTensors& parameters) : parameters_(parameters) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, p] : parameters_) {
    exp_avg_.emplace_back("exp_avg." + name, at::zeros_like(p));
    exp_avg_sq_.emplace_back("exp_avg_sq." + name, at::zeros_like(p));
  }
}

void AdamW::step(const UpdateOptions& o, UpdateResult& result) {
  const at::NoGradGuard no_grad;
  result.grad_norm = global_norm(parameters_);
  result.skipped = !std::isfinite(result.grad_norm);
  if (result.skipped) {
    ++skipped_;
  } else {
    apply(o, result);
  }
  for (const auto& [name, p] : parameters_) p.mutable_grad().reset();
  result.step = steps_;
  result.skipped_steps = skipped_;
}

void AdamW::apply(const UpdateOptions& o, UpdateResult& result) {
  const int64_t step = steps_ + 1;
  const double clip = o.max_grad_norm > 0 ? std::min(1.0, o.max_grad_norm / (result.grad_norm + 1e-6)) : 1.0;
  result.learning_rate = learning_rate_at(step, o);
  // One fused call for what decays and one for what does not. All that can run out of memory comes before the
  // first of them, so that a step is taken whole or not at all.
  struct Group {
    std::vector<at::Tensor> params, grads, exp_avgs, exp_avg_sqs, steps;
  } groups[2];
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& p = parameters_[i].second;
    Group& group = groups[decays(p) ? 0 : 1];
    if (!p.grad().defined()) p.mutable_grad() = at::zeros_like(p);
    if (clip != 1) p.mutable_grad().mul_(clip);
    group.params.push_back(p);
    group.grads.push_back(p.grad());
    group.exp_avgs.push_back(exp_avg_[i].second);
    group.exp_avg_sqs.push_back(exp_avg_sq_[i].second);
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
}

NamedTensors AdamW::state() const {
  NamedTensors all = exp_avg_;
  all.insert(all.end(), exp_avg_sq_.begin(), exp_avg_sq_.end());
  return all;
}

std::map<std::string, std::string> AdamW::counters() const {
  return {{"steps", std::to_string(steps_)}, {"skipped", std::to_string(skipped_)}};
}

void AdamW::read(const SafetensorsReader& file) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state()) {
    if (!file.contains(name) || at::IntArrayRef(file.shape(name)) != tensor.sizes()) {
      throw Error("ILR_INVALID_MODEL", "optimizer.safetensors: \"" + name +
                                           "\" is missing or has another shape; it belongs to another model");
    }
  }
  for (const auto& [name, tensor] : state()) tensor.copy_(file.view(name));
  steps_ = read_count(file.metadata(), "steps");
  skipped_ = read_count(file.metadata(), "skipped");
}

}  // namespace ilr
