#include "gpu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "error.h"
#include "gpu_packing.h"

namespace ilr::gpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

const CudaKernels* stand_in_kernels = nullptr;

bool has_element(const at::Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16; }

Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? Element::float32 : Element::bfloat16;
}

int index_of(const at::Tensor& x) { return x.device().index(); }

at::Tensor empty_floats(at::IntArrayRef shape, const at::Tensor& like) {
  return at::empty(shape, like.options().dtype(at::kFloat));
}

const float* floats_of(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }

const char* at_element(const at::Tensor& x, int64_t offset) {
  return static_cast<const char*>(x.const_data_ptr()) + offset * static_cast<int64_t>(x.element_size());
}
char* at_mutable_element(at::Tensor& x, int64_t offset) {
  return static_cast<char*>(x.mutable_data_ptr()) + offset * static_cast<int64_t>(x.element_size());
}

// A kernel reads both as one type.
void check_same_type(const at::Tensor& got, const at::Tensor& expected, const char* name) {
  if (got.scalar_type() == expected.scalar_type()) return;
  throw Error("ILR_INVALID_ARGUMENT", std::string("GPU kernels: expected ") + name + " in " +
                                          at::toString(expected.scalar_type()) + ", got " + at::toString(got.scalar_type()));
}

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const CudaKernels* kernels, const at::Tensor& x_in, const at::Tensor& w,
                            double eps) {
    check_same_type(w, x_in, "the norm's weight");
    const at::Tensor x = x_in.contiguous();
    at::Tensor y = at::empty_like(x), rstd = empty_floats({x.size(0)}, x);
    kernels->rms_norm(index_of(x), element_of(x), x.const_data_ptr(), w.const_data_ptr(), y.mutable_data_ptr(),
                      rstd.mutable_data_ptr<float>(), x.size(0), x.size(1), static_cast<float>(eps));
    ctx->save_for_backward({x, w, rstd});
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto* kernels = reinterpret_cast<const CudaKernels*>(ctx->saved_data["kernels"].toInt());
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], &rstd = saved[2], dy = grads[0].contiguous();
    at::Tensor dx = at::empty_like(x), dw = empty_floats({kernels->dw_parts(x.size(0)), x.size(1)}, x);
    kernels->rms_norm_backward(index_of(x), element_of(x), dy.const_data_ptr(), x.const_data_ptr(), w.const_data_ptr(),
                               rstd.const_data_ptr<float>(), dx.mutable_data_ptr(), dw.mutable_data_ptr<float>(),
                               x.size(0), x.size(1));
    return {at::Tensor(), dx, dw.sum(0).to(w.scalar_type()), at::Tensor()};
  }
};

struct SwiGlu : Function<SwiGlu> {
  static at::Tensor forward(AutogradContext* ctx, const CudaKernels* kernels, const at::Tensor& gate_up_in) {
    const at::Tensor gate_up = gate_up_in.contiguous();
    at::Tensor y = at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
    kernels->swiglu(index_of(y), element_of(y), gate_up.const_data_ptr(), y.mutable_data_ptr(), y.size(0), y.size(1));
    ctx->save_for_backward({gate_up});
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto* kernels = reinterpret_cast<const CudaKernels*>(ctx->saved_data["kernels"].toInt());
    const at::Tensor gate_up = ctx->get_saved_variables()[0], dy = grads[0].contiguous();
    at::Tensor dgate_up = at::empty_like(gate_up);
    kernels->swiglu_backward(index_of(dy), element_of(dy), dy.const_data_ptr(), gate_up.const_data_ptr(),
                             dgate_up.mutable_data_ptr(), dy.size(0), dy.size(1));
    return {at::Tensor(), dgate_up};
  }
};

// Rotates the query and key heads of rows [q | k | v], in place.
void rotate(const CudaKernels& kernels, at::Tensor& qkv, const DevicePacking& packing, const Rope& rope,
            const AttentionShape& s, int32_t direction) {
  check_same_type(rope.cos, qkv, "the rotary tables");
  kernels.rotate(index_of(qkv), element_of(qkv), qkv.mutable_data_ptr(), qkv.size(1),
                 static_cast<int32_t>(s.heads + s.kv_heads), static_cast<int32_t>(s.head_dim), rope.cos.const_data_ptr(),
                 rope.sin.const_data_ptr(), direction, packing);
}

// Attention inside one qkv tensor: keys and values are its own rows.
DeviceAttention own_rows(const at::Tensor& qkv, at::Tensor& out, float* lse, const AttentionShape& s) {
  return {qkv.const_data_ptr(),
          at_element(qkv, s.heads * s.head_dim),
          at_element(qkv, (s.heads + s.kv_heads) * s.head_dim),
          out.mutable_data_ptr(),
          lse,
          qkv.size(1),
          qkv.size(1),
          static_cast<int32_t>(s.heads),
          static_cast<int32_t>(s.kv_heads),
          static_cast<int32_t>(s.head_dim),
          static_cast<float>(1 / std::sqrt(static_cast<double>(s.head_dim)))};
}

void check_own_rows(const Packing& packing) {
  for (const Segment& s : packing.segments) {
    if (s.own_begin != s.q_begin || s.own_past != 0) {
      throw Error("ILR_INVALID_ARGUMENT", "attention with gradient: expected keys to be the packing's own rows");
    }
  }
}

struct SelfAttention : Function<SelfAttention> {
  static at::Tensor forward(AutogradContext* ctx, const CudaKernels* kernels, const at::Tensor& qkv_in,
                            const Packing* packing, const Rope* rope, const AttentionShape* shape) {
    check_own_rows(*packing);
    const DevicePacking& view = packing_on(*packing, qkv_in.device());
    at::Tensor qkv = qkv_in.clone(at::MemoryFormat::Contiguous);
    at::Tensor out = at::empty({qkv.size(0), shape->heads * shape->head_dim}, qkv.options());
    at::Tensor lse = empty_floats({qkv.size(0), shape->heads}, qkv);
    rotate(*kernels, qkv, view, *rope, *shape, 1);
    kernels->attend(index_of(qkv), element_of(qkv), own_rows(qkv, out, lse.mutable_data_ptr<float>(), *shape), view);
    ctx->save_for_backward({qkv, out, lse, rope->cos, rope->sin});
    ctx->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);
    ctx->saved_data["packing"] = reinterpret_cast<int64_t>(packing);
    ctx->saved_data["shape"] = std::vector<int64_t>{shape->heads, shape->kv_heads, shape->head_dim};
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto* kernels = reinterpret_cast<const CudaKernels*>(ctx->saved_data["kernels"].toInt());
    const Packing& packing = *reinterpret_cast<const Packing*>(ctx->saved_data["packing"].toInt());
    const auto sizes = ctx->saved_data["shape"].toIntVector();
    const AttentionShape shape{sizes[0], sizes[1], sizes[2]};
    const auto saved = ctx->get_saved_variables();
    at::Tensor out = saved[1], lse = saved[2], dqkv = at::empty_like(saved[0]);
    const at::Tensor &qkv = saved[0], dout = grads[0].contiguous();
    const DevicePacking& view = packing_on(packing, qkv.device());
    const DeviceAttentionGrad grad{own_rows(qkv, out, lse.mutable_data_ptr<float>(), shape),
                                   dout.const_data_ptr(),
                                   dqkv.mutable_data_ptr(),
                                   at_mutable_element(dqkv, shape.heads * shape.head_dim),
                                   at_mutable_element(dqkv, (shape.heads + shape.kv_heads) * shape.head_dim),
                                   dqkv.size(1),
                                   dqkv.size(1)};
    kernels->attend_backward(index_of(qkv), element_of(qkv), grad, view);
    rotate(*kernels, dqkv, view, Rope{saved[3], saved[4]}, shape, -1);
    return {at::Tensor(), dqkv, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

void stand_in(const CudaKernels* kernels) { stand_in_kernels = kernels; }

const CudaKernels* kernels_for(const at::Tensor& x) {
  if (!has_element(x)) return nullptr;
  return x.is_cuda() ? cuda_kernels() : stand_in_kernels;
}

const CudaKernels* attention_kernels_for(const at::Tensor& qkv_TR, const AttentionShape& shape) {
  const CudaKernels* kernels = kernels_for(qkv_TR);
  const bool is_plain = shape.window == 0 && shape.softcap == 0 && shape.scale == AttentionShape{1, 1, shape.head_dim}.scale;
  return kernels != nullptr && is_plain && shape.head_dim <= kernels->largest_head_dim ? kernels : nullptr;
}

at::Tensor rms_norm(const CudaKernels& kernels, const at::Tensor& x_TC, const at::Tensor& w_C, double eps) {
  return RmsNorm::apply(&kernels, x_TC, w_C, eps);
}

at::Tensor swiglu(const CudaKernels& kernels, const at::Tensor& gate_up_T2F) { return SwiGlu::apply(&kernels, gate_up_T2F); }

at::Tensor self_attention(const CudaKernels& kernels, const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape) {
  return SelfAttention::apply(&kernels, qkv_TR, &packing, &rope, &shape);
}

at::Tensor cached_attention(const CudaKernels& kernels, const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                            const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache) {
  const DevicePacking& view = packing_on(packing, qkv_TR.device());
  at::Tensor qkv = qkv_TR.contiguous();
  at::Tensor out = at::empty({qkv.size(0), shape.heads * shape.head_dim}, qkv.options());
  const int64_t width = shape.kv_heads * shape.head_dim, first_k = shape.heads * shape.head_dim;
  rotate(kernels, qkv, view, rope, shape, 1);
  const auto store = [&](int64_t first, at::Tensor& cache) {
    kernels.store_rows(index_of(qkv), element_of(qkv), qkv.const_data_ptr(), qkv.size(1), first, cache.mutable_data_ptr(),
                       width, view);
  };
  store(first_k, k_cache);
  store(first_k + width, v_cache);
  DeviceAttention attention = own_rows(qkv, out, nullptr, shape);
  attention.k = k_cache.const_data_ptr();
  attention.v = v_cache.const_data_ptr();
  attention.kv_stride = width;
  kernels.attend(index_of(qkv), element_of(qkv), attention, view);
  return out;
}

void score(const CudaKernels& kernels, const at::Tensor& logits_MV, const at::Tensor& targets_M, double temperature,
           at::Tensor& logprobs_M, at::Tensor& entropies_M, at::Tensor& lse_M) {
  kernels.score(index_of(logits_MV), element_of(logits_MV), logits_MV.const_data_ptr(),
                targets_M.const_data_ptr<int64_t>(), logprobs_M.mutable_data_ptr<float>(),
                entropies_M.mutable_data_ptr<float>(), lse_M.mutable_data_ptr<float>(), logits_MV.size(0),
                logits_MV.size(1), static_cast<float>(1 / temperature));
}

void score_backward(const CudaKernels& kernels, at::Tensor& logits_MV, const at::Tensor& targets_M,
                    const at::Tensor& entropies_M, const at::Tensor& lse_M, const at::Tensor& dlogprobs_M,
                    const at::Tensor& dentropies_M, double temperature) {
  kernels.score_backward(index_of(logits_MV), element_of(logits_MV), logits_MV.mutable_data_ptr(),
                         targets_M.const_data_ptr<int64_t>(), entropies_M.const_data_ptr<float>(),
                         lse_M.const_data_ptr<float>(), floats_of(dlogprobs_M), floats_of(dentropies_M), logits_MV.size(0),
                         logits_MV.size(1), static_cast<float>(1 / temperature));
}

std::vector<Drawn> draw_tokens(const CudaKernels& kernels, const at::Tensor& logits_RV, const std::vector<Draw>& draws,
                               double temperature) {
  std::vector<int64_t> rows;
  std::vector<double> us;
  for (const Draw& draw : draws) {
    rows.push_back(draw.row);
    us.push_back(draw.u);
  }
  const int64_t count = static_cast<int64_t>(draws.size());
  const auto device = logits_RV.device();
  const at::Tensor rows_on_device = at::tensor(at::ArrayRef<int64_t>(rows), at::kLong).to(device);
  const at::Tensor us_on_device = at::tensor(at::ArrayRef<double>(us), at::kDouble).to(device);
  at::Tensor ids = at::empty({count}, logits_RV.options().dtype(at::kInt)), logprobs = empty_floats({count}, logits_RV);
  kernels.sample(index_of(logits_RV), element_of(logits_RV), logits_RV.const_data_ptr(),
                 rows_on_device.const_data_ptr<int64_t>(), us_on_device.const_data_ptr<double>(),
                 ids.mutable_data_ptr<int32_t>(), logprobs.mutable_data_ptr<float>(), count, logits_RV.size(1),
                 temperature == 0 ? 0 : static_cast<float>(1 / temperature));
  const at::Tensor host_ids = ids.cpu(), host_logprobs = logprobs.cpu();
  std::vector<Drawn> drawn;
  for (int64_t i = 0; i < count; ++i) {
    drawn.push_back({host_ids.const_data_ptr<int32_t>()[i], host_logprobs.const_data_ptr<float>()[i]});
  }
  return drawn;
}

}  // namespace ilr::gpu
