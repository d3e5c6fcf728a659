#include "readers.h"

// libFuzzer's entry, compiled once per reader.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ilr::fuzz::ILR_FUZZ_READER(data, size);
  return 0;
}
