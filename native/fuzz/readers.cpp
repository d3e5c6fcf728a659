#include "readers.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "adapter_config.h"
#include "error.h"
#include "model_config.h"
#include "optimizer.h"
#include "safetensors.h"

namespace ilr::fuzz {
namespace {

[[noreturn]] void finding(const char* what) {
  std::fputs(what, stderr);
  abort();
}

// A folder in memory where there is one; it goes with the process.
class Folder {
 public:
  Folder() {
    const bool in_memory = std::filesystem::is_directory("/dev/shm");
    std::string name = std::string(in_memory ? "/dev/shm" : "/tmp") + "/ilr-fuzz-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) finding("cannot make a folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const char* name, const uint8_t* data, size_t size) const {
    std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Reads every tensor; what the reader let through must lie within the file.
void read_all(const SafetensorsReader& reader, size_t size) {
  size_t total = 0;
  for (const std::string& name : reader.names()) {
    const at::Tensor tensor = reader.view(name);
    if (at::IntArrayRef(reader.shape(name)) != tensor.sizes()) finding("the view has another shape");
    total += tensor.nbytes();
    if (total > size) finding("the tensors hold more bytes than the file");
    std::string copy(tensor.nbytes(), '\0');
    if (!copy.empty()) std::memcpy(copy.data(), tensor.const_data_ptr(), copy.size());
  }
}

template <class Read>
void refusing(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code().rfind("ILR_", 0) != 0 || *error.what() == '\0') finding("an error without code or message");
  }
}

}  // namespace

void read_safetensors(const uint8_t* data, size_t size) {
  static const Folder folder;
  const bool is_index = size > 0 && data[0] == '{';
  folder.write(is_index ? "model.safetensors.index.json" : "model.safetensors", data, size);
  const auto other = folder.path() / (is_index ? "model.safetensors" : "model.safetensors.index.json");
  std::error_code ignored;
  std::filesystem::remove(other, ignored);
  refusing([&] { read_all(SafetensorsReader::open_folder(folder.path()), size); });
}

void read_config(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  refusing([&] {
    const ModelConfig config = parse_model_config(text);
    if (config.vocab_size < 1 || config.num_layers < 1 || config.num_heads % config.num_kv_heads != 0) {
      finding("a model that cannot be");
    }
  });
  refusing([&] { adapter_config_json(parse_adapter_config(text, "adapter_config.json")); });
}

void read_checkpoint(const uint8_t* data, size_t size) {
  static const Folder folder;
  static AdamW optimizer({{"matrix.weight", at::zeros({2, 3})}, {"norm.weight", at::zeros({3})}});
  folder.write("optimizer.safetensors", data, size);
  refusing([&] {
    optimizer.read(SafetensorsReader::open_file(folder.path() / "optimizer.safetensors"));
    if (optimizer.steps() < 0 || optimizer.skipped_steps() < 0) finding("a negative count of steps");
  });
}

}  // namespace ilr::fuzz
