#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ilr {

// One value of a JSON text (RFC 8259). An integer that fits is int64_t, every other number double.
struct Json {
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the text's order, keys unique
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value = nullptr;

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  const bool* as_bool() const { return std::get_if<bool>(&value); }
  const int64_t* as_int() const { return std::get_if<int64_t>(&value); }
  const std::string* as_string() const { return std::get_if<std::string>(&value); }
  const Array* as_array() const { return std::get_if<Array>(&value); }
  const Object* as_object() const { return std::get_if<Object>(&value); }
  const Json* find(std::string_view key) const;  // nullptr where this is no object or has no such key
};

// What a hostile text may cost: nesting uses the stack, values use memory far beyond their bytes ("[[],[],...").
struct JsonLimits {
  size_t max_bytes = size_t{64} << 20;
  size_t max_values = size_t{4} << 20;
  int max_depth = 64;
};

// Error ILR_INVALID_MODEL naming `source` and the byte offset: not JSON, not UTF-8, a key twice, a number beyond double,
// or a limit passed.
Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

// The value as a JSON text of at most about 60 bytes, for messages; control characters come out escaped.
std::string describe_json(const Json& value);

// `text` as a JSON string with its quotes; it must be UTF-8.
std::string quote_json(std::string_view text);

}  // namespace ilr
