#pragma once

#include <cmath>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "error.h"

// A small test harness: TEST("title") { CHECK(...); }, each test on its own; main.cpp runs them all.
namespace ilr::test {

struct Test {
  std::string title;
  void (*run)();
};

std::vector<Test>& tests();
struct Registration {
  Registration(const char* title, void (*run)()) { tests().push_back({title, run}); }
};

// Notes a failure of the test that runs; it goes on.
void fail(const char* file, int line, const std::string& message);

// Skips the test that runs, with the reason.
struct Skipped {
  std::string reason;
};

template <typename A, typename B>
void check_equal(const A& got, const B& expected, const char* text, const char* file, int line) {
  if (got == expected) return;
  std::ostringstream message;
  message << text << ": expected " << expected << ", got " << got;
  fail(file, line, message.str());
}

// True where `got` lies within `tolerance` of `expected`; NaN never does.
void check_close(double got, double expected, double tolerance, const char* text, const char* file, int line);
// `run` must throw ilr::Error with `code` and a message that holds `part`.
void check_throws(const std::function<void()>& run, const std::string& code, const std::string& part, const char* file,
                  int line);

// The folder of the golden files.
std::filesystem::path golden(const std::string& name = "");
// ../shared/<name> beside the repository; skips the test where it is absent.
std::filesystem::path shared(const std::string& name);

// What ILR_TEST_DEVICE names: the device of the tests called "device: …". cpu when unset. cuda needs a LibTorch with its GPU
// half; ILR_CUDA_LIBRARY names the kernels.
std::string test_device();
// Opens the GPU half where the device is a GPU. False where it cannot.
bool open_gpu();
// Prints a measured figure beside its bound, for scripts/check-gpu.mjs; a failure where it is larger, or NaN.
void report_figure(const std::string& name, double value, double bound);

// A new empty folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace ilr::test

#define ILR_JOIN_(a, b) a##b
#define ILR_JOIN(a, b) ILR_JOIN_(a, b)
#define TEST(title)                                                                                      \
  static void ILR_JOIN(test_, __LINE__)();                                                               \
  static const ::ilr::test::Registration ILR_JOIN(test_at_, __LINE__){title, ILR_JOIN(test_, __LINE__)}; \
  static void ILR_JOIN(test_, __LINE__)()
#undef CHECK  // LibTorch's logging has one, which ends the process: include this header last
#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) ::ilr::test::fail(__FILE__, __LINE__, "expected " #condition); \
  } while (false)
#define CHECK_EQUAL(got, expected) ::ilr::test::check_equal((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_CLOSE(got, expected, tolerance) \
  ::ilr::test::check_close((got), (expected), (tolerance), #got, __FILE__, __LINE__)
#define CHECK_THROWS(code, part, statement) \
  ::ilr::test::check_throws([&]() { statement; }, (code), (part), __FILE__, __LINE__)
