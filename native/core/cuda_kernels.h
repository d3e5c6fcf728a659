#pragma once

#include <cstdint>

// The GPU's kernels behind plain function pointers, so that the core links no CUDA: native/cuda builds them into
// libilr_cuda.so, which hands this table over. Kernels and table agree by kCudaKernelsVersion.
namespace ilr {

constexpr int32_t kCudaKernelsVersion = 1;

// How a tensor's elements are stored. Everything is computed and summed in float32.
enum class Element : int32_t { float32, bfloat16 };

// A Segment (cpu_kernels.h) as the GPU reads it, and the family (packing.h) it is in.
struct DeviceSegment {
  int32_t q_begin, q_len, prefix_begin, prefix_len, own_begin, own_past, family;
};

// A packing in device memory. rows: T.
struct DevicePacking {
  const int32_t* positions;       // [T]
  const int32_t* row_segment;     // [T]
  const DeviceSegment* segments;  // [S]
  const int32_t* family_offsets;  // [families+1] into segments
  int32_t rows;
};

// Strides are in elements from row to row; heads lie side by side in a row.
struct DeviceAttention {
  const void* q;
  const void* k;
  const void* v;
  void* out;   // [T, H*D]
  float* lse;  // [T, H], or null
  int64_t q_stride, kv_stride;
  int32_t heads, kv_heads, head_dim;
  float scale;
};

struct DeviceAttentionGrad {
  DeviceAttention forward;  // out and lse as the forward pass left them
  const void* dout;         // [T, H*D]
  void* dq;
  void* dk;
  void* dv;                 // all three written whole
  int64_t dq_stride, dkv_stride;
};

// Every call is put on the device's current stream and returns at once. Pointers are to memory of `device`.
struct CudaKernels {
  int32_t version;
  int32_t largest_head_dim;
  // y = x * rstd * w; rstd: [rows] float32.
  void (*rms_norm)(int device, Element, const void* x, const void* w, void* y, float* rstd, int64_t rows, int64_t width,
                   float eps);
  // dx is written whole. dw: [parts, width] float32, to be summed over its parts; dw_parts says how many.
  int64_t (*dw_parts)(int64_t rows);
  void (*rms_norm_backward)(int device, Element, const void* dy, const void* x, const void* w, const float* rstd, void* dx,
                            float* dw, int64_t rows, int64_t width);
  // y = silu(gate) * up; rows of gate_up are [gate | up].
  void (*swiglu)(int device, Element, const void* gate_up, void* y, int64_t rows, int64_t width);
  void (*swiglu_backward)(int device, Element, const void* dy, const void* gate_up, void* dgate_up, int64_t rows,
                          int64_t width);
  // Rotates `heads` heads of each row in place by its position; direction -1 rotates back. cos, sin: [positions, D/2].
  void (*rotate)(int device, Element, void* rows, int64_t stride, int32_t heads, int32_t head_dim, const void* cos,
                 const void* sin, int32_t direction, const DevicePacking&);
  // Copies columns [first, first + width) of each row to its row of the cache: own_begin + own_past + its place.
  void (*store_rows)(int device, Element, const void* rows, int64_t stride, int64_t first, void* cache, int64_t width,
                     const DevicePacking&);
  void (*attend)(int device, Element, const DeviceAttention&, const DevicePacking&);
  // Keys and values must be the packing's own rows: own_begin = q_begin and own_past = 0 in every segment.
  void (*attend_backward)(int device, Element, const DeviceAttentionGrad&, const DevicePacking&);
  // Of softmax(logits * inverse_temperature) per row: the target's log-prob, the entropy and log-sum-exp, [rows] float32.
  void (*score)(int device, Element, const void* logits, const int64_t* targets, float* logprobs, float* entropies,
                float* lse, int64_t rows, int64_t vocab, float inverse_temperature);
  // Turns logits into their gradient, in place: dlogprobs and dentropies are those of `score`'s results; either may be null.
  void (*score_backward)(int device, Element, void* logits, const int64_t* targets, const float* entropies,
                         const float* lse, const float* dlogprobs, const float* dentropies, int64_t rows, int64_t vocab,
                         float inverse_temperature);
  // Draws one token per draw from its row of logits at u in [0, 1): ids and logprobs, [draws]. inverse_temperature 0
  // takes the first of the most likely. A log-prob is not finite where the logits are not.
  void (*sample)(int device, Element, const void* logits, const int64_t* rows, const double* u, int32_t* ids,
                 float* logprobs, int64_t draws, int64_t vocab, float inverse_temperature);
};

// The table of the loaded libilr_cuda.so, or null where none is loaded. Error ILR_NOT_SET_UP where it is of another version.
const CudaKernels* cuda_kernels();

}  // namespace ilr
