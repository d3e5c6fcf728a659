#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ilr {

// One or several safetensors files, mapped and checked before anything is read: header at most 100 MB, known dtypes,
// offsets in range and without overlap, shape times width equal to the bytes. Errors: ILR_IO, ILR_INVALID_MODEL (file,
// tensor, expected, got).
class SafetensorsReader {
 public:
  static SafetensorsReader open_file(const std::filesystem::path& file);
  // model.safetensors, or the shards that model.safetensors.index.json names (no name leaves the folder).
  static SafetensorsReader open_folder(const std::filesystem::path& folder);
  ~SafetensorsReader();
  SafetensorsReader(SafetensorsReader&&) noexcept;

  bool contains(const std::string& name) const;
  std::vector<std::string> names() const;
  std::vector<int64_t> shape(const std::string& name) const;  // ILR_INVALID_MODEL where it is missing
  // A view of the mapped file on the CPU, in the file's dtype; valid while the reader lives. Copy it.
  at::Tensor view(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct State;
  explicit SafetensorsReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class PendingFiles;

// What is written in place of a tensor, of the same shape and dtype.
using ChangeTensor = std::function<at::Tensor(const std::string& name, const at::Tensor& tensor)>;

// Writes and syncs one file. Tensors may be on any device and need not be contiguous; each is changed and copied on its own,
// so the extra memory is that of the largest. Error ILR_IO (a full disk included; the partial file is removed).
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const ChangeTensor& change = nullptr);
// The same among other files; nothing is there before files.commit().
void write_safetensors(PendingFiles& files, const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const ChangeTensor& change = nullptr);

// Writes and syncs a small text file. Error ILR_IO.
void write_text(const std::filesystem::path& file, const std::string& text);
void write_text(PendingFiles& files, const std::filesystem::path& file, const std::string& text);
// Error ILR_IO naming the file; ILR_INVALID_MODEL above max_bytes.
std::string read_text(const std::filesystem::path& file, int64_t max_bytes = 64 << 20);

}  // namespace ilr
