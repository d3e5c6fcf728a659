#include "fields.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "../core/json.h"
#include "nearest.h"

namespace ilr::addon {
namespace {

constexpr double largest_length = std::numeric_limits<int32_t>::max();  // offsets are int32

const char* array_name(napi_typedarray_type type) {
  static constexpr std::array<const char*, 11> names{
      "an Int8Array",  "a Uint8Array",  "a Uint8ClampedArray", "an Int16Array",
      "a Uint16Array", "an Int32Array", "a Uint32Array",       "a Float32Array",
      "a Float64Array", "a BigInt64Array", "a BigUint64Array"};
  const auto i = static_cast<size_t>(type);
  return i < names.size() ? names[i] : "a typed array";
}

std::string describe_number(double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

bool is_detached(napi_env env, napi_value buffer) {
  bool detached = false;
  napi_is_detached_arraybuffer(env, buffer, &detached);
  return detached;
}

}  // namespace

std::string describe_value(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number: return describe_number(value.As<Napi::Number>().DoubleValue());
    case napi_string: return "a string";
    case napi_symbol: return "a symbol";
    case napi_function: return "a function";
    case napi_bigint: return "a bigint";
    case napi_external: return "an external value";
    default: break;
  }
  if (value.IsArray()) return "an array";
  if (value.IsTypedArray()) return array_name(value.As<Napi::TypedArray>().TypedArrayType());
  return "an object";
}

Fields::Fields(const Napi::Value& value, std::string where) : where_(std::move(where)) {
  if (!value.IsObject() || value.IsFunction() || value.IsArray() || value.IsTypedArray()) {
    refuse(where_, "an object", describe_value(value));
  }
  object_ = value.As<Napi::Object>();
}

Napi::Value Fields::get(const char* name) const {
  known_.insert(name);
  return object_.Get(name);
}

void Fields::refuse_unknown(std::initializer_list<const char*> elsewhere) const {
  known_.insert(elsewhere.begin(), elsewhere.end());
  napi_value names = nullptr;
  const auto filter = static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols);
  const napi_status status = napi_get_all_property_names(object_.Env(), object_, napi_key_own_only, filter,
                                                         napi_key_numbers_to_strings, &names);
  if (status != napi_ok) throw Napi::Error::New(object_.Env());  // a Proxy's own trap threw
  const Napi::Array array(object_.Env(), names);
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const std::string name = Napi::Value(array[i]).As<Napi::String>().Utf8Value();
    if (known_.contains(name)) continue;
    const std::string near = nearest(name, known_);
    std::string known;
    for (const std::string& one : known_) known += (known.empty() ? "" : ", ") + one;
    throw Error("ILR_INVALID_ARGUMENT", where_ + ": unknown name " + describe_json(Json{name}) +
                                            (near.empty() ? "" : "; did you mean \"" + near + "\"?") +
                                            " (the names are " + known + ")");
  }
}

bool Fields::has(const char* name) const {
  const Napi::Value value = get(name);
  return !value.IsUndefined() && !value.IsNull();
}

double Fields::number(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsNumber()) refuse(path(name), "a number", describe_value(value));
  return value.As<Napi::Number>().DoubleValue();
}

double Fields::number_or(const char* name, double fallback) const { return has(name) ? number(name) : fallback; }

int64_t Fields::integer(const char* name, int64_t most) const {
  const Napi::Value value = get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= static_cast<double>(most)) || number != std::floor(number)) {
    refuse(path(name), "a whole number from 0 to " + std::to_string(most), describe_value(value));
  }
  return static_cast<int64_t>(number);
}

int64_t Fields::integer_or(const char* name, int64_t fallback, int64_t most) const {
  return has(name) ? integer(name, most) : fallback;
}

bool Fields::flag_or(const char* name, bool fallback) const {
  const Napi::Value found = get(name);
  if (found.IsUndefined()) return fallback;
  if (!found.IsBoolean()) refuse(path(name), "true or false", describe_value(found));
  return found.As<Napi::Boolean>().Value();
}

Fields::View Fields::typed_array(const char* name, napi_typedarray_type type, const char* expected) const {
  const Napi::Value value = get(name);
  if (!value.IsTypedArray()) refuse(path(name), expected, describe_value(value));
  napi_typedarray_type found;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  const napi_env env = value.Env();
  if (napi_get_typedarray_info(env, value, &found, &length, &data, &buffer, nullptr) != napi_ok) {
    refuse(path(name), expected, "a typed array that cannot be read");
  }
  if (found != type) refuse(path(name), expected, array_name(found));
  if (is_detached(env, buffer)) refuse(path(name), expected, "one whose buffer was transferred elsewhere");
  if (static_cast<double>(length) >= largest_length) {
    refuse(path(name), "fewer than 2147483647 values", std::to_string(length));
  }
  if (data == nullptr) length = 0;
  return {data, length};
}

}  // namespace ilr::addon
