#include "trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "abort.h"
#include "advantage.h"
#include "error.h"
#include "generate.h"
#include "loss.h"
#include "micro_batch.h"
#include "score.h"
#include "token_weights.h"
#include "update_sums.h"

namespace ilr {
namespace {

constexpr int64_t kActivationBytes = int64_t{1} << 30;
constexpr double kLargestAdvantage = 1e30;  // its products stay finite in float32

at::Tensor to_device(const std::vector<double>& values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).to(like.device(), like.scalar_type());
}

at::Tensor index_on(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).to(like.device());
}

std::vector<double> to_host(const at::Tensor& values) {
  const at::Tensor v = values.detach().to(at::kCPU, at::kDouble).contiguous();
  return {v.const_data_ptr<double>(), v.const_data_ptr<double>() + v.numel()};
}

template <typename T>
std::vector<double> gather(const std::vector<T>& values, const std::vector<int64_t>& places) {
  std::vector<double> out;
  out.reserve(places.size());
  for (const int64_t place : places) out.push_back(static_cast<double>(values[place]));
  return out;
}

// [B] with the extra term; the report gets them without it.
std::vector<double> advantages_of(const TrainingBatch& b, const UpdateOptions& o, UpdateResult& result) {
  Advantages normalised = normalised_advantages(b.rewards, b.group_index, o.advantage, b.baseline);
  result.groups = normalised.groups;
  result.zero_spread_groups = normalised.zero_spread_groups;
  std::vector<double> advantages = normalised.values;
  for (size_t i = 0; i < advantages.size(); ++i) {
    advantages[i] += b.extra_advantage[i];
    if (!(std::abs(advantages[i]) <= kLargestAdvantage)) {
      std::ostringstream message;
      message << "rewards: expected advantages between -1e30 and 1e30, that of completion " << i << " is " << advantages[i]
              << "; scale \"group\" divides by the group's spread";
      throw Error("ILR_INVALID_ARGUMENT", message.str());
    }
  }
  result.advantages = std::move(normalised.values);
  return advantages;
}

// Forward, backward and report of one batch.
class Trainer {
 public:
  Trainer(const Model& model, const TrainingBatch& batch, const UpdateOptions& options, const Control& control,
          UpdateResult& result)
      : model_(model), b_(batch), o_(options), control_(control), result_(result), weights_(weigh_tokens(batch, options)),
        budget_(o_.micro_batch_tokens > 0
                    ? o_.micro_batch_tokens
                    : std::clamp<int64_t>(kActivationBytes / model.activation_bytes_per_token(), 512, 2048)) {}

  void run() {
    if (is_policy_loss()) advantages_ = advantages_of(b_, o_, result_);
    for (const int64_t count : weights_.trained) result_.trained_tokens += count;
    if (o_.top_entropy_fraction < 1) mask_by_entropy();
    const std::vector<MicroBatch> batches = cut(b_, budget_, [&](int64_t i) { return is_trained(i) && learns(i); });
    for (const MicroBatch& micro : batches) {
      throw_if_aborted(control_);
      train(micro);
      ++result_.micro_batches;
      if (control_.progress) control_.progress(result_.micro_batches, static_cast<int64_t>(batches.size()));
    }
    sums_.finish(result_);
  }

 private:
  bool is_policy_loss() const { return o_.loss != Loss::nll; }
  bool is_trained(int64_t i) const { return weights_.trained[i] > 0 && b_.stage_weights[b_.stage[i]] != 0; }
  // A completion without an advantage still has its KL and entropy terms.
  bool has_other_terms() const { return !is_policy_loss() || o_.beta != 0 || o_.entropy_bonus != 0; }
  bool learns(int64_t i) const { return has_other_terms() || advantages_[i] != 0; }

  struct Scored {
    Packing packing;  // must outlive the backward pass
    TrainedTokens tokens;
    TokenScores scores;
  };

  void score(const MicroBatch& micro, Scored& out) {
    out.packing = pack(b_, micro, out.tokens);
    const at::Tensor hidden = model_.forward(out.packing, o_.gradient_checkpointing);
    const at::Tensor trained = hidden.index_select(0, index_on(out.tokens.sources, hidden));
    out.scores =
        score_tokens(trained, model_.output_head(), index_on(out.tokens.targets, hidden), o_.temperature);
    result_.forward_tokens += out.packing.tokens();
  }

  // A quantile of the whole batch is known only after all of it was scored once.
  void mask_by_entropy() {
    const at::NoGradGuard no_grad;
    std::vector<double> entropies(b_.completions.ids.size(), 0);
    std::vector<int64_t> places;
    for (const MicroBatch& micro : cut(b_, budget_, [&](int64_t i) { return is_trained(i); })) {
      throw_if_aborted(control_);
      Scored scored;
      score(micro, scored);
      const std::vector<double> values = to_host(scored.scores.entropies_M);
      for (size_t m = 0; m < values.size(); ++m) entropies[scored.tokens.places[m]] = values[m];
      places.insert(places.end(), scored.tokens.places.begin(), scored.tokens.places.end());
    }
    weights_.kept = keep_most_entropic(entropies, places, o_.top_entropy_fraction);
    const double kept = static_cast<double>(std::count(weights_.kept.begin(), weights_.kept.end(), 1));
    result_.entropy_dropped_fraction = 1 - kept / static_cast<double>(places.size());
  }

  void train(const MicroBatch& micro) {
    Scored scored;
    score(micro, scored);
    const TokenScores& scores = scored.scores;
    const TrainedTokens& tokens = scored.tokens;
    sums_.entropy.add(scores.entropies_M);
    std::vector<double> coefficients;
    for (const int64_t k : tokens.completions) coefficients.push_back(weights_.coefficients[micro[k]]);
    at::Tensor loss = is_policy_loss()
                          ? policy_terms(micro, scored, coefficients)
                          : negative_weighted_sum(scores.logprobs_M, to_device(coefficients, scores.logprobs_M));
    if (o_.entropy_bonus != 0) {
      std::vector<double> bonus;
      for (const int64_t k : tokens.completions) bonus.push_back(weights_.entropy_coefficients[micro[k]]);
      loss = loss + negative_weighted_sum(scores.entropies_M, to_device(bonus, scores.entropies_M));
    }
    if (has_other_terms()) result_.learning_tokens += tokens.size();
    torch::autograd::backward({loss}, {});
    result_.loss += loss.item<double>();
  }

  at::Tensor policy_terms(const MicroBatch& micro, const Scored& scored, const std::vector<double>& coefficients) {
    const at::Tensor& logprobs = scored.scores.logprobs_M;
    const std::vector<int64_t>& places = scored.tokens.places;
    const std::vector<double> sampler = gather(b_.sampler_logprobs, places), own = to_host(logprobs);
    sums_.add_sampler(own, sampler);
    PolicyTokens t;
    t.logprobs_M = logprobs;
    t.old_logprobs_M = to_device(b_.old_logprobs.empty() ? sampler : gather(b_.old_logprobs, places), logprobs);
    t.completion_M = index_on(scored.tokens.completions, logprobs);
    std::vector<double> advantages, lengths;
    for (const int64_t k : scored.tokens.completions) advantages.push_back(advantages_[micro[k]]);
    for (const int64_t i : micro) lengths.push_back(static_cast<double>(weights_.trained[i]));
    t.advantages_M = to_device(advantages, logprobs);
    t.lengths_K = to_device(lengths, logprobs).to(at::kDouble);
    t.coefficients_M = to_device(masked(micro, scored.tokens, coefficients, own, sampler), logprobs);
    const at::Tensor importance =
        weights_.importance.empty() ? at::Tensor() : to_device(gather(weights_.importance, places), logprobs);
    if (importance.defined()) sums_.importance.add(importance);

    const PolicyLoss policy = policy_loss(t, importance, o_);
    sums_.ratio.add(policy.ratios_M);
    sums_.clipped_low.add(policy.clipped_low_M);
    sums_.clipped_high.add(policy.clipped_high_M);
    if (b_.ref_logprobs.empty()) return policy.loss;
    const KlLoss kl = kl_loss(logprobs, t.old_logprobs_M, to_device(gather(b_.ref_logprobs, places), logprobs),
                              to_device(coefficients, logprobs), o_);
    sums_.kl.add(kl.values_M);
    return o_.beta != 0 ? policy.loss + kl.loss * o_.beta : policy.loss;
  }

  // The policy term's coefficients: times the importance correction, 0 where a mask leaves a token out.
  std::vector<double> masked(const MicroBatch& micro, const TrainedTokens& tokens, std::vector<double> coefficients,
                             const std::vector<double>& logprobs, const std::vector<double>& sampler) {
    const std::vector<bool> dropped = off_policy(micro, tokens, logprobs, sampler);
    for (size_t m = 0; m < coefficients.size(); ++m) {
      const int64_t k = tokens.completions[m], place = tokens.places[m];
      if (dropped[k] || (!weights_.kept.empty() && weights_.kept[place] == 0)) coefficients[m] = 0;
      // vespo has it in its own weight.
      if (!weights_.importance.empty() && o_.loss != Loss::vespo) coefficients[m] *= weights_.importance[place];
      if (o_.off_policy_threshold) sums_.off_policy.add(dropped[k] ? 1 : 0, 1, 0);
      if (!has_other_terms() && coefficients[m] != 0 && advantages_[micro[k]] != 0) ++result_.learning_tokens;
    }
    return coefficients;
  }

  // Completions to leave out: a negative advantage, and sampler - present log-prob on average above the threshold
  // (DeepSeek-V3.2, arXiv 2512.02556, Eq. 9).
  std::vector<bool> off_policy(const MicroBatch& micro, const TrainedTokens& tokens, const std::vector<double>& logprobs,
                               const std::vector<double>& sampler) const {
    std::vector<double> sums(micro.size(), 0);
    for (size_t m = 0; m < logprobs.size(); ++m) sums[tokens.completions[m]] += sampler[m] - logprobs[m];
    std::vector<bool> dropped(micro.size(), false);
    for (size_t k = 0; k < micro.size(); ++k) {
      dropped[k] = o_.off_policy_threshold && advantages_[micro[k]] < 0 &&
                   sums[k] / static_cast<double>(weights_.trained[micro[k]]) > *o_.off_policy_threshold;
    }
    return dropped;
  }

  const Model& model_;
  const TrainingBatch& b_;
  const UpdateOptions& o_;
  const Control& control_;
  UpdateResult& result_;
  TokenWeights weights_;
  const int64_t budget_;
  std::vector<double> advantages_;  // [B]; empty for nll
  UpdateSums sums_;
};

}  // namespace

void accumulate_gradients(const Model& model, const TrainingBatch& batch, const UpdateOptions& options,
                          const Control& control, UpdateResult& result) {
  const at::AutoGradMode with_grad(true);
  Trainer(model, batch, options, control, result).run();
}

}  // namespace ilr
