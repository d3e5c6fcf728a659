#include "output_head.h"

#include <ATen/core/grad_mode.h>

#include "matmul.h"

namespace ilr {

at::Tensor OutputHead::logits(const at::Tensor& hidden_MC) const {
  const at::NoGradGuard no_grad;
  at::Tensor logits_MV = matrix_product(hidden_MC, weight_VC.t(), sum_type(hidden_MC.scalar_type()));
  if (softcap > 0) logits_MV.div_(softcap).tanh_().mul_(softcap);
  return logits_MV;
}

}  // namespace ilr
