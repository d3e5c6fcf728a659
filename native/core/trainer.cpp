#include "trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "advantage.h"
#include "generate.h"
#include "loss.h"
#include "score.h"

namespace ilr {
namespace {

constexpr int64_t kActivationBytes = int64_t{1} << 30;

// Completions of one micro-batch, prompt by prompt.
using MicroBatch = std::vector<int64_t>;

// What one micro-batch feeds to the loss: row `source` of the hidden states predicts `target`, for M trained tokens.
struct TrainedTokens {
  std::vector<int64_t> sources, targets;
  std::vector<double> old_logprobs, advantages, coefficients;
};

int64_t trained_in(const TrainingBatch& b, int64_t completion) {
  const auto begin = b.mask.begin() + b.completions.offsets[completion];
  return std::count(begin, begin + b.completions.length(completion), uint8_t{1});
}

std::vector<MicroBatch> cut(const TrainingBatch& b, const std::vector<double>& advantages, const UpdateOptions& o,
                            int64_t budget) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < b.completions.size(); ++i) {
    const bool learns = o.loss == Loss::nll || advantages[i] != 0;
    if (learns && trained_in(b, i) > 0 && b.stage_weights[b.stage[i]] != 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t x, int64_t y) { return b.prompt_index[x] < b.prompt_index[y]; });
  std::vector<MicroBatch> batches;
  int64_t used = 0;
  for (const int64_t i : order) {
    const bool is_new_prompt = batches.empty() || b.prompt_index[batches.back().back()] != b.prompt_index[i];
    const int64_t prompt = b.prompts.length(b.prompt_index[i]), own = b.completions.length(i);
    if (batches.empty() || used + own + (is_new_prompt ? prompt : 0) > budget) {
      batches.emplace_back();
      used = prompt;
    } else if (is_new_prompt) {
      used += prompt;
    }
    used += own;
    batches.back().push_back(i);
  }
  return batches;
}

// Lays the micro-batch out: each prompt once, its completions behind it.
Packing pack(const TrainingBatch& b, const MicroBatch& micro, const std::vector<double>& advantages,
             const std::vector<double>& coefficients, bool with_old, TrainedTokens& tokens) {
  Packing packing;
  int64_t prompt = -1, prompt_row = 0, prompt_length = 0;
  for (const int64_t i : micro) {
    if (b.prompt_index[i] != prompt) {
      if (prompt >= 0) packing.close_family();
      prompt = b.prompt_index[i];
      prompt_length = b.prompts.length(prompt);
      prompt_row = packing.append(b.prompts.begin(prompt), prompt_length);
    }
    const int64_t row = packing.append(b.completions.begin(i), b.completions.length(i), prompt_row, prompt_length);
    const int64_t first = b.completions.offsets[i];
    for (int64_t t = 0; t < b.completions.length(i); ++t) {
      if (b.mask[first + t] == 0) continue;
      tokens.sources.push_back(t > 0 ? row + t - 1 : prompt_row + prompt_length - 1);
      tokens.targets.push_back(b.completions.ids[first + t]);
      tokens.old_logprobs.push_back(with_old ? static_cast<double>(b.sampler_logprobs[first + t]) : 0);
      tokens.advantages.push_back(advantages[i]);
      tokens.coefficients.push_back(coefficients[b.stage[i]]);
    }
  }
  packing.close_family();
  return packing;
}

at::Tensor to_device(const std::vector<double>& values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).to(like.device(), like.scalar_type());
}

at::Tensor index_on(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).to(like.device());
}

// Sums over tokens that become means once every micro-batch is in.
struct Sums {
  double entropy = 0, ratio = 0, clipped = 0, kl = 0;
  int64_t tokens = 0;

  void add(const TokenScores& scores, const TokenLoss& loss, const TrainedTokens& t, UpdateResult& result) {
    tokens += static_cast<int64_t>(t.sources.size());
    entropy += scores.entropies_M.sum(at::kDouble).item<double>();
    if (!loss.ratios_M.defined()) return;
    ratio += loss.ratios_M.sum(at::kDouble).item<double>();
    clipped += loss.clipped_M.sum(at::kDouble).item<double>();
    result.ratio_max = std::max(result.ratio_max, loss.ratios_M.max().item<double>());
    const at::Tensor logprobs = scores.logprobs_M.detach().to(at::kCPU, at::kDouble);
    const double* lp = logprobs.const_data_ptr<double>();
    for (size_t i = 0; i < t.old_logprobs.size(); ++i) {
      const double d = lp[i] - t.old_logprobs[i];
      kl += std::expm1(d) - d;
      result.sampler_max_abs_diff = std::max(result.sampler_max_abs_diff, std::abs(d));
    }
  }

  void finish(bool has_ratios, UpdateResult& result) const {
    const double n = static_cast<double>(tokens);  // 0: the means are NaN
    result.entropy = entropy / n;
    if (!has_ratios) return;
    result.ratio_mean = ratio / n;
    result.ratio_clipped_fraction = clipped / n;
    result.sampler_kl = kl / n;
  }
};

}  // namespace

void accumulate_gradients(const Model& model, const TrainingBatch& b, const UpdateOptions& o, const Control& control,
                          UpdateResult& result) {
  const at::AutoGradMode with_grad(true);
  std::vector<double> advantages(static_cast<size_t>(b.completions.size()), 0);
  if (o.loss == Loss::dapo) {
    Advantages normalised = group_advantages(b.rewards, b.group_index);
    result.groups = normalised.groups;
    result.zero_spread_groups = normalised.zero_spread_groups;
    advantages = normalised.values;
    for (size_t i = 0; i < advantages.size(); ++i) advantages[i] += b.extra_advantage[i];
    result.advantages = std::move(normalised.values);
  }
  // Normalisers are of the whole batch and known before any forward pass: micro-batches only cut the sum.
  std::vector<double> coefficients = b.stage_weights;
  std::vector<int64_t> stage_tokens(b.stage_weights.size(), 0);
  for (int64_t i = 0; i < b.completions.size(); ++i) stage_tokens[b.stage[i]] += trained_in(b, i);
  for (size_t s = 0; s < coefficients.size(); ++s) {
    result.trained_tokens += stage_tokens[s];
    if (stage_tokens[s] > 0) coefficients[s] /= static_cast<double>(stage_tokens[s]);
  }

  const int64_t budget = o.micro_batch_tokens > 0
                             ? o.micro_batch_tokens
                             : std::clamp<int64_t>(kActivationBytes / model.activation_bytes_per_token(), 512, 2048);
  const std::vector<MicroBatch> batches = cut(b, advantages, o, budget);
  Sums sums;
  for (const MicroBatch& micro : batches) {
    throw_if_aborted(control);
    TrainedTokens tokens;
    const Packing packing = pack(b, micro, advantages, coefficients, o.loss == Loss::dapo, tokens);
    const at::Tensor hidden = model.forward(packing);
    const at::Tensor trained = hidden.index_select(0, index_on(tokens.sources, hidden));
    const TokenScores scores =
        score_tokens(trained, model.output_weight_VC(), index_on(tokens.targets, hidden), o.temperature);
    const at::Tensor coefficient = to_device(tokens.coefficients, hidden);
    const TokenLoss loss = o.loss == Loss::nll
                               ? negative_log_likelihood(scores.logprobs_M, coefficient)
                               : clipped_surrogate(scores.logprobs_M, to_device(tokens.old_logprobs, hidden),
                                                   to_device(tokens.advantages, hidden), coefficient, o);
    torch::autograd::backward({loss.loss}, {});
    result.loss += loss.loss.item<double>();
    sums.add(scores, loss, tokens, result);
    result.forward_tokens += packing.tokens();
    ++result.micro_batches;
    if (control.progress) control.progress(result.micro_batches, static_cast<int64_t>(batches.size()));
  }
  sums.finish(o.loss == Loss::dapo, result);
}

}  // namespace ilr
