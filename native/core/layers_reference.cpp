#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/tril.h>
#include <ATen/ops/triu.h>

#include <limits>

#include "layers.h"
#include "matmul.h"

namespace ilr {

namespace reference {
namespace {

at::Tensor positions_of(const Packing& packing, at::Device device) {
  return at::tensor(at::ArrayRef<int32_t>(packing.positions), at::kLong).to(device);
}

// x_TND rotated by position, rotate-half layout.
at::Tensor rotate(const at::Tensor& x_TND, const at::Tensor& positions_T, const Rope& rope) {
  const int64_t half = x_TND.size(-1) / 2;
  const at::Tensor cos = rope.cos.index_select(0, positions_T).unsqueeze(1);
  const at::Tensor sin = rope.sin.index_select(0, positions_T).unsqueeze(1);
  const at::Tensor a = x_TND.narrow(-1, 0, half), b = x_TND.narrow(-1, half, half);
  return at::cat({a * cos - b * sin, b * cos + a * sin}, -1).to(x_TND.scalar_type());
}

struct Heads {
  at::Tensor q_THD, k_TKD, v_TKD;
};

Heads split_and_rotate(const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope, const AttentionShape& s) {
  const at::Tensor rows = qkv_TR.view({qkv_TR.size(0), s.heads + 2 * s.kv_heads, s.head_dim});
  const at::Tensor positions = positions_of(packing, qkv_TR.device());
  return {rotate(rows.narrow(1, 0, s.heads), positions, rope),
          rotate(rows.narrow(1, s.heads, s.kv_heads), positions, rope),
          rows.narrow(1, s.heads + s.kv_heads, s.kv_heads)};
}

// Rows of a segment's keys or values, expanded to all heads: [H, S, D].
at::Tensor rows_of(const at::Tensor& kv_SKD, const Segment& s, const AttentionShape& shape) {
  const at::Tensor rows = at::cat({kv_SKD.narrow(0, s.prefix_begin, s.prefix_len),
                                   kv_SKD.narrow(0, s.own_begin, s.own_past + s.q_len)});
  return at::repeat_interleave(rows, shape.heads / shape.kv_heads, 1).transpose(0, 1);
}

at::Tensor widened(const at::Tensor& x) { return x.to(sum_type(x.scalar_type())); }

at::Tensor attend(const at::Tensor& q_in, const at::Tensor& k_in, const at::Tensor& v_in, const Packing& packing,
                  const AttentionShape& shape) {
  const at::Tensor q_THD = widened(q_in), k_SKD = widened(k_in), v_SKD = widened(v_in);
  std::vector<at::Tensor> parts;
  for (const Segment& s : packing.segments) {
    const at::Tensor q = q_THD.narrow(0, s.q_begin, s.q_len).transpose(0, 1);
    at::Tensor scores = at::matmul(q, rows_of(k_SKD, s, shape).transpose(1, 2)) * shape.scale;
    if (shape.softcap > 0) scores = at::tanh(scores / shape.softcap) * shape.softcap;
    const int64_t past = s.prefix_len + s.own_past;
    const at::Tensor all = at::ones({s.q_len, scores.size(2)}, scores.options().dtype(at::kBool));
    at::Tensor hidden = all.triu(past + 1);
    if (shape.window > 0) hidden = hidden.logical_or(all.tril(past - shape.window));
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    parts.push_back(at::matmul(at::softmax(scores, -1), rows_of(v_SKD, s, shape)).transpose(0, 1));
  }
  return at::cat(parts).reshape({q_THD.size(0), shape.heads * shape.head_dim}).to(q_in.scalar_type());
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x_TC, const at::Tensor& w_C, double eps) {
  const at::Tensor x = widened(x_TC);
  return (x * at::rsqrt(x.pow(2).mean(-1, true) + eps) * widened(w_C)).to(x_TC.scalar_type());
}

at::Tensor head_norm(const at::Tensor& qkv_TR, const at::Tensor& q_norm_D, const at::Tensor& k_norm_D,
                     const AttentionShape& s, double eps) {
  const at::Tensor rows = qkv_TR.view({qkv_TR.size(0), s.heads + 2 * s.kv_heads, s.head_dim});
  const at::Tensor q = rms_norm(rows.narrow(1, 0, s.heads), q_norm_D, eps);
  const at::Tensor k = rms_norm(rows.narrow(1, s.heads, s.kv_heads), k_norm_D, eps);
  return at::cat({q, k, rows.narrow(1, s.heads + s.kv_heads, s.kv_heads)}, 1).view_as(qkv_TR);
}

at::Tensor swiglu(const at::Tensor& gate_up_T2F) {
  const int64_t width = gate_up_T2F.size(1) / 2;
  const at::Tensor wide = widened(gate_up_T2F);
  return (at::silu(wide.narrow(1, 0, width)) * wide.narrow(1, width, width)).to(gate_up_T2F.scalar_type());
}

at::Tensor geglu(const at::Tensor& gate_up_T2F) {
  const int64_t width = gate_up_T2F.size(1) / 2;
  const at::Tensor wide = widened(gate_up_T2F);
  return (at::gelu(wide.narrow(1, 0, width), "tanh") * wide.narrow(1, width, width)).to(gate_up_T2F.scalar_type());
}

at::Tensor self_attention(const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape) {
  const Heads heads = split_and_rotate(qkv_TR, packing, rope, shape);
  return attend(heads.q_THD, heads.k_TKD, heads.v_TKD, packing, shape);
}

at::Tensor cached_attention(const at::Tensor& qkv_TR, const Packing& packing, const std::vector<int64_t>& cache_rows,
                            const Rope& rope, const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache) {
  const Heads heads = split_and_rotate(qkv_TR, packing, rope, shape);
  const at::Tensor rows = at::tensor(at::ArrayRef<int64_t>(cache_rows), at::kLong).to(qkv_TR.device());
  const int64_t width = shape.kv_heads * shape.head_dim;
  k_cache.index_copy_(0, rows, heads.k_TKD.reshape({-1, width}).to(k_cache.scalar_type()));
  v_cache.index_copy_(0, rows, heads.v_TKD.reshape({-1, width}).to(v_cache.scalar_type()));
  const auto as_heads = [&](const at::Tensor& cache) {
    return cache.view({cache.size(0), shape.kv_heads, shape.head_dim});
  };
  return attend(heads.q_THD, as_heads(k_cache), as_heads(v_cache), packing, shape);
}

}  // namespace reference
}  // namespace ilr
