#pragma once

#include <ATen/core/Tensor.h>

#include "cuda_kernels.h"
#include "packing.h"

namespace ilr::gpu {

// A packing's numbers in device memory.
struct PackingOnDevice {
  at::Tensor words;  // int32: what `view` points into
  DevicePacking view;
};

// The packing's copy on a device, made at the first call and kept with the packing: every layer needs it.
const DevicePacking& packing_on(const Packing& packing, at::Device device);

}  // namespace ilr::gpu
