#include "layers.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "abort.h"
#include "gpu.h"
#include "matmul.h"

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

bool has_kernel(const at::Tensor& x) {
  return x.device().is_cpu() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble || x.scalar_type() == at::kBFloat16);
}

// bfloat16 as float32, anything else as it is.
at::Tensor widened(const at::Tensor& x) { return x.to(sum_type(x.scalar_type())); }

struct EmbedRows : Function<EmbedRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weight, const at::Tensor& ids) {
    ctx->save_for_backward({ids});
    ctx->saved_data["rows"] = weight.size(0);
    return weight.index_select(0, ids);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto [rows, places] = at::_unique(ctx->get_saved_variables()[0], true, true);
    const at::Tensor& dy = grads[0];
    at::Tensor sums = at::zeros({rows.size(0), dy.size(1)}, dy.options().dtype(at::kFloat));
    sums.index_add_(0, places, dy.to(at::kFloat));
    at::Tensor dweight = at::zeros({ctx->saved_data["rows"].toInt(), dy.size(1)}, dy.options());
    dweight.index_copy_(0, rows, sums.to(dy.scalar_type()));
    return {dweight, at::Tensor()};
  }
};

template <typename F>
void with_type(const at::Tensor& x, F&& f) {
  if (x.scalar_type() == at::kFloat) return f(float{});
  f(double{});
}

// Rows per task: below this much work a second thread costs more than it gains.
int64_t grain(int64_t width) { return std::max<int64_t>(1, 32768 / width); }

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& w_in, double eps) {
    const at::Tensor x = widened(x_in), w = widened(w_in);
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor y = at::empty_like(x), rstd = at::empty({rows}, x.options());
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
        cpu_kernels<T>().rms_norm(x.const_data_ptr<T>() + begin * width, w.const_data_ptr<T>(),
                                  y.mutable_data_ptr<T>() + begin * width, rstd.mutable_data_ptr<T>() + begin,
                                  end - begin, width, eps);
      });
    });
    ctx->save_for_backward({x_in, w_in, rstd});
    return y.to(x_in.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor x = widened(saved[0]), w = widened(saved[1]), dy = widened(grads[0]).contiguous();
    const at::Tensor& rstd = saved[2];
    const int64_t rows = x.size(0), width = x.size(1);
    // One partial sum of dw per task, added in order: the same threads give the same bits.
    const int64_t tasks = std::min<int64_t>(at::get_num_threads(), (rows + grain(width) - 1) / grain(width));
    at::Tensor dx = at::empty_like(x), dw = at::zeros({tasks, width}, x.options().dtype(at::kDouble));
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
        for (int64_t t = first; t < last; ++t) {
          const int64_t begin = rows * t / tasks, end = rows * (t + 1) / tasks;
          cpu_kernels<T>().rms_norm_backward(dy.const_data_ptr<T>() + begin * width,
                                             x.const_data_ptr<T>() + begin * width, w.const_data_ptr<T>(),
                                             rstd.const_data_ptr<T>() + begin, dx.mutable_data_ptr<T>() + begin * width,
                                             dw.mutable_data_ptr<double>() + t * width, end - begin, width);
        }
      });
    });
    return {dx.to(saved[0].scalar_type()), dw.sum(0).to(saved[1].scalar_type()), at::Tensor()};
  }
};

// The heads of q (or k) of a row lie side by side: to the norm's kernel they are rows of their own.
struct HeadNorm : Function<HeadNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv_in, const at::Tensor& q_norm_in,
                            const at::Tensor& k_norm_in, const AttentionShape* shape, double eps) {
    const at::Tensor qkv = widened(qkv_in), q_norm = widened(q_norm_in), k_norm = widened(k_norm_in);
    const int64_t rows = qkv.size(0), stride = qkv.size(1), dim = shape->head_dim;
    const int64_t heads = shape->heads, kv_heads = shape->kv_heads, normed = heads + kv_heads;
    at::Tensor y = qkv.clone(), rstd = at::empty({rows, normed}, qkv.options());
    with_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      at::parallel_for(0, rows, grain(stride), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const T* x = qkv.const_data_ptr<T>() + r * stride;
          T* out = y.mutable_data_ptr<T>() + r * stride;
          T* inverse = rstd.mutable_data_ptr<T>() + r * normed;
          cpu_kernels<T>().rms_norm(x, q_norm.const_data_ptr<T>(), out, inverse, heads, dim, eps);
          cpu_kernels<T>().rms_norm(x + heads * dim, k_norm.const_data_ptr<T>(), out + heads * dim, inverse + heads,
                                    kv_heads, dim, eps);
        }
      });
    });
    ctx->save_for_backward({qkv_in, q_norm_in, k_norm_in, rstd});
    ctx->saved_data["heads"] = heads;
    return y.to(qkv_in.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor qkv = widened(saved[0]), q_norm = widened(saved[1]), k_norm = widened(saved[2]);
    const at::Tensor &rstd = saved[3], dy = widened(grads[0]).contiguous();
    const int64_t rows = qkv.size(0), stride = qkv.size(1), dim = q_norm.size(0);
    const int64_t heads = ctx->saved_data["heads"].toInt(), normed = rstd.size(1), kv_heads = normed - heads;
    // As in RmsNorm: the same threads give the same bits.
    const int64_t tasks = std::min<int64_t>(at::get_num_threads(), (rows + grain(stride) - 1) / grain(stride));
    at::Tensor dx = dy.clone(), dnorms = at::zeros({tasks, 2, dim}, qkv.options().dtype(at::kDouble));
    with_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
        for (int64_t t = first; t < last; ++t) {
          double* dw = dnorms.mutable_data_ptr<double>() + t * 2 * dim;
          for (int64_t r = rows * t / tasks; r < rows * (t + 1) / tasks; ++r) {
            const T* x = qkv.const_data_ptr<T>() + r * stride;
            const T* dout = dy.const_data_ptr<T>() + r * stride;
            T* din = dx.mutable_data_ptr<T>() + r * stride;
            const T* inverse = rstd.const_data_ptr<T>() + r * normed;
            const int64_t k = heads * dim;
            cpu_kernels<T>().rms_norm_backward(dout, x, q_norm.const_data_ptr<T>(), inverse, din, dw, heads, dim);
            cpu_kernels<T>().rms_norm_backward(dout + k, x + k, k_norm.const_data_ptr<T>(), inverse + heads, din + k,
                                               dw + dim, kv_heads, dim);
          }
        }
      });
    });
    const at::Tensor sums = dnorms.sum(0).to(saved[1].scalar_type());
    return {dx.to(saved[0].scalar_type()), sums.select(0, 0), sums.select(0, 1), at::Tensor(), at::Tensor()};
  }
};

struct Gated : Function<Gated> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up_in, bool is_gelu) {
    const at::Tensor gate_up = widened(gate_up_in);
    const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
    at::Tensor y = at::empty({rows, width}, gate_up.options());
    with_type(gate_up, [&](auto zero) {
      using T = decltype(zero);
      const auto kernel = is_gelu ? cpu_kernels<T>().geglu : cpu_kernels<T>().swiglu;
      at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
        kernel(gate_up.const_data_ptr<T>() + begin * 2 * width,
               y.mutable_data_ptr<T>() + begin * width, end - begin, width);
      });
    });
    ctx->save_for_backward({gate_up_in});
    ctx->saved_data["is_gelu"] = is_gelu;
    return y.to(gate_up_in.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor saved = ctx->get_saved_variables()[0], gate_up = widened(saved), dy = widened(grads[0]).contiguous();
    const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
    const bool is_gelu = ctx->saved_data["is_gelu"].toBool();
    at::Tensor dgate_up = at::empty_like(gate_up);
    with_type(gate_up, [&](auto zero) {
      using T = decltype(zero);
      const auto kernel = is_gelu ? cpu_kernels<T>().geglu_backward : cpu_kernels<T>().swiglu_backward;
      at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
        kernel(dy.const_data_ptr<T>() + begin * width, gate_up.const_data_ptr<T>() + begin * 2 * width,
               dgate_up.mutable_data_ptr<T>() + begin * 2 * width, end - begin, width);
      });
    });
    return {dgate_up.to(saved.scalar_type()), at::Tensor()};
  }
};

template <typename T>
void rotate(at::Tensor& qkv, const Packing& packing, const Rope& rope, const AttentionShape& s, int direction) {
  const int64_t rows = qkv.size(0), stride = qkv.size(1);
  at::parallel_for(0, rows, grain(stride), [&](int64_t begin, int64_t end) {
    cpu_kernels<T>().rotate(qkv.mutable_data_ptr<T>() + begin * stride, end - begin, stride, s.heads + s.kv_heads,
                            s.head_dim, packing.positions.data() + begin, rope.cos.const_data_ptr<T>(),
                            rope.sin.const_data_ptr<T>(), static_cast<T>(direction));
  });
}

// Attention inside one qkv tensor: keys and values are its own rows.
template <typename T>
AttentionArgs<T> own_rows(const at::Tensor& qkv, at::Tensor& out, at::Tensor* lse, const AttentionShape& s) {
  const T* base = qkv.const_data_ptr<T>();
  const int64_t stride = qkv.size(1);
  return {base, base + s.heads * s.head_dim, base + (s.heads + s.kv_heads) * s.head_dim, out.mutable_data_ptr<T>(),
          lse != nullptr ? lse->mutable_data_ptr<T>() : nullptr, stride, stride, stride, s.heads, s.kv_heads,
          s.head_dim, s.window, static_cast<T>(s.scale), static_cast<T>(s.softcap)};
}

// A segment in blocks of its query rows, until the flag is set. A row's result is the same in any block.
template <typename Attend>
void in_blocks(const AbortFlag& abort, const Segment& segment, const Attend& attend) {
  constexpr int64_t rows = 128;
  for (int64_t row = 0; row < segment.q_len && !abort.is_set(); row += rows) {
    Segment block = segment;
    block.q_begin += row;
    block.own_past += row;
    block.q_len = std::min(rows, segment.q_len - row);
    attend(block);
  }
}

template <typename T>
void attend(const AttentionArgs<T>& args, const Packing& packing) {
  const auto& segments = packing.segments;
  const int64_t tasks = static_cast<int64_t>(segments.size()) * args.kv_heads;
  const AbortFlag abort;
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      in_blocks(abort, segments[t / args.kv_heads],
                [&](const Segment& block) { cpu_kernels<T>().attend(args, block, t % args.kv_heads); });
    }
  });
  throw_if_aborted("attention");
}

struct SelfAttention : Function<SelfAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv_in, const Packing* packing, const Rope* rope,
                            const AttentionShape* shape) {
    at::Tensor qkv = qkv_in.to(sum_type(qkv_in.scalar_type()), false, /*copy=*/true);
    at::Tensor out = at::empty({qkv.size(0), shape->heads * shape->head_dim}, qkv.options());
    at::Tensor lse = at::empty({qkv.size(0), shape->heads}, qkv.options());
    with_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      rotate<T>(qkv, *packing, *rope, *shape, 1);
      attend(own_rows<T>(qkv, out, &lse, *shape), *packing);
    });
    // A bfloat16 input is smaller than its rotated float32 copy, which the backward pass makes again.
    const bool is_narrow = qkv_in.scalar_type() == at::kBFloat16;
    const at::Tensor result = out.to(qkv_in.scalar_type());
    ctx->save_for_backward({is_narrow ? qkv_in : qkv, result, lse, rope->cos, rope->sin});
    ctx->saved_data["packing"] = reinterpret_cast<int64_t>(packing);
    ctx->saved_data["shape"] = std::vector<int64_t>{shape->heads, shape->kv_heads, shape->head_dim, shape->window};
    ctx->saved_data["scores"] = std::vector<double>{shape->scale, shape->softcap};
    return result;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    at::Tensor qkv = widened(saved[0]), out = widened(saved[1]), lse = saved[2];
    const at::Tensor dout = widened(grads[0]).contiguous();
    const Rope rope{saved[3], saved[4]};
    const Packing& packing = *reinterpret_cast<const Packing*>(ctx->saved_data["packing"].toInt());
    const auto sizes = ctx->saved_data["shape"].toIntVector();
    const auto scores = ctx->saved_data["scores"].toDoubleVector();
    const AttentionShape shape{sizes[0], sizes[1], sizes[2], sizes[3], scores[0], scores[1]};
    at::Tensor dqkv = at::zeros_like(qkv);
    with_type(qkv, [&](auto zero) {
      using T = decltype(zero);
      if (saved[0].scalar_type() == at::kBFloat16) rotate<T>(qkv, packing, rope, shape, 1);
      T* base = dqkv.mutable_data_ptr<T>();
      const int64_t stride = qkv.size(1), width = shape.head_dim;
      const AttentionGradArgs<T> args{own_rows<T>(qkv, out, &lse, shape), dout.const_data_ptr<T>(), base,
                                      base + shape.heads * width, base + (shape.heads + shape.kv_heads) * width,
                                      stride, stride, stride};
      const int64_t tasks = packing.families() * shape.kv_heads;
      const AbortFlag abort;
      at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          const int64_t family = t / shape.kv_heads;
          for (int64_t s = packing.family_offsets[family]; s < packing.family_offsets[family + 1]; ++s) {
            in_blocks(abort, packing.segments[s],
                      [&](const Segment& block) { cpu_kernels<T>().attend_backward(args, block, t % shape.kv_heads); });
          }
        }
      });
      throw_if_aborted("attention backward");
      rotate<T>(dqkv, packing, rope, shape, -1);
    });
    return {dqkv.to(saved[0].scalar_type()), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor embed_rows(const at::Tensor& weight_VC, const at::Tensor& ids_T) {
  return weight_VC.scalar_type() == at::kBFloat16 ? EmbedRows::apply(weight_VC, ids_T) : at::embedding(weight_VC, ids_T);
}

at::ScalarType attention_type(at::ScalarType type, at::Device device) { return device.is_cpu() ? sum_type(type) : type; }

at::Tensor rms_norm(const at::Tensor& x_TC, const at::Tensor& w_C, double eps) {
  if (const auto* kernels = gpu::kernels_for(x_TC)) return gpu::rms_norm(*kernels, x_TC, w_C, eps);
  return has_kernel(x_TC) ? RmsNorm::apply(x_TC, w_C, eps) : reference::rms_norm(x_TC, w_C, eps);
}

at::Tensor head_norm(const at::Tensor& qkv_TR, const at::Tensor& q_norm_D, const at::Tensor& k_norm_D,
                     const AttentionShape& shape, double eps) {
  if (!has_kernel(qkv_TR)) return reference::head_norm(qkv_TR, q_norm_D, k_norm_D, shape, eps);
  return HeadNorm::apply(qkv_TR, q_norm_D, k_norm_D, &shape, eps);
}

at::Tensor swiglu(const at::Tensor& gate_up_T2F) {
  if (const auto* kernels = gpu::kernels_for(gate_up_T2F)) return gpu::swiglu(*kernels, gate_up_T2F);
  return has_kernel(gate_up_T2F) ? Gated::apply(gate_up_T2F, false) : reference::swiglu(gate_up_T2F);
}

at::Tensor geglu(const at::Tensor& gate_up_T2F) {
  return has_kernel(gate_up_T2F) ? Gated::apply(gate_up_T2F, true) : reference::geglu(gate_up_T2F);
}

at::Tensor self_attention(const at::Tensor& qkv_TR, const Packing& packing, const Rope& rope,
                          const AttentionShape& shape) {
  if (const auto* kernels = gpu::attention_kernels_for(qkv_TR, shape)) {
    return gpu::self_attention(*kernels, qkv_TR, packing, rope, shape);
  }
  if (!has_kernel(qkv_TR)) return reference::self_attention(qkv_TR, packing, rope, shape);
  return SelfAttention::apply(qkv_TR, &packing, &rope, &shape);
}

at::Tensor cached_attention(const at::Tensor& qkv_TR, const Packing& packing, const std::vector<int64_t>& cache_rows,
                            const Rope& rope, const AttentionShape& shape, at::Tensor& k_cache, at::Tensor& v_cache) {
  if (const auto* kernels = gpu::attention_kernels_for(qkv_TR, shape)) {
    return gpu::cached_attention(*kernels, qkv_TR, packing, rope, shape, k_cache, v_cache);
  }
  if (!has_kernel(qkv_TR)) {
    return reference::cached_attention(qkv_TR, packing, cache_rows, rope, shape, k_cache, v_cache);
  }
  at::Tensor qkv = widened(qkv_TR).contiguous();
  at::Tensor out = at::empty({qkv.size(0), shape.heads * shape.head_dim}, qkv.options());
  with_type(qkv, [&](auto zero) {
    using T = decltype(zero);
    rotate<T>(qkv, packing, rope, shape, 1);
    AttentionArgs<T> args = own_rows<T>(qkv, out, nullptr, shape);
    const int64_t width = shape.kv_heads * shape.head_dim;
    T* k = k_cache.mutable_data_ptr<T>();
    T* v = v_cache.mutable_data_ptr<T>();
    for (size_t r = 0; r < cache_rows.size(); ++r) {
      const int64_t from = static_cast<int64_t>(r) * args.k_stride;
      std::copy_n(args.k + from, width, k + cache_rows[r] * width);
      std::copy_n(args.v + from, width, v + cache_rows[r] * width);
    }
    args.k = k;
    args.v = v;
    args.k_stride = args.v_stride = width;
    attend(args, packing);
  });
  return out.to(qkv_TR.scalar_type());
}

}  // namespace ilr
