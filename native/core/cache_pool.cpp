#include "cache_pool.h"

#include <algorithm>
#include <iterator>

namespace ilr {
namespace {

constexpr int64_t kBlock = 64;  // rows

}  // namespace

int64_t CachePool::whole_blocks(int64_t rows) { return (rows + kBlock - 1) / kBlock * kBlock; }

CachePool::CachePool(const Model& model, int64_t row_limit)
    : model_(model), limit_(whole_blocks(row_limit)), cache_(model.make_cache(0)) {}

void CachePool::reserve(int64_t rows) {
  rows = std::min(whole_blocks(rows), limit_);
  if (rows > capacity_) enlarge(rows);
}

std::optional<CacheRun> CachePool::take(int64_t rows) {
  rows = whole_blocks(rows);
  const auto fits = [&] {
    return std::find_if(free_.begin(), free_.end(), [&](const auto& run) { return run.second >= rows; });
  };
  auto found = fits();
  if (found == free_.end()) {
    if (!grow(rows)) return std::nullopt;
    found = fits();
  }
  const auto [begin, length] = *found;
  free_.erase(found);
  if (length > rows) free_.emplace(begin + rows, length - rows);
  return CacheRun{begin, rows};
}

void CachePool::give_back(const CacheRun& run) {
  if (run.rows == 0) return;
  auto at = free_.emplace(run.begin, run.rows).first;
  const auto next = std::next(at);
  if (next != free_.end() && at->first + at->second == next->first) {
    at->second += next->second;
    free_.erase(next);
  }
  if (at == free_.begin()) return;
  const auto before = std::prev(at);
  if (before->first + before->second != at->first) return;
  before->second += at->second;
  free_.erase(at);
}

bool CachePool::extend(CacheRun& run, int64_t rows, int64_t used) {
  rows = whole_blocks(rows);
  const int64_t end = run.begin + run.rows, more = rows - run.rows;
  if (more <= 0) return true;
  const auto next = free_.find(end);
  if (end == capacity_ || (next != free_.end() && end + next->second == capacity_)) grow(more);
  if (const auto behind = free_.find(end); behind != free_.end() && behind->second >= more) {
    const int64_t left = behind->second - more;
    free_.erase(behind);
    if (left > 0) free_.emplace(end + more, left);
    run.rows = rows;
    return true;
  }
  const std::optional<CacheRun> elsewhere = take(rows);
  if (!elsewhere) return false;
  copy_rows(run.begin, elsewhere->begin, used);
  give_back(run);
  run = *elsewhere;
  return true;
}

// By half at least, so that all the copies together cost no more than three times the rows.
bool CachePool::grow(int64_t rows) {
  int64_t at_end = 0;  // free rows at the end serve too
  if (!free_.empty() && std::prev(free_.end())->first + std::prev(free_.end())->second == capacity_) {
    at_end = std::prev(free_.end())->second;
  }
  const int64_t needed = capacity_ + std::max<int64_t>(0, rows - at_end);
  if (needed > limit_) return false;
  const int64_t grown = std::min(limit_, std::max(needed, whole_blocks(capacity_ + capacity_ / 2)));
  if (grown == capacity_) return true;
  enlarge(grown);
  return true;
}

void CachePool::enlarge(int64_t grown) {
  // Tensor by tensor: old and new stand side by side for one of them only.
  const auto copy_over = [&](at::Tensor& tensor) {
    at::Tensor larger = tensor.new_empty({grown, tensor.size(1)});
    if (capacity_ > 0) larger.narrow(0, 0, capacity_).copy_(tensor);
    tensor = larger;
  };
  for (at::Tensor& k : cache_.k) copy_over(k);
  for (at::Tensor& v : cache_.v) copy_over(v);
  const int64_t before = capacity_;
  capacity_ = grown;
  give_back({before, grown - before});
}

void CachePool::copy_rows(int64_t from, int64_t to, int64_t count) {
  if (count == 0) return;
  for (at::Tensor& k : cache_.k) k.narrow(0, to, count).copy_(k.narrow(0, from, count));
  for (at::Tensor& v : cache_.v) v.narrow(0, to, count).copy_(v.narrow(0, from, count));
}

}  // namespace ilr
