#include <algorithm>
#include <set>
#include <string_view>

#include "error.h"
#include "files.h"
#include "safetensors.h"
#include "safetensors_format.h"

namespace ilr {
namespace {

using safetensors::Dtype;
using safetensors::dtypes;
using safetensors::shown;

const char* dtype_name(const std::string& tensor, at::ScalarType type) {
  for (const Dtype& dtype : dtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw Error("ILR_UNSUPPORTED", "tensor " + shown(tensor) + ": dtype " + c10::toString(type) +
                                     " is not written; the dtypes are " + safetensors::supported_dtypes());
}

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Wide dtypes first, so that with a header of a multiple of 8 bytes every tensor is aligned to its width.
std::vector<const NamedTensors::value_type*> in_file_order(const NamedTensors& tensors) {
  std::vector<const NamedTensors::value_type*> order;
  std::set<std::string_view> names;
  for (const auto& item : tensors) {
    if (item.first == "__metadata__" || !names.insert(item.first).second) {
      throw Error("ILR_INVALID_ARGUMENT",
                  "expected tensor names that differ, got " + shown(item.first) + " twice or reserved");
    }
    dtype_name(item.first, item.second.scalar_type());
    order.push_back(&item);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.element_size() > b->second.element_size(); });
  return order;
}

std::string header_text(const std::vector<const NamedTensors::value_type*>& order,
                        std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");  // transformers refuses a file without it
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    if (text.back() != '{') text += ',';
    text += quote_json(key) + ':' + quote_json(value);
  }
  text += '}';
  int64_t begin = 0;
  for (const auto* item : order) {
    const at::Tensor& tensor = item->second;
    const int64_t end = begin + tensor.numel() * tensor.element_size();
    text += ',';
    text += quote_json(item->first) + ":{\"dtype\":\"" + dtype_name(item->first, tensor.scalar_type()) + "\",\"shape\":[";
    for (int64_t i = 0; i < tensor.dim(); ++i) {
      if (i > 0) text += ',';
      text += std::to_string(tensor.size(i));
    }
    text += "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
    begin = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(PendingFiles& files, const std::filesystem::path& file, const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const ChangeTensor& change) {
  const auto order = in_file_order(tensors);
  const std::string header = header_text(order, metadata);
  files.add(file, [&](const WriteBytes& write) {
    const uint64_t length = header.size();
    write(&length, sizeof length);
    write(header.data(), header.size());
    for (const auto* item : order) {
      const at::Tensor changed = change ? change(item->first, item->second) : item->second;
      const at::Tensor tensor = changed.detach().to(at::kCPU).contiguous();
      write(tensor.data_ptr(), tensor.nbytes());
    }
  });
}

void write_safetensors(const std::filesystem::path& file, const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata, const ChangeTensor& change) {
  PendingFiles files;
  write_safetensors(files, file, tensors, metadata, change);
  files.commit();
}

}  // namespace ilr
