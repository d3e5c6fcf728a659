#pragma once

#include <cstdint>

// The CPU's kernels, plain loops over raw pointers. cpu_kernels.cpp is compiled once per instruction set
// (ILR_CPU_CAPABILITY) and the best one that the machine has is chosen at run time. Each has an oracle in ATen
// operations (layers_reference.cpp, sampler.cpp) that tests compare it with.
namespace ilr {

// Which keys a run of query rows sees: every row of the prefix, then its own rows up to itself.
// Row j of the run attends prefix [prefix_begin, +prefix_len) and own [own_begin, +own_past + j + 1); of these only the last
// `window` where attention has one.
struct Segment {
  int64_t q_begin = 0;
  int64_t q_len = 0;
  int64_t prefix_begin = 0;
  int64_t prefix_len = 0;
  int64_t own_begin = 0;
  int64_t own_past = 0;
};

// Strides are in elements from row to row; heads lie side by side in a row.
template <typename T>
struct AttentionArgs {
  const T* q;
  const T* k;
  const T* v;
  T* out;        // [T, H*D]
  T* lse;        // [T, H], or null
  int64_t q_stride, k_stride, v_stride;
  int64_t heads, kv_heads, head_dim;
  int64_t window;  // 0: none
  T scale;
  T softcap;       // 0: none
};

template <typename T>
struct AttentionGradArgs {
  AttentionArgs<T> forward;  // out and lse as the forward pass left them
  const T* dout;             // [T, H*D]
  T* dq;
  T* dk;
  T* dv;                     // zeroed; dk and dv are added to
  int64_t dq_stride, dk_stride, dv_stride;
};

// A bfloat16 number: the upper half of a float32.
struct Bf16 {
  uint16_t bits;
};

// c [M, N] = a [M, K] b [K, N], or c += a b. Any strides of a and b; rows of c are contiguous.
template <typename T, typename B = T>
struct GemmArgs {
  const T* a;
  const B* b;
  T* c;
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column, c_row;
  bool accumulate;
};

template <typename T>
struct CpuKernels {
  // Every element of c is summed over k in the same order whatever m and n are, so that a row's result does not depend on
  // its neighbours.
  void (*gemm)(const GemmArgs<T>&);
  void (*gemm_bf16)(const GemmArgs<T, Bf16>&);  // b widened as it is read, the sums in T
  // One segment, the query heads of one key-value head.
  void (*attend)(const AttentionArgs<T>&, const Segment&, int64_t kv_head);
  void (*attend_backward)(const AttentionGradArgs<T>&, const Segment&, int64_t kv_head);
  // Rotates `heads` heads of each row in place by its position; direction -1 rotates back.
  // cos, sin: [positions, D/2]. Rotate-half layout of Hugging Face.
  void (*rotate)(T* rows, int64_t row_count, int64_t stride, int64_t heads, int64_t head_dim, const int32_t* positions,
                 const T* cos, const T* sin, T direction);
  // y = x * rstd * w; rstd may be null.
  void (*rms_norm)(const T* x, const T* w, T* y, T* rstd, int64_t rows, int64_t width, double eps);
  // dx is written, dw [width] is added to.
  void (*rms_norm_backward)(const T* dy, const T* x, const T* w, const T* rstd, T* dx, double* dw, int64_t rows,
                            int64_t width);
  // y = silu(gate) * up; rows of gate_up are [gate | up].
  void (*swiglu)(const T* gate_up, T* y, int64_t rows, int64_t width);
  void (*swiglu_backward)(const T* dy, const T* gate_up, T* dgate_up, int64_t rows, int64_t width);
  // The same with gelu in its tanh form.
  void (*geglu)(const T* gate_up, T* y, int64_t rows, int64_t width);
  void (*geglu_backward)(const T* dy, const T* gate_up, T* dgate_up, int64_t rows, int64_t width);
  // Draws one token of softmax(logits * inverse_temperature) at u in [0, 1); scratch: [V]. Returns its log-prob;
  // not finite where the logits are not.
  double (*sample)(const T* logits, T* scratch, int64_t vocab, double inverse_temperature, double u, int32_t* token);
  const char* name;
};

template <typename T>
const CpuKernels<T>& cpu_kernels();

}  // namespace ilr
