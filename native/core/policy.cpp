#include "policy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <chrono>

#include "error.h"
#include "generate.h"
#include "matmul.h"
#include "memory.h"
#include "policy_state.h"
#include "score.h"
#include "trainer.h"
#include "validate.h"

namespace ilr {
namespace {

constexpr int64_t kCacheBytes = int64_t{1} << 30;  // of a generate call's keys and values
constexpr int64_t kScoreTokens = 4096;             // rows of one scoring pass
constexpr const char* kOptimizerFile = "optimizer.safetensors";

at::ScalarType parse_dtype(const PolicyOptions& options, const std::string& device) {
  if (options.dtype == "float32") return at::kFloat;
  if (options.dtype == "float64") {
    if (device == "cpu") return at::kDouble;
    throw Error("ILR_UNSUPPORTED", "dtype float64 is for checking on the CPU; use float32 on " + device);
  }
  throw Error("ILR_UNSUPPORTED", "dtype: expected float32, or float64 on the CPU, got \"" + options.dtype +
                                     "\" (weights stored as bfloat16 or float16 are read and computed in float32)");
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
    for (const auto& [name, p] : model_.parameters()) p.mutable_grad().reset();
  }
  const Model& model_;
};

}  // namespace

Policy::State::State(Runtime& runtime, const ModelConfig& config, const PolicyOptions& options)
    : runtime(runtime), options(options),
      model(config, parse_dtype(options, runtime.device()), at::Device(runtime.device())) {}

at::Tensor Policy::State::logits(const std::vector<int32_t>& ids) const {
  const at::NoGradGuard no_grad;
  Packing packing;
  packing.append(ids.data(), static_cast<int64_t>(ids.size()));
  packing.close_family();
  return matrix_product(model.forward(packing), model.output_weight_VC().t());
}

std::map<std::string, at::Tensor> Policy::State::gradients(const TrainingBatch& batch, const UpdateOptions& o,
                                                           UpdateResult* result) const {
  check(batch, o, model.config());
  const GradientGuard guard(model);
  UpdateResult ignored;
  accumulate_gradients(model, batch, o, {}, result != nullptr ? *result : ignored);
  const at::NoGradGuard no_grad;
  NamedTensors fused;
  for (const auto& [name, p] : model.parameters()) {
    fused.emplace_back(name, p.grad().defined() ? p.grad().clone() : at::zeros_like(p));
  }
  const NamedTensors views = model.hf_views(fused);
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
  const ModelConfig config = read_model_config(folder);
  const SafetensorsReader weights = SafetensorsReader::open_folder(folder);
  auto state = std::make_unique<State>(runtime, config, options);
  state->model.read(weights);
  state->model.require_grad(options.trainable);
  if (options.trainable) state->optimizer.emplace(state->model.parameters());
  if (with_optimizer) {
    if (!options.trainable) throw Error("ILR_INVALID_ARGUMENT", "a frozen policy has no optimiser to load");
    state->optimizer->read(SafetensorsReader::open_file(folder / kOptimizerFile));
  }
  return std::unique_ptr<Policy>(new Policy(std::move(state)));
}

std::unique_ptr<Policy> Policy::create(Runtime& runtime, const std::string& config_json, uint64_t seed,
                                       const PolicyOptions& options) {
  auto state = std::make_unique<State>(runtime, parse_model_config(config_json), options);
  state->model.draw(seed);
  state->model.require_grad(options.trainable);
  if (options.trainable) state->optimizer.emplace(state->model.parameters());
  return std::unique_ptr<Policy>(new Policy(std::move(state)));
}

PolicyInfo Policy::info() const {
  const ModelConfig& c = state_->model.config();
  return {c.model_type,
          c.vocab_size,
          c.max_positions,
          state_->model.parameter_count(),
          c.eos_ids,
          state_->options.dtype,
          state_->runtime.device(),
          state_->optimizer ? state_->optimizer->steps() : 0};
}

GenerateCounters Policy::generate(const GenerateRequest& request,
                                  const std::function<void(Completion)>& on_completion,
                                  const std::function<void(int64_t, int32_t)>& on_token, const Control& control) {
  check(request, state_->model.config());
  throw_if_aborted(control);
  const Meter meter(state_->runtime);
  GenerateCounters counters = ilr::generate(state_->model, request, kCacheBytes, on_completion, on_token, control);
  counters.peak_bytes = meter.peak_bytes();
  counters.seconds = meter.seconds();
  return counters;
}

ScoreResult Policy::logprobs(const ScoreRequest& request, const Control& control) {
  const Model& model = state_->model;
  check(request, model.config());
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
    const TokenScores scores = score_tokens(hidden.index_select(0, index(sources)), model.output_weight_VC(),
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
  const Meter meter(state_->runtime);
  UpdateResult result;
  const GradientGuard guard(state_->model);
  accumulate_gradients(state_->model, batch, options, control, result);
  throw_if_aborted(control);
  if (result.micro_batches > 0) {
    state_->optimizer->step(options, result);
  } else {
    // Nothing to learn from (every advantage is 0): momentum alone must not move the weights.
    result.step = state_->optimizer->steps();
    result.skipped_steps = state_->optimizer->skipped_steps();
  }
  result.peak_bytes = meter.peak_bytes();
  result.seconds = meter.seconds();
  return result;
}

void Policy::save(const std::filesystem::path& folder, bool with_optimizer) const {
  const at::NoGradGuard no_grad;
  if (!std::filesystem::is_directory(folder)) {
    throw Error("ILR_IO", "save: expected an existing folder, got " + folder.string());
  }
  if (with_optimizer && !state_->optimizer) {
    throw Error("ILR_INVALID_ARGUMENT", "save: a frozen policy has no optimiser");
  }
  write_text(folder / "config.json", state_->model.config().json);
  write_safetensors(folder / "model.safetensors", state_->model.hf_tensors(), {{"format", "pt"}});
  // An optimiser of an earlier save belongs to other weights and would be loaded beside these without a word.
  if (!with_optimizer) std::filesystem::remove(folder / kOptimizerFile);
  if (with_optimizer) {
    auto metadata = state_->optimizer->counters();
    metadata["format"] = "pt";
    write_safetensors(folder / kOptimizerFile, state_->optimizer->state(), metadata);
  }
}

}  // namespace ilr
