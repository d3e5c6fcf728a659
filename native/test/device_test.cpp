#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gpu.h"
#include "layers.h"
#include "oracle.h"
#include "packings.h"
#include "policy_fixture.h"
#include "random.h"
#include "runtime.h"
#include "sampler.h"
#include "score.h"

#include "check.h"

// The same checks on the device that ILR_TEST_DEVICE names: on a GPU these are the proof of kernels, glue and the whole
// engine; on the CPU they prove the checks. Oracles run on the CPU in float64.
namespace ilr::test {
namespace {

bool on_gpu() { return test_device() != "cpu"; }

// What is compared here in bfloat16 has kernels for it on a GPU only.
std::vector<at::ScalarType> types() {
  return on_gpu() ? std::vector<at::ScalarType>{at::kFloat, at::kBFloat16} : std::vector<at::ScalarType>{at::kFloat};
}
const char* name_of(at::ScalarType type) { return type == at::kFloat ? "float32" : "bfloat16"; }

// Of a tensor's norm. float32: a few hundred roundings of 2^-24 in another order. bfloat16: outputs and what is stored on
// the way have 8 bits, 2^-9 each; inputs are the same numbers on both sides.
double bound_of(at::ScalarType type) { return type == at::kFloat ? 1e-5 : 8e-3; }

using OperationOn = std::function<at::Tensor(const std::vector<at::Tensor>&, at::Device)>;

std::vector<at::Tensor> run_on(const OperationOn& operation, const std::vector<at::Tensor>& inputs, at::Device device,
                               const at::Tensor& seed) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().to(device).clone().requires_grad_());
  const at::Tensor value = operation(leaves, device);
  torch::autograd::backward({(value * seed.to(device, value.scalar_type())).sum()}, {});
  std::vector<at::Tensor> results{value.detach().cpu()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().cpu());
  return results;
}

// Values and gradients of the device's operation against the oracle's.
void compare(const std::string& name, const OperationOn& fast, const OperationOn& oracle,
             const std::vector<at::Tensor>& inputs, double looser = 1) {
  for (const at::ScalarType type : types()) {
    std::vector<at::Tensor> narrow, wide;
    for (const at::Tensor& input : inputs) {
      narrow.push_back(input.to(type));
      wide.push_back(narrow.back().to(at::kDouble));
    }
    const at::Tensor seed = normal(oracle(wide, at::kCPU).sizes(), type, 99);
    const auto expected = run_on(oracle, wide, at::kCPU, seed);
    const auto got = run_on(fast, narrow, at::Device(test_device()), seed);
    for (size_t i = 0; i < got.size(); ++i) {
      const std::string part = i == 0 ? " value" : " gradient " + std::to_string(i);
      report_figure(name + " " + name_of(type) + part, relative_error(got[i], expected[i]), looser * bound_of(type));
    }
  }
}

TEST("device: the layers' operations and their gradients equal their oracles") {
  CHECK(!on_gpu() || cuda_kernels() != nullptr);
  compare("rms_norm", [](const auto& in, at::Device) { return rms_norm(in[0], in[1], 1e-5); },
          [](const auto& in, at::Device) { return reference::rms_norm(in[0], in[1], 1e-5); },
          {normal({300, 896}, at::kFloat, 1), normal({896}, at::kFloat, 2)});
  compare("swiglu", [](const auto& in, at::Device) { return swiglu(in[0]); },
          [](const auto& in, at::Device) { return reference::swiglu(in[0]); }, {normal({77, 2 * 500}, at::kFloat, 3) * 3});
  const Packing packing = branching_packing();
  for (const AttentionShape& shape : std::vector<AttentionShape>{{14, 2, 64}, {4, 1, 128}, {3, 3, 10}, {2, 1, 256}}) {
    const auto rope = [&](const at::Tensor& like, at::Device device) {
      return make_rope(64, shape.head_dim, RopeConfig{.theta = 10000}, like.scalar_type(), device);
    };
    compare(
        "attention with heads of " + std::to_string(shape.head_dim),
        [&](const auto& in, at::Device device) { return self_attention(in[0], packing, rope(in[0], device), shape); },
        [&](const auto& in, at::Device device) {
          return reference::self_attention(in[0], packing, rope(in[0], device), shape);
        },
        {normal({packing.tokens(), shape.row()}, at::kFloat, 4)});
  }
}

TEST("device: cached attention behind shared prefixes equals its oracle") {
  const AttentionShape shape{14, 2, 64};
  const int64_t width = shape.kv_heads * shape.head_dim;
  const at::Device device(test_device());
  for (const at::ScalarType type : types()) {
    Packing packing;
    packing.ids = {1, 1, 1};
    packing.positions = {11, 9, 5};
    packing.segments = {{0, 1, 3, 9, 20, 2}, {1, 1, 3, 9, 25, 0}, {2, 1, 15, 1, 30, 4}};
    const std::vector<int64_t> rows{22, 25, 34};
    const at::Tensor qkv = normal({3, shape.row()}, type, 7);
    at::Tensor k = normal({40, width}, type, 5), v = normal({40, width}, type, 6);
    at::Tensor k_wide = k.to(at::kDouble), v_wide = v.to(at::kDouble), k_there = k.to(device).clone(), v_there = v.to(device).clone();
    const at::Tensor got = cached_attention(qkv.to(device).clone(), packing, rows,
                                            make_rope(64, 64, RopeConfig{.theta = 500}, type, device), shape, k_there, v_there);
    const at::Tensor expected = reference::cached_attention(qkv.to(at::kDouble), packing, rows,
                                                            make_rope(64, 64, RopeConfig{.theta = 500}, at::kDouble, at::kCPU), shape, k_wide, v_wide);
    const std::string name = std::string("cached attention ") + name_of(type);
    report_figure(name + " value", relative_error(got.cpu(), expected), bound_of(type));
    report_figure(name + " keys", relative_error(k_there.cpu(), k_wide), bound_of(type));
    report_figure(name + " values", relative_error(v_there.cpu(), v_wide), bound_of(type));
  }
}

TEST("device: log-probs, entropies and their gradients equal log_softmax's") {
  const int64_t rows = 70, width = 16, vocabulary = 50000;  // several chunks
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < rows; ++i) ids.push_back(i * 7919 % vocabulary);
  const at::Tensor targets = at::tensor(at::ArrayRef<int64_t>(ids), at::kLong);
  const auto by_chunks = [&](bool entropy) {
    return [&, entropy](const auto& in, at::Device device) {
      const TokenScores scores = score_tokens(in[0], OutputHead{in[1]}, targets.to(device), 0.7);
      return entropy ? scores.entropies_M : scores.logprobs_M;
    };
  };
  const auto by_rows = [&](bool entropy) {
    return [&, entropy](const auto& in, at::Device) {
      const at::Tensor logp = at::log_softmax(in[0].matmul(in[1].t()) / 0.7, -1);
      return entropy ? -(logp.exp() * logp).sum(-1) : logp.gather(1, targets.unsqueeze(1)).squeeze(1);
    };
  };
  const std::vector<at::Tensor> inputs{normal({rows, width}, at::kFloat, 8), normal({vocabulary, width}, at::kFloat, 9)};
  compare("log-prob", by_chunks(false), by_rows(false), inputs);
  // Its gradient is p (ln p + entropy), a small difference of numbers near 10.
  compare("entropy", by_chunks(true), by_rows(true), inputs, 5);
}

// Draws whose number falls within `edge` of a token's border are left out: there the last bit decides.
TEST("device: a draw is where the uniform number falls among the probabilities") {
  const int64_t rows = 500, vocabulary = 3000;
  constexpr double edge = 1e-6;
  const at::Tensor logits = normal({rows, vocabulary}, at::kFloat, 10) * 3;
  std::vector<Draw> draws;
  for (int64_t i = 0; i < rows; ++i) draws.push_back({rows - 1 - i, uniform_at(77, static_cast<uint64_t>(i))});
  for (const double temperature : {0.7, 1.0}) {
    const std::vector<Drawn> drawn = draw_tokens(logits.to(at::Device(test_device())), draws, temperature);
    const at::Tensor logp = at::log_softmax(logits.to(at::kDouble) / temperature, -1);
    int64_t wrong = 0;
    double worst = 0;
    for (size_t i = 0; i < draws.size(); ++i) {
      const double* row = logp.const_data_ptr<double>() + draws[i].row * vocabulary;
      double below = 0;
      for (int32_t v = 0; v < drawn[i].id; ++v) below += std::exp(row[v]);
      const double own = std::exp(row[drawn[i].id]);
      wrong += draws[i].u < below - edge || draws[i].u > below + own + edge;
      worst = std::max(worst, std::abs(static_cast<double>(drawn[i].logprob) - row[drawn[i].id]));
    }
    report_figure("draws in the wrong place, of 500", static_cast<double>(wrong), 0);
    report_figure("log-prob of a draw", worst, 1e-5);
  }
}

void with_policy_there(const std::string& model, const std::string& dtype, const std::function<void(Policy&)>& use) {
  Runtime runtime(RuntimeOptions{.device = test_device(), .threads = 1});
  runtime.run([&] {
    const auto policy = Policy::load(runtime, golden(model), PolicyOptions{.dtype = dtype}, false);
    use(*policy);
  });
}

// Every dtype that a policy can have on this device: bfloat16 where it is supported.
std::vector<std::string> dtypes() {
  std::vector<std::string> all{"float32"};
  try {
    with_policy_there("qwen2-tied", "bfloat16", [](Policy&) {});
    all.emplace_back("bfloat16");
  } catch (const Error& error) {
    if (error.code() != "ILR_UNSUPPORTED") throw;
    if (on_gpu()) fail(__FILE__, __LINE__, std::string("bfloat16 policies: ") + error.what());
  }
  return all;
}

Tensors to_host(const Tensors& tensors) {
  Tensors copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().cpu();
  return copies;
}

TEST("device: logits equal transformers'") {
  for (const std::string& dtype : dtypes()) {
    // bfloat16: weights and states are rounded to 8 bits (2^-9) some twenty times on the way through two peaked layers.
    const double bound = dtype == "float32" ? 1e-4 : 5e-2;
    for (const std::string model : {"qwen2-tied", "llama-untied"}) {
      with_policy_there(model, dtype, [&](Policy& policy) {
        const SafetensorsReader file = SafetensorsReader::open_file(golden(model + ".logits.safetensors"));
        double worst = 0;
        for (const std::string i : {"0", "1", "2"}) {
          const at::Tensor got = policy.state().logits(values_of<int32_t>(file.view(i + ".ids"))).cpu();
          worst = std::max(worst, max_error(got, file.view(i + ".logits")));
        }
        report_figure("logits of " + model + " " + dtype, worst, bound);
      });
    }
  }
}

TEST("device: the gradients of the losses equal plain PyTorch's") {
  for (const std::string& dtype : dtypes()) {
    // float32: the core's own rounding, in another order on a GPU. bfloat16: see the logits; gradients pass them twice, and the
    // terms of dapo's loss cancel, so that its relative error is several times theirs.
    const double bound = dtype == "float32" ? 2e-5 : 3e-1;
    for (const auto& [model, loss] : std::vector<std::pair<std::string, std::string>>{
             {"qwen2-tied", "dapo"}, {"qwen2-tied", "nll"}, {"llama-untied", "dapo"}}) {
      const GoldenUpdate update = read_golden_update(model, loss);
      with_policy_there(model, dtype, [&](Policy& policy) {
        UpdateResult result;
        const Tensors gradients = to_host(policy.state().gradients(update.batch, update.options, &result));
        const std::string name = loss + " of " + model + " " + dtype;
        report_figure("gradient of " + name, worst_error(gradients, update.gradients), bound);
        report_figure("loss of " + name, std::abs(result.loss / update.report.at("loss") - 1), dtype == "float32" ? 1e-4 : 3e-1);
      });
    }
  }
}

GenerateRequest request_of(double temperature, int64_t samples) {
  GenerateRequest request;
  request.prompts.ids = {5, 9, 2, 7, 11, 3, 8};
  request.prompts.offsets = {0, 4, 7};
  request.samples_per_prompt = samples;
  for (int64_t i = 0; i < 2 * samples; ++i) request.streams.push_back(static_cast<uint64_t>(i) * 7919 + 1);
  request.max_new_tokens = 24;
  request.temperature = temperature;
  return request;
}

std::map<int64_t, Completion> generate_there(Policy& policy, const GenerateRequest& request) {
  std::map<int64_t, Completion> completions;
  policy.generate(request, [&](Completion c) { completions[c.index] = std::move(c); }, {}, {});
  return completions;
}

TEST("device: what the sampler says of its tokens is what the scorer says") {
  for (const std::string& dtype : dtypes()) {
    with_policy_there("qwen2-tied", dtype, [&](Policy& policy) {
      const GenerateRequest request = request_of(1, 8);
      const auto completions = generate_there(policy, request);
      CHECK_EQUAL(completions.size(), 16U);
      double worst = 0;
      for (const auto& [index, completion] : completions) {
        const int64_t prompt = index / 8, length = request.prompts.length(prompt);
        ScoreRequest score;
        score.sequences.ids.assign(request.prompts.begin(prompt), request.prompts.begin(prompt) + length);
        score.mask.assign(static_cast<size_t>(length), 0);
        score.sequences.ids.insert(score.sequences.ids.end(), completion.ids.begin(), completion.ids.end());
        score.mask.resize(score.sequences.ids.size(), 1);
        score.sequences.offsets.push_back(static_cast<int32_t>(score.sequences.ids.size()));
        const ScoreResult result = policy.logprobs(score, {});
        for (size_t t = 0; t < completion.ids.size(); ++t) {
          worst = std::max(worst, std::abs(static_cast<double>(result.logprobs[static_cast<size_t>(length) + t] - completion.logprobs[t])));
        }
      }
      // Logits near 10 in other matrix products: 2^-24 of them each in float32, 2^-9 in bfloat16, some tens of times.
      report_figure("sampler against scorer " + dtype, worst, dtype == "float32" ? 1e-4 : 0.5);
    });
  }
}

TEST("device: greedy text is the CPU's wherever the margin is clear") {
  std::map<int64_t, Completion> there, here;
  with_policy_there("llama-untied", "float32", [&](Policy& policy) { there = generate_there(policy, request_of(0, 1)); });
  with_policy(golden("llama-untied"), "float32", [&](Policy& policy) {
    here = generate_there(policy, request_of(0, 1));
    // The first difference, if any, must be where two tokens are within 1e-3 of each other.
    const GenerateRequest request = request_of(0, 1);
    for (const auto& [index, completion] : here) {
      const auto& other = there.at(index).ids;
      const auto [a, b] = std::mismatch(completion.ids.begin(), completion.ids.end(), other.begin(), other.end());
      if (a == completion.ids.end() && b == other.end()) continue;
      std::vector<int32_t> ids(request.prompts.begin(index), request.prompts.begin(index) + request.prompts.length(index));
      ids.insert(ids.end(), completion.ids.begin(), a);
      const auto top = std::get<0>(policy.state().logits(ids)[-1].topk(2));
      CHECK(top[0].item<double>() - top[1].item<double>() <= 1e-3);
    }
  });
}

TEST("device: supervised learning lowers the loss as on the CPU") {
  const GoldenUpdate golden_update = read_golden_update("qwen2-tied", "nll");
  UpdateOptions options = golden_update.options;
  options.learning_rate = 1e-3;
  const auto learn = [&](Policy& policy) {
    std::vector<double> losses;
    for (int step = 0; step < 20; ++step) losses.push_back(policy.update(golden_update.batch, options, {}).loss);
    return losses;
  };
  std::vector<double> here;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) { here = learn(policy); });
  CHECK(here.back() < 0.9 * here.front());
  for (const std::string& dtype : dtypes()) {
    with_policy_there("qwen2-tied", dtype, [&](Policy& policy) {
      const std::vector<double> there = learn(policy);
      // Twenty steps: float32 rounding grows, bfloat16 takes another path to the same place.
      report_figure("loss after 20 steps " + dtype + ", against the CPU's", std::abs(there.back() / here.back() - 1),
                    dtype == "float32" ? 1e-3 : 1e-1);
    });
  }
}

}  // namespace
}  // namespace ilr::test
