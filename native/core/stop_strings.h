#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "types.h"

namespace ilr {

// Finds stop strings in text that comes token by token. The text is read byte by byte, so that what is found does not depend
// on how it is cut into tokens: the match that ends first, and of those that end together the longest.
class StopStrings {
 public:
  // `table` may be null where there are no strings. Both must outlive this.
  StopStrings(const std::vector<std::string>& strings, const TokenBytes* table);

  bool empty() const { return strings_.empty(); }

  // One completion's text so far.
  struct Text {
    std::string tail;   // its last bytes, enough for the longest string
    int64_t bytes = 0;  // all of them
  };
  struct Match {
    int64_t index = -1;      // of the string, -1: none
    int64_t text_bytes = 0;  // bytes of the text before it
  };
  // Adds a token's bytes. After a match the text is of no more use.
  Match append(Text& text, int32_t id) const;

 private:
  int64_t longest_suffix(std::string_view text) const;  // index of the longest string that `text` ends with, or -1

  const std::vector<std::string>& strings_;
  const TokenBytes* table_;
  size_t longest_ = 0;
};

// Errors ILR_INVALID_ARGUMENT: empty, too long, too many, twice the same, not UTF-8, no table, or a byte that no token writes.
void check_stop_strings(const std::vector<std::string>& strings, const TokenBytes* table);
// Errors ILR_INVALID_ARGUMENT: offsets that do not fit the bytes, more tokens than the vocabulary.
void check(const TokenBytes& table, int64_t vocab);

}  // namespace ilr
