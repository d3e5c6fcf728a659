#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace ilr {

// A fingerprint of tensors: names, dtypes, shapes and bytes, 16 hexadecimal digits. The optimiser's file carries that of
// the weights it belongs to, so that a folder whose files come from two saves is refused. It finds accidents, not forgers.
std::string stamp_of(const std::map<std::string, at::Tensor>& tensors);

}  // namespace ilr
