#pragma once

// What the kernels are written in. With nvcc this is CUDA; compiled as plain C++, native/test/cuda_on_host.h runs the very
// same kernels on the CPU, so that their arithmetic is tested where there is no GPU.
#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda_on_host.h"
#endif

#include <cstdint>

namespace ilr::cuda {

#ifdef __CUDACC__
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, const Arguments&... arguments) {
  kernel<<<grid, block, 0, stream>>>(Parameters(arguments)...);
}
#endif

// bfloat16 by its bits, without CUDA's own type: the same on the host.
struct Bf16 {
  uint16_t bits;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) {
  union {
    uint32_t bits;
    float value;
  } u{static_cast<uint32_t>(x.bits) << 16};
  return u.value;
}

template <typename T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
// To the nearest, ties to even; NaN stays NaN.
template <>
__device__ inline Bf16 from_float<Bf16>(float x) {
  union {
    float value;
    uint32_t bits;
  } u{x};
  if ((u.bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(u.bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((u.bits + 0x7fffu + (u.bits >> 16 & 1u)) >> 16)};
}

// Combines a value of each of the block's threads by `f`, in a fixed order; all threads get the result. Threads: a
// multiple of 32, at most 1024.
template <typename T, typename F>
__device__ T reduce_block(T value, const F& f) {
  __shared__ T parts[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  for (int step = 16; step > 0; step /= 2) value = f(value, __shfl_xor_sync(0xffffffffu, value, step));
  __syncthreads();  // an earlier call's parts have been read
  if (lane == 0) parts[warp] = value;
  __syncthreads();
  T total = parts[0];
  for (unsigned w = 1; w < warps; ++w) total = f(total, parts[w]);
  return total;
}

struct Add {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN wins, so that it is not lost.
struct Max {
  __device__ float operator()(float a, float b) const { return a != a || a > b ? a : b; }
};

}  // namespace ilr::cuda
