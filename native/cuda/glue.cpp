#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels.h"

// The table of kernels, each on the current stream of its device, as PyTorch's own operations are.
namespace {

using ilr::CudaKernels;

// Calls a launcher on the device's current stream and throws c10::Error where the launch was refused.
template <auto kLauncher>
struct OnDevice;
template <typename... Arguments, void (*kLauncher)(ilr::cuda::Stream, Arguments...)>
struct OnDevice<kLauncher> {
  static void call(int device, Arguments... arguments) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    kLauncher(c10::cuda::getCurrentCUDAStream().stream(), arguments...);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
};

namespace k = ilr::cuda;
const CudaKernels table{
    ilr::kCudaKernelsVersion,
    k::kLargestHeadDim,
    OnDevice<&k::rms_norm>::call,
    k::dw_parts,
    OnDevice<&k::rms_norm_backward>::call,
    OnDevice<&k::swiglu>::call,
    OnDevice<&k::swiglu_backward>::call,
    OnDevice<&k::rotate>::call,
    OnDevice<&k::store_rows>::call,
    OnDevice<&k::attend>::call,
    OnDevice<&k::attend_backward>::call,
    OnDevice<&k::score>::call,
    OnDevice<&k::score_backward>::call,
    OnDevice<&k::sample>::call,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaKernels* ilr_cuda_kernels() { return &table; }
