#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "cuda_kernels.h"

#include "check.h"

namespace ilr::test {
namespace {

// The library that nvcc built (ILR_CUDA_LIBRARY), opened as the loader opens it; no GPU and no driver are needed for that.
TEST("cuda library: it opens without a GPU and hands over the table that the core expects") {
  const char* file = std::getenv("ILR_CUDA_LIBRARY");
  if (file == nullptr) throw Skipped{"ILR_CUDA_LIBRARY names no libilr_cuda.so"};
  const auto open = [](const std::string& name) {
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) fail(__FILE__, __LINE__, dlerror());
    return library != nullptr;
  };
  if (!open("libc10_cuda.so") || !open(file)) return;
  const CudaKernels* table = cuda_kernels();
  CHECK(table != nullptr);
  if (table == nullptr) return;
  CHECK_EQUAL(table->version, kCudaKernelsVersion);
  CHECK_EQUAL(table->largest_head_dim, 256);
  CHECK_EQUAL(table->dw_parts(129), 2);
  CHECK(table->attend != nullptr && table->attend_backward != nullptr && table->sample != nullptr);
}

}  // namespace
}  // namespace ilr::test
