#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../cuda/kernels.h"
#include "cuda_on_host.h"
#include "gpu.h"
#include "oracle.h"
#include "packings.h"
#include "policy_fixture.h"
#include "random.h"

#include "check.h"

// The GPU's kernels, compiled for the CPU (cuda_on_host.h), behind the very code that calls them on a GPU (gpu.h), against
// their oracles in ATen operations. What this cannot show is what only a GPU does: launches, streams, memory order.
namespace ilr::test {
namespace {

using cuda::host::Order;

template <auto kLauncher>
struct OnHost;
template <typename... Arguments, void (*kLauncher)(cuda::Stream, Arguments...)>
struct OnHost<kLauncher> {
  static void call(int, Arguments... arguments) { kLauncher(nullptr, arguments...); }
};

const CudaKernels kernels{
    kCudaKernelsVersion,
    cuda::kLargestHeadDim,
    OnHost<&cuda::rms_norm>::call,
    cuda::dw_parts,
    OnHost<&cuda::rms_norm_backward>::call,
    OnHost<&cuda::swiglu>::call,
    OnHost<&cuda::swiglu_backward>::call,
    OnHost<&cuda::rotate>::call,
    OnHost<&cuda::store_rows>::call,
    OnHost<&cuda::attend>::call,
    OnHost<&cuda::attend_backward>::call,
    OnHost<&cuda::score>::call,
    OnHost<&cuda::score_backward>::call,
    OnHost<&cuda::sample>::call,
};

// Of a tensor's norm. Inputs are the same numbers on both sides; the kernels sum in float32, the oracle in float64, and
// what is stored in bfloat16 on the way (outputs, rotated queries and keys) is rounded to 8 bits: 2^-9 each.
constexpr double bfloat16_bound = 8e-3;

std::vector<at::Tensor> value_and_gradients(const Operation& operation, const std::vector<at::Tensor>& inputs,
                                            const at::Tensor& seed) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  const at::Tensor value = operation(leaves);
  torch::autograd::backward({(value * seed.to(value.scalar_type())).sum()}, {});
  std::vector<at::Tensor> results{value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

// Values and gradients of a kernel in bfloat16 against the oracle in float64, and bit for bit the same whatever the order
// in which the threads of a block run.
void check_kernel(const Operation& fast, const Operation& oracle, const std::vector<at::Tensor>& inputs) {
  cuda::host::set_order(Order::ascending);
  check_against(fast, oracle, inputs);
  std::vector<at::Tensor> narrow, wide;
  for (const at::Tensor& input : inputs) {
    narrow.push_back(input.to(at::kBFloat16));
    wide.push_back(narrow.back().to(at::kDouble));
  }
  const at::Tensor seed = normal(oracle(wide).sizes(), at::kBFloat16, 99);
  const std::vector<at::Tensor> expected = value_and_gradients(oracle, wide, seed);
  const std::vector<at::Tensor> got = value_and_gradients(fast, narrow, seed);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].scalar_type() == at::kBFloat16);
    const double error = relative_error(got[i], expected[i]);
    if (!(error <= bfloat16_bound)) fail(__FILE__, __LINE__, "bfloat16 result " + std::to_string(i) + ": error " + std::to_string(error));
  }
  for (const Order order : {Order::descending, Order::shuffled}) {
    cuda::host::set_order(order);
    const std::vector<at::Tensor> again = value_and_gradients(fast, narrow, seed);
    for (size_t i = 0; i < got.size(); ++i) CHECK(at::equal(got[i], again[i]));
  }
}

// Threads 1.. read what thread 0 wrote.
void broadcast_first(const float* in, float* out, bool with_barrier) {
  __shared__ float first;
  if (cuda::threadIdx.x == 0) first = in[0];
  if (with_barrier) cuda::__syncthreads();
  out[cuda::threadIdx.x] = first;
}

TEST("cuda kernels: a missing barrier shows as a result that depends on the order of threads") {
  for (const bool with_barrier : {true, false}) {
    float value = 0;
    std::vector<float> out(4);
    for (const Order order : {Order::ascending, Order::descending}) {
      value += 1;
      cuda::host::set_order(order);
      cuda::launch(broadcast_first, cuda::dim3(1), cuda::dim3(4), nullptr, &value, out.data(), with_barrier);
    }
    CHECK_EQUAL(out[3], with_barrier ? 2 : 1);
  }
}

TEST("cuda kernels: RMSNorm equals its oracle") {
  for (const auto& [rows, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {5, 7}, {3, 300}, {130, 40}}) {
    check_kernel([](const auto& in) { return gpu::rms_norm(kernels, in[0], in[1], 1e-5); },
                 [](const auto& in) { return reference::rms_norm(in[0], in[1], 1e-5); },
                 {normal({rows, width}, at::kFloat, 1), normal({width}, at::kFloat, 2)});
  }
}

TEST("cuda kernels: SwiGLU equals its oracle, far from zero too") {
  for (const double scale : {1.0, 30.0, 200.0}) {
    check_kernel([](const auto& in) { return gpu::swiglu(kernels, in[0]); },
                 [](const auto& in) { return reference::swiglu(in[0]); }, {normal({13, 2 * 43}, at::kFloat, 3) * scale});
  }
}

TEST("cuda kernels: attention over branching sequences equals its oracle") {
  const Packing packing = branching_packing();
  // Every slice of a head, whole and cut off.
  for (const AttentionShape& shape :
       std::vector<AttentionShape>{{1, 1, 2}, {3, 1, 10}, {2, 2, 24}, {4, 2, 64}, {2, 1, 128}, {1, 1, 256}}) {
    check_kernel(
        [&](const auto& in) {
          const Rope rope = make_rope(64, shape.head_dim, {10000}, in[0].scalar_type(), at::kCPU);
          return gpu::self_attention(kernels, in[0], packing, rope, shape);
        },
        [&](const auto& in) {
          const Rope rope = make_rope(64, shape.head_dim, {10000}, in[0].scalar_type(), at::kCPU);
          return reference::self_attention(in[0], packing, rope, shape);
        },
        {normal({packing.tokens(), shape.row()}, at::kFloat, 4)});
  }
}

TEST("cuda kernels: attention with scores in the hundreds stays finite and equal") {
  const Packing packing = branching_packing();
  const AttentionShape shape{4, 2, 8};
  const Rope rope = make_rope(64, 8, {10000}, at::kFloat, at::kCPU), wide = make_rope(64, 8, {10000}, at::kDouble, at::kCPU);
  const at::Tensor qkv = normal({packing.tokens(), shape.row()}, at::kFloat, 4) * 20;
  const at::Tensor seed = normal({packing.tokens(), 32}, at::kFloat, 99);
  const auto got = value_and_gradients(
      [&](const auto& in) { return gpu::self_attention(kernels, in[0], packing, rope, shape); }, {qkv}, seed);
  const auto expected = value_and_gradients(
      [&](const auto& in) { return reference::self_attention(in[0], packing, wide, shape); }, {qkv.to(at::kDouble)}, seed);
  // A score of 400 carries 400 * 2^-24 = 2.4e-5 of rounding into its weight, and cosines in float32 as much again.
  CHECK(relative_error(got[0], expected[0]) <= 2e-4);
  CHECK(relative_error(got[1], expected[1]) <= 2e-3);
}

TEST("cuda kernels: cached attention equals its oracle and writes the same cache") {
  const AttentionShape shape{4, 2, 16};
  const int64_t width = shape.kv_heads * shape.head_dim;
  for (const Order order : {Order::ascending, Order::descending}) {
    cuda::host::set_order(order);
    const Rope rope = make_rope(64, shape.head_dim, {500}, at::kFloat, at::kCPU);
    at::Tensor k = normal({60, width}, at::kFloat, 5), v = normal({60, width}, at::kFloat, 6);
    at::Tensor k_oracle = k.clone(), v_oracle = v.clone();
    // Three slots one token on, two of them behind one prefix, and a prompt of four rows.
    Packing packing;
    packing.ids = {1, 1, 1, 1, 1, 1, 1};
    packing.positions = {11, 9, 5, 0, 1, 2, 3};
    packing.segments = {{0, 1, 3, 9, 20, 2}, {1, 1, 3, 9, 25, 0}, {2, 1, 15, 1, 30, 4}, {3, 4, 0, 0, 50, 0}};
    const std::vector<int64_t> rows{22, 25, 34, 50, 51, 52, 53};
    const at::Tensor qkv = normal({7, shape.row()}, at::kFloat, 7);
    const at::Tensor got = gpu::cached_attention(kernels, qkv.clone(), packing, rope, shape, k, v);
    const at::Tensor expected = reference::cached_attention(qkv.clone(), packing, rows, rope, shape, k_oracle, v_oracle);
    CHECK(relative_error(got, expected) <= oracle_bound(at::kFloat));
    CHECK(relative_error(k, k_oracle) <= oracle_bound(at::kFloat));
    CHECK(relative_error(v, v_oracle) <= oracle_bound(at::kFloat));
  }
}

// A row's neighbours in the batch change nothing, not even its last bit.
TEST("cuda kernels: a decoded row does not depend on the rows beside it") {
  const AttentionShape shape{4, 2, 16};
  const int64_t width = shape.kv_heads * shape.head_dim;
  const Rope rope = make_rope(64, shape.head_dim, {500}, at::kFloat, at::kCPU);
  const at::Tensor k = normal({60, width}, at::kFloat, 5), v = normal({60, width}, at::kFloat, 6);
  const at::Tensor qkv = normal({2, shape.row()}, at::kFloat, 7);
  const auto decode = [&](const std::vector<Segment>& segments, const at::Tensor& rows) {
    Packing packing;
    packing.ids.assign(segments.size(), 1);
    packing.positions.assign(segments.size(), 12);
    packing.segments = segments;
    at::Tensor k_own = k.clone(), v_own = v.clone();
    return gpu::cached_attention(kernels, rows.clone(), packing, rope, shape, k_own, v_own);
  };
  const at::Tensor both = decode({{0, 1, 3, 9, 20, 2}, {1, 1, 3, 9, 25, 3}}, qkv);
  const at::Tensor alone = decode({{0, 1, 3, 9, 25, 3}}, qkv.narrow(0, 1, 1));
  CHECK(at::equal(both.narrow(0, 1, 1), alone));
}

struct Scores {
  at::Tensor logprobs, entropies, lse, dlogits;
};

Scores score(const at::Tensor& logits, const at::Tensor& targets, double temperature, const at::Tensor& dlogprobs,
             const at::Tensor& dentropies) {
  const auto floats = [&] { return at::empty({logits.size(0)}, at::kFloat); };
  Scores s{floats(), floats(), floats(), logits.clone()};
  gpu::score(kernels, logits, targets, temperature, s.logprobs, s.entropies, s.lse);
  gpu::score_backward(kernels, s.dlogits, targets, s.entropies, s.lse, dlogprobs, dentropies, temperature);
  return s;
}

TEST("cuda kernels: log-probs, entropies and their gradients equal log_softmax's") {
  const int64_t rows = 5, vocabulary = 700;
  const at::Tensor targets = at::tensor(at::ArrayRef<int64_t>({0, 699, 3, 350, 7}), at::kLong);
  const at::Tensor dlogprobs = normal({rows}, at::kFloat, 21), dentropies = normal({rows}, at::kFloat, 22);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const double scale : {0.1, 3.0, 40.0}) {
      for (const double temperature : {1.0, 0.7}) {
        const at::Tensor logits = (normal({rows, vocabulary}, at::kFloat, 20) * scale).to(type);
        cuda::host::set_order(Order::ascending);
        const Scores got = score(logits, targets, temperature, dlogprobs, dentropies);
        const at::Tensor leaf = logits.to(at::kDouble).requires_grad_();
        const at::Tensor logp = at::log_softmax(leaf / temperature, -1);
        const at::Tensor logprobs = logp.gather(1, targets.unsqueeze(1)).squeeze(1);
        const at::Tensor entropies = -(logp.exp() * logp).sum(-1);
        torch::autograd::backward({(logprobs * dlogprobs + entropies * dentropies).sum()}, {});
        CHECK(relative_error(got.logprobs, logprobs.detach()) <= 1e-5);
        CHECK(relative_error(got.entropies, entropies.detach()) <= 1e-5 + 1e-6 / entropies.max().item<double>());
        CHECK(relative_error(got.dlogits, leaf.grad()) <= (type == at::kFloat ? 2e-5 : bfloat16_bound));
        cuda::host::set_order(Order::descending);
        const Scores again = score(logits, targets, temperature, dlogprobs, dentropies);
        CHECK(at::equal(got.logprobs, again.logprobs) && at::equal(got.entropies, again.entropies) &&
              at::equal(got.dlogits, again.dlogits));
      }
    }
  }
}

TEST("cuda kernels: an impossible token has no mass, no entropy and no gradient") {
  const float never = -std::numeric_limits<float>::infinity();
  const at::Tensor logits = at::tensor(at::ArrayRef<float>({never, 1, 2, never}), at::kFloat).unsqueeze(0);
  const at::Tensor targets = at::tensor(at::ArrayRef<int64_t>({2}), at::kLong);
  const at::Tensor one = at::tensor(at::ArrayRef<float>({1}), at::kFloat);
  const Scores got = score(logits, targets, 1, one, one);
  const double p = 1 / (1 + std::exp(-1.0)), q = 1 - p, entropy = -p * std::log(p) - q * std::log(q);
  CHECK_CLOSE(got.logprobs.item<double>(), std::log(p), 1e-6);
  CHECK_CLOSE(got.entropies.item<double>(), entropy, 1e-6);
  CHECK_CLOSE(got.dlogits[0][0].item<double>(), 0, 0);
  CHECK_CLOSE(got.dlogits[0][3].item<double>(), 0, 0);
  CHECK_CLOSE(got.dlogits[0][2].item<double>(), 1 - p - p * (std::log(p) + entropy), 1e-6);
}

TEST("cuda kernels: a draw is the CPU kernel's draw") {
  const int64_t vocabulary = 1000;
  const at::Tensor logits = normal({40, vocabulary}, at::kFloat, 10) * 3;
  std::vector<Draw> draws;
  for (int64_t i = 0; i < 40; ++i) draws.push_back({39 - i, uniform_at(77, static_cast<uint64_t>(i))});
  for (const Order order : {Order::ascending, Order::descending}) {
    cuda::host::set_order(order);
    for (const double temperature : {0.0, 0.6, 1.0, 1.3}) {
      const std::vector<Drawn> got = gpu::draw_tokens(kernels, logits, draws, temperature);
      const std::vector<Drawn> expected = draw_tokens(logits, draws, temperature);
      for (size_t i = 0; i < draws.size(); ++i) {
        CHECK_EQUAL(got[i].id, expected[i].id);
        CHECK_CLOSE(got[i].logprob, expected[i].logprob, 1e-5);
      }
    }
  }
}

TEST("cuda kernels: an impossible token is never drawn; of equal ones greedy takes the first") {
  constexpr double last = 1 - 0x1.0p-53;
  for (const float low : {-1000.0F, -std::numeric_limits<float>::infinity()}) {
    const at::Tensor logits = at::tensor(at::ArrayRef<float>({low, 1, 2, low, 0, 2, low}), at::kFloat).unsqueeze(0);
    const std::vector<Drawn> drawn = gpu::draw_tokens(kernels, logits, {{0, 0.0}, {0, last}}, 1);
    CHECK_EQUAL(drawn[0].id, 1);
    CHECK_EQUAL(drawn[1].id, 5);
    CHECK_EQUAL(gpu::draw_tokens(kernels, logits, {{0, 0.5}}, 0)[0].id, 2);
  }
}

TEST("cuda kernels: logits that are not finite give a log-prob that is not") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int64_t place : {0, 1, 17, 60, 599}) {
      for (const double temperature : {0.0, 1.0}) {
        for (const double u : {0.0, 0.5, 0.999999}) {
          const at::Tensor logits = normal({1, 600}, at::kFloat, 11);
          logits[0][place].fill_(bad);
          CHECK(!std::isfinite(gpu::draw_tokens(kernels, logits, {{0, u}}, temperature)[0].logprob));
        }
      }
    }
  }
}

TEST("cuda kernels: a weight of another type than the states is refused") {
  const at::Tensor x = normal({2, 8}, at::kBFloat16, 1), w = normal({8}, at::kFloat, 2);
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "expected the norm's weight in BFloat16, got Float", gpu::rms_norm(kernels, x, w, 1e-5));
}

TEST("cuda kernels: bfloat16 rounds as ATen does") {
  const at::Tensor gate_up = at::tensor(at::ArrayRef<float>({40, 1.00390625F, 40, 1.01171875F}), at::kFloat).view({2, 2});
  // silu(40) is 40: the product's rounding alone is seen; ties go to the even neighbour.
  const at::Tensor got = gpu::swiglu(kernels, gate_up.to(at::kBFloat16));
  CHECK(at::equal(got, (gate_up.to(at::kBFloat16).to(at::kFloat).narrow(1, 1, 1) * 40).to(at::kBFloat16)));
}

// The engine takes these kernels as it takes a GPU's.
struct StandIn {
  StandIn() {
    cuda::host::set_order(Order::ascending);
    gpu::stand_in(&kernels);
  }
  ~StandIn() { gpu::stand_in(nullptr); }
};

TEST("cuda kernels: a whole model on them gives transformers' logits and PyTorch's gradients") {
  const StandIn kernels_serve;
  for (const std::string model : {"qwen2-tied", "llama-untied"}) {
    const GoldenUpdate update = read_golden_update(model, "dapo");
    with_policy(golden(model), "float32", [&](Policy& policy) {
      const SafetensorsReader file = SafetensorsReader::open_file(golden(model + ".logits.safetensors"));
      const at::Tensor logits = policy.state().logits(values_of<int32_t>(file.view("0.ids")));
      CHECK(max_error(logits, file.view("0.logits")) <= 1e-4);
      UpdateResult result;
      const Tensors gradients = policy.state().gradients(update.batch, update.options, &result);
      CHECK(worst_error(gradients, update.gradients) <= 2e-5);
    });
  }
}

TEST("cuda kernels: a whole generation on them is the CPU kernels'") {
  GenerateRequest request;
  request.prompts.ids = {5, 9, 2, 7, 11, 3, 8};
  request.prompts.offsets = {0, 4, 7};
  request.samples_per_prompt = 3;
  for (uint64_t i = 0; i < 6; ++i) request.streams.push_back(i * 7919 + 1);
  request.max_new_tokens = 8;
  request.temperature = 1;
  const auto generate = [&] {
    std::map<int64_t, Completion> completions;
    with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
      policy.generate(request, [&](Completion c) { completions[c.index] = std::move(c); }, {}, {});
    });
    return completions;
  };
  const auto expected = generate();
  const StandIn kernels_serve;
  const auto got = generate();
  CHECK_EQUAL(got.size(), 6U);
  for (const auto& [index, completion] : expected) {
    CHECK(got.at(index).ids == completion.ids);
    for (size_t t = 0; t < completion.ids.size(); ++t) {
      CHECK_CLOSE(got.at(index).logprobs[t], completion.logprobs[t], 1e-4);
    }
  }
}

}  // namespace
}  // namespace ilr::test
