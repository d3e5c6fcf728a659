#pragma once

#include <cstddef>
#include <cstdint>

// The readers of untrusted files, fed with any bytes. They may refuse with ilr::Error; anything else is a finding. libFuzzer
// drives them (`npm run fuzz`), and the core's tests replay native/test/corpus through them.
namespace ilr::fuzz {

void read_safetensors(const uint8_t* data, size_t size);  // a weights file, or the index of a sharded one where it begins with '{'
void read_config(const uint8_t* data, size_t size);       // config.json and adapter_config.json
void read_checkpoint(const uint8_t* data, size_t size);   // optimizer.safetensors of two small tensors

}  // namespace ilr::fuzz
