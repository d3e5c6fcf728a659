#include "abort.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <atomic>
#include <map>
#include <numeric>
#include <string>

#include "matmul.h"
#include "memory.h"
#include "policy_fixture.h"
#include "runtime.h"
#include "check.h"

namespace ilr::test {
namespace {

// Aborts at the nth look of a call at `place`, and counts the looks after it: the work that an abort leaves undone.
struct Interruption {
  std::atomic<bool> flag{false};
  std::string place;
  int64_t at = 0, seen = 0, after = 0;
  std::map<std::string, int64_t> places;

  Interruption(std::string where, int64_t nth) : place(std::move(where)), at(nth) {
    set_abort_probe([this](const char* name) {
      ++places[name];
      if (flag) ++after;
      if (name == place && seen++ == at) flag = true;
    });
  }
  ~Interruption() { set_abort_probe({}); }
};

Ragged ragged(const std::vector<int64_t>& lengths) {
  Ragged sequences;
  for (const int64_t length : lengths) {
    for (int64_t i = 0; i < length; ++i) sequences.ids.push_back(static_cast<int32_t>(2 + (i * 7 + length) % 50));
    sequences.offsets.push_back(static_cast<int32_t>(sequences.ids.size()));
  }
  return sequences;
}

GenerateRequest generation() {
  GenerateRequest request{};
  request.prompts = ragged({20, 21, 22});
  request.samples_per_prompt = 2;
  request.streams.assign(6, 5);
  request.max_new_tokens = 8;
  request.temperature = 1;
  return request;
}

ScoreRequest scoring() {
  ScoreRequest request{ragged({30, 30}), std::vector<uint8_t>(60, 1)};
  request.mask[0] = request.mask[30] = 0;
  return request;
}

TrainingBatch batch() {
  TrainingBatch b;
  b.prompts = ragged({6});
  b.completions = ragged({10, 11, 12, 13});
  b.prompt_index = {0, 0, 0, 0};
  b.mask.assign(b.completions.ids.size(), 1);
  b.extra_advantage.assign(4, 0);
  b.stage.assign(4, 0);
  b.stage_weights = {1};
  return b;
}

UpdateOptions nll() {
  UpdateOptions o;
  o.loss = Loss::nll;
  o.micro_batch_tokens = 18;
  return o;
}

// Runs `work` once to learn its places, then aborts it at the first, a middle and the last look of each place. Every
// time it must end there (no look follows), with ILR_ABORTED, and give its memory back.
void abort_everywhere(Runtime& runtime, const std::vector<std::string>& expected, const std::function<void(const Control&)>& work) {
  std::map<std::string, int64_t> places;
  {
    Interruption none("nowhere", 0);
    const AbortScope scope(&none.flag);
    work({&none.flag, {}});
    places = none.places;
  }
  for (const std::string& place : expected) CHECK(places[place] > 0);
  const int64_t before = runtime.memory().bytes();
  for (const auto& [place, looks] : places) {
    for (const int64_t at : {int64_t{0}, looks / 2, looks - 1}) {
      Interruption interruption(place, at);
      const AbortScope scope(&interruption.flag);
      CHECK_THROWS("ILR_ABORTED", "aborted", work({&interruption.flag, {}}));
      CHECK_EQUAL(interruption.after, 0);
      CHECK_EQUAL(runtime.memory().bytes(), before);
    }
  }
}

}  // namespace

TEST("abort: generating ends at the next look of any phase, and gives its memory back") {
  with_random_policy(tiny_config("qwen2"), 1, "float32", [](Policy& policy) {
    abort_everywhere(policy.state().runtime, {"generate", "product", "attention"}, [&](const Control& control) {
      policy.generate(generation(), [](Completion) {}, {}, control);
    });
  });
}

TEST("abort: scoring ends at the next look of any phase, and gives its memory back") {
  with_random_policy(tiny_config("llama"), 1, "float32", [](Policy& policy) {
    abort_everywhere(policy.state().runtime, {"product", "attention"},
                     [&](const Control& control) { policy.logprobs(scoring(), control); });
  });
}

TEST("abort: an update ends at the next look of forward, backward or before its step, which it then has not taken") {
  with_random_policy(tiny_config("qwen2"), 1, "float32", [](Policy& policy) {
    const Tensors before = copy_of(policy.state().hf_tensors());
    // The first run takes a step, the aborted ones none.
    int64_t steps = 0;
    abort_everywhere(policy.state().runtime, {"product", "attention", "attention backward", "step"},
                     [&](const Control& control) { steps = policy.update(batch(), nll(), control).step; });
    CHECK_EQUAL(steps, 1);
    CHECK_EQUAL(policy.info().step, 1);
    CHECK(!are_identical(before, copy_of(policy.state().hf_tensors())));
  });
}

TEST("abort: drawing, reading and writing weights end at the next look, and leave files whole") {
  Runtime runtime(RuntimeOptions{"cpu", 1});
  const TemporaryFolder folder;
  runtime.run([&] {
    const auto create = [&] { return Policy::create(runtime, tiny_config("llama"), 1, {}); };
    create()->save(folder.path(), true);
    abort_everywhere(runtime, {"draw"}, [&](const Control&) { create(); });
    abort_everywhere(runtime, {"read"}, [&](const Control&) { Policy::load(runtime, folder.path(), {}, true); });
    const auto policy = create();
    abort_everywhere(runtime, {"write"}, [&](const Control&) { policy->save(folder.path(), true); });
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      CHECK(entry.path().extension() != ".partial");
    }
    CHECK(are_identical(copy_of(Policy::load(runtime, folder.path(), {}, true)->state().hf_tensors()),
                        copy_of(policy->state().hf_tensors())));
  });
}

TEST("abort: looks stand between the layers of a pass, its chunks of logits and its micro-batches") {
  with_random_policy(tiny_config("qwen2"), 1, "float32", [](Policy& policy) {
    Interruption none("nowhere", 0);
    policy.update(batch(), nll(), {});
    // Four micro-batches of one completion, two layers: a look per attention and layer at least, forward and backward.
    CHECK(none.places["attention"] >= 4 * 2);
    CHECK(none.places["attention backward"] >= 4 * 2);
    CHECK(none.places["product"] >= 4 * 2 * 12);
  });
}

TEST("abort: a large product ends between its blocks") {
  const at::NoGradGuard no_grad;
  std::atomic<bool> flag{true};
  const AbortScope scope(&flag);
  at::Tensor a = at::empty({64, 64}), c = at::empty({64, 64});
  CHECK_THROWS("ILR_ABORTED", "", matrix_product_into(c, a, a));
}

TEST("abort: a scope without a flag keeps the one outside, and goes with its end") {
  std::atomic<bool> flag{true};
  {
    const AbortScope outer(&flag);
    const AbortScope inner(nullptr);
    CHECK_THROWS("ILR_ABORTED", "", throw_if_aborted("here"));
    CHECK(AbortFlag().is_set());
  }
  throw_if_aborted("here");
  CHECK(!AbortFlag().is_set());
}

}  // namespace ilr::test
