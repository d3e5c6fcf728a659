#include "stop_strings.h"

#include <algorithm>
#include <bitset>
#include <cstdio>
#include <set>

#include "error.h"

namespace ilr {
namespace {

constexpr size_t kMostStrings = 64;
constexpr size_t kLongestString = 1024;  // bytes

// U+FFFD stands for what was not Unicode, half a surrogate pair say, on its way here.
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

[[noreturn]] void refuse_string(size_t i, const std::string& text) {
  throw Error("ILR_INVALID_ARGUMENT", "stopStrings[" + std::to_string(i) + "]: " + text);
}

std::string hex(unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02X", byte);
  return text;
}

std::bitset<256> bytes_of(const TokenBytes& table) {
  std::bitset<256> present;
  for (const uint8_t byte : table.bytes) present.set(byte);
  return present;
}

}  // namespace

void check_stop_strings(const std::vector<std::string>& strings, const TokenBytes* table) {
  if (strings.empty()) return;
  if (strings.size() > kMostStrings) {
    throw Error("ILR_INVALID_ARGUMENT", "stopStrings: expected at most " + std::to_string(kMostStrings) +
                                            " strings, got " + std::to_string(strings.size()));
  }
  if (table == nullptr) {
    throw Error("ILR_INVALID_ARGUMENT",
                "stopStrings: the bytes of the tokens are not known; call setTokenBytes with those of the tokenizer first");
  }
  const std::bitset<256> present = bytes_of(*table);
  std::set<std::string_view> seen;
  for (size_t i = 0; i < strings.size(); ++i) {
    const std::string& string = strings[i];
    if (string.empty()) refuse_string(i, "expected at least one character, got none");
    if (string.size() > kLongestString) {
      refuse_string(i, "expected at most " + std::to_string(kLongestString) + " bytes of UTF-8, got " +
                           std::to_string(string.size()));
    }
    if (string.find(kReplacement) != std::string::npos) {
      refuse_string(i, "expected whole Unicode characters, got U+FFFD or half a surrogate pair, which no text matches");
    }
    for (const char c : string) {
      const auto byte = static_cast<unsigned char>(c);
      if (!present.test(byte)) {
        refuse_string(i, "no token of the tokenizer writes its byte " + hex(byte) + ", so it could never be found");
      }
    }
    if (!seen.insert(string).second) refuse_string(i, "expected each string once, got it twice");
  }
}

StopStrings::StopStrings(const std::vector<std::string>& strings, const TokenBytes* table)
    : strings_(strings), table_(table) {
  for (const std::string& string : strings) longest_ = std::max(longest_, string.size());
}

StopStrings::Match StopStrings::append(Text& text, int32_t id) const {
  if (strings_.empty() || id >= table_->size()) return {};
  for (int32_t at = table_->offsets[id]; at < table_->offsets[id + 1]; ++at) {
    text.tail.push_back(static_cast<char>(table_->bytes[at]));
    ++text.bytes;
    const int64_t found = longest_suffix(text.tail);
    if (found >= 0) return {found, text.bytes - static_cast<int64_t>(strings_[found].size())};
  }
  if (text.tail.size() > longest_) text.tail.erase(0, text.tail.size() - longest_);
  return {};
}

int64_t StopStrings::longest_suffix(std::string_view text) const {
  int64_t found = -1;
  for (size_t i = 0; i < strings_.size(); ++i) {
    if (text.ends_with(strings_[i]) && (found < 0 || strings_[i].size() > strings_[found].size())) {
      found = static_cast<int64_t>(i);
    }
  }
  return found;
}

void check(const TokenBytes& table, int64_t vocab) {
  const auto refuse = [](const std::string& text) { throw Error("ILR_INVALID_ARGUMENT", "tokenBytes" + text); };
  if (table.offsets.empty() || table.offsets.front() != 0) refuse(".offsets: expected to start with 0");
  if (table.size() > vocab) {
    refuse(": expected the bytes of at most " + std::to_string(vocab) + " tokens (the model's vocabulary), got " +
           std::to_string(table.size()) + "; does the tokenizer belong to this model?");
  }
  for (int64_t i = 0; i < table.size(); ++i) {
    if (table.offsets[i + 1] >= table.offsets[i]) continue;
    refuse(".offsets: expected to rise, got " + std::to_string(table.offsets[i]) + " before " +
           std::to_string(table.offsets[i + 1]) + " at " + std::to_string(i + 1));
  }
  if (table.offsets.back() != static_cast<int64_t>(table.bytes.size())) {
    refuse(".offsets: expected to end with " + std::to_string(table.bytes.size()) + " (the number of bytes), got " +
           std::to_string(table.offsets.back()));
  }
}

}  // namespace ilr
