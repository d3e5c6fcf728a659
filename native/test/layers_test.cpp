#include "layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "oracle.h"
#include "packings.h"
#include "random.h"
#include "sampler.h"
#include "score.h"

#include "check.h"

// Each fast kernel against its oracle in ATen operations, forward and backward. ILR_CPU picks the instruction set.
namespace ilr::test {
namespace {

TEST("layers: RMSNorm equals its oracle") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const auto& [rows, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {5, 7}, {33, 48}, {200, 576}}) {
      check_against([](const auto& in) { return rms_norm(in[0], in[1], 1e-5); },
                    [](const auto& in) { return reference::rms_norm(in[0], in[1], 1e-5); },
                    {normal({rows, width}, type, 1), normal({width}, type, 2)});
    }
  }
}

TEST("layers: gated units equal their oracles, far from zero too") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const double scale : {1.0, 30.0, 200.0}) {
      const at::Tensor gate_up = normal({13, 2 * 43}, type, 3) * scale;
      check_against([](const auto& in) { return swiglu(in[0]); }, [](const auto& in) { return reference::swiglu(in[0]); },
                    {gate_up});
      check_against([](const auto& in) { return geglu(in[0]); }, [](const auto& in) { return reference::geglu(in[0]); },
                    {gate_up});
    }
  }
}

// Windows of one key, within an own part, across a prefix, and longer than every sequence; softcaps that bend and bend little.
const std::vector<AttentionShape> shapes{
    {1, 1, 2},          {4, 2, 8},          {4, 2, 6},    {4, 4, 16},   {9, 3, 64},           {6, 1, 10},          {4, 2, 8, 1},
    {4, 2, 8, 4},       {4, 2, 16, 9},      {4, 1, 6, 20}, {2, 2, 4, 99}, {4, 2, 8, 0, 0.2, 1.5}, {4, 2, 24, 5, 0.3, 8},
    {4, 1, 10, 0, 0.1, 50}};

TEST("layers: the norm of each head equals its oracle") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const AttentionShape& shape : shapes) {
      check_against([&](const auto& in) { return head_norm(in[0], in[1], in[2], shape, 1e-5); },
                    [&](const auto& in) { return reference::head_norm(in[0], in[1], in[2], shape, 1e-5); },
                    {normal({37, shape.row()}, type, 12), normal({shape.head_dim}, type, 13), normal({shape.head_dim}, type, 14)});
    }
  }
}

// Every value is 1 in one place of its own, so that the output shows which keys were seen and with what weight.
TEST("layers: a window of three sees its own key and the two before it, across a shared prompt") {
  constexpr int64_t rows = 8, dim = 8;
  const std::vector<int32_t> ids(rows, 1);
  Packing packing;
  packing.append(ids.data(), 4);
  packing.append(ids.data(), 2, 0, 4);
  packing.append(ids.data(), 2, 0, 4);
  packing.close_family();
  const AttentionShape shape{1, 1, dim, 3};
  at::Tensor qkv = at::zeros({rows, shape.row()}, at::kDouble);
  qkv.narrow(1, 2 * dim, dim).copy_(at::eye(rows, at::kDouble));
  const Rope rope = make_rope(16, dim, {}, at::kDouble, at::kCPU);
  const std::vector<std::vector<int64_t>> seen{{0}, {0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {2, 3, 6}, {3, 6, 7}};
  for (const at::Tensor& out : {self_attention(qkv, packing, rope, shape), reference::self_attention(qkv, packing, rope, shape)}) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t key = 0; key < rows; ++key) {
        const bool is_seen = std::find(seen[r].begin(), seen[r].end(), key) != seen[r].end();
        CHECK_CLOSE(out[r][key].item<double>(), is_seen ? 1.0 / static_cast<double>(seen[r].size()) : 0.0, 1e-15);
      }
    }
  }
}

// Worked by hand: two keys with scores 3 and -1, softcap 2, so weights in the ratio of exp(2 tanh(1.5)) to exp(2 tanh(-0.5)).
TEST("layers: a softcap bends scores before the softmax") {
  const std::vector<int32_t> ids(2, 1);
  Packing packing;
  packing.append(ids.data(), 2);
  packing.close_family();
  const AttentionShape shape{1, 1, 2, 0, 1, 2};
  // No rotation at position 0 only; so both rows are given position 0. Rows are [q | k | v].
  packing.positions = {0, 0};
  const at::Tensor qkv = at::tensor(at::ArrayRef<double>({1, 0, 3, 0, 1, 0, 1, 0, -1, 0, 0, 1}), at::kDouble).view({2, 6});
  const Rope rope = make_rope(4, 2, {}, at::kDouble, at::kCPU);
  const double a = std::exp(2 * std::tanh(1.5)), b = std::exp(2 * std::tanh(-0.5));
  for (const at::Tensor& out : {self_attention(qkv, packing, rope, shape), reference::self_attention(qkv, packing, rope, shape)}) {
    CHECK_CLOSE(out[1][0].item<double>(), a / (a + b), 1e-14);
    CHECK_CLOSE(out[1][1].item<double>(), b / (a + b), 1e-14);
  }
}

// Theta 16 over 4 dimensions: frequencies 1 and 1/4. Of 8 original positions they make 8/(2 pi) = 1.27 and 0.318 turns.
TEST("layers: rotary scaling keeps, slows and blends frequencies") {
  const auto frequency = [](const RopeConfig& config, int64_t i) {
    const Rope rope = make_rope(2, 4, config, at::kDouble, at::kCPU);
    return std::atan2(rope.sin[1][i].item<double>(), rope.cos[1][i].item<double>());
  };
  const RopeConfig plain{16};
  CHECK_CLOSE(frequency(plain, 0), 1, 1e-15);
  CHECK_CLOSE(frequency(plain, 1), 0.25, 1e-15);
  CHECK_CLOSE(frequency({16, RopeConfig::Scaling::linear, 8}, 1), 0.25 / 8, 1e-15);
  const RopeConfig bands{16, RopeConfig::Scaling::llama3, 8, 0.5, 1, 8};
  CHECK_CLOSE(frequency(bands, 0), 1, 1e-15);         // above 1 turn: kept
  CHECK_CLOSE(frequency(bands, 1), 0.25 / 8, 1e-15);  // below half a turn: slowed
  const RopeConfig blend{16, RopeConfig::Scaling::llama3, 8, 1, 2, 8};
  const double kept = 8 / (2 * std::numbers::pi) - 1;
  CHECK_CLOSE(frequency(blend, 0), (1 - kept) / 8 + kept, 1e-15);
}

TEST("layers: attention over branching sequences equals its oracle") {
  const Packing packing = branching_packing();
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const AttentionShape& shape : shapes) {
      const Rope rope = make_rope(64, shape.head_dim, {10000}, type, at::kCPU);
      check_against([&](const auto& in) { return self_attention(in[0], packing, rope, shape); },
                    [&](const auto& in) { return reference::self_attention(in[0], packing, rope, shape); },
                    {normal({packing.tokens(), shape.row()}, type, 4) * 1.5});
    }
  }
}

TEST("layers: attention with scores in the hundreds stays finite and equal") {
  const Packing packing = branching_packing();
  const AttentionShape shape{4, 2, 8};
  const Rope rope = make_rope(64, 8, {10000}, at::kDouble, at::kCPU);
  check_against([&](const auto& in) { return self_attention(in[0], packing, rope, shape); },
                [&](const auto& in) { return reference::self_attention(in[0], packing, rope, shape); },
                {normal({packing.tokens(), shape.row()}, at::kDouble, 4) * 20});
}

TEST("layers: cached attention equals its oracle and writes the same cache") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const AttentionShape& shape : shapes) {
      const Rope rope = make_rope(64, shape.head_dim, {500}, type, at::kCPU);
      const int64_t width = shape.kv_heads * shape.head_dim;
      at::Tensor k = normal({40, width}, type, 5), v = normal({40, width}, type, 6);
      at::Tensor k_oracle = k.clone(), v_oracle = v.clone();
      // Three slots one token on: own rows at 20, 25 and 30, with 2, 0 and 4 past, behind prefixes of 9, 9 and 1.
      Packing packing;
      packing.ids = {1, 1, 1};
      packing.positions = {11, 9, 5};
      packing.segments = {{0, 1, 3, 9, 20, 2}, {1, 1, 3, 9, 25, 0}, {2, 1, 15, 1, 30, 4}};
      const std::vector<int64_t> rows{22, 25, 34};
      const at::Tensor qkv = normal({3, shape.row()}, type, 7);
      const at::Tensor got = cached_attention(qkv.clone(), packing, rows, rope, shape, k, v);
      const at::Tensor expected = reference::cached_attention(qkv.clone(), packing, rows, rope, shape, k_oracle, v_oracle);
      CHECK(relative_error(got, expected) <= oracle_bound(type));
      CHECK(relative_error(k, k_oracle) <= oracle_bound(type));
      CHECK(relative_error(v, v_oracle) <= oracle_bound(type));
    }
  }
}

// 45 rows of 400,000 logits are several chunks.
TEST("score: chunks give the log-probs, entropies and gradients of the whole") {
  constexpr int64_t vocabulary = 400000;
  const int64_t rows = 45;
  CHECK(rows_per_chunk(vocabulary, 8) < rows);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < rows; ++i) ids.push_back(i * 7919 % vocabulary);
  const at::Tensor targets = at::tensor(at::ArrayRef<int64_t>(ids), at::kLong);
  const std::vector<at::Tensor> inputs{normal({rows, 4}, at::kDouble, 8), normal({vocabulary, 4}, at::kDouble, 9)};
  for (const auto& [temperature, softcap] : std::vector<std::pair<double, double>>{{1.0, 0}, {0.7, 0}, {0.7, 1.5}}) {
    const auto logp_of = [&](const at::Tensor& hidden, const at::Tensor& weight) {
      const at::Tensor logits = at::mm(hidden, weight.t());
      return at::log_softmax((softcap > 0 ? at::tanh(logits / softcap) * softcap : logits) / temperature, -1);
    };
    const auto score = [&](const at::Tensor& hidden, const at::Tensor& weight) {
      return score_tokens(hidden, {weight, softcap}, targets, temperature);
    };
    check_against([&](const auto& in) { return score(in[0], in[1]).logprobs_M; },
                  [&](const auto& in) { return logp_of(in[0], in[1]).gather(1, targets.unsqueeze(1)).squeeze(1); }, inputs);
    const at::Tensor logp = logp_of(inputs[0], inputs[1]);
    const at::Tensor entropies = -(logp.exp() * logp).sum(-1);
    CHECK(relative_error(score(inputs[0], inputs[1]).entropies_M, entropies) <= 1e-12);
  }
}

TEST("sampler: the token is where the uniform number falls among the probabilities") {
  const int64_t vocabulary = 131;
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor logits = normal({40, vocabulary}, type, 10) * 3;
    const at::Tensor logp = at::log_softmax(logits.to(at::kDouble) / 1.3, -1);
    std::vector<Draw> draws;
    for (int64_t i = 0; i < 40; ++i) draws.push_back({39 - i, uniform_at(77, static_cast<uint64_t>(i))});
    const std::vector<Drawn> drawn = draw_tokens(logits, draws, 1.3);
    for (size_t i = 0; i < draws.size(); ++i) {
      double below = 0;  // mass of the tokens before the drawn one
      for (int32_t v = 0; v < drawn[i].id; ++v) below += std::exp(logp[draws[i].row][v].item<double>());
      const double own = logp[draws[i].row][drawn[i].id].item<double>();
      CHECK(draws[i].u >= below - 1e-5);
      CHECK(draws[i].u <= below + std::exp(own) + 1e-5);
      CHECK_CLOSE(drawn[i].logprob, own, 1e-5);
    }
  }
}

TEST("sampler: an impossible token is never drawn, at either end") {
  constexpr double last = 1 - 0x1.0p-53;
  const float never = -std::numeric_limits<float>::infinity();
  for (const float low : {-1000.0F, never}) {
    const at::Tensor logits =
        at::tensor(at::ArrayRef<float>(std::vector<float>{low, 1, 2, low, 0, low, low}), at::kFloat).unsqueeze(0);
    const std::vector<Drawn> drawn = draw_tokens(logits, {{0, 0.0}, {0, last}}, 1);
    CHECK_EQUAL(drawn[0].id, 1);
    CHECK_EQUAL(drawn[1].id, 4);
    const double total = std::log(std::exp(1.0) + std::exp(2.0) + 1);
    CHECK_CLOSE(drawn[0].logprob, 1 - total, 1e-6);
    CHECK_CLOSE(drawn[1].logprob, -total, 1e-6);
  }
}

TEST("sampler: logits that are not finite are an error in every place") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int64_t place : {0, 1, 17, 60}) {
      for (const double temperature : {0.0, 1.0}) {
        for (const double u : {0.0, 0.5, 0.999999}) {
          const at::Tensor logits = normal({1, 61}, at::kFloat, 11);
          logits[0][place].fill_(bad);
          CHECK_THROWS("ILR_TORCH", "not finite", draw_tokens(logits, {{0, u}}, temperature));
        }
      }
    }
  }
}

}  // namespace
}  // namespace ilr::test
