#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "memory.h"
#include "moments.h"
#include "optimizer.h"
#include "policy_fixture.h"
#include "random.h"
#include "runtime.h"
#include "split_float.h"

#include "check.h"

namespace ilr::test {
namespace {

float of_bits(uint32_t bits) { return std::bit_cast<float>(bits); }

TEST("split float: weight and remainder are the float32, bit for bit") {
  int64_t checked = 0, wrong = 0, not_nearest = 0;
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const uint32_t lower : {0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xC5A3, 0xFFFF}) {
      const float value = of_bits((upper << 16) | lower);
      if (std::isnan(value)) continue;
      const SplitFloat split = split_float(value);
      wrong += std::bit_cast<uint32_t>(join_float(split)) != std::bit_cast<uint32_t>(value) ? 1 : 0;
      // Nearest: no neighbour of the weight lies closer (of finite ones; the last half step rounds to infinity).
      const double weight = bf16_to_float(split.weight);
      for (const int step : {-1, 1}) {
        const double neighbour = bf16_to_float(static_cast<uint16_t>(split.weight + step));
        if (std::isfinite(weight) && std::isfinite(neighbour) && std::abs(neighbour - value) < std::abs(weight - value)) {
          ++not_nearest;
        }
      }
      ++checked;
    }
  }
  CHECK(checked > 450000);
  CHECK_EQUAL(wrong, 0);
  CHECK_EQUAL(not_nearest, 0);
}

TEST("split float: ties, signs, the largest and the smallest, by hand") {
  const auto check = [](uint32_t bits, uint16_t weight, int16_t remainder) {
    const SplitFloat split = split_float(of_bits(bits));
    CHECK_EQUAL(split.weight, weight);
    CHECK_EQUAL(split.remainder, remainder);
    CHECK_EQUAL(std::bit_cast<uint32_t>(join_float(split)), bits);
  };
  check(0x3F800000, 0x3F80, 0);        // 1
  check(0x3F808000, 0x3F81, -0x8000);  // a tie above an even weight: away from zero
  check(0x3F818000, 0x3F82, -0x8000);  // above an odd one
  check(0xBF808000, 0xBF81, -0x8000);  // negative
  check(0x3F807FFF, 0x3F80, 0x7FFF);
  check(0x3FFFFFFF, 0x4000, -1);       // into the next exponent
  check(0x7F7FFFFF, 0x7F80, -1);       // the largest float32: its weight is infinite, the master is not
  check(0x7F800000, 0x7F80, 0);        // infinity
  check(0x00000001, 0x0000, 1);        // the smallest subnormal
  check(0x80000001, 0x8000, 1);
  check(0x007FFFFF, 0x0080, -1);       // the largest subnormal
  check(0x80000000, 0x8000, 0);        // -0
  CHECK(std::isnan(join_float(split_float(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(bf16_to_float(round_to_bf16(of_bits(0x7FFFFFFF)))));
}

TEST("split float: rounding keeps the mean, cutting off would lose 0.28 % of it") {
  double sum = 0, rounded = 0, cut = 0;
  for (uint64_t i = 0; i < 200000; ++i) {
    const auto value = static_cast<float>(std::abs(normal_at(1, 0, i)));
    sum += value;
    rounded += bf16_to_float(split_float(value).weight);
    cut += bf16_to_float(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
  }
  CHECK(std::abs(rounded / sum - 1) < 2e-5);
  CHECK(std::abs(cut / sum - 1) > 2e-3);  // the mutant
}

TEST("rounding to bfloat16 is ATen's") {
  for (uint32_t i = 0; i < 100000; ++i) {
    const float value = of_bits(i * 42949u + 7);
    if (std::isnan(value)) continue;
    CHECK_EQUAL(round_to_bf16(value), at::BFloat16(value).x);
  }
}

// A running average that falls by a thousandth per update, 1,000 times from 1.
double fallen(MomentType type, bool second) {
  constexpr int64_t blocks = 40;
  Moment moment(at::zeros({blocks * kMomentBlock, 1}), type, second);
  float values[kMomentBlock];
  double sum = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    std::fill_n(values, kMomentBlock, 1.0F);
    for (int step = 0; step <= 1000; ++step) {
      if (step > 0) {
        moment.load(b * kMomentBlock, kMomentBlock, values);
        for (float& v : values) v *= 0.999F;
      }
      values[0] = 1;  // the scale of the block stays
      moment.store(b * kMomentBlock, kMomentBlock, values, static_cast<uint64_t>(step));
    }
    moment.load(b * kMomentBlock, kMomentBlock, values);
    for (int64_t i = 1; i < kMomentBlock; ++i) sum += values[i];
  }
  return sum / static_cast<double>(blocks * (kMomentBlock - 1));
}

TEST("moments: averages that move by less than half a step still fall") {
  const double expected = std::pow(0.999, 1000);  // 0.368; rounded to the nearest it would be 1 for ever
  CHECK_CLOSE(fallen(MomentType::float32, true) / expected, 1, 1e-4);
  // 10,200 elements whose draws scatter: three standard deviations of their mean, and what the square of a scattered
  // root adds.
  CHECK_CLOSE(fallen(MomentType::bfloat16, true) / expected, 1, 5e-3);
  CHECK_CLOSE(fallen(MomentType::bfloat16, false) / expected, 1, 5e-3);
  CHECK_CLOSE(fallen(MomentType::int8, false) / expected, 1, 3e-2);
  CHECK_CLOSE(fallen(MomentType::int8, true) / expected, 1, 8e-2);
  uint16_t stuck = round_to_bf16(1.0F);
  for (int step = 0; step < 1000; ++step) stuck = round_to_bf16(bf16_to_float(stuck) * 0.999F);
  CHECK_EQUAL(bf16_to_float(stuck), 1.0F);  // the mutant: the nearest
}

TEST("moments: what 8 bits hold lies within one code, a second moment never falls to 0") {
  Moment first(at::zeros({3, 100}), MomentType::int8, false), second(at::zeros({3, 100}), MomentType::int8, true);
  float values[kMomentBlock], squares[kMomentBlock], loaded[kMomentBlock];
  for (int64_t i = 0; i < kMomentBlock; ++i) {
    // Twelve decades down from 1, both signs.
    values[i] = static_cast<float>((i % 2 == 0 ? 1 : -1) * std::pow(10.0, -static_cast<double>(i) / 20));
    squares[i] = values[i] * values[i];
  }
  first.store(0, kMomentBlock, values, 5);
  second.store(0, kMomentBlock, squares, 5);
  first.load(0, kMomentBlock, loaded);
  // Codes are at most 0.9 / 64 of their decade's top apart, twice that across its edge, and the lowest decade has one.
  for (int64_t i = 0; i < kMomentBlock; ++i) {
    const double decade = std::pow(10.0, std::ceil(std::log10(std::abs(static_cast<double>(values[i]))) - 1e-6));
    const double parts = std::max(1.0, 64 * decade);
    CHECK(std::abs(loaded[i] - values[i]) <= decade * (1 / parts + 0.1) + 1e-6);
  }
  second.load(0, kMomentBlock, loaded);
  for (int64_t i = 0; i < kMomentBlock; ++i) CHECK(loaded[i] > 0);
  // A block of zeros stays so, and a scale too small to divide by harms nothing.
  std::fill_n(values, kMomentBlock, 0.0F);
  first.store(0, kMomentBlock, values, 6);
  first.load(0, kMomentBlock, loaded);
  for (const float value : loaded) CHECK_EQUAL(value, 0.0F);
  std::fill_n(squares, 44, 1e-45F);
  second.store(kMomentBlock, 44, squares, 6);
  second.load(kMomentBlock, 44, loaded);
  for (int64_t i = 0; i < 44; ++i) CHECK(std::isfinite(loaded[i]));
}

struct Trained {
  at::Tensor weight, master;
};

at::Tensor random_tensor(at::IntArrayRef sizes, uint64_t seed) {
  at::Tensor tensor = at::zeros(sizes);
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.mutable_data_ptr<float>()[i] = static_cast<float>(normal_at(seed, 0, static_cast<uint64_t>(i)));
  }
  return tensor;
}

UpdateOptions options_of_step() {
  return {.learning_rate = 1e-2, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1, .max_grad_norm = 0};
}

// Ten steps of a bfloat16 matrix of 37 x 23 (blocks that do not fill) on the same gradients.
Trained train(const OptimizerOptions& kind) {
  at::Tensor weight = random_tensor({37, 23}, 1).to(at::kBFloat16).set_requires_grad(true);
  AdamW optimizer({{"weight", weight}}, kind);
  UpdateResult result;
  for (uint64_t step = 0; step < 10; ++step) {
    weight.mutable_grad() = random_tensor({37, 23}, 100 + step).to(at::kBFloat16);
    optimizer.step(options_of_step(), result);
    CHECK(!weight.grad().defined());
  }
  Trained trained{weight.detach().clone(), {}};
  for (const auto& [name, tensor] : optimizer.state()) {
    if (name == "master.weight") trained.master = tensor;
    if (name != "remainder.weight") continue;
    trained.master = at::zeros(weight.sizes());
    for (int64_t i = 0; i < weight.numel(); ++i) {
      trained.master.mutable_data_ptr<float>()[i] =
          join_float({weight.const_data_ptr<at::BFloat16>()[i].x, tensor.const_data_ptr<int16_t>()[i]});
    }
  }
  return trained;
}

TEST("optimizer: the float32 master of bfloat16 weights takes PyTorch's AdamW steps") {
  const at::NoGradGuard no_grad;
  at::Tensor expected = random_tensor({37, 23}, 1).to(at::kBFloat16).to(at::kFloat);
  const at::Tensor start = expected.clone();
  const at::Tensor first = at::zeros_like(expected), second = at::zeros_like(expected), step = at::zeros({});
  const UpdateOptions o = options_of_step();
  for (uint64_t i = 0; i < 10; ++i) {
    step.fill_(static_cast<double>(i + 1));
    at::_fused_adamw_({expected}, {random_tensor({37, 23}, 100 + i).to(at::kBFloat16).to(at::kFloat)}, {first}, {second}, {},
                      {step}, o.learning_rate, o.beta1, o.beta2, o.weight_decay, o.epsilon, false, false);
  }
  const Trained adamw = train({});
  // Both round each of ten float32 steps of 1e-2 their own way.
  CHECK(max_error(adamw.master - start, expected - start) < 1e-5);
  CHECK(at::equal(adamw.weight, adamw.master.to(at::kBFloat16)));
  // The mutant: without a master, steps below half a bfloat16 step are lost or doubled.
  CHECK(max_error(adamw.weight.to(at::kFloat) - start, expected - start) > 1e-3);
}

TEST("optimizer: the lean master is the float32 one, bit for bit") {
  const Trained adamw = train({}), lean = train({OptimizerKind::lean, MomentType::float32});
  CHECK(at::equal(adamw.master, lean.master));
  CHECK(at::equal(adamw.weight, lean.weight));  // no tie among them
}

const std::vector<std::pair<const char*, const char*>> kinds{
    {"adamw", "float32"}, {"adamw", "bfloat16"}, {"adamw", "int8"}, {"lean", "float32"}, {"lean", "bfloat16"}, {"lean", "int8"}};

PolicyOptions bf16_policy(const char* optimizer, const char* moments) {
  return {.dtype = "bfloat16", .optimizer = optimizer, .moments = moments};
}

GoldenUpdate training() {
  GoldenUpdate update = read_golden_update("qwen2-tied", "dapo");
  update.options.learning_rate = 1e-3;
  update.options.weight_decay = 0.01;
  return update;
}

Tensors everything(Policy& policy) {
  Tensors all = copy_of(policy.state().hf_tensors());
  for (const auto& [name, tensor] : policy.state().optimizer->state()) all[name] = tensor.clone();
  return all;
}

TEST("optimizer: saved and loaded, each kind goes on bit for bit; another kind is refused by name") {
  const GoldenUpdate update = training();
  for (const auto& [optimizer, moments] : kinds) {
    const TemporaryFolder folder;
    Tensors expected;
    with_policy(golden("qwen2-tied"), bf16_policy(optimizer, moments), [&](Policy& policy) {
      for (int i = 0; i < 2; ++i) policy.update(update.batch, update.options, {});
      policy.save(folder.path(), true);
      policy.update(update.batch, update.options, {});
      expected = everything(policy);
    });
    with_policy(
        folder.path(), bf16_policy(optimizer, moments),
        [&](Policy& policy) {
          CHECK_EQUAL(policy.info().step, 2);
          policy.update(update.batch, update.options, {});
          CHECK(are_identical(expected, everything(policy)));
        },
        true);
    for (const auto& [other, other_moments] : kinds) {
      if (std::string(other) == optimizer && std::string(other_moments) == moments) continue;
      CHECK_THROWS("ILR_INVALID_MODEL", std::string("optimizer ") + optimizer + " with moments " + moments,
                   with_policy(folder.path(), bf16_policy(other, other_moments), [](Policy&) {}, true));
    }
    CHECK_THROWS("ILR_INVALID_MODEL", "optimizer.safetensors",
                 with_policy(folder.path(), PolicyOptions{.dtype = "float32", .moments = moments}, [](Policy&) {}, true));
  }
}

TEST("optimizer: a gradient that is not finite changes nothing in any kind") {
  const GoldenUpdate update = training();
  for (const auto& [optimizer, moments] : kinds) {
    with_policy(golden("qwen2-tied"), bf16_policy(optimizer, moments), [&](Policy& policy) {
      policy.update(update.batch, update.options, {});
      const at::Tensor weight = policy.state().hf_tensors().at("model.layers.1.mlp.down_proj.weight");
      const at::NoGradGuard no_grad;
      const at::Tensor kept = weight.clone();
      weight[0][0].fill_(std::numeric_limits<float>::infinity());
      const Tensors before = everything(policy);
      const UpdateResult result = policy.update(update.batch, update.options, {});
      CHECK(result.skipped);
      CHECK_EQUAL(result.step, 1);
      CHECK(are_identical(before, everything(policy)));
      weight.copy_(kept);
      CHECK(!policy.update(update.batch, update.options, {}).skipped);
    });
  }
}

TEST("optimizer: weights that are copied in become the master") {
  const GoldenUpdate update = training();
  for (const auto& [optimizer, moments] : kinds) {
    with_policy(golden("qwen2-tied"), bf16_policy(optimizer, moments), [&, optimizer = optimizer](Policy& policy) {
      with_policy(golden("qwen2-tied"), "bfloat16", [&](Policy& other) {
        for (int i = 0; i < 2; ++i) policy.update(update.batch, update.options, {});
        policy.copy_from(other, 1);
        for (const auto& [name, tensor] : policy.state().optimizer->state()) {
          if (name.starts_with("remainder.")) CHECK_EQUAL(tensor.abs().max().item<int64_t>(), 0);
          if (!name.starts_with("master.")) continue;
          for (const auto& [own, weight] : policy.state().model.parameters()) {
            if ("master." + own == name) CHECK(at::equal(tensor, weight.to(at::kFloat)));
          }
        }
        // Without it the next step would go on from the old master.
        UpdateOptions still = update.options;
        still.learning_rate = 0;
        policy.update(update.batch, still, {});
        CHECK(are_identical(policy.state().hf_tensors(), other.state().hf_tensors()));
      });
    });
  }
}

TEST("optimizer: what cannot be is refused by name") {
  const auto refuse = [](const std::string& code, const std::string& part, const PolicyOptions& options) {
    CHECK_THROWS(code, part, with_policy(golden("qwen2-tied"), options, [](Policy&) {}));
  };
  refuse("ILR_INVALID_ARGUMENT", "adamw or lean", {.optimizer = "sgd"});
  refuse("ILR_INVALID_ARGUMENT", "int8", {.moments = "int4"});
  refuse("ILR_UNSUPPORTED", "dtype bfloat16", {.optimizer = "lean"});
  refuse("ILR_UNSUPPORTED", "float64", {.dtype = "float64", .moments = "int8"});
}

TEST("optimizer: the memory per parameter is what the documentation says") {
  const std::string config = R"({"model_type":"llama","vocab_size":512,"hidden_size":256,"intermediate_size":512,)"
                             R"("num_hidden_layers":2,"num_attention_heads":4,"max_position_embeddings":64,)"
                             R"("tie_word_embeddings":true})";
  const auto per_parameter = [&](const PolicyOptions& options) {
    double counted = 0;
    Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
    runtime.run([&] {
      const int64_t before = runtime.memory().bytes();
      const auto policy = Policy::create(runtime, config, 1, options);
      const PolicyInfo info = policy->info();
      counted = static_cast<double>(runtime.memory().bytes() - before) / static_cast<double>(info.parameters);
      const double stated = static_cast<double>(info.weight_bytes + info.optimizer_bytes) / static_cast<double>(info.parameters);
      CHECK(stated <= counted && counted <= 1.125 * stated);  // the counter rounds blocks up by at most an eighth
    });
    return counted;
  };
  // Weights and optimiser, without the gradients (4 bytes in float32, 2 in bfloat16). The counter's blocks may be an eighth larger.
  const auto check = [&](double expected, const PolicyOptions& options) {
    const double counted = per_parameter(options);
    CHECK(counted >= 0.99 * expected && counted < 1.125 * expected);
  };
  check(12, {});
  check(8, {.moments = "bfloat16"});
  check(6.03, {.moments = "int8"});
  check(14, {.dtype = "bfloat16"});
  check(8, {.dtype = "bfloat16", .optimizer = "lean"});
  check(6.03, {.dtype = "bfloat16", .optimizer = "lean", .moments = "int8"});
}

// Sequences that follow a rule three times in four, so that the loss has a floor (about 1.4 nats) well above 0.
TrainingBatch lesson(uint64_t seed) {
  constexpr int32_t vocab = 61;
  TrainingBatch b;
  b.prompts = {{1}, {0, 1}};
  b.stage_weights = {1};
  for (uint64_t s = 0; s < 8; ++s) {
    int32_t token = 1;
    for (uint64_t t = 0; t < 16; ++t) {
      const bool follows = uniform_at(seed * 8 + s, 2 * t) < 0.75;
      token = follows ? (3 * token + 7) % vocab : static_cast<int32_t>(uniform_at(seed * 8 + s, 2 * t + 1) * vocab);
      b.completions.ids.push_back(token);
    }
    b.completions.offsets.push_back(static_cast<int32_t>(b.completions.ids.size()));
    b.prompt_index.push_back(0);
    b.stage.push_back(0);
  }
  b.mask.assign(b.completions.ids.size(), 1);
  return b;
}

struct Lessons {
  double first = 0, last = 0;  // supervised loss of the first step, and over 32 unseen batches after 300
};

Lessons learn(const PolicyOptions& options) {
  Lessons result;
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  runtime.run([&] {
    const auto policy = Policy::create(runtime, tiny_config("llama"), 3, options);
    UpdateOptions o{.loss = Loss::nll, .learning_rate = 1e-2, .warmup_steps = 20};
    o.schedule = Schedule::cosine;
    o.total_steps = 300;
    for (uint64_t step = 0; step < 300; ++step) {
      const double loss = policy->update(lesson(step), o, {}).loss;
      if (step == 0) result.first = loss;
    }
    const TrainingBatch all = lesson(1000);
    for (uint64_t i = 0; i < 32; ++i) {
      const TrainingBatch b = lesson(1000 + i);
      ScoreRequest request;
      request.sequences.offsets = {0};
      for (int64_t s = 0; s < b.completions.size(); ++s) {
        request.sequences.ids.push_back(1);
        request.sequences.ids.insert(request.sequences.ids.end(), b.completions.begin(s),
                                     b.completions.begin(s) + b.completions.length(s));
        request.mask.push_back(0);
        request.mask.insert(request.mask.end(), static_cast<size_t>(b.completions.length(s)), 1);
        request.sequences.offsets.push_back(static_cast<int32_t>(request.sequences.ids.size()));
      }
      for (const float logprob : policy->logprobs(request, {}).logprobs) {
        result.last -= static_cast<double>(logprob) / (32.0 * static_cast<double>(b.completions.ids.size()));
      }
    }
  });
  return result;
}

TEST("optimizer: 300 supervised steps of the lean ones end within 1 % of the float32 loss") {
  const Lessons expected = learn({});
  CHECK(expected.last < 0.5 * expected.first);  // it learned
  for (const auto& [optimizer, moments] : kinds) {
    const double ratio = learn(bf16_policy(optimizer, moments)).last / expected.last;
    if (std::abs(ratio - 1) <= 0.01) continue;
    fail(__FILE__, __LINE__, std::string(optimizer) + " with " + moments + ": " + std::to_string(ratio) + " of the float32 loss");
  }
}

}  // namespace
}  // namespace ilr::test
