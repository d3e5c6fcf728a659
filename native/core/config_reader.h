#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "error.h"
#include "json.h"

namespace ilr {

// Keys of one config.json, each checked as it is read. A key that says null counts as absent.
class ConfigReader {
 public:
  ConfigReader(const Json& root, std::string source) : root_(root), source_(std::move(source)) {}

  const Json* find(const std::string& key) const {
    const Json* json = root_.find(key);
    return json == nullptr || json->is_null() ? nullptr : json;
  }

  bool is_null(const std::string& key) const {
    const Json* json = root_.find(key);
    return json != nullptr && json->is_null();
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& expected, const Json* got) const {
    const std::string shown = got == nullptr ? "nothing" : describe_json(*got);
    throw Error("ILR_INVALID_MODEL", source_ + ": " + key + ": expected " + expected + ", got " + shown);
  }

  [[noreturn]] void unsupported(const std::string& key, const std::string& what, const std::string& supported) const {
    throw Error("ILR_UNSUPPORTED", source_ + ": " + key + ": " + what + " is not supported yet; " + supported);
  }

  int64_t size(const std::string& key, int64_t most) const {
    const Json* json = find(key);
    if (json == nullptr) refuse(key, size_text(most), nullptr);
    return checked_size(key, *json, most);
  }

  int64_t size_or(const std::string& key, int64_t most, int64_t fallback) const {
    const Json* json = find(key);
    return json == nullptr ? fallback : checked_size(key, *json, most);
  }

  double number_or(const std::string& key, double least, double most, double fallback) const {
    const Json* json = find(key);
    return json == nullptr ? fallback : checked_number(key, *json, least, most);
  }

  double checked_number(const std::string& key, const Json& json, double least, double most) const {
    double number = NAN;
    if (const double* real = std::get_if<double>(&json.value)) number = *real;
    if (const int64_t* integer = json.as_int()) number = static_cast<double>(*integer);
    if (!(number >= least && number <= most)) {
      refuse(key, "a number from " + describe_json(Json{least}) + " to " + describe_json(Json{most}), &json);
    }
    return number;
  }

  bool flag_or(const std::string& key, bool fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return fallback;
    if (json->as_bool() == nullptr) refuse(key, "true or false", json);
    return *json->as_bool();
  }

  const std::string* text_or_null(const std::string& key) const {
    const Json* json = find(key);
    if (json == nullptr) return nullptr;
    if (json->as_string() == nullptr) refuse(key, "a string", json);
    return json->as_string();
  }

  // An id or a list of ids; empty where the key is absent.
  std::vector<int32_t> token_ids(const std::string& key, int64_t vocab_size) const {
    const Json* json = find(key);
    std::vector<int32_t> ids;
    if (json == nullptr) return ids;
    const std::string expected =
        "a token id from 0 to " + std::to_string(vocab_size - 1) + " (below vocab_size), or a list of them";
    const auto add = [&](const Json& item) {
      const int64_t* id = item.as_int();
      if (id == nullptr || *id < 0 || *id >= vocab_size) refuse(key, expected, json);
      if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(static_cast<int32_t>(*id));
    };
    if (const Json::Array* array = json->as_array()) {
      for (const Json& item : *array) add(item);
    } else {
      add(*json);
    }
    return ids;
  }

  int64_t checked_size(const std::string& key, const Json& json, int64_t most) const {
    const int64_t* value = json.as_int();
    if (value == nullptr || *value < 1 || *value > most) refuse(key, size_text(most), &json);
    return *value;
  }

 private:
  static std::string size_text(int64_t most) { return "an integer from 1 to " + std::to_string(most); }

  const Json& root_;
  std::string source_;
};

}  // namespace ilr
