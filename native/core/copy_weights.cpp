#include <ATen/core/grad_mode.h>
#include <ATen/ops/lerp.h>

#include <cmath>
#include <utility>

#include "error.h"
#include "policy.h"
#include "policy_state.h"

namespace ilr {

// A policy's trained or trainable tensors: its adapter's where it has one.
class Policy::Weights {
 public:
  NamedTensors tensors;
  const void* base = nullptr;  // with an adapter: where its base lies
};

namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error("ILR_INVALID_ARGUMENT", "copyFrom: " + what); }

const void* base_of(const Model& model) {
  return model.adapter() != nullptr ? model.parameters().front().second.const_data_ptr() : nullptr;
}

void check_same_shapes(const NamedTensors& to, const NamedTensors& from) {
  if (to.size() != from.size()) {
    refuse("expected a model of the same shape with " + std::to_string(to.size()) + " tensors, got " +
           std::to_string(from.size()));
  }
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i].first != from[i].first || to[i].second.sizes() != from[i].second.sizes()) {
      refuse("expected a model of the same shape; \"" + to[i].first + "\" has another one, or is not there");
    }
  }
}

}  // namespace

std::shared_ptr<const Policy::Weights> Policy::copy_weights() const {
  const at::NoGradGuard no_grad;
  auto weights = std::make_shared<Weights>();
  weights->base = base_of(state_->model);
  for (const auto& [name, t] : state_->model.trained_parameters()) weights->tensors.emplace_back(name, t.detach().clone());
  return weights;
}

void Policy::copy_from(const Policy& other, double mix) {
  Weights weights;
  weights.base = base_of(other.state_->model);
  weights.tensors = other.state_->model.trained_parameters();
  copy_from(weights, mix);
}

void Policy::copy_from(const Weights& weights, double mix) {
  if (!(mix >= 0 && mix <= 1)) refuse("mix: expected 0 to 1, got " + std::to_string(mix));
  const Model& model = state_->model;
  if (base_of(model) != weights.base) {
    refuse("expected both policies without an adapter, or both with adapters over one base of one runtime");
  }
  if (model.adapter() != nullptr && mix != 1) {
    refuse("mix: expected 1 between adapters, got " + std::to_string(mix) + "; a mix of factors is no mix of weights");
  }
  if (model.adapter() == nullptr && model.is_shared()) {
    refuse("the weights of this policy serve other policies too; load a reference policy by itself");
  }
  check_same_shapes(model.trained_parameters(), weights.tensors);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < weights.tensors.size(); ++i) {
    const at::Tensor& to = model.trained_parameters()[i].second;
    const at::Tensor& from = weights.tensors[i].second;
    if (mix == 1) {
      to.copy_(from);
    } else {
      to.lerp_(from.to(to.device(), to.scalar_type()), mix);
    }
  }
  if (state_->optimizer) state_->optimizer->adopt_weights();
}

}  // namespace ilr
