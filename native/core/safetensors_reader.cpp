#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "error.h"
#include "files.h"
#include "json.h"
#include "safetensors.h"
#include "safetensors_format.h"

namespace ilr {
namespace {

using safetensors::Dtype;
using safetensors::dtypes;
using safetensors::shown;

constexpr int64_t max_header_bytes = 100'000'000;  // the limit of the safetensors library
constexpr int64_t max_index_bytes = int64_t{64} << 20;
constexpr size_t max_dimensions = 8;

[[noreturn]] void fail_model(const std::filesystem::path& file, const std::string& message) {
  throw Error("ILR_INVALID_MODEL", file.string() + ": " + message);
}

struct Entry {
  Dtype dtype{};
  std::vector<int64_t> shape;
  int64_t begin = 0;  // from the first byte after the header
  int64_t end = 0;
};

struct Shard {
  std::filesystem::path file;
  std::shared_ptr<const MappedFile> mapping;
  int64_t data_start = 0;
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;
};

std::vector<int64_t> read_integers(const Shard& shard, const std::string& name, const Json& tensor, const char* key,
                                   size_t most) {
  const Json* json = tensor.find(key);
  const Json::Array* array = json == nullptr ? nullptr : json->as_array();
  std::vector<int64_t> integers;
  const auto refuse = [&]() {
    fail_model(shard.file, "tensor " + shown(name) + ": " + key + ": expected at most " + std::to_string(most) +
                               " integers of at least 0, got " + (json == nullptr ? "nothing" : describe_json(*json)));
  };
  if (array == nullptr || array->size() > most) refuse();
  for (const Json& item : *array) {
    if (item.as_int() == nullptr || *item.as_int() < 0) refuse();
    integers.push_back(*item.as_int());
  }
  return integers;
}

Dtype read_dtype(const Shard& shard, const std::string& name, const Json& tensor) {
  const Json* json = tensor.find("dtype");
  if (json == nullptr || json->as_string() == nullptr) {
    fail_model(shard.file, "tensor " + shown(name) + ": dtype: expected a string, got " +
                               (json == nullptr ? "nothing" : describe_json(*json)));
  }
  for (const Dtype& dtype : dtypes) {
    if (*json->as_string() == dtype.name) return dtype;
  }
  throw Error("ILR_UNSUPPORTED", shard.file.string() + ": tensor " + shown(name) + ": dtype " + describe_json(*json) +
                                     " is not read; expected one of " + safetensors::supported_dtypes() +
                                     " (a model's weights: F32, F16 or BF16, without quantisation)");
}

// Nothing where strides would overflow, which those of an empty tensor can too.
std::optional<int64_t> byte_count(const std::vector<int64_t>& shape, int64_t width) {
  int64_t bytes = width;
  bool is_empty = false;
  for (const int64_t size : shape) {
    is_empty = is_empty || size == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return std::nullopt;
  }
  return is_empty ? 0 : bytes;
}

Entry read_entry(const Shard& shard, const std::string& name, const Json& tensor, int64_t data_bytes) {
  Entry entry;
  entry.dtype = read_dtype(shard, name, tensor);
  entry.shape = read_integers(shard, name, tensor, "shape", max_dimensions);
  const std::vector<int64_t> offsets = read_integers(shard, name, tensor, "data_offsets", 2);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    fail_model(shard.file, "tensor " + shown(name) + ": data_offsets: expected [begin, end] within the " +
                               std::to_string(data_bytes) + " bytes after the header, got " +
                               describe_json(*tensor.find("data_offsets")) + "; the file may be truncated: fetch it again");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  const std::optional<int64_t> bytes = byte_count(entry.shape, entry.dtype.bytes);
  if (bytes != entry.end - entry.begin) {
    fail_model(shard.file, "tensor " + shown(name) + ": shape " + describe_json(*tensor.find("shape")) + " of " +
                               entry.dtype.name + " takes " + (bytes ? std::to_string(*bytes) : "more than 2^63") +
                               " bytes, but its data_offsets hold " + std::to_string(entry.end - entry.begin));
  }
  return entry;
}

void read_metadata(Shard& shard, const Json& json) {
  const Json::Object* object = json.as_object();
  if (object == nullptr) fail_model(shard.file, "__metadata__: expected an object of strings, got " + describe_json(json));
  for (const auto& [key, value] : *object) {
    if (value.as_string() == nullptr) {
      fail_model(shard.file, "__metadata__: " + shown(key) + ": expected a string, got " + describe_json(value));
    }
    shard.metadata[key] = *value.as_string();
  }
}

// The tensors must cover the bytes after the header end to end: no byte belongs to two tensors or to none.
void check_coverage(const Shard& shard, int64_t data_bytes) {
  std::vector<const std::pair<const std::string, Entry>*> sorted;
  for (const auto& item : shard.entries) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  int64_t covered = 0;
  for (const auto* item : sorted) {
    if (item->second.begin != covered) {
      const bool overlaps = item->second.begin < covered;
      fail_model(shard.file, "tensor " + shown(item->first) + ": expected its data to begin at byte " +
                                 std::to_string(covered) + ", where the one before ends, got " +
                                 std::to_string(item->second.begin) + (overlaps ? ", an overlap" : ", a gap"));
    }
    covered = item->second.end;
  }
  if (covered != data_bytes) {
    fail_model(shard.file, "expected " + std::to_string(covered) + " bytes of tensors after the header, got " +
                               std::to_string(data_bytes));
  }
}

std::string_view read_header_text(const Shard& shard) {
  const MappedFile& mapping = *shard.mapping;
  const std::string again = "; the file may be truncated or no safetensors file: fetch it again";
  if (mapping.size() < 8) {
    fail_model(shard.file, "expected 8 bytes of header length, got a file of " + std::to_string(mapping.size()) + again);
  }
  uint64_t length = 0;
  std::memcpy(&length, mapping.data(), sizeof length);
  const auto most = static_cast<uint64_t>(std::min(max_header_bytes, mapping.size() - 8));
  if (length > most) {
    fail_model(shard.file, "expected a header of at most " + std::to_string(most) + " bytes, got a length of " +
                               std::to_string(length) + again);
  }
  return {mapping.data() + 8, static_cast<size_t>(length)};
}

Shard open_shard(const std::filesystem::path& file) {
  Shard shard{file, std::make_shared<const MappedFile>(file), 0, {}, {}};
  const std::string_view text = read_header_text(shard);
  const JsonLimits limits{.max_bytes = max_header_bytes, .max_depth = 4};
  const Json header = parse_json(text, file.string() + ": header", limits);
  if (header.as_object() == nullptr) fail_model(file, "header: expected a JSON object, got " + describe_json(header));
  shard.data_start = 8 + static_cast<int64_t>(text.size());
  const int64_t data_bytes = shard.mapping->size() - shard.data_start;
  for (const auto& [name, json] : *header.as_object()) {
    if (name == "__metadata__") {
      read_metadata(shard, json);
    } else {
      shard.entries.emplace(name, read_entry(shard, name, json, data_bytes));
    }
  }
  check_coverage(shard, data_bytes);
  return shard;
}

// A shard lies in the folder of its index: no separators, no "..".
void check_shard_name(const std::filesystem::path& index, const std::string& tensor, const Json& name) {
  constexpr std::string_view suffix = ".safetensors";
  const std::string* text = name.as_string();
  const bool is_plain = text != nullptr && text->size() > suffix.size() && text->ends_with(suffix) && text->front() != '.' &&
                        text->find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!is_plain) {
    fail_model(index, "weight_map: " + shown(tensor) +
                          ": expected the name of a .safetensors file in the same folder, got " + describe_json(name));
  }
}

// What a file that is no safetensors file holds, where its name says that it holds weights.
std::string kind_of_weights(const std::filesystem::path& file) {
  const std::string extension = file.extension().string();
  for (const char* pickle : {".bin", ".pt", ".pth", ".ckpt"}) {
    if (extension == pickle) return "a Python pickle, which is not read because it can run code";
  }
  return extension == ".gguf" ? "a GGUF file, which is not read" : "";
}

[[noreturn]] void fail_no_weights(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw Error("ILR_IO", "cannot read the model folder " + folder.string() + ": expected a folder, got " +
                              (std::filesystem::exists(folder, error) ? "a file" : "nothing of that name"));
  }
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    const std::string kind = kind_of_weights(item.path());
    if (kind.empty()) continue;
    throw Error("ILR_UNSUPPORTED",
                folder.string() + ": holds " + item.path().filename().string() + ", " + kind +
                    "; supported are model.safetensors, or its shards with model.safetensors.index.json. Convert it where "
                    "you trust it: python -c \"from transformers import AutoModelForCausalLM as M; "
                    "M.from_pretrained('IN').save_pretrained('OUT')\"");
  }
  throw Error("ILR_IO", folder.string() + ": expected model.safetensors or model.safetensors.index.json, got neither");
}

std::vector<Shard> open_index(const std::filesystem::path& folder) {
  const std::filesystem::path index = folder / "model.safetensors.index.json";
  const Json root = parse_json(read_text(index, max_index_bytes), index.string());
  const Json* map = root.find("weight_map");
  if (map == nullptr || map->as_object() == nullptr) {
    fail_model(index, "weight_map: expected an object of tensor and file names, got " +
                          (map == nullptr ? "nothing" : describe_json(*map)));
  }
  std::map<std::string, std::set<std::string>> tensors_of_file;
  for (const auto& [tensor, name] : *map->as_object()) {
    check_shard_name(index, tensor, name);
    tensors_of_file[*name.as_string()].insert(tensor);
  }
  std::vector<Shard> shards;
  for (const auto& [name, tensors] : tensors_of_file) {
    shards.push_back(open_shard(folder / name));
    for (const std::string& tensor : tensors) {
      if (!shards.back().entries.contains(tensor)) {
        fail_model(shards.back().file, "expected the tensor " + shown(tensor) + ", which " + index.string() +
                                           " places here, got none of that name");
      }
    }
    // The index says which shard holds a tensor; what else a shard holds does not count.
    std::erase_if(shards.back().entries, [&wanted = tensors](const auto& item) { return !wanted.contains(item.first); });
  }
  return shards;
}

}  // namespace

struct SafetensorsReader::State {
  std::vector<Shard> shards;
  std::map<std::string, size_t> shard_of;
  std::map<std::string, std::string> metadata;
  std::filesystem::path opened;  // file or folder, for messages

  State(std::vector<Shard> all, std::filesystem::path from) : shards(std::move(all)), opened(std::move(from)) {
    for (size_t i = 0; i < shards.size(); ++i) {
      for (const auto& [name, entry] : shards[i].entries) shard_of[name] = i;
      metadata.insert(shards[i].metadata.begin(), shards[i].metadata.end());
    }
  }

  std::pair<const Shard&, const Entry&> find(const std::string& name) const {
    const auto found = shard_of.find(name);
    if (found == shard_of.end()) fail_model(opened, "expected the tensor " + shown(name) + ", got none of that name");
    const Shard& shard = shards[found->second];
    return {shard, shard.entries.at(name)};
  }
};

SafetensorsReader::SafetensorsReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsReader::~SafetensorsReader() = default;
SafetensorsReader::SafetensorsReader(SafetensorsReader&&) noexcept = default;

SafetensorsReader SafetensorsReader::open_file(const std::filesystem::path& file) {
  std::vector<Shard> shards;
  shards.push_back(open_shard(file));
  return SafetensorsReader(std::make_unique<State>(std::move(shards), file));
}

SafetensorsReader SafetensorsReader::open_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / "model.safetensors", error)) return open_file(folder / "model.safetensors");
  if (!std::filesystem::exists(folder / "model.safetensors.index.json", error)) fail_no_weights(folder);
  return SafetensorsReader(std::make_unique<State>(open_index(folder), folder));
}

bool SafetensorsReader::contains(const std::string& name) const { return state_->shard_of.contains(name); }

std::vector<std::string> SafetensorsReader::names() const {
  std::vector<std::string> names;
  for (const auto& [name, shard] : state_->shard_of) names.push_back(name);
  return names;
}

std::vector<int64_t> SafetensorsReader::shape(const std::string& name) const { return state_->find(name).second.shape; }

at::Tensor SafetensorsReader::view(const std::string& name) const {
  const auto [shard, entry] = state_->find(name);
  const at::TensorOptions options = at::TensorOptions().dtype(entry.dtype.type).device(at::kCPU);
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  const char* data = shard.mapping->data() + shard.data_start + entry.begin;
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(entry.dtype.bytes) != 0) {
    // An old file with an unpadded header: arithmetic on unaligned numbers is undefined, so this one is a copy.
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.data_ptr(), data, static_cast<size_t>(entry.end - entry.begin));
    return copy;
  }
  return at::from_blob(const_cast<char*>(data), entry.shape, [mapping = shard.mapping](void*) {}, options);
}

const std::map<std::string, std::string>& SafetensorsReader::metadata() const { return state_->metadata; }

}  // namespace ilr
