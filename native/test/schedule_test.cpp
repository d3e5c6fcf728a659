#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <set>
#include <sstream>

#include "optimizer.h"
#include "policy_fixture.h"
#include "schedule.h"

#include "check.h"

namespace ilr::test {
namespace {

UpdateOptions scheduled(Schedule schedule, int64_t warmup, int64_t total, double fraction) {
  UpdateOptions o;
  o.learning_rate = 1;
  o.schedule = schedule;
  o.warmup_steps = warmup;
  o.total_steps = total;
  o.min_learning_rate_fraction = fraction;
  return o;
}

TEST("schedule: values worked out by hand") {
  const UpdateOptions linear = scheduled(Schedule::linear, 2, 6, 0.2);
  // Warm-up 1/2, 1; then 4 steps fall from 1 towards 0.2 by 0.2 each.
  const double expected[] = {0.5, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2};
  for (int64_t step = 1; step <= 9; ++step) CHECK_CLOSE(learning_rate_at(step, linear), expected[step - 1], 1e-15);
  const UpdateOptions cosine = scheduled(Schedule::cosine, 0, 4, 0);
  // (1 + cos(pi p)) / 2 at p = 0, 1/4, 1/2, 3/4, 1.
  const double half = std::sqrt(0.5) / 2;
  const double waves[] = {1, 0.5 + half, 0.5, 0.5 - half, 0, 0};
  for (int64_t step = 1; step <= 6; ++step) CHECK_CLOSE(learning_rate_at(step, cosine), waves[step - 1], 1e-15);
  for (const int64_t step : {1, 5, 1000}) {
    CHECK_EQUAL(learning_rate_at(step, scheduled(Schedule::constant, 0, 0, 0)), 1.0);
  }
  CHECK_EQUAL(learning_rate_at(3, scheduled(Schedule::constant, 4, 0, 0)), 0.75);
}

TEST("schedule: equal to PyTorch's, and to transformers' after the warm-up") {
  const SafetensorsReader file = SafetensorsReader::open_file(golden("schedules.safetensors"));
  constexpr int64_t warmup = 4, total = 20;
  const auto check = [&](const std::string& name, Schedule schedule, double fraction, int64_t first) {
    const std::vector<double> expected = values_of<double>(file.view(name));
    CHECK_EQUAL(static_cast<int64_t>(expected.size()), total);
    for (int64_t step = first; step <= total; ++step) {
      CHECK_CLOSE(learning_rate_at(step, scheduled(schedule, warmup, total, fraction)), expected[step - 1], 1e-12);
    }
  };
  check("pytorch.linear.0", Schedule::linear, 0, 1);
  check("pytorch.linear.f", Schedule::linear, 0.1, 1);
  check("pytorch.cosine.0", Schedule::cosine, 0, 1);
  check("pytorch.cosine.f", Schedule::cosine, 0.1, 1);
  check("transformers.constant.0", Schedule::constant, 0, warmup + 1);
  check("transformers.linear.0", Schedule::linear, 0, warmup + 1);
  check("transformers.cosine.0", Schedule::cosine, 0, warmup + 1);
  check("transformers.cosine.f", Schedule::cosine, 0.1, warmup + 1);
}

TEST("schedule: an update uses and reports the rate of its step") {
  GoldenUpdate update = read_golden_update("qwen2-tied", "nll");
  update.options = scheduled(Schedule::cosine, 1, 3, 0.5);
  update.options.loss = Loss::nll;
  update.options.learning_rate = 1e-3;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    for (const double rate : {1e-3, 1e-3, 7.5e-4, 5e-4, 5e-4}) {
      CHECK_CLOSE(policy.update(update.batch, update.options, {}).learning_rate, rate, 1e-18);
    }
    update.options.total_steps = 1;
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "totalSteps", policy.update(update.batch, update.options, {}));
    update.options.total_steps = 3;
    update.options.min_learning_rate_fraction = 1.5;
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "minLearningRateFraction", policy.update(update.batch, update.options, {}));
  });
}

TEST("weight decay: of the tensors that transformers' Trainer decays, no others") {
  const SafetensorsReader file = SafetensorsReader::open_file(golden("schedules.safetensors"));
  for (const std::string model : {"qwen2-tied", "llama-untied"}) {
    std::istringstream names(file.metadata().at("decayed." + model));
    const std::set<std::string> expected{std::istream_iterator<std::string>(names), {}};
    CHECK(expected.size() > 10);
    GoldenUpdate update = read_golden_update(model, "dapo");
    update.options.learning_rate = 1e-2;
    const auto after = [&](double decay) {
      Tensors weights;
      update.options.weight_decay = decay;
      with_policy(golden(model), "float32", [&](Policy& policy) {
        policy.update(update.batch, update.options, {});
        weights = copy_of(policy.state().hf_tensors());
      });
      return weights;
    };
    const Tensors plain = after(0), decayed = after(0.5);
    for (const auto& [name, weight] : plain) CHECK_EQUAL(at::equal(weight, decayed.at(name)), !expected.contains(name));
  }
}

TEST("clipping: the norm of a large gradient is summed in double") {
  // 3 million times 0.1 in float32: one float32 sum of squares drifts, the double one is sqrt(3e6) * 0.1f.
  at::Tensor parameter = at::full({3000, 1000}, 1.0, at::kFloat).set_requires_grad(true);
  parameter.mutable_grad() = at::full({3000, 1000}, 0.1, at::kFloat);
  AdamW optimizer({{"weight", parameter}});
  UpdateResult result;
  optimizer.step(UpdateOptions{}, result);
  CHECK_CLOSE(result.grad_norm / (std::sqrt(3e6) * static_cast<double>(0.1F)), 1, 1e-6);
}

}  // namespace
}  // namespace ilr::test
