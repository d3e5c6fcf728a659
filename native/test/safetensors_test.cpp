#include "safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <string>

#include "check.h"

namespace ilr::test {
namespace {

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A file of a header as it stands and `data_bytes` bytes after it.
std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\1');
}

void check_refused(const std::string& bytes, const std::string& part, const std::string& code = "ILR_INVALID_MODEL") {
  const TemporaryFolder folder;
  write_bytes(folder / "m.safetensors", bytes);
  CHECK_THROWS(code, part, SafetensorsReader::open_file(folder / "m.safetensors"));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST("safetensors: every dtype and shape comes back bit for bit") {
  const TemporaryFolder folder;
  const at::Tensor base = at::arange(12, at::kDouble).reshape({3, 4});
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const at::ScalarType type :
       {at::kBool, at::kHalf, at::kDouble, at::kByte, at::kFloat, at::kBFloat16, at::kLong, at::kInt}) {
    tensors.emplace_back(c10::toString(type), base.to(type));
  }
  tensors.emplace_back("scalar", at::ones({}, at::kFloat));
  tensors.emplace_back("empty", at::zeros({0, 3}, at::kFloat));
  tensors.emplace_back("transposed", base.t());
  tensors.emplace_back("quote\" and \\ and \xC3\xA9", at::ones({1}, at::kByte));
  write_safetensors(folder / "m.safetensors", tensors, {{"step", "7"}});
  const SafetensorsReader reader = SafetensorsReader::open_file(folder / "m.safetensors");
  CHECK_EQUAL(reader.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CHECK(reader.contains(name));
    CHECK(reader.shape(name) == tensor.sizes().vec());
    CHECK(reader.view(name).scalar_type() == tensor.scalar_type());
    CHECK(at::equal(reader.view(name), tensor));
  }
  CHECK_EQUAL(reader.metadata().at("format"), "pt");
  CHECK_EQUAL(reader.metadata().at("step"), "7");
  CHECK(!reader.contains("absent"));
  CHECK_THROWS("ILR_INVALID_MODEL", "expected the tensor \"absent\"", reader.view("absent"));
  CHECK(!std::filesystem::exists(folder / "m.safetensors.partial"));
}

TEST("safetensors: the header is padded to 8 bytes") {
  const TemporaryFolder folder;
  for (const std::string name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
    write_safetensors(folder / name, {{name, at::ones({3}, at::kDouble)}}, {});
    std::ifstream file(folder / name, std::ios::binary);
    uint64_t length = 0;
    file.read(reinterpret_cast<char*>(&length), 8);
    CHECK_EQUAL(length % 8, 0U);
    CHECK_EQUAL(std::filesystem::file_size(folder / name), 8 + length + 24);
  }
}

TEST("safetensors: a view outlives its reader") {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", {{"a", at::arange(5, at::kFloat)}}, {});
  const at::Tensor view = SafetensorsReader::open_file(folder / "m").view("a");
  CHECK(at::equal(view, at::arange(5, at::kFloat)));
}

TEST("safetensors: a tensor off its alignment is read") {
  const TemporaryFolder folder;
  const std::string header = R"({"a":)" + entry("F64", "[1]", "[0,8]") + "} ";
  const double value = 1.5;
  std::string bytes = file_of(header, 8);
  bytes.replace(bytes.size() - 8, 8, reinterpret_cast<const char*>(&value), 8);
  CHECK(header.size() % 8 != 0);
  write_bytes(folder / "m", bytes);
  CHECK_EQUAL(SafetensorsReader::open_file(folder / "m").view("a").item<double>(), 1.5);
}

TEST("safetensors: a file cut short anywhere is refused") {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", {{"a", at::ones({2, 3}, at::kFloat)}, {"b", at::ones({5}, at::kByte)}}, {});
  const std::string whole = read_text(folder / "m");
  for (size_t length = 0; length < whole.size(); ++length) check_refused(whole.substr(0, length), "m.safetensors");
  check_refused(whole + "x", "bytes of tensors after the header");
}

TEST("safetensors: a header length beyond the file or 100 MB is refused before it is read") {
  check_refused(std::string(8, '\xFF'), "expected a header of at most 0 bytes");
  const TemporaryFolder folder;
  write_bytes(folder / "m", file_of("{}", 0));
  std::filesystem::resize_file(folder / "m", 200'000'000);  // sparse
  std::fstream file(folder / "m", std::ios::binary | std::ios::in | std::ios::out);
  const uint64_t length = 100'000'001;
  file.write(reinterpret_cast<const char*>(&length), 8);
  file.close();
  CHECK_THROWS("ILR_INVALID_MODEL", "at most 100000000 bytes", SafetensorsReader::open_file(folder / "m"));
}

TEST("safetensors: hostile headers are refused") {
  check_refused(file_of("", 0), "byte 0");
  check_refused(file_of("[]", 0), "expected a JSON object");
  check_refused(file_of(R"({"a":1})", 0), "dtype: expected a string, got nothing");
  check_refused(file_of(R"({"a":{"dtype":7}})", 0), "dtype: expected a string, got 7");
  check_refused(file_of(R"({"a":)" + entry("F8_E4M3", "[4]", "[0,4]") + "}", 4), "dtype \"F8_E4M3\" is not read; expected one of F64 F32 F16 BF16 ",
                "ILR_UNSUPPORTED");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[0,4]") + R"(,"a":)" + entry("F32", "[1]", "[4,8]") + "}", 8),
                "twice");
  check_refused(file_of(R"({"a":)" + entry("F32", "[2]", "[0,4]") + "}", 4), "takes 8 bytes, but its data_offsets hold 4");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[4,0]") + "}", 4), "data_offsets");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[0,4,8]") + "}", 4), "data_offsets");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[-4,0]") + "}", 4), "data_offsets");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[0,9223372036854775807]") + "}", 4), "within the 4 bytes");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1]", "[0,18446744073709551615]") + "}", 4), "data_offsets");
  check_refused(file_of(R"({"a":)" + entry("F32", "[-1]", "[0,4]") + "}", 4), "shape");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1.0]", "[0,4]") + "}", 4), "shape");
  check_refused(file_of(R"({"a":)" + entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") + "}", 4), "at most 8 integers");
  check_refused(file_of(R"({"__metadata__":{"a":1}})", 0), "__metadata__");
  check_refused(file_of(R"({"__metadata__":[]})", 0), "__metadata__");
  check_refused(file_of(std::string(5000, '['), 0), "nested deeper");
}

TEST("safetensors: a shape whose product overflows is refused") {
  // 2^62 * 4 bytes wraps to 0 in 64 bits, 4611686018427387905 * 4 to 4.
  check_refused(file_of(R"({"a":)" + entry("F32", "[4611686018427387904]", "[0,0]") + "}", 0), "more than 2^63");
  check_refused(file_of(R"({"a":)" + entry("F32", "[4611686018427387905]", "[0,4]") + "}", 4), "more than 2^63");
  check_refused(file_of(R"({"a":)" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0), "more than 2^63");
  // No bytes, but strides that overflow.
  check_refused(file_of(R"({"a":)" + entry("F32", "[0,4294967296,4294967296]", "[0,0]") + "}", 0), "more than 2^63");
}

TEST("safetensors: overlapping tensors and gaps are refused") {
  const std::string first = R"({"a":)" + entry("F32", "[2]", "[0,8]");
  check_refused(file_of(first + R"(,"b":)" + entry("F32", "[2]", "[4,12]") + "}", 12), "an overlap");
  check_refused(file_of(first + R"(,"b":)" + entry("F32", "[2]", "[0,8]") + "}", 8), "an overlap");
  check_refused(file_of(first + R"(,"b":)" + entry("F32", "[1]", "[12,16]") + "}", 16), "a gap");
}

// Whatever a header says, a tensor that can be opened can be read whole.
TEST("safetensors: no byte of a header, changed, leads out of the file") {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", {{"a", at::ones({2, 3}, at::kFloat)}, {"b", at::ones({5}, at::kByte)}}, {});
  const std::string whole = read_text(folder / "m");
  int opened = 0;
  for (size_t at = 0; at + 29 < whole.size(); ++at) {
    for (const char byte :
         {'0', '9', '"', '[', '}', '\xFF', static_cast<char>(whole[at] ^ 1), static_cast<char>(whole[at] ^ 64)}) {
      std::string changed = whole;
      changed[at] = byte;
      write_bytes(folder / "n", changed);
      try {
        const SafetensorsReader reader = SafetensorsReader::open_file(folder / "n");
        for (const std::string& name : reader.names()) CHECK(reader.view(name).clone().numel() <= 29);
        ++opened;
      } catch (const Error& error) {
        CHECK(error.code() == "ILR_INVALID_MODEL" || error.code() == "ILR_UNSUPPORTED");
      }
    }
  }
  CHECK(opened > 0);
}

TEST("safetensors: what is no regular file is refused") {
  const TemporaryFolder folder;
  CHECK_THROWS("ILR_IO", "No such file", SafetensorsReader::open_file(folder / "absent"));
  CHECK_THROWS("ILR_IO", "regular file", SafetensorsReader::open_file(folder.path()));
  CHECK_EQUAL(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  CHECK_THROWS("ILR_IO", "regular file", SafetensorsReader::open_file(folder / "pipe"));
}

void write_shards(const TemporaryFolder& folder, const std::string& map) {
  write_safetensors(folder / "one.safetensors", {{"a", at::ones({2}, at::kFloat)}, {"c", at::ones({1}, at::kFloat)}}, {});
  write_safetensors(folder / "two.safetensors", {{"b", at::zeros({3}, at::kFloat)}}, {});
  write_text(folder / "model.safetensors.index.json", R"({"metadata":{},"weight_map":)" + map + "}");
}

TEST("safetensors: shards are read by their index") {
  const TemporaryFolder folder;
  write_shards(folder, R"({"a":"one.safetensors","b":"two.safetensors"})");
  const SafetensorsReader reader = SafetensorsReader::open_folder(folder.path());
  CHECK(reader.names() == (std::vector<std::string>{"a", "b"}));
  CHECK(at::equal(reader.view("a"), at::ones({2}, at::kFloat)));
  CHECK(at::equal(reader.view("b"), at::zeros({3}, at::kFloat)));
}

TEST("safetensors: an index that lies is refused") {
  const auto check = [](const std::string& map, const std::string& code, const std::string& part) {
    const TemporaryFolder folder;
    write_shards(folder, map);
    CHECK_THROWS(code, part, SafetensorsReader::open_folder(folder.path()));
  };
  check(R"({"a":"three.safetensors"})", "ILR_IO", "three.safetensors");
  check(R"({"b":"one.safetensors"})", "ILR_INVALID_MODEL", "expected the tensor \"b\"");
  for (const char* name : {"../one.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..", "one.bin", ".safetensors",
                           "..\\\\one.safetensors", "one\\u0000.safetensors", ""}) {
    check(std::string(R"({"a":")") + name + "\"}", "ILR_INVALID_MODEL", "in the same folder");
  }
  check(R"({"a":7})", "ILR_INVALID_MODEL", "in the same folder");
  check("[]", "ILR_INVALID_MODEL", "weight_map");
  check("null", "ILR_INVALID_MODEL", "weight_map");
}

TEST("safetensors: a dtype that is not read names those of a model's weights") {
  check_refused(file_of(R"({"a":)" + entry("F8_E5M2", "[4]", "[0,4]") + "}", 4), "(a model's weights: F32, F16 or BF16, without quantisation)",
                "ILR_UNSUPPORTED");
}

TEST("safetensors: a folder without safetensors says what to do") {
  const TemporaryFolder folder;
  CHECK_THROWS("ILR_IO", "expected model.safetensors", SafetensorsReader::open_folder(folder.path()));
  CHECK_THROWS("ILR_IO", "expected a folder, got nothing", SafetensorsReader::open_folder(folder / "absent"));
  for (const std::string name : {"pytorch_model.bin", "consolidated.00.pth", "model.pt", "model.gguf"}) {
    write_text(folder / name, "x");
    CHECK_THROWS("ILR_UNSUPPORTED", "holds " + name, SafetensorsReader::open_folder(folder.path()));
    CHECK_THROWS("ILR_UNSUPPORTED", "supported are model.safetensors, or its shards", SafetensorsReader::open_folder(folder.path()));
    std::filesystem::remove(folder / name);
  }
}

TEST("safetensors: writing refuses equal names and other dtypes") {
  const TemporaryFolder folder;
  const at::Tensor one = at::ones({1}, at::kFloat);
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "\"a\"", write_safetensors(folder / "m", {{"a", one}, {"a", one}}, {}));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "__metadata__", write_safetensors(folder / "m", {{"__metadata__", one}}, {}));
  CHECK_THROWS("ILR_UNSUPPORTED", "Complex", write_safetensors(folder / "m", {{"a", one.to(at::kComplexFloat)}}, {}));
  CHECK(std::filesystem::is_empty(folder.path()));
}

// The file size limit stands in for a full disk: write fails half way, EFBIG for ENOSPC.
TEST("safetensors: a full disk is an error that leaves the old file whole") {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", {{"a", at::ones({3}, at::kFloat)}}, {});
  const std::string before = read_text(folder / "m");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{4096, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  CHECK_THROWS("ILR_IO", "free some space", write_safetensors(folder / "m", {{"a", at::zeros({100000}, at::kFloat)}}, {}));
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK_EQUAL(read_text(folder / "m"), before);
  CHECK(!std::filesystem::exists(folder / "m.partial"));
  CHECK_THROWS("ILR_IO", "cannot create", write_safetensors(folder / "absent/m", {{"a", at::ones({1}, at::kFloat)}}, {}));
}

TEST("text files: written, read, and limited in size") {
  const TemporaryFolder folder;
  write_text(folder / "t", "hello\n");
  CHECK_EQUAL(read_text(folder / "t"), "hello\n");
  CHECK_THROWS("ILR_INVALID_MODEL", "at most 5 bytes, got 6", read_text(folder / "t", 5));
  CHECK_THROWS("ILR_IO", "absent", read_text(folder / "absent"));
}

}  // namespace
}  // namespace ilr::test
