#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

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

// Files of one folder that change together: each is written and synced under another name, and commit gives all of them
// theirs, one rename after the other. What fails before leaves every file as it was; a machine that stops between two
// renames leaves some of the new ones (optimizer.safetensors tells: stamp.h).
class PendingFiles {
 public:
  PendingFiles() = default;
  ~PendingFiles();  // removes what was not committed
  PendingFiles(const PendingFiles&) = delete;
  PendingFiles& operator=(const PendingFiles&) = delete;

  // Calls `fill` with a function that appends bytes. Error ILR_IO (a full disk included).
  void add(const std::filesystem::path& file, const std::function<void(const WriteBytes&)>& fill);
  void remove(const std::filesystem::path& file);  // on commit, where it is there
  void commit();                                   // Error ILR_IO

 private:
  std::vector<std::filesystem::path> files_, removed_;
};

// Calls `fill` with a function that appends bytes. Writes beside `file`, syncs and renames, so that a file of that name is
// whole or as it was before. Error ILR_IO (a full disk included); the partial file is removed.
void write_synced(const std::filesystem::path& file, const std::function<void(const WriteBytes&)>& fill);

}  // namespace ilr
