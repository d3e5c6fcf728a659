#include "stamp.h"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace ilr {
namespace {

class Hash {
 public:
  void add(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    // Four lanes, so that one multiplication need not wait for the other.
    for (; size >= 32; size -= 32, bytes += 32) {
      uint64_t words[4];
      std::memcpy(words, bytes, 32);
      for (int i = 0; i < 4; ++i) lanes_[i] = step(lanes_[i], words[i]);
    }
    for (; size > 0; --size, ++bytes) lanes_[0] = step(lanes_[0], *bytes + 0x100);
  }
  void add(std::string_view text) {
    add(text.data(), text.size());
    lanes_[1] = step(lanes_[1], text.size());
  }

  uint64_t value() const {
    uint64_t all = 0;
    for (const uint64_t lane : lanes_) all = step(all, lane);
    return all ^ (all >> 31);
  }

 private:
  static uint64_t step(uint64_t state, uint64_t word) {
    return std::rotl(state ^ (word * 0xBF58476D1CE4E5B9), 29) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019;
  }
  uint64_t lanes_[4] = {1, 2, 3, 4};
};

}  // namespace

std::string stamp_of(const std::map<std::string, at::Tensor>& tensors) {
  Hash hash;
  for (const auto& [name, tensor] : tensors) {
    hash.add(name);
    hash.add(c10::toString(tensor.scalar_type()));
    hash.add(tensor.sizes().data(), tensor.sizes().size() * sizeof(int64_t));
    const at::Tensor bytes = tensor.detach().to(at::kCPU).contiguous();
    hash.add(bytes.const_data_ptr(), bytes.nbytes());
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash.value()));
  return text;
}

}  // namespace ilr
