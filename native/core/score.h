#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "output_head.h"

namespace ilr {

struct TokenScores {
  at::Tensor logprobs_M;   // nats
  at::Tensor entropies_M;  // nats
};

// Log-probability and entropy of target tokens under softmax(hidden W^T / temperature). The one path of scorer and
// trainer. Both carry gradient to hidden and weight. Works through chunks of rows, forward and backward, so that no [M, V]
// exists whole.
// hidden_MC and the head's weight: same dtype; targets_M: int64.
TokenScores score_tokens(const at::Tensor& hidden_MC, const OutputHead& head, const at::Tensor& targets_M,
                         double temperature);

// Rows of logits held at once by score_tokens.
int64_t rows_per_chunk(int64_t vocab, int64_t element_bytes);

}  // namespace ilr
