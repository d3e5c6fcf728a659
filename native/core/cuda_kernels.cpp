#include "cuda_kernels.h"

#include <dlfcn.h>

#include <string>

#include "error.h"

namespace ilr {

const CudaKernels* cuda_kernels() {
  // The loader (or a program) has opened libilr_cuda.so for all to see before the first call, or not at all.
  static const CudaKernels* const loaded = [] {
    const auto get = reinterpret_cast<const CudaKernels* (*)()>(dlsym(RTLD_DEFAULT, "ilr_cuda_kernels"));
    return get != nullptr ? get() : nullptr;
  }();
  if (loaded != nullptr && loaded->version != kCudaKernelsVersion) {
    throw Error("ILR_NOT_SET_UP", "libilr_cuda.so has kernels of version " + std::to_string(loaded->version) +
                                      ", expected " + std::to_string(kCudaKernelsVersion) +
                                      "; run `npx ilr-native setup --force`");
  }
  return loaded;
}

}  // namespace ilr
