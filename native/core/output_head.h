#pragma once

#include <ATen/core/Tensor.h>

namespace ilr {

// From hidden states to logits: what sampler, scorer and trainer share.
struct OutputHead {
  at::Tensor weight_VC;
  double softcap = 0;  // logits are softcap * tanh(logit / softcap), arXiv 2408.00118; 0: as they are

  // hidden_MC -> [M, V]; no gradient.
  at::Tensor logits(const at::Tensor& hidden_MC) const;
};

}  // namespace ilr
