#include "device.h"
#include "kernels.h"

// RMSNorm, arXiv 1910.07467.
namespace ilr::cuda {
namespace {

constexpr int kThreads = 128;        // of one row
constexpr int kColumns = 32;         // of dw that a block sums, side by side
constexpr int kRowLanes = 8;         // rows that it reads at once
constexpr int64_t kRowsPerPart = 128;

template <typename T>
__global__ void normalise(const T* x, const T* w, T* y, float* rstd, int64_t width, float eps) {
  const int64_t row = blockIdx.x;
  x += row * width;
  y += row * width;
  float squares = 0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float value = to_float(x[i]);
    squares += value * value;
  }
  const float inverse = 1 / sqrtf(reduce_block(squares, Add{}) / static_cast<float>(width) + eps);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) y[i] = from_float<T>(to_float(x[i]) * inverse * to_float(w[i]));
  if (threadIdx.x == 0) rstd[row] = inverse;
}

template <typename T>
__global__ void normalise_backward(const T* dy, const T* x, const T* w, const float* rstd, T* dx, int64_t width) {
  const int64_t row = blockIdx.x;
  dy += row * width;
  x += row * width;
  dx += row * width;
  const float inverse = rstd[row];
  float sum = 0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) sum += to_float(dy[i]) * to_float(w[i]) * to_float(x[i]);
  const float c = reduce_block(sum, Add{}) * inverse * inverse / static_cast<float>(width);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    dx[i] = from_float<T>(inverse * (to_float(dy[i]) * to_float(w[i]) - to_float(x[i]) * c));
  }
}

// Part blockIdx.y of dw: a run of kRowsPerPart rows, summed in a fixed order.
template <typename T>
__global__ void weight_gradient(const T* dy, const T* x, const float* rstd, float* dw, int64_t rows, int64_t width) {
  __shared__ float parts[kRowLanes][kColumns];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * kRowsPerPart;
  const int64_t end = begin + kRowsPerPart < rows ? begin + kRowsPerPart : rows;
  float sum = 0;
  if (column < width) {
    for (int64_t row = begin + threadIdx.y; row < end; row += kRowLanes) {
      sum += to_float(dy[row * width + column]) * to_float(x[row * width + column]) * rstd[row];
    }
  }
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  for (int lane = 1; lane < kRowLanes; ++lane) sum += parts[lane][threadIdx.x];
  dw[blockIdx.y * width + column] = sum;
}

unsigned blocks(int64_t count) { return static_cast<unsigned>(count); }

}  // namespace

void rms_norm(Stream stream, Element element, const void* x, const void* w, void* y, float* rstd, int64_t rows,
              int64_t width, float eps) {
  if (rows == 0) return;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(normalise<T>, dim3(blocks(rows)), dim3(kThreads), stream, static_cast<const T*>(x), static_cast<const T*>(w),
           static_cast<T*>(y), rstd, width, eps);
  });
}

int64_t dw_parts(int64_t rows) { return (rows + kRowsPerPart - 1) / kRowsPerPart; }

void rms_norm_backward(Stream stream, Element element, const void* dy, const void* x, const void* w, const float* rstd,
                       void* dx, float* dw, int64_t rows, int64_t width) {
  if (rows == 0) return;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(normalise_backward<T>, dim3(blocks(rows)), dim3(kThreads), stream, static_cast<const T*>(dy),
           static_cast<const T*>(x), static_cast<const T*>(w), rstd, static_cast<T*>(dx), width);
    launch(weight_gradient<T>, dim3(blocks((width + kColumns - 1) / kColumns), blocks(dw_parts(rows))),
           dim3(kColumns, kRowLanes), stream, static_cast<const T*>(dy), static_cast<const T*>(x), rstd, dw, rows, width);
  });
}

}  // namespace ilr::cuda
