#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <utility>

#include "packing.h"
#include "rope_config.h"

// The operations of a transformer layer. In bfloat16 each widens what it reads, computes in float32 and rounds its result
// once; only what the backward pass needs is kept, in bfloat16. Each takes the fast kernel of the CPU or the GPU (gpu.h) where there is one for the
// dtype and shape, and its ATen form elsewhere; the ATen form in `reference` is the oracle of the kernel. All are differentiable.
namespace ilr {

struct AttentionShape {
  int64_t heads = 0;     // H
  int64_t kv_heads = 0;  // KV
  int64_t head_dim = 0;  // D
  int64_t window = 0;    // keys that a query sees, its own included; 0: every key up to its own
  double scale = 1 / std::sqrt(static_cast<double>(head_dim));  // of q·k
  double softcap = 0;    // scores are softcap * tanh(score / softcap), arXiv 2408.00118; 0: as they are
  int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};

// Rotary position tables, [positions, D/2]. arXiv 2104.09864.
struct Rope {
  at::Tensor cos, sin;
};
// Scaling llama3: arXiv 2407.21783, as transformers computes it.
Rope make_rope(int64_t positions, int64_t head_dim, const RopeConfig& config, at::ScalarType dtype, at::Device device);

// Rows of weight_VC -> [T, C]. Gradients of a bfloat16 row are summed in float32.
at::Tensor embed_rows(const at::Tensor& weight_VC, const at::Tensor& ids_T);

// x_TC, w_C -> [T, C]: x / sqrt(mean(x^2) + eps) * w. arXiv 1910.07467.
at::Tensor rms_norm(const at::Tensor& x_TC, const at::Tensor& w_C, double eps);

// qkv_TR (rows [q | k | v]) with the RMSNorm of each head of q by q_norm_D and of k by k_norm_D; v as it is.
at::Tensor head_norm(const at::Tensor& qkv_TR, const at::Tensor& q_norm_D, const at::Tensor& k_norm_D,
                     const AttentionShape& shape, double eps);

// gate_up_T2F, rows [gate | up] -> [T, F]: silu(gate) * up, or gelu(gate) * up in its tanh form. arXiv 2002.05202.
at::Tensor swiglu(const at::Tensor& gate_up_T2F);
at::Tensor geglu(const at::Tensor& gate_up_T2F);

// Rotates q and k of qkv_TR (rows [q | k | v]) and attends over the packing's own rows -> [T, H*D]. A window counts the
// keys that a segment lists, so a prefix must begin at position 0.
// `packing` must outlive the backward pass.
at::Tensor self_attention(const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape);

// The same without gradient over a cache: rotates, stores row r's key and value in cache row cache_rows[r], and attends
// over the cache; the packing's segments name cache rows. k_cache, v_cache: [rows, KV*D], of attention_type.
at::Tensor cached_attention(const at::Tensor& qkv_TR, const Packing& packing, const std::vector<int64_t>& cache_rows,
                            const Rope& rope, const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache);

// Of rotary tables, and of cached keys and values: float32 of a bfloat16 model on the CPU, the model's own elsewhere.
at::ScalarType attention_type(at::ScalarType type, at::Device device);

namespace reference {
at::Tensor rms_norm(const at::Tensor& x_TC, const at::Tensor& w_C, double eps);
at::Tensor head_norm(const at::Tensor& qkv_TR, const at::Tensor& q_norm_D, const at::Tensor& k_norm_D,
                     const AttentionShape& shape, double eps);
at::Tensor swiglu(const at::Tensor& gate_up_T2F);
at::Tensor geglu(const at::Tensor& gate_up_T2F);
at::Tensor self_attention(const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape);
at::Tensor cached_attention(const at::Tensor& qkv_TR, const Packing& packing, const std::vector<int64_t>& cache_rows,
                            const Rope& rope, const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache);
}  // namespace reference

}  // namespace ilr
