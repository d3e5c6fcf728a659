#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "abort.h"
#include "error.h"
#include "safetensors.h"

namespace ilr {
namespace {

[[noreturn]] void fail_io(const std::string& what, const std::filesystem::path& file, int error) {
  std::string hint;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) hint = "; free some space or choose another folder";
  throw Error("ILR_IO", "cannot " + what + " " + file.string() + ": " + std::strerror(error) + hint);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct OpenedFile {
  std::unique_ptr<FileDescriptor> fd;
  int64_t size;
};

OpenedFile open_for_reading(const std::filesystem::path& file) {
  // O_NONBLOCK: a named pipe put in the place of a file must not hang the worker.
  OpenedFile opened{std::make_unique<FileDescriptor>(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), 0};
  if (opened.fd->get() < 0) fail_io("open", file, errno);
  struct stat status{};
  if (::fstat(opened.fd->get(), &status) != 0) fail_io("read", file, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error("ILR_IO", "cannot read " + file.string() + ": expected a regular file, got something else");
  }
  opened.size = status.st_size;
  return opened;
}

// `unsynced`: bytes since the last sync, which goes along so that the one at the end is short.
void write_all(int fd, const char* data, size_t size, const std::filesystem::path& file, size_t& unsynced) {
  constexpr size_t most_unsynced = size_t{64} << 20;
  constexpr size_t most = size_t{16} << 20;  // between two looks at the abort flag
  while (size > 0) {
    throw_if_aborted("write");
    const ssize_t written = ::write(fd, data, std::min(size, most));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io("write", file, errno);
    data += written;
    size -= static_cast<size_t>(written);
    unsynced += static_cast<size_t>(written);
    if (unsynced < most_unsynced) continue;
    if (::fdatasync(fd) != 0) fail_io("sync", file, errno);
    unsynced = 0;
  }
}

void sync_folder_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) fail_io("sync the folder", folder, errno);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const OpenedFile opened = open_for_reading(file);
  size_ = opened.size;
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_PRIVATE, opened.fd->get(), 0);
  if (address == MAP_FAILED) fail_io("map", file, errno);
  data_ = static_cast<const char*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), static_cast<size_t>(size_));
}

namespace {

std::filesystem::path partial_of(std::filesystem::path file) { return file += ".partial"; }

}  // namespace

PendingFiles::~PendingFiles() {
  for (const auto& file : files_) ::unlink(partial_of(file).c_str());
}

void PendingFiles::add(const std::filesystem::path& file, const std::function<void(const WriteBytes&)>& fill) {
  const std::filesystem::path partial = partial_of(file);
  FileDescriptor fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (fd.get() < 0) fail_io("create", file, errno);
  files_.push_back(file);
  size_t unsynced = 0;
  fill([&](const void* data, size_t size) { write_all(fd.get(), static_cast<const char*>(data), size, file, unsynced); });
  if (::fsync(fd.get()) != 0) fail_io("sync", file, errno);
  if (::close(fd.release()) != 0) fail_io("close", file, errno);
}

void PendingFiles::remove(const std::filesystem::path& file) { removed_.push_back(file); }

void PendingFiles::commit() {
  const std::vector<std::filesystem::path> files = files_;
  for (const auto& file : files) {
    if (std::filesystem::is_directory(file)) fail_io("rename to", file, EISDIR);
  }
  for (const auto& file : removed_) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) fail_io("remove", file, errno);
  }
  for (const auto& file : files) {
    if (::rename(partial_of(file).c_str(), file.c_str()) != 0) fail_io("rename to", file, errno);
    std::erase(files_, file);
  }
  if (!files.empty()) sync_folder_of(files.front());
}

void write_synced(const std::filesystem::path& file, const std::function<void(const WriteBytes&)>& fill) {
  PendingFiles files;
  files.add(file, fill);
  files.commit();
}

void write_text(PendingFiles& files, const std::filesystem::path& file, const std::string& text) {
  files.add(file, [&](const WriteBytes& write) { write(text.data(), text.size()); });
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  write_synced(file, [&](const WriteBytes& write) { write(text.data(), text.size()); });
}

std::string read_text(const std::filesystem::path& file, int64_t max_bytes) {
  const OpenedFile opened = open_for_reading(file);
  if (opened.size > max_bytes) {
    throw Error("ILR_INVALID_MODEL", file.string() + ": expected at most " + std::to_string(max_bytes) + " bytes, got " +
                                         std::to_string(opened.size));
  }
  std::string text(static_cast<size_t>(opened.size), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(opened.fd->get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io("read", file, errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return text;
}

}  // namespace ilr
