#include "device.h"
#include "kernels.h"

// SwiGLU (arXiv 2002.05202), rotary positions (arXiv 2104.09864) and the key-value cache's rows: one element or pair of
// them per thread.
namespace ilr::cuda {
namespace {

constexpr int kThreads = 256;

__device__ int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

template <typename... Parameters, typename... Arguments>
void launch_each(void (*kernel)(Parameters...), int64_t count, Stream stream, const Arguments&... arguments) {
  if (count == 0) return;
  launch(kernel, dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads)), dim3(kThreads), stream, arguments...,
         count);
}

__device__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

template <typename T>
__global__ void gate(const T* gate_up, T* y, int64_t width, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const T* row = gate_up + i / width * 2 * width;
  const float g = to_float(row[i % width]), up = to_float(row[width + i % width]);
  y[i] = from_float<T>(g * sigmoid(g) * up);
}

template <typename T>
__global__ void gate_backward(const T* dy, const T* gate_up, T* dgate_up, int64_t width, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t at = i / width * 2 * width + i % width;
  const float g = to_float(gate_up[at]), up = to_float(gate_up[at + width]), d = to_float(dy[i]);
  const float share = sigmoid(g), silu = g * share;
  dgate_up[at] = from_float<T>(d * up * (share + silu * (1 - share)));
  dgate_up[at + width] = from_float<T>(d * silu);
}

template <typename T>
__global__ void rotate_pairs(T* rows, int64_t stride, int32_t heads, int32_t half, const T* cos, const T* sin,
                             float direction, const int32_t* positions, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t row = i / (heads * half), in_row = i % (heads * half), in_head = in_row % half;
  T* pair = rows + row * stride + in_row / half * 2 * half + in_head;
  const int64_t angle = static_cast<int64_t>(positions[row]) * half + in_head;
  const float c = to_float(cos[angle]), s = direction * to_float(sin[angle]);
  const float a = to_float(pair[0]), b = to_float(pair[half]);
  pair[0] = from_float<T>(a * c - b * s);
  pair[half] = from_float<T>(b * c + a * s);
}

template <typename T>
__global__ void copy_rows(const T* rows, int64_t stride, T* cache, int64_t width, DevicePacking packing, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t row = i / width;
  const DeviceSegment& s = packing.segments[packing.row_segment[row]];
  cache[(s.own_begin + s.own_past + row - s.q_begin) * width + i % width] = rows[row * stride + i % width];
}

}  // namespace

void swiglu(Stream stream, Element element, const void* gate_up, void* y, int64_t rows, int64_t width) {
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch_each(gate<T>, rows * width, stream, static_cast<const T*>(gate_up), static_cast<T*>(y), width);
  });
}

void swiglu_backward(Stream stream, Element element, const void* dy, const void* gate_up, void* dgate_up, int64_t rows,
                     int64_t width) {
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch_each(gate_backward<T>, rows * width, stream, static_cast<const T*>(dy), static_cast<const T*>(gate_up),
                static_cast<T*>(dgate_up), width);
  });
}

void rotate(Stream stream, Element element, void* rows, int64_t stride, int32_t heads, int32_t head_dim, const void* cos,
            const void* sin, int32_t direction, const DevicePacking& packing) {
  const int32_t half = head_dim / 2;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch_each(rotate_pairs<T>, int64_t{packing.rows} * heads * half, stream, static_cast<T*>(rows), stride, heads, half,
                static_cast<const T*>(cos), static_cast<const T*>(sin), static_cast<float>(direction), packing.positions);
  });
}

void store_rows(Stream stream, Element element, const void* rows, int64_t stride, int64_t first, void* cache,
                int64_t width, const DevicePacking& packing) {
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch_each(copy_rows<T>, packing.rows * width, stream, static_cast<const T*>(rows) + first, stride,
                static_cast<T*>(cache), width, packing);
  });
}

}  // namespace ilr::cuda
