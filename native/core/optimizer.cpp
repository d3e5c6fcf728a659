#include "optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <charconv>
#include <cmath>

#include "error.h"

namespace ilr {
namespace {

double global_norm(const NamedTensors& parameters) {
  double squares = 0;
  for (const auto& [name, p] : parameters) {
    if (!p.grad().defined()) continue;
    const double norm = at::linalg_vector_norm(p.grad()).item<double>();
    squares += norm * norm;
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
    ++steps_;
    const double warm =
        o.warmup_steps > 0 ? std::min(1.0, static_cast<double>(steps_) / static_cast<double>(o.warmup_steps)) : 1.0;
    result.learning_rate = o.learning_rate * warm;
    const double clip = o.max_grad_norm > 0 ? std::min(1.0, o.max_grad_norm / (result.grad_norm + 1e-6)) : 1.0;
    // Matrices decay, norms and biases do not: one fused call for each.
    for (const bool decays : {true, false}) {
      std::vector<at::Tensor> params, grads, avgs, squares, steps;
      for (size_t i = 0; i < parameters_.size(); ++i) {
        const at::Tensor& p = parameters_[i].second;
        if ((p.dim() > 1) != decays) continue;
        if (!p.grad().defined()) p.mutable_grad() = at::zeros_like(p);
        if (clip != 1) p.mutable_grad().mul_(clip);
        params.push_back(p);
        grads.push_back(p.grad());
        avgs.push_back(exp_avg_[i].second);
        squares.push_back(exp_avg_sq_[i].second);
        steps.push_back(at::full({}, static_cast<double>(steps_), p.options().dtype(at::kFloat).requires_grad(false)));
      }
      if (params.empty()) continue;
      at::_fused_adamw_(params, grads, avgs, squares, {}, steps, result.learning_rate, o.beta1, o.beta2,
                        decays ? o.weight_decay : 0, o.epsilon, /*amsgrad=*/false, /*maximize=*/false);
    }
  }
  for (const auto& [name, p] : parameters_) p.mutable_grad().reset();
  result.step = steps_;
  result.skipped_steps = skipped_;
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
