#pragma once

#include "../core/cuda_kernels.h"

// Launchers of the kernels: raw device pointers and a stream, no ATen. Each is the function of the same name in
// CudaKernels (cuda_kernels.h), where shapes are said.
struct CUstream_st;

namespace ilr::cuda {

using Stream = CUstream_st*;  // cudaStream_t

void rms_norm(Stream, Element, const void* x, const void* w, void* y, float* rstd, int64_t rows, int64_t width, float eps);
int64_t dw_parts(int64_t rows);
void rms_norm_backward(Stream, Element, const void* dy, const void* x, const void* w, const float* rstd, void* dx, float* dw,
                       int64_t rows, int64_t width);
void swiglu(Stream, Element, const void* gate_up, void* y, int64_t rows, int64_t width);
void swiglu_backward(Stream, Element, const void* dy, const void* gate_up, void* dgate_up, int64_t rows, int64_t width);
void rotate(Stream, Element, void* rows, int64_t stride, int32_t heads, int32_t head_dim, const void* cos, const void* sin,
            int32_t direction, const DevicePacking&);
void store_rows(Stream, Element, const void* rows, int64_t stride, int64_t first, void* cache, int64_t width,
                const DevicePacking&);
constexpr int32_t kLargestHeadDim = 256;
void attend(Stream, Element, const DeviceAttention&, const DevicePacking&);
void attend_backward(Stream, Element, const DeviceAttentionGrad&, const DevicePacking&);
void score(Stream, Element, const void* logits, const int64_t* targets, float* logprobs, float* entropies, float* lse,
           int64_t rows, int64_t vocab, float inverse_temperature);
void score_backward(Stream, Element, void* logits, const int64_t* targets, const float* entropies, const float* lse,
                    const float* dlogprobs, const float* dentropies, int64_t rows, int64_t vocab,
                    float inverse_temperature);
void sample(Stream, Element, const void* logits, const int64_t* rows, const double* u, int32_t* ids, float* logprobs,
            int64_t draws, int64_t vocab, float inverse_temperature);

// Calls `f` with a null pointer of the element's C++ type.
template <typename Bfloat16, typename F>
void with_element(Element element, F&& f) {
  if (element == Element::float32) {
    f(static_cast<float*>(nullptr));
  } else {
    f(static_cast<Bfloat16*>(nullptr));
  }
}

}  // namespace ilr::cuda
