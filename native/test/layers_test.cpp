#include "layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>
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

TEST("layers: SwiGLU equals its oracle, far from zero too") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const double scale : {1.0, 30.0, 200.0}) {
      check_against([](const auto& in) { return swiglu(in[0]); }, [](const auto& in) { return reference::swiglu(in[0]); },
                    {normal({13, 2 * 43}, type, 3) * scale});
    }
  }
}

const std::vector<AttentionShape> shapes{{1, 1, 2}, {4, 2, 8}, {4, 2, 6}, {4, 4, 16}, {9, 3, 64}, {6, 1, 10}};

TEST("layers: attention over branching sequences equals its oracle") {
  const Packing packing = branching_packing();
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const AttentionShape& shape : shapes) {
      const Rope rope = make_rope(64, shape.head_dim, 10000, type, at::kCPU);
      check_against([&](const auto& in) { return self_attention(in[0], packing, rope, shape); },
                    [&](const auto& in) { return reference::self_attention(in[0], packing, rope, shape); },
                    {normal({packing.tokens(), shape.row()}, type, 4) * 1.5});
    }
  }
}

TEST("layers: attention with scores in the hundreds stays finite and equal") {
  const Packing packing = branching_packing();
  const AttentionShape shape{4, 2, 8};
  const Rope rope = make_rope(64, 8, 10000, at::kDouble, at::kCPU);
  check_against([&](const auto& in) { return self_attention(in[0], packing, rope, shape); },
                [&](const auto& in) { return reference::self_attention(in[0], packing, rope, shape); },
                {normal({packing.tokens(), shape.row()}, at::kDouble, 4) * 20});
}

TEST("layers: cached attention equals its oracle and writes the same cache") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const AttentionShape& shape : shapes) {
      const Rope rope = make_rope(64, shape.head_dim, 500, type, at::kCPU);
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
  for (const double temperature : {1.0, 0.7}) {
    check_against([&](const auto& in) { return score_tokens(in[0], in[1], targets, temperature).logprobs_M; },
                  [&](const auto& in) {
                    const at::Tensor logits = at::mm(in[0], in[1].t()) / temperature;
                    return at::log_softmax(logits, -1).gather(1, targets.unsqueeze(1)).squeeze(1);
                  },
                  inputs);
    const at::Tensor logp = at::log_softmax(at::mm(inputs[0], inputs[1].t()) / temperature, -1);
    const at::Tensor entropies = -(logp.exp() * logp).sum(-1);
    CHECK(relative_error(score_tokens(inputs[0], inputs[1], targets, temperature).entropies_M, entropies) <= 1e-12);
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
