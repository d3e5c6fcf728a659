#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

// A fast operation beside its oracle in ATen operations, forward and backward.
namespace ilr::test {

// Of a tensor's norm: a few hundred rounded operations.
double oracle_bound(at::ScalarType type);

// Standard normal numbers, the same for the same `tensor`.
at::Tensor normal(at::IntArrayRef shape, at::ScalarType type, uint64_t tensor);

// ||got - expected|| / ||expected||, in float64.
double relative_error(const at::Tensor& got, const at::Tensor& expected);

using Operation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Values, and gradients by every input, of both agree.
void check_against(const Operation& fast, const Operation& oracle, const std::vector<at::Tensor>& inputs);

}  // namespace ilr::test
