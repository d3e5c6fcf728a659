#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <dlfcn.h>
#include <unistd.h>

#include "check.h"

namespace ilr::test {
namespace {

int failures_of_test = 0;

enum class Outcome { passed, failed, skipped };

Outcome run_one(const Test& test) {
  failures_of_test = 0;
  std::string skipped;
  try {
    test.run();
  } catch (const Skipped& skip) {
    skipped = skip.reason;
  } catch (const Error& error) {
    fail(test.title.c_str(), 0, "unexpected " + error.code() + ": " + error.what());
  } catch (const std::exception& error) {
    fail(test.title.c_str(), 0, std::string("unexpected exception: ") + error.what());
  }
  if (failures_of_test > 0) {
    std::printf("not ok  %s\n", test.title.c_str());
    return Outcome::failed;
  }
  if (!skipped.empty()) {
    std::printf("skip    %s (%s)\n", test.title.c_str(), skipped.c_str());
    return Outcome::skipped;
  }
  std::printf("ok      %s\n", test.title.c_str());
  return Outcome::passed;
}

// Runs the tests whose titles hold one of `filters` (all where there is none); the exit code.
int run_all(const std::vector<std::string>& filters) {
  const auto is_wanted = [&](const std::string& title) {
    return filters.empty() || std::any_of(filters.begin(), filters.end(), [&](const std::string& filter) {
             return title.find(filter) != std::string::npos;
           });
  };
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const Test& test : tests()) {
    if (!is_wanted(test.title)) continue;
    const Outcome outcome = run_one(test);
    passed += outcome == Outcome::passed;
    failed += outcome == Outcome::failed;
    skipped += outcome == Outcome::skipped;
    std::fflush(stdout);
  }
  if (skipped > 0) std::printf("%d skipped\n", skipped);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0 ? 1 : 0;
}

bool open_library(const char* file) {
  if (dlopen(file, RTLD_NOW | RTLD_GLOBAL) != nullptr) return true;
  std::printf("cannot open %s: %s\n", file, dlerror());
  return false;
}

}  // namespace

std::string test_device() {
  const char* device = std::getenv("ILR_TEST_DEVICE");
  return device != nullptr ? device : "cpu";
}

bool open_gpu() {
  if (test_device() == "cpu") return true;
  // Before the first call into LibTorch, which would settle that there is no GPU.
  const char* kernels = std::getenv("ILR_CUDA_LIBRARY");
  return open_library("libtorch_cuda.so") && (kernels == nullptr || open_library(kernels));
}

void report_figure(const std::string& name, double value, double bound) {
  std::printf("figure  %s: %.3g, at most %.3g\n", name.c_str(), value, bound);
  if (value <= bound) return;
  std::ostringstream message;
  message << name << ": expected at most " << bound << ", got " << value;
  fail(name.c_str(), 0, message.str());
}

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

void fail(const char* file, int line, const std::string& message) {
  ++failures_of_test;
  std::printf("        %s:%d: %s\n", file, line, message.c_str());
}

void check_close(double got, double expected, double tolerance, const char* text, const char* file, int line) {
  if (std::abs(got - expected) <= tolerance) return;
  std::ostringstream message;
  message.precision(17);
  message << text << ": expected " << expected << " within " << tolerance << ", got " << got;
  fail(file, line, message.str());
}

void check_throws(const std::function<void()>& run, const std::string& code, const std::string& part, const char* file,
                  int line) {
  try {
    run();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.code() != code) fail(file, line, "expected " + code + ", got " + error.code() + ": " + message);
    if (message.find(part) == std::string::npos) fail(file, line, "expected a message with '" + part + "', got: " + message);
    return;
  }
  fail(file, line, "expected " + code + ", got no error");
}

std::filesystem::path golden(const std::string& name) {
  const char* elsewhere = std::getenv("ILR_GOLDEN_DIR");
  return std::filesystem::path(elsewhere != nullptr ? elsewhere : ILR_GOLDEN_DIR) / name;
}

std::filesystem::path shared(const std::string& name) {
  const std::filesystem::path path =
      golden().parent_path().parent_path().parent_path().parent_path().parent_path() / "shared" / name;
  if (!std::filesystem::exists(path)) throw Skipped{"../shared/" + name + " is not here"};
  return path;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "ilr-core-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw Error("ILR_IO", "cannot create a temporary folder " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace ilr::test

int main(int argc, char** argv) {
  if (!ilr::test::open_gpu()) return 1;
  return ilr::test::run_all({argv + 1, argv + argc});
}
