#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace ilr {

// The low-rank term (LoRA, arXiv 2106.09685) of one stored matrix, which may be several of the model's end to end (q, k
// and v, say): for each adapted part, y[:, row .. row + rows) += scale * x A^T B^T. r: the rank.
struct LowRank {
  struct Part {
    int64_t row = 0;
    int64_t rows = 0;
  };
  at::Tensor a_RC;  // [parts * r, C] the parts' A end to end
  at::Tensor b_Or;  // [sum of rows, r] the parts' B end to end
  std::vector<Part> parts;
  double scale = 1;
};

// Adds the term of x_TC to y_TO in place and returns it; differentiable in y, x, A and B. y must be nobody's saved
// tensor. On the CPU a row of the result does not depend on other rows. A and B may be float32 where y is bfloat16.
at::Tensor add_low_rank(const at::Tensor& y_TO, const at::Tensor& x_TC, const LowRank& term);

}  // namespace ilr
