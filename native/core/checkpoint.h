#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace ilr {

// block(x) with gradient, keeping only x: backward runs the block again and goes back through that (arXiv 1604.06174).
// The gradients are bit for bit those of block(x). Gradients of what the block reads beside x (its parameters) are added
// to their .grad, so those must be leaves. Without gradient mode this is block(x).
at::Tensor checkpoint(const at::Tensor& x, std::function<at::Tensor(const at::Tensor&)> block);

}  // namespace ilr
