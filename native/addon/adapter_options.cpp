#include "adapter_options.h"

#include <string>
#include <vector>

#include "convert.h"

namespace ilr::addon {
namespace {

constexpr size_t longest_path = 4096;
constexpr size_t longest_name = 256;
constexpr uint32_t most_targets = 4096;
constexpr int64_t most_rank = int64_t{1} << 31;  // the core's own bound is lower

std::vector<std::string> target_modules(const Fields& fields) {
  const Napi::Value value = fields.get("targetModules");
  const std::string where = fields.path("targetModules");
  if (value.IsString()) return {text(value, where, longest_name)};
  if (!value.IsArray()) refuse(where, "\"all-linear\" or an array of module names", describe_value(value));
  const auto array = value.As<Napi::Array>();
  if (array.Length() > most_targets) {
    refuse(where, "at most " + std::to_string(most_targets) + " names", std::to_string(array.Length()));
  }
  std::vector<std::string> names;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    names.push_back(text(array[i], where + "[" + std::to_string(i) + "]", longest_name));
  }
  return names;
}

}  // namespace

std::optional<AdapterOptions> adapter_options(const Fields& options) {
  if (!options.has("adapter")) return std::nullopt;
  const Fields fields = options.object("adapter");
  AdapterOptions adapter;
  if (fields.has("folder")) {
    adapter.folder = text(fields.get("folder"), fields.path("folder"), longest_path);
    for (const char* name : {"rank", "alpha", "rankStabilized", "targetModules", "seed"}) {
      if (fields.has(name)) refuse(fields.path(name), "either a folder or a new adapter's settings", "both");
    }
    fields.refuse_unknown();
    return adapter;
  }
  adapter.rank = fields.integer_or("rank", adapter.rank, most_rank);
  adapter.alpha = fields.number_or("alpha", adapter.alpha);
  adapter.rank_stabilized = fields.flag_or("rankStabilized", adapter.rank_stabilized);
  if (fields.has("targetModules")) adapter.target_modules = target_modules(fields);
  if (fields.has("seed")) adapter.seed = seed(fields.get("seed"));
  fields.refuse_unknown();
  return adapter;
}

Napi::Value to_js(Napi::Env env, const AdapterInfo& adapter) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("rank", static_cast<double>(adapter.rank));
  out.Set("alpha", adapter.alpha);
  out.Set("rankStabilized", adapter.rank_stabilized);
  out.Set("parameters", static_cast<double>(adapter.parameters));
  Napi::Array targets = Napi::Array::New(env, adapter.target_modules.size());
  for (size_t i = 0; i < adapter.target_modules.size(); ++i) {
    targets.Set(static_cast<uint32_t>(i), adapter.target_modules[i]);
  }
  out.Set("targetModules", targets);
  return out;
}

}  // namespace ilr::addon
