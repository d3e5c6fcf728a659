// A front end without Node: token ids in, token ids and log-probs out.
//   ilr_generate <model folder> --ids 1,2,3 --max-new-tokens 16 [--temperature 1] [--seed 0] [--stop 2,5] [--samples 1]
// One line per completion: its ids, its log-probs, why it ended. Exit code 1 with `CODE: message` on standard error.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "../core/error.h"
#include "../core/policy.h"
#include "../core/runtime.h"

namespace {

using ilr::Error;
using Arguments = std::map<std::string, std::string>;

const char* const usage =
    "ilr_generate <model folder> --ids 1,2,3 --max-new-tokens N [--temperature 1] [--seed 0] [--stop 2,5] "
    "[--samples 1]";

Arguments parse_arguments(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') throw Error("ILR_INVALID_ARGUMENT", std::string("usage: ") + usage);
  Arguments arguments{{"folder", argv[1]}, {"temperature", "1"}, {"seed", "0"}, {"samples", "1"}, {"stop", ""}};
  for (int i = 2; i < argc; i += 2) {
    const std::string name = argv[i];
    const bool known = name == "--ids" || name == "--max-new-tokens" || name == "--temperature" || name == "--seed" ||
                       name == "--stop" || name == "--samples";
    if (!known || i + 1 == argc) {
      throw Error("ILR_INVALID_ARGUMENT", (known ? "no value after " : "unknown option ") + name + "; usage: " + usage);
    }
    arguments[name.substr(2)] = argv[i + 1];
  }
  for (const char* name : {"ids", "max-new-tokens"}) {
    if (arguments.count(name) != 0) continue;
    throw Error("ILR_INVALID_ARGUMENT", std::string("--") + name + " is missing; usage: " + usage);
  }
  return arguments;
}

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got) {
  throw Error("ILR_INVALID_ARGUMENT", "--" + name + ": expected " + expected + ", got \"" + got + "\"");
}

int64_t whole_number(const std::string& text, const std::string& name, int64_t least, int64_t most) {
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || value < least || value > most) {
    refuse(name, "a whole number from " + std::to_string(least) + " to " + std::to_string(most), text);
  }
  return value;
}

double temperature_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value == 0 || (value >= 1e-3 && value <= 1e3))) {
    refuse("temperature", "0 or a number from 0.001 to 1000", text);
  }
  return value;
}

std::vector<int32_t> ids_of(const std::string& text, const std::string& name, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (size_t from = 0; from <= text.size() && !text.empty();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    ids.push_back(static_cast<int32_t>(whole_number(text.substr(from, comma - from), name, 0, vocab_size - 1)));
    from = comma + 1;
  }
  return ids;
}

ilr::GenerateRequest request_of(const Arguments& arguments, const ilr::PolicyInfo& policy) {
  ilr::GenerateRequest request;
  request.prompts.ids = ids_of(arguments.at("ids"), "ids", policy.vocab_size);
  const auto length = static_cast<int64_t>(request.prompts.ids.size());
  if (length == 0 || length > policy.context_length) {
    refuse("ids", "1 to " + std::to_string(policy.context_length) + " ids", std::to_string(length) + " ids");
  }
  request.prompts.offsets.push_back(static_cast<int32_t>(length));
  request.samples_per_prompt = whole_number(arguments.at("samples"), "samples", 1, 1 << 20);
  const auto seed = static_cast<uint64_t>(
      whole_number(arguments.at("seed"), "seed", 0, std::numeric_limits<int64_t>::max() - (1 << 20)));
  for (int64_t i = 0; i < request.samples_per_prompt; ++i) request.streams.push_back(seed + static_cast<uint64_t>(i));
  request.max_new_tokens = whole_number(arguments.at("max-new-tokens"), "max-new-tokens", 1, 1 << 30);
  request.temperature = temperature_of(arguments.at("temperature"));
  request.stop_ids = ids_of(arguments.at("stop"), "stop", policy.vocab_size);
  return request;
}

void print(const ilr::Completion& completion) {
  static constexpr const char* reasons[] = {"stop", "length", "context"};
  std::printf("ids");
  for (const int32_t id : completion.ids) std::printf(" %d", id);
  std::printf(" logprobs");
  for (const float logprob : completion.logprobs) std::printf(" %.6f", logprob);
  std::printf(" finish %s\n", reasons[static_cast<size_t>(completion.finish_reason)]);
}

void generate(const Arguments& arguments) {
  ilr::Runtime runtime({});
  runtime.run([&] {
    ilr::PolicyOptions options;
    options.trainable = false;
    const auto policy = ilr::Policy::load(runtime, arguments.at("folder"), options, false);
    const auto request = request_of(arguments, policy->info());
    const auto counters = policy->generate(request, print, {}, {});
    std::fprintf(stderr, "%lld tokens in %.3f s\n", static_cast<long long>(counters.decode_tokens), counters.seconds);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    generate(parse_arguments(argc, argv));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ILR_TORCH: %.500s\n", error.what());
  }
  return 1;
}
