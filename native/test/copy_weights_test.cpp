#include <ATen/core/grad_mode.h>

#include <cmath>
#include <string>

#include "policy_fixture.h"
#include "runtime.h"

#include "check.h"

namespace ilr::test {
namespace {

using Use = std::function<void(Policy&, Policy&)>;

// A trained policy, and a frozen one with other weights.
void with_two(const std::string& dtype, const Use& use) {
  Runtime runtime(RuntimeOptions{.device = "cpu", .threads = 1});
  runtime.run([&] {
    const auto policy = Policy::create(runtime, tiny_config("qwen2"), 1, PolicyOptions{.dtype = dtype});
    const auto reference = Policy::create(runtime, tiny_config("qwen2"), 2, PolicyOptions{.trainable = false});
    use(*policy, *reference);
  });
}

TEST("copyFrom: mix 1 is the other's bits, 0 one's own, between them the mean; the other stays") {
  with_two("float32", [](Policy& policy, Policy& reference) {
    const Tensors from = copy_of(policy.state().hf_tensors()), to = copy_of(reference.state().hf_tensors());
    CHECK(!are_identical(from, to));
    reference.copy_from(policy, 0);
    CHECK(are_identical(reference.state().hf_tensors(), to));
    reference.copy_from(policy, 0.6);
    for (const auto& [name, t] : reference.state().hf_tensors()) {
      CHECK((t - (from.at(name) * 0.6 + to.at(name) * 0.4)).abs().max().item<double>() < 1e-6);
    }
    reference.copy_from(*policy.copy_weights(), 1);
    CHECK(are_identical(reference.state().hf_tensors(), from));
    CHECK(are_identical(policy.state().hf_tensors(), from));
    policy.copy_from(policy, 0.5);
    CHECK(are_identical(policy.state().hf_tensors(), from));
  });
}

TEST("copyFrom: changes the dtype on the way, and what is scored") {
  with_two("float64", [](Policy& policy, Policy& reference) {
    reference.copy_from(policy, 1);
    CHECK(max_error(reference.state().logits({1, 2, 3}), policy.state().logits({1, 2, 3})) < 1e-5);
  });
}

TEST("copyFrom: other shapes, shared weights and mixed adapters are refused, and nothing is changed") {
  with_two("float32", [](Policy& policy, Policy& reference) {
    const Tensors before = copy_of(reference.state().hf_tensors());
    for (const double mix : {-0.1, 1.5, std::nan("")}) {
      CHECK_THROWS("ILR_INVALID_ARGUMENT", "mix", reference.copy_from(policy, mix));
    }
    const auto other = Policy::create(policy.state().runtime, tiny_config("qwen2", 40), 1, {});
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "embed_tokens", reference.copy_from(*other, 1));
    const auto llama = Policy::create(policy.state().runtime, tiny_config("llama"), 1, {});
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "tensors", reference.copy_from(*llama, 1));
    {
      const auto sharer = reference.share(PolicyOptions{.trainable = false}, false);
      CHECK_THROWS("ILR_INVALID_ARGUMENT", "other policies", reference.copy_from(policy, 1));
      CHECK_THROWS("ILR_INVALID_ARGUMENT", "other policies", sharer->copy_from(policy, 1));
      const PolicyOptions with_adapter{.adapter = AdapterOptions{}};
      const auto one = reference.share(with_adapter, false), two = reference.share(with_adapter, false);
      CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapter", one->copy_from(policy, 1));
      CHECK_THROWS("ILR_INVALID_ARGUMENT", "adapters", one->copy_from(*two, 0.5));
      one->copy_from(*two, 1);
      CHECK(are_identical(one->state().hf_tensors(), two->state().hf_tensors()));
    }
    CHECK(are_identical(reference.state().hf_tensors(), before));
    reference.copy_from(policy, 1);  // the sharers are gone
  });
}

}  // namespace
}  // namespace ilr::test
