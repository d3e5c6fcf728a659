#include "memory.h"

#include <ATen/ops/empty.h>
#include <sys/resource.h>

#include <fstream>
#include <memory>

#include "machine_memory.h"
#include "policy_fixture.h"
#include "runtime.h"
#include "check.h"

namespace ilr::test {

TEST("memory: beyond a runtime's limit an allocation says what was asked and what was free, and the next one works") {
  Runtime runtime(RuntimeOptions{"cpu", 1, 8'000'000});
  runtime.run([&] {
    const at::Tensor held = at::empty({1'000'000});
    CHECK_THROWS("ILR_OUT_OF_MEMORY", "asked for 8.0 MB beside the 4", at::empty({2'000'000}));
    CHECK_THROWS("ILR_OUT_OF_MEMORY", "were free below its limit", at::empty({2'000'000}));
    CHECK_EQUAL(at::empty({500'000}).numel(), 500'000);
  });
}

TEST("memory: what is kept for reuse goes back before memory is said to be out") {
  Runtime runtime(RuntimeOptions{"cpu", 1, 8'000'000});
  runtime.run([&] {
    for (int64_t n = 100'000; n < 1'500'000; n += 100'000) at::empty({n});
    CHECK_EQUAL(at::empty({1'900'000}).numel(), 1'900'000);
  });
}

TEST("memory: a policy whose update does not fit is as before, and goes on where it does") {
  Runtime runtime(RuntimeOptions{"cpu", 1, 3'000'000});
  runtime.run([&] {
    const auto policy = Policy::create(runtime, tiny_config("llama"), 1, {});
    const Tensors before = copy_of(policy->state().hf_tensors());
    ScoreRequest small{};
    small.sequences.ids = {3, 4, 5};
    small.sequences.offsets = {0, 3};
    small.mask = {0, 1, 1};
    TrainingBatch batch;
    for (int i = 0; i < 200; ++i) {
      for (int t = 0; t < 30; ++t) batch.completions.ids.push_back(2 + (i + t) % 50);
      batch.completions.offsets.push_back(static_cast<int32_t>(batch.completions.ids.size()));
    }
    batch.prompts.ids = {3};
    batch.prompts.offsets = {0, 1};
    batch.prompt_index.assign(200, 0);
    batch.mask.assign(batch.completions.ids.size(), 1);
    batch.extra_advantage.assign(200, 0);
    batch.stage.assign(200, 0);
    batch.stage_weights = {1};
    UpdateOptions options;
    options.loss = Loss::nll;
    CHECK_THROWS("ILR_OUT_OF_MEMORY", "asked for", policy->update(batch, options, {}));
    const int64_t bytes = runtime.memory().bytes();  // the table of positions, made by the first pass, stays
    CHECK_THROWS("ILR_OUT_OF_MEMORY", "asked for", policy->update(batch, options, {}));
    CHECK_EQUAL(runtime.memory().bytes(), bytes);
    CHECK(are_identical(before, copy_of(policy->state().hf_tensors())));
    CHECK_EQUAL(policy->logprobs(small, {}).logprobs.size(), size_t{3});
    options.micro_batch_tokens = 40;  // the option that lowers it
    CHECK_EQUAL(policy->update(batch, options, {}).step, 1);
  });
}

TEST("memory: what the system refuses is the same error") {
#ifdef __SANITIZE_ADDRESS__
  throw Skipped{"AddressSanitizer does not live with a limit of the address space"};
#endif
  Runtime runtime(RuntimeOptions{"cpu", 1, int64_t{1} << 50});
  runtime.run([&] {
    rlimit old{};
    getrlimit(RLIMIT_AS, &old);
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit tight{static_cast<rlim_t>(pages) * 4096 + (rlim_t{256} << 20), old.rlim_max};
    if (setrlimit(RLIMIT_AS, &tight) != 0) throw Skipped{"the limit of the address space cannot be set"};
    CHECK_THROWS("ILR_OUT_OF_MEMORY", "were free on this machine", at::empty({int64_t{1} << 30}));
    setrlimit(RLIMIT_AS, &old);
    CHECK_EQUAL(at::empty({1 << 20}).numel(), 1 << 20);
  });
}

TEST("memory: the machine has some, and less of it is free") {
  CHECK(machine_bytes() > int64_t{64} << 20);
  CHECK(free_machine_bytes() > 0);
  CHECK(free_machine_bytes() <= machine_bytes());
}

}  // namespace ilr::test
