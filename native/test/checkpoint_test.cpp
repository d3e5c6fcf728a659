#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

#include "checkpoint.h"
#include "matmul.h"
#include "policy_fixture.h"

#include "check.h"

namespace ilr::test {
namespace {

struct Run {
  Tensors gradients, weights;
  int64_t peak_bytes = 0;
};

Run run(const std::string& model, const std::string& dtype, GoldenUpdate update, bool checkpointing) {
  Run result;
  update.options.gradient_checkpointing = checkpointing;
  update.options.learning_rate = 1e-3;
  with_policy(golden(model), dtype, [&](Policy& policy) {
    result.gradients = policy.state().gradients(update.batch, update.options, nullptr);
    for (int i = 0; i < 3; ++i) result.peak_bytes = policy.update(update.batch, update.options, {}).peak_bytes;
    result.weights = copy_of(policy.state().hf_tensors());
  });
  return result;
}

TEST("gradient checkpointing: gradients and weights after three steps are bit-identical to none") {
  for (const std::string model : {"qwen2-tied", "llama-untied"}) {
    GoldenUpdate update = read_golden_update(model, "dapo");
    for (const std::string dtype : {"float32", "float64"}) {
      for (const int64_t tokens : {0, 24}) {  // one micro-batch of shared prompts, and several
        update.options.micro_batch_tokens = tokens;
        const Run plain = run(model, dtype, update, false), kept = run(model, dtype, update, true);
        CHECK(are_identical(plain.gradients, kept.gradients));
        CHECK(are_identical(plain.weights, kept.weights));
      }
    }
  }
}

TEST("gradient checkpointing: bit-identical in every model family, in float32 and bfloat16") {
  GoldenUpdate update = read_golden_update("qwen2-tied", "dapo");
  update.options.learning_rate = 1e-3;
  for (const std::string family : {"mistral", "qwen3", "gemma2", "gemma3_text"}) {
    for (const std::string dtype : {"float32", "bfloat16"}) {
      Tensors gradients, weights;
      for (const bool checkpointing : {false, true}) {
        update.options.gradient_checkpointing = checkpointing;
        with_random_policy(family_config(family), 5, dtype, [&](Policy& policy) {
          const Tensors got = policy.state().gradients(update.batch, update.options, nullptr);
          policy.update(update.batch, update.options, {});
          if (checkpointing) {
            CHECK(are_identical(got, gradients));
            CHECK(are_identical(policy.state().hf_tensors(), weights));
          }
          gradients = got;
          weights = copy_of(policy.state().hf_tensors());
        });
      }
    }
  }
}

TEST("gradient checkpointing: an adapter over a frozen base learns the same bits") {
  GoldenUpdate update = read_golden_update("qwen2-tied", "dapo");
  update.options.learning_rate = 1e-2;
  PolicyOptions options;
  options.adapter = AdapterOptions{.rank = 4};
  Tensors expected;
  for (const bool checkpointing : {false, true}) {
    update.options.gradient_checkpointing = checkpointing;
    with_policy(golden("qwen2-tied"), options, [&](Policy& policy) {
      for (int i = 0; i < 3; ++i) policy.update(update.batch, update.options, {});
      const Tensors got = policy.state().weights();
      if (checkpointing) CHECK(are_identical(got, expected));
      expected = copy_of(got);
      for (const auto& [name, tensor] : expected) {
        if (name.find("lora_B") != std::string::npos) CHECK(tensor.abs().max().item<float>() > 0);  // B begins at 0
      }
    });
  }
}

TEST("gradient checkpointing: the activations of one layer are held, not of all") {
  const std::string config = R"({"model_type":"llama","vocab_size":61,"hidden_size":64,"intermediate_size":128,)"
                             R"("num_hidden_layers":12,"num_attention_heads":4,"max_position_embeddings":2048,)"
                             R"("tie_word_embeddings":true})";
  TrainingBatch batch;
  std::vector<int32_t> ids;
  for (int32_t t = 0; t < 1024; ++t) ids.push_back(t * 37 % 61);
  batch.prompts = {{1}, {0, 1}};
  batch.completions = {ids, {0, 1024}};
  batch.prompt_index = {0};
  batch.mask.assign(1024, 1);
  batch.stage = {0};
  batch.stage_weights = {1};
  with_random_policy(config, 1, "float32", [&](Policy& policy) {
    const auto peak = [&](bool checkpointing) {
      return policy.update(batch, {.loss = Loss::nll, .gradient_checkpointing = checkpointing}, {}).peak_bytes;
    };
    // 12 layers of about 21 C floats a token against 12 inputs of C and one layer: less than a third with the gradients,
    // which both hold.
    const int64_t plain = peak(false), kept = peak(true);
    CHECK(3 * kept < plain);
    CHECK(kept > 1025 * 64 * 4 * 12);  // the inputs at least: the counter counts
  });
}

TEST("gradient checkpointing: parameters learn behind an input that does not") {
  const at::Tensor x = at::ones({2, 3});
  const at::Tensor weight = at::ones({4, 3}).set_requires_grad(true);
  const at::Tensor y = checkpoint(x, [&](const at::Tensor& input) { return linear_layer(input, weight); });
  torch::autograd::backward({y.sum()}, {});
  CHECK(at::equal(weight.grad(), at::ones({4, 3}) * 2));
  const at::NoGradGuard no_grad;
  CHECK(!checkpoint(x, [&](const at::Tensor& input) { return linear_layer(input, weight); }).requires_grad());
}

}  // namespace
}  // namespace ilr::test
