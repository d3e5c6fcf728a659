#include "score.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "gpu.h"
#include "matmul.h"

namespace ilr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kChunkBytes = int64_t{64} << 20;

// With p = softmax(z), z = logits / temperature: d logprob / dz = onehot - p, d entropy / dz_j = -p_j (ln p_j + entropy).
// Either gradient may be undefined. Overwrites logits.
at::Tensor logits_gradient(at::Tensor& logits, const at::Tensor& targets, const at::Tensor& entropies,
                           const at::Tensor& dlogprobs, const at::Tensor& dentropies, double temperature) {
  const auto scaled = [&](const at::Tensor& grad) { return grad.defined() ? grad.mul(1 / temperature).unsqueeze(1) : grad; };
  const at::Tensor of_logprobs = scaled(dlogprobs), of_entropies = scaled(dentropies);
  if (temperature != 1) logits.mul_(1 / temperature);
  at::Tensor dlogits = at::softmax(logits, -1);
  if (of_entropies.defined()) {
    // -p (c + g (ln p + H)), c and g the gradients of the log-prob and the entropy.
    at::Tensor factors = at::log_softmax(logits, -1).add_(entropies.unsqueeze(1));
    factors.mul_(of_entropies);
    if (of_logprobs.defined()) factors.add_(of_logprobs);
    dlogits.mul_(factors.neg_());
  } else {
    dlogits.mul_(of_logprobs.neg());
  }
  if (of_logprobs.defined()) dlogits.scatter_add_(1, targets.unsqueeze(1), of_logprobs);
  return dlogits;
}

struct ScoreTokens : torch::autograd::Function<ScoreTokens> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& weight, double softcap,
                               const at::Tensor& targets, double temperature) {
    const int64_t rows = hidden.size(0);
    const auto type = sum_type(hidden.scalar_type());  // of logits, log-probs and their gradients
    const int64_t chunk = rows_per_chunk(weight.size(0), at::elementSize(type));
    const CudaKernels* kernels = gpu::kernels_for(hidden);
    const auto options = hidden.options().dtype(type);
    at::Tensor logprobs = at::empty({rows}, options), entropies = at::empty({rows}, options);
    at::Tensor lse = kernels != nullptr ? at::empty({rows}, options) : at::Tensor();
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      at::Tensor logits = OutputHead{weight, softcap}.logits(hidden.narrow(0, begin, n));
      if (kernels != nullptr) {
        at::Tensor lp = logprobs.narrow(0, begin, n), entropy = entropies.narrow(0, begin, n), z = lse.narrow(0, begin, n);
        gpu::score(*kernels, logits, targets.narrow(0, begin, n), temperature, lp, entropy, z);
        continue;
      }
      if (temperature != 1) logits.mul_(1 / temperature);
      const at::Tensor logp = at::log_softmax(logits, -1);
      logprobs.narrow(0, begin, n).copy_(logp.gather(1, targets.narrow(0, begin, n).unsqueeze(1)).squeeze(1));
      at::exp_out(logits, logp);
      entropies.narrow(0, begin, n).copy_(logits.mul_(logp).sum(-1).neg_());
    }
    ctx->save_for_backward({hidden, weight, targets, entropies, lse});
    ctx->saved_data["temperature"] = temperature;
    ctx->saved_data["softcap"] = softcap;
    ctx->set_materialize_grads(false);
    return {logprobs, entropies};
  }

  // A softcap adds its slope, 1 - (logits / softcap)^2.
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &hidden = saved[0], &weight = saved[1], &targets = saved[2], &entropies = saved[3];
    const double temperature = ctx->saved_data["temperature"].toDouble();
    const double softcap = ctx->saved_data["softcap"].toDouble();
    const CudaKernels* kernels = gpu::kernels_for(hidden);
    const auto part = [](const at::Tensor& grad, int64_t begin, int64_t n) {
      return grad.defined() ? grad.narrow(0, begin, n).contiguous() : grad;
    };
    const int64_t rows = hidden.size(0);
    const auto type = sum_type(hidden.scalar_type());
    const int64_t chunk = rows_per_chunk(weight.size(0), at::elementSize(type));
    at::Tensor dhidden = at::empty_like(hidden), dweight;
    if (ctx->needs_input_grad(1)) dweight = at::zeros_like(weight, weight.options().dtype(type));  // not of a frozen base
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const at::Tensor h = hidden.narrow(0, begin, n), chosen = targets.narrow(0, begin, n);
      const at::Tensor dlogprobs = part(grads[0], begin, n), dentropies = part(grads[1], begin, n);
      at::Tensor logits = OutputHead{weight, softcap}.logits(h), dlogits = logits, slope;
      if (softcap > 0) slope = logits.div(softcap).square_().neg_().add_(1);
      if (kernels != nullptr) {
        gpu::score_backward(*kernels, dlogits, chosen, part(entropies, begin, n), part(saved[4], begin, n), dlogprobs,
                            dentropies, temperature);
      } else {
        dlogits = logits_gradient(logits, chosen, part(entropies, begin, n), dlogprobs, dentropies, temperature);
      }
      if (slope.defined()) dlogits.mul_(slope);
      at::Tensor dh = dhidden.narrow(0, begin, n);
      matrix_product_into(dh, dlogits, weight);
      if (dweight.defined()) matrix_product_into(dweight, dlogits.t(), h, true);
    }
    if (dweight.defined()) dweight = dweight.to(weight.scalar_type());
    return {dhidden, dweight, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

int64_t rows_per_chunk(int64_t vocab, int64_t element_bytes) {
  return std::max<int64_t>(16, kChunkBytes / (vocab * element_bytes));
}

TokenScores score_tokens(const at::Tensor& hidden_MC, const OutputHead& head, const at::Tensor& targets_M,
                         double temperature) {
  const auto out = ScoreTokens::apply(hidden_MC, head.weight_VC, head.softcap, targets_M, temperature);
  return {out[0], out[1]};
}

}  // namespace ilr
