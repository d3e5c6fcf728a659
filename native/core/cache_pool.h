#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "model.h"

namespace ilr {

// A run of rows of a pool's cache.
struct CacheRun {
  int64_t begin = 0;
  int64_t rows = 0;
};

// Keys and values in one growing cache, handed out in runs of rows. It holds no more than was asked for at once, and never
// more than its limit. Which run is given follows from the calls alone: the first that fits, lowest row first.
class CachePool {
 public:
  CachePool(const Model& model, int64_t row_limit);
  static int64_t whole_blocks(int64_t rows);  // what a run of so many rows takes
  // Makes room for so many rows in all, or up to the limit, before the first are taken.
  void reserve(int64_t rows);

  // A run of at least `rows` rows, rounded up to whole blocks; none where the limit leaves no room.
  std::optional<CacheRun> take(int64_t rows);
  void give_back(const CacheRun& run);
  // Makes a run longer, in place where the rows behind it are free, else elsewhere: its first `used` rows are kept.
  // False, and the run as it was, where there is no room.
  bool extend(CacheRun& run, int64_t rows, int64_t used);

  KvCache& cache() { return cache_; }
  int64_t capacity() const { return capacity_; }

 private:
  bool grow(int64_t rows);  // so that a run of `rows` fits at the end
  void enlarge(int64_t capacity);
  void copy_rows(int64_t from, int64_t to, int64_t count);

  const Model& model_;
  int64_t limit_;
  int64_t capacity_ = 0;
  std::map<int64_t, int64_t> free_;  // first row -> rows; neighbours are joined
  KvCache cache_;
};

}  // namespace ilr
