#include <ATen/core/grad_mode.h>

#include <string>

#include "files.h"
#include "policy_fixture.h"

#include "check.h"

namespace ilr::test {
namespace {

void learn(Policy& policy) {
  GoldenUpdate update = read_golden_update("qwen2-tied", "nll");
  update.options.learning_rate = 1e-3;
  policy.update(update.batch, update.options, {});
}

TEST("save: an optimiser beside the weights of another save is refused by name") {
  const TemporaryFolder first, second;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    learn(policy);
    policy.save(first.path(), true);
    learn(policy);
    policy.save(second.path(), true);
  });
  const auto file = "model.safetensors";
  std::filesystem::copy_file(second / file, first / file, std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS("ILR_INVALID_MODEL", "mixes two saves", with_policy(first.path(), "float32", [](Policy&) {}, true));
  with_policy(first.path(), "float32", [](Policy&) {});  // without the optimiser it is a model as any
  with_policy(second.path(), "float32", [](Policy& policy) { CHECK_EQUAL(policy.info().step, 2); }, true);
}

TEST("save: what fails leaves every file of the folder as it was, and no other") {
  const TemporaryFolder folder;
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    policy.save(folder.path(), false);
    const std::string weights = read_text(folder / "model.safetensors");
    learn(policy);
    std::filesystem::create_directory(folder / "optimizer.safetensors");
    CHECK_THROWS("ILR_IO", "optimizer.safetensors", policy.save(folder.path(), true));
    CHECK(read_text(folder / "model.safetensors") == weights);
    std::filesystem::remove(folder / "optimizer.safetensors");
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      CHECK(entry.path().extension() != ".partial");
    }
    policy.save(folder.path(), true);
    CHECK(read_text(folder / "model.safetensors") != weights);
  });
}

TEST("save: generation_config.json goes with the model") {
  const TemporaryFolder model, saved;
  std::filesystem::copy(golden("llama-untied"), model.path());
  const std::string text = "{\"eos_token_id\": [5, 9], \"temperature\": 0.6}\n";
  write_text(model / "generation_config.json", text);
  with_policy(model.path(), "float32", [&](Policy& policy) { policy.save(saved.path(), false); });
  CHECK_EQUAL(read_text(saved / "generation_config.json"), text);
  with_policy(saved.path(), "float32", [&](Policy& policy) {
    CHECK(policy.info().eos_ids == (std::vector<int32_t>{5, 9}));
  });
}

}  // namespace
}  // namespace ilr::test
