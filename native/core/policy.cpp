#include "policy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <chrono>

#include "abort.h"
#include "error.h"
#include "files.h"
#include "generate.h"
#include "memory.h"
#include "policy_state.h"
#include "score.h"
#include "stamp.h"
#include "stop_strings.h"
#include "trainer.h"
#include "validate.h"

namespace ilr {
namespace {

constexpr int64_t kCacheBytes = int64_t{1} << 30;  // of a generate call's keys and values
constexpr int64_t kScoreTokens = 4096;             // rows of one scoring pass
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kStampKey = "weights";  // metadata of the optimiser's file: stamp.h
constexpr const char* kAdapterConfigFile = "adapter_config.json";
constexpr const char* kAdapterFile = "adapter_model.safetensors";

at::ScalarType parse_dtype(const PolicyOptions& options, const std::string& device) {
  if (options.dtype == "float32") return at::kFloat;
  if (options.dtype == "bfloat16") return at::kBFloat16;
  if (options.dtype == "float64") {
    if (device == "cpu") return at::kDouble;
    throw Error("ILR_UNSUPPORTED", "dtype float64 is for checking on the CPU; use float32 on " + device);
  }
  if (options.dtype == "float16") {
    throw Error("ILR_UNSUPPORTED", "dtype float16 is not computed in: its gradients underflow without loss scaling; use bfloat16 "
                                   "or float32 (weights stored as float16 are read into either)");
  }
  throw Error("ILR_UNSUPPORTED", "dtype: expected float32, bfloat16, or float64 on the CPU, got \"" + options.dtype + "\"");
}

// The CPU's kernels compute each row by itself, in one order (cpu_kernels.h). LibTorch's operations do not promise that.
void require_batch_invariance(const PolicyOptions& options, const std::string& device) {
  if (device == "cpu") return;
  throw Error("ILR_UNSUPPORTED", "batchInvariant: expected the CPU, got " + options.dtype + " on " +
                                     device + "; leave it out, or open the policy there");
}

// Peak and duration of one call.
class Meter {
 public:
  explicit Meter(Runtime& runtime) : memory_(runtime.memory()), before_(memory_.bytes()) { memory_.reset_peak(); }
  int64_t peak_bytes() const { return memory_.peak_bytes() - before_; }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  MemoryCounter& memory_;
  int64_t before_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Clears gradients however the update ends, an abort half-way included.
class GradientGuard {
 public:
  explicit GradientGuard(const Model& model) : model_(model) { clear(); }
  ~GradientGuard() { clear(); }

 private:
  void clear() {
    for (const auto& [name, p] : model_.trained_parameters()) p.mutable_grad().reset();
  }
  const Model& model_;
};

int64_t bytes_of(const NamedTensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// The optimiser's file must have been saved with the weights beside it, which were read from `weights`.
void check_stamp(const SafetensorsReader& optimizer, const SafetensorsReader& weights,
                 const std::map<std::string, at::Tensor>& names) {
  std::map<std::string, at::Tensor> stored;
  for (const auto& [name, tensor] : names) {
    if (weights.contains(name)) stored[name] = weights.view(name);
  }
  const auto found = optimizer.metadata().find(kStampKey);
  if (found == optimizer.metadata().end()) {
    throw Error("ILR_INVALID_MODEL", std::string(kOptimizerFile) + ": expected \"" + kStampKey + "\" in its metadata, the fingerprint of "
                                         "the weights it belongs to; an earlier version saved it: go on without the optimiser");
  }
  if (found->second == stamp_of(stored)) return;
  throw Error("ILR_INVALID_MODEL", std::string(kOptimizerFile) + " was not saved with the weights beside it (" + kStampKey +
                                       " differs): the folder mixes two saves; take an older checkpoint, or go on without "
                                       "the optimiser");
}

std::shared_ptr<const Adapter> open_adapter(const AdapterOptions& o, const Model& model) {
  const at::ScalarType dtype = model.dtype() == at::kDouble ? at::kDouble : at::kFloat;
  const auto tensors = at::TensorOptions().dtype(dtype).device(model.device());
  if (o.folder.empty()) {
    const AdapterConfig config = make_adapter_config(o.rank, o.alpha, o.rank_stabilized, o.target_modules);
    return std::make_shared<const Adapter>(Adapter::draw(config, model.config(), tensors, o.seed));
  }
  const std::filesystem::path file = o.folder / kAdapterConfigFile;
  const AdapterConfig config = parse_adapter_config(read_text(file, 1 << 20), file.string());
  if (!std::filesystem::exists(o.folder / kAdapterFile) && std::filesystem::exists(o.folder / "adapter_model.bin")) {
    throw Error("ILR_UNSUPPORTED", (o.folder / "adapter_model.bin").string() +
                                       ": a pickle file, which can run code, is not read; save the adapter with PEFT as "
                                       "safetensors (save_pretrained)");
  }
  const SafetensorsReader weights = SafetensorsReader::open_file(o.folder / kAdapterFile);
  return std::make_shared<const Adapter>(Adapter::read(config, model.config(), tensors, weights));
}

}  // namespace

Policy::State::State(Runtime& runtime, const ModelConfig& config, const PolicyOptions& options)
    : runtime(runtime), options(options),
      model(config, parse_dtype(options, runtime.device()), at::Device(runtime.device())) {}

Policy::State::State(Runtime& runtime, const Model& shared, const PolicyOptions& options)
    : runtime(runtime), options(options), model(shared) {}

at::Tensor Policy::State::logits(const std::vector<int32_t>& ids) const {
  const at::NoGradGuard no_grad;
  Packing packing;
  packing.append(ids.data(), static_cast<int64_t>(ids.size()));
  packing.close_family();
  return model.output_head().logits(model.forward(packing));
}

std::map<std::string, at::Tensor> Policy::State::gradients(const TrainingBatch& batch, const UpdateOptions& o,
                                                           UpdateResult* result) const {
  check(batch, o, model.config());
  const GradientGuard guard(model);
  UpdateResult ignored;
  accumulate_gradients(model, batch, o, {}, result != nullptr ? *result : ignored);
  const at::NoGradGuard no_grad;
  NamedTensors fused;
  for (const auto& [name, p] : model.trained_parameters()) {
    fused.emplace_back(name, p.grad().defined() ? p.grad().clone() : at::zeros_like(p));
  }
  const NamedTensors views = model.adapter() != nullptr ? model.adapter()->peft_views(fused) : model.hf_views(fused);
  return {views.begin(), views.end()};
}

std::map<std::string, at::Tensor> Policy::State::weights() const {
  const at::NoGradGuard no_grad;
  const NamedTensors views = model.adapter() != nullptr ? model.adapter()->peft_tensors() : model.hf_tensors();
  return {views.begin(), views.end()};
}

std::map<std::string, at::Tensor> Policy::State::hf_tensors() const {
  const at::NoGradGuard no_grad;
  const NamedTensors views = model.hf_tensors();
  return {views.begin(), views.end()};
}

Policy::Policy(std::unique_ptr<State> state) : state_(std::move(state)) {}
Policy::~Policy() = default;

std::unique_ptr<Policy> Policy::load(Runtime& runtime, const std::filesystem::path& folder,
                                     const PolicyOptions& options, bool with_optimizer) {
  if (!std::filesystem::exists(folder / "config.json") && std::filesystem::exists(folder / kAdapterConfigFile)) {
    throw Error("ILR_INVALID_MODEL", folder.string() + " is an adapter: load the folder of its base with {adapter: {folder}}");
  }
  const ModelConfig config = read_model_config(folder);
  const SafetensorsReader weights = SafetensorsReader::open_folder(folder);
  auto state = std::make_unique<State>(runtime, config, options);
  state->base = std::filesystem::canonical(folder).string();
  state->model.read(weights);
  return open(std::move(state), with_optimizer);
}

std::unique_ptr<Policy> Policy::create(Runtime& runtime, const std::string& config_json, uint64_t seed,
                                       const PolicyOptions& options) {
  auto state = std::make_unique<State>(runtime, parse_model_config(config_json), options);
  state->model.draw(seed);
  return open(std::move(state), false);
}

std::unique_ptr<Policy> Policy::share(const PolicyOptions& options, bool with_optimizer) const {
  const bool trains_all = options.trainable && !options.adapter;
  if (trains_all && with_optimizer) {
    throw Error("ILR_INVALID_ARGUMENT", "share: only an adapter's optimiser can be loaded; load the model's folder instead");
  }
  const bool is_fixed = !state_->optimizer || state_->model.adapter() != nullptr;
  const Model base = state_->model.with_adapter(nullptr);
  auto state = std::make_unique<State>(state_->runtime, is_fixed && !trains_all ? base : base.clone(), options);
  state->options.dtype = state_->options.dtype;
  state->base = state_->base;
  return open(std::move(state), with_optimizer);
}

// The model is there; what is left is the adapter and the optimiser.
std::unique_ptr<Policy> Policy::open(std::unique_ptr<State> state, bool with_optimizer) {
  const PolicyOptions& options = state->options;
  if (options.adapter) state->model = state->model.with_adapter(open_adapter(*options.adapter, state->model));
  if (options.trainable) {
    state->model.require_grad(true);
    state->optimizer.emplace(state->model.trained_parameters(), parse_optimizer(options.optimizer, options.moments));
  }
  if (with_optimizer) {
    if (!options.trainable) throw Error("ILR_INVALID_ARGUMENT", "a frozen policy has no optimiser to load");
    if (options.adapter && options.adapter->folder.empty()) {
      throw Error("ILR_INVALID_ARGUMENT", "a new adapter has no optimiser to load; give the adapter's folder");
    }
    const std::filesystem::path from = options.adapter ? options.adapter->folder : std::filesystem::path(state->base);
    const SafetensorsReader file = SafetensorsReader::open_file(from / kOptimizerFile);
    state->optimizer->read(file);
    check_stamp(file, options.adapter ? SafetensorsReader::open_file(from / kAdapterFile) : SafetensorsReader::open_folder(from),
                state->weights());
  }
  return std::unique_ptr<Policy>(new Policy(std::move(state)));
}

PolicyInfo Policy::info() const {
  const ModelConfig& c = state_->model.config();
  const Adapter* adapter = state_->model.adapter();
  return {c.model_type,
          c.vocab_size,
          c.max_positions,
          state_->model.parameter_count(),
          c.eos_ids,
          state_->options.dtype,
          state_->runtime.device(),
          state_->optimizer ? state_->optimizer->steps() : 0,
          !state_->optimizer ? 0 : adapter != nullptr ? adapter->parameter_count() : state_->model.parameter_count(),
          adapter == nullptr ? std::nullopt
                             : std::optional(AdapterInfo{adapter->config().rank, adapter->config().alpha,
                                                         adapter->config().rank_stabilized,
                                                         adapter->config().target_modules, adapter->parameter_count()}),
          bytes_of(state_->model.parameters()) + (adapter != nullptr ? bytes_of(adapter->parameters()) : 0),
          state_->optimizer ? state_->optimizer->bytes() : 0};
}

void Policy::set_token_bytes(TokenBytes table) {
  check(table, state_->model.config().vocab_size);
  state_->token_bytes = std::move(table);
}

GenerateCounters Policy::generate(const GenerateRequest& request,
                                  const std::function<void(Completion)>& on_completion,
                                  const std::function<void(int64_t, int32_t)>& on_token, const Control& control) {
  check(request, state_->model.config());
  const TokenBytes* token_bytes = state_->token_bytes ? &*state_->token_bytes : nullptr;
  check_stop_strings(request.stop_strings, token_bytes);
  if (request.batch_invariant) require_batch_invariance(state_->options, state_->runtime.device());
  const AbortScope scope(control.abort);
  throw_if_aborted("generate");
  const Meter meter(state_->runtime);
  GenerateCounters counters =
      ilr::generate(state_->model, request, token_bytes, kCacheBytes, on_completion, on_token, control);
  counters.peak_bytes = meter.peak_bytes();
  counters.seconds = meter.seconds();
  return counters;
}

ScoreResult Policy::logprobs(const ScoreRequest& request, const Control& control) {
  if (!request.adapter && state_->model.adapter() == nullptr) {
    throw Error("ILR_INVALID_ARGUMENT", "logprobs: adapter false asks for the base without its adapter; this policy has none");
  }
  const Model model = request.adapter ? state_->model : state_->model.with_adapter(nullptr);
  check(request, model.config());
  const AbortScope scope(control.abort);
  const at::NoGradGuard no_grad;
  const Meter meter(state_->runtime);
  const Ragged& sequences = request.sequences;
  ScoreResult result;
  result.logprobs.resize(sequences.ids.size());
  result.entropies.resize(sequences.ids.size());
  for (int64_t next = 0; next < sequences.size();) {
    throw_if_aborted(control);
    Packing packing;
    std::vector<int64_t> sources, targets, places;
    while (next < sequences.size() &&
           (packing.tokens() == 0 || packing.tokens() + sequences.length(next) <= kScoreTokens)) {
      const int64_t row = packing.append(sequences.begin(next), sequences.length(next));
      packing.close_family();
      for (int64_t t = 1; t < sequences.length(next); ++t) {
        const int64_t place = sequences.offsets[next] + t;
        if (request.mask[place] == 0) continue;
        sources.push_back(row + t - 1);
        targets.push_back(sequences.ids[place]);
        places.push_back(place);
      }
      ++next;
    }
    if (places.empty()) continue;
    const at::Tensor hidden = model.forward(packing);
    const auto index = [&](const std::vector<int64_t>& v) {
      return at::tensor(at::ArrayRef<int64_t>(v), at::kLong).to(hidden.device());
    };
    const TokenScores scores = score_tokens(hidden.index_select(0, index(sources)), model.output_head(),
                                            index(targets), request.temperature);
    const at::Tensor lp = scores.logprobs_M.to(at::kCPU, at::kFloat);
    const at::Tensor entropy = scores.entropies_M.to(at::kCPU, at::kFloat);
    for (size_t i = 0; i < places.size(); ++i) {
      result.logprobs[places[i]] = lp.const_data_ptr<float>()[i];
      result.entropies[places[i]] = entropy.const_data_ptr<float>()[i];
    }
  }
  result.peak_bytes = meter.peak_bytes();
  return result;
}

UpdateResult Policy::update(const TrainingBatch& batch, const UpdateOptions& options, const Control& control) {
  if (!state_->optimizer) throw Error("ILR_INVALID_ARGUMENT", "this policy is frozen: it was opened with trainable false");
  check(batch, options, state_->model.config());
  const AbortScope scope(control.abort);
  const Meter meter(state_->runtime);
  UpdateResult result;
  const GradientGuard guard(state_->model);
  accumulate_gradients(state_->model, batch, options, control, result);
  throw_if_aborted("step");  // the last chance: a step is taken whole
  if (result.learning_tokens > 0) {
    state_->optimizer->step(options, result);
  } else {
    // Nothing to learn from (every advantage is 0, every token masked): momentum alone must not move the weights.
    result.step = state_->optimizer->steps();
    result.skipped_steps = state_->optimizer->skipped_steps();
  }
  result.peak_bytes = meter.peak_bytes();
  result.seconds = meter.seconds();
  return result;
}

void Policy::save(const std::filesystem::path& folder, bool with_optimizer, bool merge) const {
  const at::NoGradGuard no_grad;
  const Adapter* adapter = state_->model.adapter();
  if (!std::filesystem::is_directory(folder)) {
    throw Error("ILR_IO", "save: expected an existing folder, got " + folder.string());
  }
  if (with_optimizer && !state_->optimizer) {
    throw Error("ILR_INVALID_ARGUMENT", "save: a frozen policy has no optimiser");
  }
  if (merge && adapter == nullptr) throw Error("ILR_INVALID_ARGUMENT", "save: merge asks for an adapter; this policy has none");
  if (merge && with_optimizer) {
    throw Error("ILR_INVALID_ARGUMENT", "save: a merged model has no optimiser; save the adapter to go on training it");
  }
  if (merge && std::filesystem::exists(folder / kAdapterConfigFile)) {
    throw Error("ILR_INVALID_ARGUMENT", "save: " + folder.string() +
                                            " holds an adapter, which transformers would add to the merged model again; "
                                            "give another folder");
  }
  PendingFiles files;
  if (adapter != nullptr && !merge) {
    AdapterConfig config = adapter->config();
    config.base = state_->base;
    write_text(files, folder / kAdapterConfigFile, adapter_config_json(config));
    write_safetensors(files, folder / kAdapterFile, adapter->peft_tensors(), {{"format", "pt"}});
  } else {
    const ModelConfig& config = state_->model.config();
    write_text(files, folder / "config.json", config.json);
    if (!config.generation_json.empty()) write_text(files, folder / "generation_config.json", config.generation_json);
    const auto merged = [&](const std::string& name, const at::Tensor& weight) { return adapter->merged(name, weight); };
    write_safetensors(files, folder / "model.safetensors", state_->model.hf_tensors(), {{"format", "pt"}},
                      merge ? ChangeTensor(merged) : nullptr);
  }
  if (with_optimizer) {
    auto metadata = state_->optimizer->metadata();
    metadata[kStampKey] = stamp_of(state_->weights());
    write_safetensors(files, folder / kOptimizerFile, state_->optimizer->state(), metadata);
  } else {
    // That of an earlier save belongs to other weights.
    files.remove(folder / kOptimizerFile);
  }
  files.commit();
}

}  // namespace ilr
