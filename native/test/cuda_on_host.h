#pragma once

#include <cmath>
#include <cstdint>
#include <functional>

// CUDA's words for plain C++: kernels of native/cuda run on the CPU, one block after another, the threads of a block as
// fibers that change over at barriers and shuffles. For tests: slow, and without a GPU's memory model, but each access is
// a real one that a sanitizer sees. The order in which a block's threads run is a test's choice, so that a missing barrier
// shows as a result that depends on it.
#define __global__
#define __device__
#define __shared__ static  // one block at a time

namespace ilr::cuda {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  explicit dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace host {

enum class Order { ascending, descending, shuffled };
void set_order(Order order);

// Runs `thread` once per thread of the grid. Error where a barrier is not reached by all.
void run_grid(dim3 grid, dim3 block, const std::function<void()>& thread);

// Until every thread of the block, or of the warp's lanes in `mask`, that has not ended has called it as often.
void wait_for_block();
void wait_for_lanes(uint32_t mask);
// This thread's and another lane's place in the exchange of its warp.
double& exchange(unsigned lane);

}  // namespace host

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { host::wait_for_block(); }

template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int step) {
  static_assert(sizeof(T) <= sizeof(double));
  const unsigned index = threadIdx.x + blockDim.x * threadIdx.y, lane = index % 32;
  host::exchange(lane) = static_cast<double>(value);
  host::wait_for_lanes(mask);
  const T other = static_cast<T>(host::exchange(lane ^ static_cast<unsigned>(step)));
  host::wait_for_lanes(mask);
  return other;
}

template <typename... Parameters, typename Stream, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream, const Arguments&... arguments) {
  host::run_grid(grid, block, [&] { kernel(Parameters(arguments)...); });
}

}  // namespace ilr::cuda
