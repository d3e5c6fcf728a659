#include "checkpoint.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <utility>

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Block : torch::CustomClassHolder {
  explicit Block(std::function<at::Tensor(const at::Tensor&)> f) : run(std::move(f)) {}
  std::function<at::Tensor(const at::Tensor&)> run;
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const c10::intrusive_ptr<Block>& block) {
    ctx->save_for_backward({x});
    ctx->saved_data["block"] = c10::IValue::make_capsule(block);
    return block->run(x);  // a Function's forward runs without gradient mode
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto block = c10::static_intrusive_pointer_cast<Block>(ctx->saved_data["block"].toCapsule());
    const at::Tensor x = ctx->get_saved_variables()[0].detach().requires_grad_(true);
    const at::AutoGradMode with_grad(true);
    torch::autograd::backward({block->run(x)}, {grads[0]});
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor checkpoint(const at::Tensor& x, std::function<at::Tensor(const at::Tensor&)> block) {
  if (!at::GradMode::is_enabled()) return block(x);
  // Parameters may learn where x does not (adapters behind a frozen embedding): the node must be in the graph.
  const at::Tensor entry = x.requires_grad() ? x : x.detach().requires_grad_(true);
  return Checkpoint::apply(entry, c10::make_intrusive<Block>(std::move(block)));
}

}  // namespace ilr
