#include "machine_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace ilr {
namespace {

constexpr int64_t unknown = std::numeric_limits<int64_t>::max();

// A number on the first line of a file; `unknown` where there is none ("max", say).
int64_t read_number(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value && value >= 0 ? value : unknown;
}

// A line of /proc/meminfo, in bytes.
int64_t meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string name, unit; file >> name;) {
    int64_t kilobytes = 0;
    if (!(file >> kilobytes)) break;
    std::getline(file, unit);
    if (name == key + ":") return kilobytes * 1024;
  }
  return unknown;
}

int64_t sum(int64_t a, int64_t b) { return a > unknown - b ? unknown : a + b; }

int64_t cgroup_bytes() {
  return std::min(read_number("/sys/fs/cgroup/memory.max"), read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

int64_t cgroup_free_bytes() {
  const int64_t limit = read_number("/sys/fs/cgroup/memory.max"), used = read_number("/sys/fs/cgroup/memory.current");
  return limit == unknown || used == unknown ? unknown : std::max<int64_t>(0, limit - used);
}

int64_t address_space_bytes() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unknown;
  const int64_t pages = read_number("/proc/self/statm");
  const int64_t used = pages == unknown ? 0 : pages * sysconf(_SC_PAGESIZE);
  return std::max<int64_t>(0, static_cast<int64_t>(limit.rlim_cur) - used);
}

}  // namespace

int64_t machine_bytes() { return std::min(sum(meminfo("MemTotal"), meminfo("SwapTotal")), cgroup_bytes()); }

int64_t free_machine_bytes() {
  return std::min({sum(meminfo("MemAvailable"), meminfo("SwapFree")), cgroup_free_bytes(), address_space_bytes()});
}

}  // namespace ilr
