#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "advantage.h"
#include "loss_cases.h"
#include "token_weights.h"

#include "check.h"

namespace ilr::test {
namespace {

// Of a tensor's norm. The golden gradients are float64; float32 arithmetic of another order costs up to 1.2e-6 of them.
double bound_of(const std::string& dtype) { return dtype == "float64" ? 1e-10 : 1e-5; }

void check_below(double error, double bound, const std::string& what) {
  if (error <= bound) return;
  std::ostringstream message;
  message << what << ": expected an error of at most " << bound << ", got " << error;
  fail(__FILE__, __LINE__, message.str());
}

void with_losses(const std::string& dtype, const std::function<void(Policy&)>& use) {
  with_policy(golden("losses"), dtype, use);
}

Tensors gradients_of(Policy& policy, const LossCase& c, UpdateResult* result = nullptr) {
  return policy.state().gradients(c.batch, c.options, result);
}

Tensors moments_of(Policy& policy) {
  const NamedTensors state = policy.state().optimizer->state();
  return copy_of({state.begin(), state.end()});
}

double largest_of(const Tensors& tensors) {
  double largest = 0;
  for (const auto& [name, t] : tensors) largest = std::max(largest, t.abs().max().item<double>());
  return largest;
}

TEST("losses: value and gradient equal plain PyTorch on the grid of options") {
  const std::vector<LossCase> cases = read_loss_cases();
  CHECK(cases.size() > 60);
  for (const std::string dtype : {"float64", "float32"}) {
    with_losses(dtype, [&](Policy& policy) {
      for (const LossCase& c : cases) {
        UpdateResult result;
        check_below(worst_error(gradients_of(policy, c, &result), c.gradients), bound_of(dtype), c.name + " " + dtype);
        check_below(std::abs(result.loss - c.report.at("loss")), dtype == "float64" ? 1e-12 : 1e-5, c.name + " loss");
      }
    });
  }
}

TEST("losses: the report equals plain PyTorch, and what there is not is NaN") {
  with_losses("float64", [&](Policy& policy) {
    for (const LossCase& c : read_loss_cases()) {
      UpdateResult result;
      gradients_of(policy, c, &result);
      for (const auto& [name, value] : c.report) {
        check_below(std::abs(figure(result, name) - value), 1e-9, c.name + " " + name);
      }
      const bool is_policy = c.options.loss != Loss::nll;
      CHECK_EQUAL(std::isnan(result.ratio_max), !is_policy);
      CHECK_EQUAL(std::isnan(result.sampler_kl), !is_policy);
      CHECK_EQUAL(std::isnan(result.kl), c.options.beta == 0);
      CHECK_EQUAL(std::isnan(result.importance_max), c.options.importance_correction == ImportanceCorrection::none);
      CHECK_EQUAL(std::isnan(result.off_policy_dropped_fraction), !c.options.off_policy_threshold);
      CHECK_EQUAL(std::isnan(result.entropy_dropped_fraction), c.options.top_entropy_fraction == 1);
    }
  });
}

TEST("losses: micro-batches, order and prompts of their own change nothing but rounding") {
  for (const std::string dtype : {"float64", "float32"}) {
    const double bound = dtype == "float64" ? 1e-11 : 1e-5;
    with_losses(dtype, [&](Policy& policy) {
      for (const LossCase& c : read_loss_cases()) {
        const Tensors whole = gradients_of(policy, c);
        LossCase changed = c;
        for (const int64_t budget : {1, 17, 40}) {
          changed.options.micro_batch_tokens = budget;
          UpdateResult result;
          check_below(worst_error(gradients_of(policy, changed, &result), whole), bound,
                      c.name + " in micro-batches of " + std::to_string(budget) + ", " + dtype);
          CHECK(result.micro_batches > 1);
        }
        changed.options.micro_batch_tokens = 40;
        for (const bool is_split : {false, true}) {
          changed.batch = reordered(c.batch, {6, 13, 0, 8, 3, 11, 9, 1, 12, 7, 2, 5, 10, 4}, is_split);
          check_below(worst_error(gradients_of(policy, changed), whole), bound, c.name + " in another order, " + dtype);
        }
      }
    });
  }
}

TEST("loss mutants: every option shows in the gradient") {
  using Change = std::function<void(LossCase&)>;
  const std::vector<std::tuple<std::string, std::string, Change>> mutants{
      {"grpo token", "sequence mean", [](LossCase& c) { c.options.loss = Loss::dapo; }},
      {"grpo token", "ratio", [](LossCase& c) { c.options.ratio = RatioLevel::sequence; }},
      {"sapo token", "soft gate", [](LossCase& c) { c.options.loss = Loss::grpo; }},
      {"sapo token", "temperature of A > 0", [](LossCase& c) { c.options.sapo_temperature_positive = 1.05; }},
      {"sapo token", "temperature of A < 0", [](LossCase& c) { c.options.sapo_temperature_negative = 1; }},
      {"cispo token", "cap", [](LossCase& c) { c.options.cispo_cap = 5; }},
      {"cispo token", "kind", [](LossCase& c) { c.options.loss = Loss::dapo; }},
      {"vespo token", "k of A > 0", [](LossCase& c) { c.options.vespo_k_positive = 3; }},
      {"vespo token", "lambda of A > 0", [](LossCase& c) { c.options.vespo_lambda_positive = 2; }},
      {"vespo token", "k of A < 0", [](LossCase& c) { c.options.vespo_k_negative = 2; }},
      {"vespo token", "lambda of A < 0", [](LossCase& c) { c.options.vespo_lambda_negative = 3; }},
      {"dr_grpo token", "length", [](LossCase& c) { c.options.max_completion_tokens = 10; }},
      {"luspo sequence", "length weight", [](LossCase& c) { c.options.loss = Loss::grpo; }},
      {"gspo", "lower clip", [](LossCase& c) { c.options.epsilon_low = 0.2; }},
      {"gspo", "upper clip", [](LossCase& c) { c.options.epsilon_high = 0.28; }},
      {"grpo token delta", "delta", [](LossCase& c) { c.options.delta.reset(); }},
      {"dapo sequence delta", "delta", [](LossCase& c) { c.options.delta = 2; }},
      {"k3", "beta", [](LossCase& c) { c.options.beta = 0; }},
      {"k3", "estimator", [](LossCase& c) { c.options.kl = KlEstimator::k2; }},
      {"k1", "estimator", [](LossCase& c) { c.options.kl = KlEstimator::k3; }},
      {"k3", "reference", [](LossCase& c) { for (float& logprob : c.batch.ref_logprobs) logprob += 0.1F; }},
      {"k1", "old policy", [](LossCase& c) { c.batch.old_logprobs.clear(); }},
      {"k1 unbiased", "ratio", [](LossCase& c) { c.options.kl_unbiased = false; }},
      {"k2 unbiased", "ratio", [](LossCase& c) { c.options.kl_unbiased = false; }},
      {"k3 unbiased", "ratio", [](LossCase& c) { c.options.kl_unbiased = false; }},
      {"dapo bonus", "bonus", [](LossCase& c) { c.options.entropy_bonus = 0; }},
      {"nll bonus", "bonus", [](LossCase& c) { c.options.entropy_bonus = 0.41; }},
      {"dapo token top", "mask", [](LossCase& c) { c.options.top_entropy_fraction = 1; }},
      {"grpo sequence top", "share", [](LossCase& c) { c.options.top_entropy_fraction = 0.5; }},
      {"dapo token token_truncate", "truncation",
       [](LossCase& c) { c.options.importance_correction = ImportanceCorrection::token_mask; }},
      {"dapo token token_mask", "level",
       [](LossCase& c) { c.options.importance_correction = ImportanceCorrection::sequence_mask; }},
      {"grpo sequence sequence_truncate", "correction",
       [](LossCase& c) { c.options.importance_correction = ImportanceCorrection::none; }},
      {"grpo sequence sequence_mask", "largest", [](LossCase& c) { c.options.importance_max = 3; }},
      {"dapo token token_mask", "smallest", [](LossCase& c) { c.options.importance_min = 0; }},
      {"vespo token_mask", "smallest", [](LossCase& c) { c.options.importance_min = 0; }},
      {"vespo token_truncate", "correction",
       [](LossCase& c) { c.options.importance_correction = ImportanceCorrection::none; }},
      {"dapo off-policy", "mask", [](LossCase& c) { c.options.off_policy_threshold.reset(); }},
      {"grpo off-policy kl", "threshold", [](LossCase& c) { c.options.off_policy_threshold = 5; }},
      {"dapo stage tokens", "tokens", [](LossCase& c) { c.batch.stage_tokens.clear(); }},
      {"everything", "baseline", [](LossCase& c) { c.options.advantage.baseline = Baseline::group; }},
      {"everything", "scale", [](LossCase& c) { c.options.advantage.scale = AdvantageScale::group; }},
      {"everything", "std", [](LossCase& c) { c.options.advantage.deviation = Deviation::population; }}};
  with_losses("float64", [&](Policy& policy) {
    for (const auto& [name, what, change] : mutants) {
      LossCase mutant = read_loss_case(name);
      change(mutant);
      const double error = worst_error(gradients_of(policy, mutant), mutant.gradients);
      // A hundred times the float32 bound.
      if (!(error > 1e-3)) fail(__FILE__, __LINE__, name + ": " + what + " does not show: " + std::to_string(error));
    }
  });
}

TEST("losses: equal rewards give a policy gradient of exactly zero, and no step") {
  with_losses("float32", [&](Policy& policy) {
    policy.update(read_loss_case("grpo token").batch, UpdateOptions{.learning_rate = 1e-2}, {});  // momentum
    const Tensors weights = copy_of(policy.state().hf_tensors()), moments = moments_of(policy);
    for (LossCase c : read_loss_cases()) {
      if (c.options.loss == Loss::nll) continue;
      std::fill(c.batch.rewards.begin(), c.batch.rewards.end(), 0.1);
      std::fill(c.batch.extra_advantage.begin(), c.batch.extra_advantage.end(), 0);
      UpdateResult result;
      const double largest = largest_of(gradients_of(policy, c, &result));
      CHECK(std::isfinite(largest));
      CHECK_EQUAL(result.zero_spread_groups, 4);
      if (c.options.beta == 0 && c.options.entropy_bonus == 0) {
        CHECK_EQUAL(largest, 0.0);
        CHECK_EQUAL(policy.update(c.batch, c.options, {}).step, 1);
      } else if (!(largest > 1e-3)) {
        fail(__FILE__, __LINE__, c.name + ": completions without an advantage have KL and entropy terms");
      }
    }
    CHECK(are_identical(weights, policy.state().hf_tensors()));
    CHECK(are_identical(moments, moments_of(policy)));
  });
}

TEST("losses: a batch that is masked whole leaves weights and moments bit for bit, whatever masks it") {
  with_losses("float32", [&](Policy& policy) {
    policy.update(read_loss_case("grpo token").batch, UpdateOptions{.learning_rate = 1e-2}, {});
    const Tensors weights = copy_of(policy.state().hf_tensors()), moments = moments_of(policy);
    const auto no_step = [&](LossCase c, const std::function<void(LossCase&)>& change) {
      c.options.learning_rate = 1e-2;
      c.options.weight_decay = 0.1;
      change(c);
      const UpdateResult result = policy.update(c.batch, c.options, {});
      CHECK_EQUAL(result.learning_tokens, 0);
      CHECK_EQUAL(result.step, 1);
      CHECK_EQUAL(result.loss, 0.0);
      CHECK(are_identical(weights, policy.state().hf_tensors()));
      CHECK(are_identical(moments, moments_of(policy)));
    };
    for (const LossCase& c : read_loss_cases()) {
      no_step(c, [](LossCase& x) { std::fill(x.batch.mask.begin(), x.batch.mask.end(), 0); });
    }
    no_step(read_loss_case("dapo token token_mask"), [](LossCase& x) { x.options.importance_max = x.options.importance_min = 1.5; });
    no_step(read_loss_case("dapo off-policy"), [](LossCase& x) {
      x.options.off_policy_threshold = -100;
      x.batch.baseline.assign(x.batch.rewards.size(), 10);
      x.options.advantage = {Baseline::given, AdvantageScale::none, Deviation::population, 0};
    });
  });
}

TEST("losses: rewards of 1e200 train as rewards of 1 do") {
  with_losses("float32", [&](Policy& policy) {
    for (const AdvantageScale scale : {AdvantageScale::group, AdvantageScale::batch}) {
      for (const Baseline baseline : {Baseline::group, Baseline::leave_one_out, Baseline::given}) {
        LossCase c = read_loss_case("dapo token");
        c.options.advantage = {baseline, scale, Deviation::sample, 0};
        if (baseline == Baseline::given) c.batch.baseline.assign(c.batch.rewards.size(), 0.25);
        for (double& reward : c.batch.rewards) reward = 2 * reward - 1;
        const Tensors expected = gradients_of(policy, c);
        for (double& reward : c.batch.rewards) reward *= 1e200;
        for (double& value : c.batch.baseline) value *= 1e200;
        check_below(worst_error(gradients_of(policy, c), expected), 1e-6, "rewards of 1e200");
      }
    }
    LossCase c = read_loss_case("dapo token");
    c.batch.rewards[0] = 1e200;
    c.options.advantage.scale = AdvantageScale::none;
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "that of completion", gradients_of(policy, c));
  });
}

TEST("losses: the largest ratio is of what was computed, below 1 too") {
  with_losses("float64", [&](Policy& policy) {
    LossCase c = read_loss_case("dapo token");
    for (float& logprob : c.batch.sampler_logprobs) logprob += 4;
    UpdateResult result;
    gradients_of(policy, c, &result);
    CHECK(result.ratio_max < 0.5);
    CHECK(result.ratio_max > 0);
  });
}

TEST("advantages: every baseline, scale and deviation equals plain PyTorch") {
  const auto cases = read_advantage_cases();
  const std::vector<int32_t> groups = read_loss_case("dapo token").batch.group_index;
  size_t seen = 0;
  for (const auto& [name, expected] : cases) {
    if (name == "rewards" || name == "baseline") continue;
    std::istringstream words(name);
    std::string baseline, scale, std;
    words >> baseline >> scale >> std;
    const AdvantageOptions options{baseline_of(baseline), scale_of(scale), deviation_of(std), 1e-4};
    const std::vector<double> given = baseline == "given" ? cases.at("baseline") : std::vector<double>();
    const Advantages a = normalised_advantages(cases.at("rewards"), groups, options, given);
    for (size_t i = 0; i < expected.size(); ++i) check_below(std::abs(a.values[i] - expected[i]), 1e-12, name);
    CHECK_EQUAL(a.groups, 4);
    CHECK_EQUAL(a.zero_spread_groups, 1);
    ++seen;
  }
  CHECK_EQUAL(seen, size_t{18});
}

TEST("advantages: leave-one-out and a given baseline by hand") {
  const AdvantageOptions loo{Baseline::leave_one_out, AdvantageScale::none, Deviation::population, 0};
  // 6 against the mean of 1 and 2, and so on.
  const Advantages a = normalised_advantages({6, 1, 2}, {0, 0, 0}, loo);
  CHECK_CLOSE(a.values[0], 4.5, 1e-14);
  CHECK_CLOSE(a.values[1], -3, 1e-14);
  CHECK_CLOSE(a.values[2], -1.5, 1e-14);
  // Equal rewards above a given baseline are a signal: 1 - 0.6 over its own root mean square.
  const AdvantageOptions given{Baseline::given, AdvantageScale::group, Deviation::population, 0};
  for (const double value : normalised_advantages({1, 1}, {3, 3}, given, {0.6, 0.6}).values) CHECK_CLOSE(value, 1, 1e-14);
  CHECK_CLOSE(normalised_advantages({1}, {3}, {Baseline::given, AdvantageScale::none}, {0.6}).values[0], 0.4, 1e-14);
  // What is equal to its baseline has none, though its deviation is 0.
  CHECK_EQUAL(normalised_advantages({1}, {3}, given, {1}).values[0], 0.0);
}

TEST("entropy mask: keeps what lies at or above the quantile, ties and extremes included") {
  const std::vector<double> entropies{0.1, 9, 0.5, 0.3, 0.4, 0.2};
  const std::vector<int64_t> places{0, 2, 3, 4, 5};  // not the 9
  const auto kept = [&](double fraction) { return keep_most_entropic(entropies, places, fraction); };
  CHECK(kept(1) == (std::vector<uint8_t>{1, 0, 1, 1, 1, 1}));
  CHECK(kept(0.5) == (std::vector<uint8_t>{0, 0, 1, 1, 1, 0}));   // the quantile is 0.3 itself
  CHECK(kept(0.4) == (std::vector<uint8_t>{0, 0, 1, 0, 1, 0}));   // 0.34
  CHECK(kept(1e-6) == (std::vector<uint8_t>{0, 0, 1, 0, 0, 0}));
  CHECK(keep_most_entropic({2, 2, 2}, {0, 1, 2}, 0.1) == (std::vector<uint8_t>{1, 1, 1}));
  CHECK(keep_most_entropic({}, {}, 0.5).empty());
}

TEST("losses: options that do not fit are refused by name") {
  with_losses("float32", [&](Policy& policy) {
    const auto refuse = [&](const std::string& part, const std::function<void(LossCase&)>& change) {
      LossCase c = read_loss_case("grpo token");
      change(c);
      CHECK_THROWS("ILR_INVALID_ARGUMENT", part, gradients_of(policy, c));
    };
    const double nan = std::nan("");
    refuse("ratio", [](LossCase& c) { c.options.loss = Loss::luspo; });
    refuse("maxCompletionTokens", [](LossCase& c) { c.options.loss = Loss::dr_grpo, c.options.max_completion_tokens = 0; });
    refuse("delta", [](LossCase& c) { c.options.delta = 1.1; });
    refuse("delta", [](LossCase& c) { c.options.loss = Loss::sapo, c.options.delta = 2; });
    refuse("refLogprobs", [](LossCase& c) { c.options.beta = 0.1; });
    refuse("refLogprobs", [](LossCase& c) { c.batch.ref_logprobs = {1, 2}; });
    refuse("oldLogprobs", [](LossCase& c) { c.batch.old_logprobs.assign(c.batch.mask.size(), NAN); });
    refuse("oldLogprobs", [](LossCase& c) { c.options.importance_correction = ImportanceCorrection::token_mask; });
    refuse("importanceCorrection", [](LossCase& c) {
      c.batch.old_logprobs = c.batch.sampler_logprobs;
      c.options.loss = Loss::vespo;
      c.options.importance_correction = ImportanceCorrection::sequence_mask;
    });
    refuse("importanceMin", [](LossCase& c) { c.options.importance_min = 4; });
    refuse("topEntropyFraction", [](LossCase& c) { c.options.top_entropy_fraction = 0; });
    refuse("entropyBonus", [&](LossCase& c) { c.options.entropy_bonus = nan; });
    refuse("beta", [](LossCase& c) { c.options.beta = -1; });
    refuse("sapoTemperaturePositive", [](LossCase& c) { c.options.sapo_temperature_positive = 0; });
    refuse("offPolicyThreshold", [&](LossCase& c) { c.options.off_policy_threshold = nan; });
    refuse("baseline", [](LossCase& c) { c.options.advantage.baseline = Baseline::given; });
    refuse("baseline", [](LossCase& c) { c.batch.baseline = c.batch.rewards; });
    refuse("stdEpsilon", [](LossCase& c) { c.options.advantage.epsilon = -1; });
    refuse("stageTokens", [](LossCase& c) { c.batch.stage_tokens = {0, 5}; });
    refuse("stageTokens", [](LossCase& c) { c.batch.stage_tokens = {5}; });
    refuse("beta", [](LossCase& c) { c.options.loss = Loss::nll, c.options.beta = 0.1; });
    refuse("topEntropyFraction", [](LossCase& c) { c.options.loss = Loss::nll, c.options.top_entropy_fraction = 0.5; });
  });
}

}  // namespace
}  // namespace ilr::test
