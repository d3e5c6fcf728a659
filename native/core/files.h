#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace ilr {

// A file mapped for reading; Error ILR_IO where it cannot be, or is no regular file. Whoever cuts the file short while it
// is mapped ends the process (SIGBUS): copy soon.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  const char* data_ = nullptr;
  int64_t size_ = 0;
};

using WriteBytes = std::function<void(const void* data, size_t size)>;

// Calls `fill` with a function that appends bytes. Writes beside `file`, syncs and renames, so that a file of that name is
// whole or as it was before. Error ILR_IO (a full disk included); the partial file is removed.
void write_synced(const std::filesystem::path& file, const std::function<void(const WriteBytes&)>& fill);

}  // namespace ilr
