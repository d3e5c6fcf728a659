#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "advantage.h"
#include "policy_fixture.h"

#include "check.h"

namespace ilr::test {
namespace {

struct Case {
  std::string model;
  std::string loss;
};
const std::vector<Case> cases{{"qwen2-tied", "dapo"}, {"qwen2-tied", "nll"}, {"llama-untied", "dapo"}};

// Of a tensor's norm. The golden gradients are float64, so the float32 bound is all of the core's own rounding.
double bound_of(const std::string& dtype) { return dtype == "float64" ? 1e-10 : 1e-5; }

void check_below(double error, double bound, const std::string& what) {
  if (error <= bound) return;
  std::ostringstream message;
  message << what << ": expected an error of at most " << bound << ", got " << error;
  fail(__FILE__, __LINE__, message.str());
}

TEST("advantages: (R - mean) / (population std + 1e-6) by group") {
  // Group 7: 1, 0, 0 with mean 1/3 and std sqrt(2)/3. Group 2: equal, though 0.1 has no exact double.
  const Advantages a = normalised_advantages({1, 0.1, 0, 0.1, 0, 0.1}, {7, 2, 7, 2, 7, 2});
  const double deviation = std::sqrt(2.0) / 3 + 1e-6;
  CHECK_CLOSE(a.values[0], (2.0 / 3) / deviation, 1e-12);
  CHECK_CLOSE(a.values[2], (-1.0 / 3) / deviation, 1e-12);
  CHECK_CLOSE(a.values[4], (-1.0 / 3) / deviation, 1e-12);
  for (const int i : {1, 3, 5}) CHECK_EQUAL(a.values[i], 0.0);
  CHECK_EQUAL(a.groups, 2);
  CHECK_EQUAL(a.zero_spread_groups, 1);
}

TEST("advantages: eight rewards of 0.1 and rewards a hair apart give exactly 0") {
  for (const double value : normalised_advantages(std::vector<double>(8, 0.1), std::vector<int32_t>(8, 0)).values) {
    CHECK_EQUAL(value, 0.0);
  }
  for (const double value : normalised_advantages({0.5, 0.5 + 9e-7}, {0, 0}).values) CHECK_EQUAL(value, 0.0);
}

TEST("gradient: equal to plain PyTorch in float32 and float64") {
  for (const Case& c : cases) {
    const GoldenUpdate golden_update = read_golden_update(c.model, c.loss);
    for (const std::string dtype : {"float32", "float64"}) {
      with_policy(golden(c.model), dtype, [&](Policy& policy) {
        UpdateResult result;
        const Tensors gradients = policy.state().gradients(golden_update.batch, golden_update.options, &result);
        const std::string what = c.model + " " + c.loss + " " + dtype;
        check_below(worst_error(gradients, golden_update.gradients), bound_of(dtype), what);
        check_below(std::abs(result.loss / golden_update.report.at("loss") - 1), dtype == "float64" ? 1e-11 : 1e-4,
                    what + " loss");
      });
    }
  }
}

TEST("update: the report equals plain PyTorch") {
  const GoldenUpdate expected = read_golden_update("qwen2-tied", "dapo");
  with_policy(golden("qwen2-tied"), "float64", [&](Policy& policy) {
    const UpdateResult result = policy.update(expected.batch, expected.options, {});
    CHECK_CLOSE(result.loss, expected.report.at("loss"), 1e-11);
    CHECK_CLOSE(result.grad_norm, expected.report.at("grad_norm"), 1e-8);
    CHECK_CLOSE(result.entropy, expected.report.at("entropy"), 1e-8);
    CHECK_CLOSE(result.ratio_mean, expected.report.at("ratio_mean"), 1e-8);
    CHECK_CLOSE(result.ratio_max, expected.report.at("ratio_max"), 1e-8);
    CHECK_CLOSE(result.ratio_clipped_fraction, expected.report.at("ratio_clipped_fraction"), 1e-8);
    CHECK_CLOSE(result.sampler_kl, expected.report.at("sampler_kl"), 1e-8);
    CHECK_CLOSE(result.sampler_max_abs_diff, expected.report.at("sampler_max_abs_diff"), 1e-8);
    CHECK_EQUAL(result.trained_tokens, std::count(expected.batch.mask.begin(), expected.batch.mask.end(), 1));
    CHECK_EQUAL(result.groups, 3);
    CHECK_EQUAL(result.zero_spread_groups, 1);
    CHECK_EQUAL(result.advantages.size(), expected.advantages.size());
    for (size_t i = 0; i < expected.advantages.size(); ++i) CHECK_CLOSE(result.advantages[i], expected.advantages[i], 1e-12);
  });
}

TEST("gradient mutants: every part of a batch and its options shows in the gradient") {
  const GoldenUpdate golden_update = read_golden_update("qwen2-tied", "dapo");
  using Change = std::function<void(TrainingBatch&, UpdateOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"temperature", [](TrainingBatch&, UpdateOptions& o) { o.temperature = 0.8; }},
      {"lower clip", [](TrainingBatch&, UpdateOptions& o) { o.epsilon_low = 1; }},
      {"upper clip", [](TrainingBatch&, UpdateOptions& o) { o.epsilon_high = 100; }},
      {"clips swapped", [](TrainingBatch&, UpdateOptions& o) { o.epsilon_low = 0.28, o.epsilon_high = 0.15; }},
      {"stage weights", [](TrainingBatch& b, UpdateOptions&) { std::swap(b.stage_weights[0], b.stage_weights[1]); }},
      {"one stage", [](TrainingBatch& b, UpdateOptions&) { std::fill(b.stage.begin(), b.stage.end(), 0); }},
      {"extra advantage", [](TrainingBatch& b, UpdateOptions&) { b.extra_advantage[4] = 0; }},
      {"mask", [](TrainingBatch& b, UpdateOptions&) { b.mask[0] = 1; }},
      {"sampler", [](TrainingBatch& b, UpdateOptions&) { b.sampler_logprobs[1] += 0.1F; }},
      {"groups", [](TrainingBatch& b, UpdateOptions&) { std::swap(b.group_index[0], b.group_index[7]); }},
      {"rewards", [](TrainingBatch& b, UpdateOptions&) { b.rewards[2] = 0.2; }},
      {"prompt", [](TrainingBatch& b, UpdateOptions&) { b.prompt_index[8] = 1; }}};
  with_policy(golden("qwen2-tied"), "float64", [&](Policy& policy) {
    for (const auto& [name, change] : changes) {
      GoldenUpdate mutant = golden_update;
      change(mutant.batch, mutant.options);
      const double error =
          worst_error(policy.state().gradients(mutant.batch, mutant.options, nullptr), golden_update.gradients);
      if (!(error > 1e-3)) fail(__FILE__, __LINE__, name + " does not show: " + std::to_string(error));
    }
  });
}

TEST("gradient: equal rewards give exactly zero") {
  GoldenUpdate golden_update = read_golden_update("qwen2-tied", "dapo");
  std::fill(golden_update.batch.rewards.begin(), golden_update.batch.rewards.end(), 0.1);
  std::fill(golden_update.batch.extra_advantage.begin(), golden_update.batch.extra_advantage.end(), 0);
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    for (const auto& [name, gradient] : policy.state().gradients(golden_update.batch, golden_update.options, nullptr)) {
      CHECK_EQUAL(gradient.abs().max().item<double>(), 0.0);
    }
    const Tensors before = copy_of(policy.state().hf_tensors());
    const UpdateResult result = policy.update(golden_update.batch, golden_update.options, {});
    CHECK_EQUAL(result.zero_spread_groups, 3);
    CHECK_EQUAL(result.micro_batches, 0);
    CHECK(std::isnan(result.entropy));  // nothing was computed
    CHECK(are_identical(before, policy.state().hf_tensors()));
  });
}

TEST("gradient: order, shared prompts and micro-batches change nothing but rounding") {
  for (const Case& c : cases) {
    const GoldenUpdate golden_update = read_golden_update(c.model, c.loss);
    for (const std::string dtype : {"float32", "float64"}) {
      with_policy(golden(c.model), dtype, [&](Policy& policy) {
        const Tensors base = policy.state().gradients(golden_update.batch, golden_update.options, nullptr);
        const double bound = dtype == "float64" ? 1e-11 : 1e-5;
        for (const int64_t budget : {1, 24, 40, 1000}) {
          UpdateOptions options = golden_update.options;
          options.micro_batch_tokens = budget;
          UpdateResult result;
          const Tensors cut = policy.state().gradients(golden_update.batch, options, &result);
          check_below(worst_error(cut, base), bound, c.model + " micro-batches of " + std::to_string(budget));
          CHECK(budget < 1000 ? result.micro_batches > 1 : result.micro_batches == 1);
        }
        std::vector<int64_t> order(static_cast<size_t>(golden_update.batch.completions.size()));
        std::iota(order.begin(), order.end(), 0);
        for (const bool split : {false, true}) {
          const TrainingBatch straight = reordered(golden_update.batch, order, split);
          const TrainingBatch reversed = reordered(golden_update.batch, {order.rbegin(), order.rend()}, split);
          const TrainingBatch mixed = reordered(golden_update.batch, {3, 8, 0, 5, 9, 1, 7, 2, 6, 4}, split);
          for (const TrainingBatch& batch : {straight, reversed, mixed}) {
            check_below(worst_error(policy.state().gradients(batch, golden_update.options, nullptr), base), bound,
                        c.model + " " + c.loss + " " + dtype + (split ? " split" : " shared"));
          }
        }
      });
    }
  }
}

TEST("update: forward tokens count a shared prompt once") {
  const GoldenUpdate golden_update = read_golden_update("qwen2-tied", "nll");
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    UpdateResult result;
    policy.state().gradients(golden_update.batch, golden_update.options, &result);
    CHECK_EQUAL(result.micro_batches, 1);
    // 16 prompt tokens; completion 2 (3 tokens) is masked whole, the other nine have 58.
    CHECK_EQUAL(result.forward_tokens, 16 + 58);
  });
}

// Direction of the objective, with no reference: a small step against the gradient lowers the loss by lr * |g|^2.
TEST("gradient: a step against it lowers the loss as it promises") {
  const GoldenUpdate golden_update = read_golden_update("llama-untied", "dapo");
  with_policy(golden("llama-untied"), "float64", [&](Policy& policy) {
    UpdateResult before;
    UpdateResult after;
    const Tensors gradients = policy.state().gradients(golden_update.batch, golden_update.options, &before);
    double squares = 0;
    {
      const at::NoGradGuard no_grad;
      for (auto& [name, weight] : policy.state().hf_tensors()) {
        weight.sub_(gradients.at(name), 1e-7);
        squares += gradients.at(name).square().sum().item<double>();
      }
    }
    policy.state().gradients(golden_update.batch, golden_update.options, &after);
    CHECK_CLOSE((before.loss - after.loss) / (1e-7 * squares), 1, 1e-3);
  });
}

}  // namespace
}  // namespace ilr::test
