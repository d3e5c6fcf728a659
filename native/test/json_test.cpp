#include "json.h"

#include <string>

#include "check.h"

namespace ilr::test {
namespace {

Json parse(const std::string& text) { return parse_json(text, "t.json"); }

void check_refused(const std::string& text, const std::string& part) {
  CHECK_THROWS("ILR_INVALID_MODEL", part, parse(text));
}

TEST("JSON: every kind of value is read") {
  const Json json = parse(R"( {"a": [1, -2, 3.5, 1e3, true, false, null], "b": {"c": "x"}} )");
  const Json::Array& array = *json.find("a")->as_array();
  CHECK_EQUAL(*array[0].as_int(), 1);
  CHECK_EQUAL(*array[1].as_int(), -2);
  CHECK_EQUAL(std::get<double>(array[2].value), 3.5);
  CHECK_EQUAL(std::get<double>(array[3].value), 1000.0);
  CHECK_EQUAL(*array[4].as_bool(), true);
  CHECK_EQUAL(*array[5].as_bool(), false);
  CHECK(array[6].is_null());
  CHECK_EQUAL(*json.find("b")->find("c")->as_string(), "x");
  CHECK(json.find("z") == nullptr);
  CHECK(array[0].find("a") == nullptr);
}

TEST("JSON: the largest int64 is an integer, one more a double") {
  CHECK_EQUAL(*parse("9223372036854775807").as_int(), 9223372036854775807LL);
  CHECK_EQUAL(*parse("-9223372036854775808").as_int(), static_cast<int64_t>(-9223372036854775807LL - 1));
  CHECK_EQUAL(std::get<double>(parse("9223372036854775808").value), 9223372036854775808.0);
}

TEST("JSON: escapes and surrogate pairs become UTF-8") {
  CHECK_EQUAL(*parse(R"("\"\\\/\b\f\n\r\tA")").as_string(), "\"\\/\b\f\n\r\tA");
  CHECK_EQUAL(*parse(R"("\u0041\u00e9\u20ac\ud83d\ude00")").as_string(), "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  CHECK_EQUAL(*parse("\"\xF0\x9F\x98\x80\"").as_string(), "\xF0\x9F\x98\x80");
}

TEST("JSON: errors say the byte and what was expected") {
  check_refused("", "byte 0: expected a value, got the end of the text");
  check_refused("{\"a\":1,}", "byte 7: expected a key in double quotes, got '}'");
  check_refused("[1 2]", "byte 3: expected ',' or ']' in an array, got '2'");
  check_refused("{\"a\" 1}", "byte 5: expected ':' after a key");
  check_refused("[1] x", "byte 4: expected the end of the text, got 'x'");
  check_refused("{\"a\":1,\"a\":2}", "\"a\" stands twice");
  check_refused("NaN", "expected a value, got 'N'");
  check_refused("\xEF\xBB\xBF{}", "byte 0: expected a value, got byte 0xef");
}

TEST("JSON: malformed numbers are refused") {
  for (const char* text : {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "1e999", "-1e999"})
    check_refused(text, "t.json");
}

TEST("JSON: malformed strings are refused") {
  check_refused("\"abc", "without its closing quote");
  check_refused("\"a\nb\"", "control character");
  check_refused("\"\\x\"", "unknown escape");
  check_refused("\"\\u12G4\"", "four hexadecimal digits");
  check_refused("\"\\u12", "four hexadecimal digits");
  check_refused("\"\\ud800\"", "half a surrogate pair");
  check_refused("\"\\ud800\\u0041\"", "half a surrogate pair");
  check_refused("\"\\udc00\"", "half a surrogate pair");
}

TEST("JSON: malformed UTF-8 is refused") {
  // Overlong, stray tail, cut off, surrogate, beyond U+10FFFF.
  for (const char* text : {"\"\xC0\x80\"", "\"\xE0\x80\x80\"", "\"\xF0\x80\x80\x80\"", "\"\x80\"", "\"\xC3\"",
                           "\"\xE2\x82\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xFF\""}) {
    check_refused(text, "not valid UTF-8");
  }
}

TEST("JSON: depth, size and number of values are limited") {
  check_refused(std::string(100000, '['), "nested deeper than 64 levels");
  CHECK(parse(std::string(64, '[') + std::string(64, ']')).as_array() != nullptr);
  CHECK_THROWS("ILR_INVALID_MODEL", "more than 3 values", parse_json("[1,2,3]", "t", JsonLimits{.max_values = 3}));
  CHECK_THROWS("ILR_INVALID_MODEL", "at most 4 bytes", parse_json("[1,2]", "t", JsonLimits{.max_bytes = 4}));
}

TEST("JSON: every prefix of a text is refused and none crashes") {
  const std::string text = R"({"a":[1.5e3,"\u00e9\ud83d\ude00",{"b":null}],"c":true})";
  for (size_t length = 0; length < text.size(); ++length) check_refused(text.substr(0, length), "byte");
}

TEST("JSON: a described value is short and escaped") {
  CHECK_EQUAL(describe_json(parse(R"({"a":[1,0.1,"x\u001b"],"b":null})")), R"({"a": [1, 0.1, "x\u001b"], "b": null})");
  CHECK(describe_json(Json{std::string(1000, 'x')}).size() < 70);
  CHECK_EQUAL(*parse(quote_json("a\"\\\n\x1b\xC3\xA9")).as_string(), "a\"\\\n\x1b\xC3\xA9");
}

}  // namespace
}  // namespace ilr::test
