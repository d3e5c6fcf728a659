#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "cuda_kernels.h"
#include "layers.h"
#include "sampler.h"

// The operations of layers.h, score.h and sampler.h by a table of GPU kernels; what they do is said there. The table is an
// argument so that tests can hand in one whose kernels run on the CPU.
namespace ilr::gpu {

// For tests: from now on this table serves in place of the loaded one, for tensors of the CPU; null ends it.
void stand_in(const CudaKernels* kernels);

// The loaded table where it has kernels for x's device and dtype (float32, bfloat16), else null.
const CudaKernels* kernels_for(const at::Tensor& x);
// The same for attention, which has kernels up to a head size, without window, softcap or a scale of its own.
const CudaKernels* attention_kernels_for(const at::Tensor& qkv_TR, const AttentionShape& shape);

at::Tensor rms_norm(const CudaKernels&, const at::Tensor& x_TC, const at::Tensor& w_C, double eps);
at::Tensor swiglu(const CudaKernels&, const at::Tensor& gate_up_T2F);
at::Tensor self_attention(const CudaKernels&, const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape);
at::Tensor cached_attention(const CudaKernels&, const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                            const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache);

// Of softmax(logits / temperature): log-prob of each target, entropy and log-sum-exp, [M] float32, into the last three.
void score(const CudaKernels&, const at::Tensor& logits_MV, const at::Tensor& targets_M, double temperature,
           at::Tensor& logprobs_M, at::Tensor& entropies_M, at::Tensor& lse_M);
// Turns logits into their gradient, in place. dlogprobs_M or dentropies_M may be undefined.
void score_backward(const CudaKernels&, at::Tensor& logits_MV, const at::Tensor& targets_M, const at::Tensor& entropies_M,
                    const at::Tensor& lse_M, const at::Tensor& dlogprobs_M, const at::Tensor& dentropies_M,
                    double temperature);

std::vector<Drawn> draw_tokens(const CudaKernels&, const at::Tensor& logits_RV, const std::vector<Draw>& draws,
                               double temperature);

}  // namespace ilr::gpu
