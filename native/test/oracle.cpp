#include "oracle.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/autograd.h>

#include <sstream>

#include "random.h"

#include "check.h"

namespace ilr::test {
namespace {

// The value and the gradients of sum(operation(inputs) * weights).
std::vector<at::Tensor> value_and_gradients(const Operation& operation, const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  const at::Tensor value = operation(leaves);
  torch::autograd::backward({(value * normal(value.sizes(), value.scalar_type(), 99)).sum()}, {});
  std::vector<at::Tensor> results{value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

}  // namespace

double oracle_bound(at::ScalarType type) { return type == at::kDouble ? 1e-12 : 1e-5; }

at::Tensor normal(at::IntArrayRef shape, at::ScalarType type, uint64_t tensor) {
  at::Tensor values = at::empty(shape, at::kDouble);
  double* data = values.mutable_data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) data[i] = normal_at(5, tensor, static_cast<uint64_t>(i));
  return values.to(type);
}

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor difference = got.to(at::kDouble) - expected.to(at::kDouble);
  return at::linalg_vector_norm(difference).item<double>() / at::linalg_vector_norm(expected.to(at::kDouble)).item<double>();
}

void check_against(const Operation& fast, const Operation& oracle, const std::vector<at::Tensor>& inputs) {
  const std::vector<at::Tensor> got = value_and_gradients(fast, inputs);
  const std::vector<at::Tensor> expected = value_and_gradients(oracle, inputs);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].sizes() == expected[i].sizes());
    const double error = relative_error(got[i], expected[i]);
    if (error <= oracle_bound(inputs[0].scalar_type())) continue;
    std::ostringstream message;
    message << (i == 0 ? "value" : "gradient") << " of " << inputs[0].sizes() << " " << inputs[0].scalar_type() << ": error "
            << error;
    fail(__FILE__, __LINE__, message.str());
  }
}

}  // namespace ilr::test
