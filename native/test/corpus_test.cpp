#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../fuzz/readers.h"
#include "check.h"

namespace ilr::test {
namespace {

// Every file of native/test/corpus/<folder> through the reader that fuzzing drives; how many there were.
int replay(const char* folder, void (*read)(const uint8_t*, size_t)) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden("../corpus") / folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    read(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++files;
  }
  return files;
}

}  // namespace

TEST("corpus: the safetensors reader survives every seed") { CHECK(replay("safetensors", fuzz::read_safetensors) >= 10); }
TEST("corpus: the config readers survive every seed") { CHECK(replay("config", fuzz::read_config) >= 10); }
TEST("corpus: the checkpoint reader survives every seed") { CHECK(replay("checkpoint", fuzz::read_checkpoint) >= 10); }

}  // namespace ilr::test
