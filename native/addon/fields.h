#pragma once

#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "../core/error.h"

namespace ilr::addon {

[[noreturn]] inline void refuse(const std::string& where, const std::string& expected, const std::string& got) {
  throw Error("ILR_INVALID_ARGUMENT", where + ": expected " + expected + ", got " + got);
}

// What a JavaScript value is, in a few words, for messages.
std::string describe_value(const Napi::Value& value);

// The kind of typed array that holds T.
template <class T>
struct ArrayKind;
template <>
struct ArrayKind<int32_t> {
  static constexpr auto type = napi_int32_array;
  static constexpr auto name = "an Int32Array";
};
template <>
struct ArrayKind<uint8_t> {
  static constexpr auto type = napi_uint8_array;
  static constexpr auto name = "a Uint8Array";
};
template <>
struct ArrayKind<float> {
  static constexpr auto type = napi_float32_array;
  static constexpr auto name = "a Float32Array";
};
template <>
struct ArrayKind<double> {
  static constexpr auto type = napi_float64_array;
  static constexpr auto name = "a Float64Array";
};
template <>
struct ArrayKind<uint64_t> {
  static constexpr auto type = napi_biguint64_array;
  static constexpr auto name = "a BigUint64Array";
};

// The fields of a JavaScript object, read with checks. `where` names the object in messages.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string where);

  Napi::Value get(const char* name) const;
  Fields object(const char* name) const { return Fields(get(name), path(name)); }
  std::string path(const char* name) const { return where_.empty() ? name : where_ + "." + name; }
  bool has(const char* name) const;  // neither undefined nor null

  double number(const char* name) const;  // NaN and infinities included
  double number_or(const char* name, double fallback) const;
  int64_t integer(const char* name, int64_t most) const;  // from 0
  int64_t integer_or(const char* name, int64_t fallback, int64_t most) const;

  bool flag_or(const char* name, bool fallback) const;
  // Refuses a name that nobody has asked for, and says the nearest that somebody has. Call it when all is read, so that
  // whatever is read is known: there is no list to keep. `elsewhere`: names that other code reads.
  void refuse_unknown(std::initializer_list<const char*> elsewhere = {}) const;

  // A copy of the typed array of that name.
  template <class T>
  std::vector<T> array(const char* name) const {
    const View view = typed_array(name, ArrayKind<T>::type, ArrayKind<T>::name);
    const T* data = static_cast<const T*>(view.data);
    return view.length == 0 ? std::vector<T>() : std::vector<T>(data, data + view.length);
  }

 private:
  struct View {
    const void* data;
    size_t length;
  };
  View typed_array(const char* name, napi_typedarray_type type, const char* expected) const;

  Napi::Object object_;
  std::string where_;
  mutable std::set<std::string> known_;
};

}  // namespace ilr::addon
