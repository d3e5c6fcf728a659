#include "json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <unordered_set>

#include "error.h"

namespace ilr {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// Bytes of the well-formed UTF-8 sequence at `at`, 0 where there is none (overlong, surrogate, beyond U+10FFFF, cut off).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> uint32_t { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto is_tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint32_t first = byte(at);
  const uint32_t second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !is_tail(at + 1)) return 0;
  if (first < 0xE0) return 2;
  if (!is_tail(at + 2)) return 0;
  if (first < 0xF0) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second >= 0xA0;
    return is_overlong || is_surrogate ? 0 : 3;
  }
  const bool is_overlong = first == 0xF0 && second < 0x90;
  const bool is_beyond = first == 0xF4 && second >= 0x90;
  return !is_tail(at + 3) || is_overlong || is_beyond ? 0 : 4;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& source, const JsonLimits& limits)
      : text_(text), source_(source), limits_(limits) {}

  Json parse() {
    if (text_.size() > limits_.max_bytes) {
      fail("expected at most " + std::to_string(limits_.max_bytes) + " bytes, got " + std::to_string(text_.size()));
    }
    skip_space();
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("expected the end of the text, got " + next());
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error("ILR_INVALID_MODEL", source_ + ": not valid JSON at byte " + std::to_string(at_) + ": " + message);
  }

  std::string next() const {
    if (at_ >= text_.size()) return "the end of the text";
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte > 0x20 && byte < 0x7F) return std::string("'") + text_[at_] + "'";
    char hex[16];
    std::snprintf(hex, sizeof hex, "byte 0x%02x", static_cast<unsigned>(byte));
    return hex;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip_space() {
    at_ = std::min(text_.find_first_not_of(" \n\r\t", at_), text_.size());
  }

  Json parse_value(int depth) {
    if (depth > limits_.max_depth) fail("nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    if (++values_ > limits_.max_values) fail("more than " + std::to_string(limits_.max_values) + " values");
    const char c = peek();
    if (c == '{') return parse_object(depth);
    if (c == '[') return parse_array(depth);
    if (c == '"') return Json{parse_string()};
    if (c == '-' || is_digit(c)) return parse_number();
    if (accept_word("true")) return Json{true};
    if (accept_word("false")) return Json{false};
    if (accept_word("null")) return Json{};
    fail("expected a value, got " + next());
  }

  bool accept_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json parse_object(int depth) {
    Json::Object object;
    std::unordered_set<std::string> keys;
    ++at_;
    skip_space();
    if (accept('}')) return Json{std::move(object)};
    while (true) {
      if (peek() != '"') fail("expected a key in double quotes, got " + next());
      std::string key = parse_string();
      if (!keys.insert(key).second) fail("the key " + describe_json(Json{key}) + " stands twice in one object");
      skip_space();
      if (!accept(':')) fail("expected ':' after a key, got " + next());
      skip_space();
      object.emplace_back(std::move(key), parse_value(depth + 1));
      skip_space();
      if (accept('}')) return Json{std::move(object)};
      if (!accept(',')) fail("expected ',' or '}' in an object, got " + next());
      skip_space();
    }
  }

  Json parse_array(int depth) {
    Json::Array array;
    ++at_;
    skip_space();
    if (accept(']')) return Json{std::move(array)};
    while (true) {
      array.push_back(parse_value(depth + 1));
      skip_space();
      if (accept(']')) return Json{std::move(array)};
      if (!accept(',')) fail("expected ',' or ']' in an array, got " + next());
      skip_space();
    }
  }

  std::string parse_string() {
    std::string out;
    ++at_;
    while (true) {
      if (at_ >= text_.size()) fail("a string without its closing quote");
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte < 0x20) fail("a control character in a string must be escaped, got " + next());
      if (accept('"')) return out;
      if (accept('\\')) {
        append_escape(out);
        continue;
      }
      const size_t length = utf8_length(text_, at_);
      if (length == 0) fail("not valid UTF-8, got " + next());
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  void append_escape(std::string& out) {
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view values = "\"\\/\b\f\n\r\t";
    const char c = peek();
    if (c == 'u') return append_unicode_escape(out);
    const size_t which = at_ < text_.size() ? names.find(c) : std::string_view::npos;
    if (which == std::string_view::npos) fail("unknown escape, got " + next());
    out.push_back(values[which]);
    ++at_;
  }

  void append_unicode_escape(std::string& out) {
    uint32_t code = parse_hex4();
    if (code >= 0xD800 && code < 0xDC00) {
      if (!accept('\\') || peek() != 'u') fail("half a surrogate pair");
      const uint32_t low = parse_hex4();
      if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      fail("half a surrogate pair");
    }
    append_utf8(out, code);
  }

  uint32_t parse_hex4() {
    ++at_;  // the 'u'
    uint32_t code = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (status != std::errc() || end != digits.data() + 4) fail("expected four hexadecimal digits after \\u");
    at_ += 4;
    return code;
  }

  void skip_digits() {
    if (!is_digit(peek())) fail("expected a digit, got " + next());
    while (is_digit(peek())) ++at_;
  }

  Json parse_number() {
    const size_t start = at_;
    accept('-');
    if (accept('0')) {
      if (is_digit(peek())) fail("a number must not start with 0");
    } else {
      skip_digits();
    }
    bool is_integer = true;
    if (accept('.')) {
      is_integer = false;
      skip_digits();
    }
    if (accept('e') || accept('E')) {
      is_integer = false;
      if (!accept('+')) accept('-');
      skip_digits();
    }
    const char* first = text_.data() + start;
    const char* last = text_.data() + at_;
    int64_t integer = 0;
    if (is_integer && std::from_chars(first, last, integer).ec == std::errc()) return Json{integer};
    double number = 0;
    if (std::from_chars(first, last, number).ec != std::errc() || !std::isfinite(number)) {
      fail("a number beyond the range of a double");
    }
    return Json{number};
  }

  std::string_view text_;
  const std::string& source_;
  const JsonLimits& limits_;
  size_t at_ = 0;
  size_t values_ = 0;
};

constexpr size_t described_bytes = 60;

void describe(const Json& json, std::string& out) {
  if (out.size() > described_bytes) return;
  if (json.is_null()) out += "null";
  if (const bool* flag = json.as_bool()) out += *flag ? "true" : "false";
  if (const int64_t* integer = json.as_int()) out += std::to_string(*integer);
  if (const double* number = std::get_if<double>(&json.value)) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, *number).ptr);
  }
  if (const std::string* text = json.as_string()) out += quote_json(*text);
  if (const Json::Array* array = json.as_array()) {
    out += '[';
    for (size_t i = 0; i < array->size() && out.size() <= described_bytes; ++i) {
      if (i > 0) out += ", ";
      describe((*array)[i], out);
    }
    out += ']';
  }
  if (const Json::Object* object = json.as_object()) {
    out += '{';
    for (size_t i = 0; i < object->size() && out.size() <= described_bytes; ++i) {
      if (i > 0) out += ", ";
      out += quote_json((*object)[i].first) + ": ";
      describe((*object)[i].second, out);
    }
    out += '}';
  }
}

}  // namespace

const Json* Json::find(std::string_view key) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  for (const auto& [name, json] : *object) {
    if (name == key) return &json;
  }
  return nullptr;
}

Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  return Parser(text, source, limits).parse();
}

std::string describe_json(const Json& json) {
  std::string out;
  describe(json, out);
  if (out.size() <= described_bytes) return out;
  size_t end = described_bytes;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return out.substr(0, end) + "...";
}

std::string quote_json(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace ilr
