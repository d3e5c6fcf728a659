#include <cstdlib>
#include <string_view>

#include "cpu_kernels.h"

namespace ilr {
namespace base {
template <typename T>
CpuKernels<T> kernels();
}
namespace avx2 {
template <typename T>
CpuKernels<T> kernels();
}
namespace avx512 {
template <typename T>
CpuKernels<T> kernels();
}

namespace {

template <typename T>
CpuKernels<T> choose() {
  // ILR_CPU: base, avx2 or avx512 lowers the choice, for checking one against the other.
  const char* wish = std::getenv("ILR_CPU");
  const std::string_view most = wish != nullptr ? wish : "avx512";
  if (most == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    return avx512::kernels<T>();
  }
  if (most != "base" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::kernels<T>();
  return base::kernels<T>();
}

}  // namespace

template <typename T>
const CpuKernels<T>& cpu_kernels() {
  static const CpuKernels<T> chosen = choose<T>();
  return chosen;
}
template const CpuKernels<float>& cpu_kernels<float>();
template const CpuKernels<double>& cpu_kernels<double>();

}  // namespace ilr
