#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cache_pool.h"
#include "generate.h"
#include "policy_fixture.h"
#include "random.h"
#include "runtime.h"

#include "check.h"

// A completion's ids and log-probs are the same bits whatever is computed beside them.
namespace ilr::test {
namespace {

// Widths that are no multiple of a vector, a vocabulary and prompts large enough that threads share matrices out.
std::string odd_config(int64_t head_dim) {
  return R"({"model_type":"qwen2","vocab_size":1531,"hidden_size":76,"intermediate_size":108,"num_hidden_layers":2,)"
         R"("num_attention_heads":6,"num_key_value_heads":2,"max_position_embeddings":1500,"initializer_range":0.25,)"
         R"("tie_word_embeddings":true,"head_dim":)" +
         std::to_string(head_dim) + "}";
}

void with_threads(int threads, const std::string& config, const std::string& dtype,
                  const std::function<void(Policy&)>& use) {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = threads});
  runtime.run([&] {
    const auto policy = Policy::create(runtime, config, 5, PolicyOptions{.dtype = dtype});
    use(*policy);
  });
}

std::vector<int32_t> ids_of(uint64_t seed, int64_t length, int64_t vocab) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i) {
    ids.push_back(static_cast<int32_t>(uniform_at(seed, static_cast<uint64_t>(i)) * static_cast<double>(vocab)));
  }
  return ids;
}

struct Ask {
  std::vector<int32_t> prompt;
  std::vector<uint64_t> streams;
};

GenerateRequest request_of(const std::vector<Ask>& asks) {
  GenerateRequest request{};
  request.samples_per_prompt = static_cast<int64_t>(asks[0].streams.size());
  for (const Ask& ask : asks) {
    request.prompts.ids.insert(request.prompts.ids.end(), ask.prompt.begin(), ask.prompt.end());
    request.prompts.offsets.push_back(static_cast<int32_t>(request.prompts.ids.size()));
    request.streams.insert(request.streams.end(), ask.streams.begin(), ask.streams.end());
  }
  request.max_new_tokens = 24;
  request.temperature = 1.1;
  for (int32_t id = 0; id < 1531; id += 23) request.stop_ids.push_back(id);  // lengths that differ
  request.batch_invariant = true;
  return request;
}

// By stream, which is what a completion may depend on.
using ByStream = std::map<uint64_t, Completion>;

ByStream complete(Policy& policy, const GenerateRequest& request) {
  ByStream completions;
  policy.generate(
      request, [&](Completion c) { completions[request.streams[static_cast<size_t>(c.index)]] = std::move(c); }, {}, {});
  return completions;
}

// Streams whose ids or log-probs differ in a bit.
int64_t count_differences(const ByStream& a, const ByStream& b) {
  CHECK_EQUAL(a.size(), b.size());
  return std::count_if(a.begin(), a.end(), [&](const auto& item) {
    const Completion& other = b.at(item.first);
    return item.second.ids != other.ids || item.second.logprobs != other.logprobs ||
           item.second.finish_reason != other.finish_reason;
  });
}

std::vector<Ask> mixed_asks() {
  std::vector<Ask> asks;
  uint64_t stream = 1;
  for (const int64_t length : {1, 2, 17, 64, 65, 7, 570, 17}) {
    Ask ask{ids_of(static_cast<uint64_t>(length), length, 1531), {}};
    for (int sample = 0; sample < 3; ++sample) ask.streams.push_back(stream++);
    asks.push_back(ask);
  }
  return asks;
}

ByStream one_by_one(Policy& policy, const std::vector<Ask>& asks, const std::function<void(GenerateRequest&)>& set) {
  ByStream all;
  for (const Ask& ask : asks) {
    for (const uint64_t stream : ask.streams) {
      GenerateRequest alone = request_of({{ask.prompt, {stream}}});
      set(alone);
      all.merge(complete(policy, alone));
    }
  }
  return all;
}

const std::vector<std::function<void(GenerateRequest&)>> variants{
    [](GenerateRequest&) {},
    [](GenerateRequest& r) { r.top_p = 0.9, r.top_k = 200, r.min_p = 0.01, r.repetition_penalty = 1.2; },
    [](GenerateRequest& r) { r.temperature = 0; },
};

TEST("batch invariance: every batch, number of slots, order and refill gives the bits of one-by-one") {
  for (const std::string dtype : {"float32", "float64", "bfloat16"}) {
    for (const int64_t head_dim : {12, 16}) {
      with_threads(1, odd_config(head_dim), dtype, [&](Policy& policy) {
        const std::vector<Ask> asks = mixed_asks();
        for (const auto& set : variants) {
          const ByStream alone = one_by_one(policy, asks, set);
          GenerateRequest request = request_of(asks);
          set(request);
          for (const int64_t slots : {0, 2, 7}) {
            request.max_slots = slots;
            CHECK_EQUAL(count_differences(complete(policy, request), alone), 0);
          }
          std::vector<Ask> reversed = asks;
          std::reverse(reversed.begin(), reversed.end());
          for (Ask& ask : reversed) std::reverse(ask.streams.begin(), ask.streams.end());
          GenerateRequest backwards = request_of(reversed);
          set(backwards);
          backwards.max_slots = 4;
          CHECK_EQUAL(count_differences(complete(policy, backwards), alone), 0);
        }
      });
    }
  }
}

TEST("batch invariance: the number of threads changes no bit") {
  for (const std::string dtype : {"float32", "float64", "bfloat16"}) {
    std::vector<ByStream> results;
    for (const int threads : {1, 2, 3, 5}) {
      with_threads(threads, odd_config(16), dtype, [&](Policy& policy) {
        results.push_back(complete(policy, request_of(mixed_asks())));
        CHECK_EQUAL(count_differences(results.back(), results.front()), 0);
      });
    }
  }
}

// What was read before moves nothing either: positions that others reached, say, which make the rotary tables grow.
TEST("batch invariance: a completion does not depend on the calls before it") {
  for (const std::string dtype : {"float32", "float64", "bfloat16"}) {
    const std::vector<Ask> late{{ids_of(3, 600, 1531), {7}}}, early{{ids_of(4, 40, 1531), {8}}};
    ByStream fresh, later;
    with_threads(1, odd_config(12), dtype, [&](Policy& policy) { fresh = complete(policy, request_of(early)); });
    with_threads(1, odd_config(12), dtype, [&](Policy& policy) {
      complete(policy, request_of(late));
      later = complete(policy, request_of(early));
    });
    CHECK_EQUAL(count_differences(fresh, later), 0);
  }
}

TEST("batch invariance: many seeds") {
  with_threads(2, odd_config(16), "float32", [&](Policy& policy) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      std::vector<Ask> asks;
      for (uint64_t p = 0; p < 5; ++p) {
        const auto length = 1 + static_cast<int64_t>(uniform_at(seed, p) * 90);
        asks.push_back({ids_of(seed * 100 + p, length, 1531), {seed * 1000 + 2 * p, seed * 1000 + 2 * p + 1}});
      }
      const ByStream alone = one_by_one(policy, asks, [](GenerateRequest&) {});
      GenerateRequest request = request_of(asks);
      request.max_slots = 1 + static_cast<int64_t>(seed % 6);
      CHECK_EQUAL(count_differences(complete(policy, request), alone), 0);
    }
  });
}

// A cache that holds a few hundred rows: completions are put off and computed again, prompts given up and read again.
TEST("batch invariance: a cache that is too small for all gives the same bits, and stays below its limit") {
  for (const std::string dtype : {"float32", "float64", "bfloat16"}) {
    with_threads(1, odd_config(16), dtype, [&](Policy& policy) {
      const Model& model = policy.state().model;
      std::vector<Ask> asks;
      for (uint64_t p = 0; p < 6; ++p) {
        asks.push_back({ids_of(p, 20 + 30 * static_cast<int64_t>(p), 1531), {10 * p + 1, 10 * p + 2, 10 * p + 3}});
      }
      GenerateRequest request = request_of(asks);
      request.stop_ids.resize(2);
      request.max_new_tokens = 600;
      const ByStream free = complete(policy, request);
      for (const int64_t rows : {900, 1500, 2500}) {
        ByStream tight;
        const GenerateCounters counters = generate(
            model, request, nullptr, rows * model.cache_bytes_per_row(),
            [&](Completion c) { tight[request.streams[static_cast<size_t>(c.index)]] = std::move(c); }, {}, {});
        CHECK_EQUAL(count_differences(tight, free), 0);
        CHECK(counters.put_off > 0);
        CHECK(counters.recomputed_tokens > 0);
        CHECK_EQUAL(counters.prefill_tokens, 20 + 50 + 80 + 110 + 140 + 170);
      }
    });
  }
}

TEST("cache: memory follows what is written, not what might be") {
  with_threads(1, odd_config(16), "float32", [&](Policy& policy) {
    std::vector<uint64_t> streams;
    for (uint64_t i = 0; i < 64; ++i) streams.push_back(i);
    GenerateRequest request = request_of({{ids_of(1, 9, 1531), streams}});
    request.max_new_tokens = 16;
    const int64_t row = policy.state().model.cache_bytes_per_row();
    const auto peak = [&] { return policy.generate(request, [](Completion) {}, {}, {}).peak_bytes; };
    peak();  // the rotary tables
    const int64_t few = peak();
    request.max_new_tokens = 1 << 20;  // as many as the context holds; the stop ids end them early
    CHECK_EQUAL(policy.generate(request, [](Completion) {}, {}, {}).slots, 64);
    CHECK(peak() < few + 64 * 400 * row);  // 64 * 1491 rows if each had all that it might need
  });
}

TEST("cache: runs are given first fit, joined again, extended in place or moved with their rows") {
  with_threads(1, odd_config(16), "float32", [&](Policy& policy) {
    CachePool pool(policy.state().model, 640);
    CacheRun a = *pool.take(1), b = *pool.take(65), c = *pool.take(64);
    CHECK_EQUAL(a.rows, 64);
    CHECK_EQUAL(b.begin, 64);
    CHECK_EQUAL(b.rows, 128);
    CHECK_EQUAL(c.begin, 192);
    pool.cache().k[1].narrow(0, 0, 64).fill_(3);
    pool.give_back(b);
    CHECK(pool.extend(a, 100, 64));  // over the rows that b left
    CHECK_EQUAL(a.begin, 0);
    CHECK_EQUAL(a.rows, 128);
    CHECK(pool.extend(a, 300, 64));  // c is in the way
    CHECK_EQUAL(a.begin, 256);
    CHECK_EQUAL(a.rows, 320);
    CHECK_EQUAL(pool.cache().k[1].narrow(0, 256, 64).sum().item<double>(), 3.0 * 64 * 2 * 16);
    CHECK_EQUAL(pool.take(192)->begin, 0);
    CHECK(!pool.take(65).has_value());
    CHECK(!pool.extend(a, 400, 64));
    CHECK_EQUAL(a.rows, 320);
    CHECK_EQUAL(pool.take(64)->begin, 576);
    CHECK(!pool.take(1).has_value());
    CHECK_EQUAL(pool.capacity(), 640);
  });
}

TEST("batch invariance: the comparison tells a neighbour that leaks") {
  with_threads(1, odd_config(16), "float32", [&](Policy& policy) {
    const std::vector<Ask> asks{{ids_of(1, 9, 1531), {1, 2, 3}}};
    ByStream results = complete(policy, request_of(asks));
    const ByStream same = complete(policy, request_of(asks));
    CHECK_EQUAL(count_differences(results, same), 0);
    float& logprob = results.at(2).logprobs.back();
    logprob = std::nextafter(logprob, 0.0F);
    CHECK_EQUAL(count_differences(results, same), 1);
  });
}

}  // namespace
}  // namespace ilr::test
