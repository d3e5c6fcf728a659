#include "runtime.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "memory.h"
#include "policy_fixture.h"

#include "check.h"

namespace ilr::test {
namespace {

TEST("runtime: jobs run one after the other in the order they were posted") {
  std::vector<int> seen;
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  for (int i = 0; i < 100; ++i) runtime.post([&seen, i] { seen.push_back(i); });
  runtime.run([&] { seen.push_back(100); });
  CHECK_EQUAL(seen.size(), 101U);
  for (int i = 0; i <= 100; ++i) CHECK_EQUAL(seen[static_cast<size_t>(i)], i);
}

TEST("runtime: an error of a job arrives where run was called, and the worker goes on") {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  CHECK_THROWS("ILR_ABORTED", "why", runtime.run([] { throw Error("ILR_ABORTED", "why"); }));
  bool has_run = false;
  runtime.run([&] { has_run = true; });
  CHECK(has_run);
}

TEST("runtime: threads are those asked for") {
  for (const int threads : {1, 2}) {
    Runtime runtime(RuntimeOptions{.device = "cpu", .threads = threads});
    CHECK_EQUAL(runtime.threads(), threads);
    runtime.run([&] { CHECK_EQUAL(at::get_num_threads(), threads); });
  }
}

TEST("runtime: threads are those asked for beside another runtime") {
  Runtime one(RuntimeOptions{.device = "cpu", .threads = 1});
  Runtime two(RuntimeOptions{.device = "cpu", .threads = 2});
  one.run([] {});
  two.run([] {});
  int got = 0;
  one.run([&] { got = at::get_num_threads(); });
  CHECK_EQUAL(got, 1);
  two.run([&] { got = at::get_num_threads(); });
  CHECK_EQUAL(got, 2);
}

TEST("runtime: an unknown device is refused, one that is not there too") {
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "tpu", Runtime(RuntimeOptions{.device = "tpu"}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "", Runtime(RuntimeOptions{.device = ""}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "threads", Runtime(RuntimeOptions{.device = "cpu", .threads = -1}));
}

TEST("runtime: two runtimes count their own memory, and get it back") {
  Runtime first(RuntimeOptions{.device = "cpu", .threads = 1});
  Runtime second(RuntimeOptions{.device = "cpu", .threads = 1});
  const int64_t before = first.memory().bytes();
  const int64_t other = second.memory().bytes();
  at::Tensor held;
  first.run([&] {
    first.memory().reset_peak();
    held = at::empty({1 << 20}, at::kFloat);
    at::empty({1 << 21}, at::kFloat);
  });
  CHECK(first.memory().bytes() >= before + (4 << 20));
  CHECK(first.memory().bytes() < before + (5 << 20));
  CHECK(first.memory().peak_bytes() >= before + (12 << 20));
  CHECK_EQUAL(second.memory().bytes(), other);
  held = at::Tensor();  // freed on this thread, counted where it was taken
  CHECK_EQUAL(first.memory().bytes(), before);
}

TEST("runtime: a policy gives all its memory back") {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  const int64_t before = runtime.memory().bytes();
  runtime.run([&] {
    const auto policy = Policy::load(runtime, golden("qwen2-tied"), PolicyOptions{}, false);
    const GoldenUpdate update = read_golden_update("qwen2-tied", "dapo");
    policy->update(update.batch, update.options, {});
    CHECK(runtime.memory().bytes() > before);
  });
  CHECK_EQUAL(runtime.memory().bytes(), before);
}

TEST("runtime: tensors outlive it") {
  at::Tensor kept;
  {
    Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
    runtime.run([&] { kept = at::empty({100000}, at::kFloat).fill_(3); });
  }
  CHECK_EQUAL(kept.sum().item<double>(), 300000.0);
}

TEST("threads: two threads give the same bits each time, and one thread the same numbers") {
  const GoldenUpdate update = read_golden_update("llama-untied", "dapo");
  const auto gradients_with = [&](int threads) {
    Runtime runtime(RuntimeOptions{.device = "cpu", .threads = threads});
    Tensors gradients;
    runtime.run([&] {
      const auto policy = Policy::load(runtime, golden("llama-untied"), PolicyOptions{.dtype = "float64"}, false);
      gradients = policy->state().gradients(update.batch, update.options, nullptr);
    });
    return gradients;
  };
  const Tensors two = gradients_with(2);
  CHECK(are_identical(two, gradients_with(2)));
  CHECK(worst_error(two, gradients_with(1)) <= 1e-12);
}

}  // namespace
}  // namespace ilr::test
