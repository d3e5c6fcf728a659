#include "convert.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "fields.h"

namespace ilr::addon {
namespace {

constexpr int64_t int32_max = std::numeric_limits<int32_t>::max();
// Beyond these a softmax over float32 logits is a step function, or flat.
constexpr double coldest = 1e-3;
constexpr double hottest = 1e3;
constexpr double largest = 1e30;
constexpr int64_t most_completions = 1 << 20;

std::string at(const std::string& where, size_t i) { return where + "[" + std::to_string(i) + "]"; }

template <class T>
void check_finite(const std::vector<T>& values, const std::string& where) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(std::abs(static_cast<double>(values[i])) <= largest)) {
      refuse(at(where, i), "a finite number", describe_number(values[i]));
    }
  }
}

template <class T>
void check_range(const std::vector<T>& values, int64_t below, const std::string& where, const std::string& what) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || static_cast<int64_t>(values[i]) >= below) {
      refuse(at(where, i), what + " from 0 to " + std::to_string(below - 1), std::to_string(values[i]));
    }
  }
}

void check_ids(const std::vector<int32_t>& ids, const PolicyInfo& policy, const std::string& where) {
  check_range(ids, policy.vocab_size, where, "a token id of this model's vocabulary,");
}

void check_offsets(const Ragged& ragged, bool may_be_empty, const std::string& where) {
  const auto& offsets = ragged.offsets;
  if (offsets.size() < 2) refuse(where + ".offsets", "at least two values (one sequence)", std::to_string(offsets.size()));
  if (offsets[0] != 0) refuse(at(where + ".offsets", 0), "0", std::to_string(offsets[0]));
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1] || (!may_be_empty && offsets[i] == offsets[i - 1])) {
      refuse(at(where + ".offsets", i),
             (may_be_empty ? "not below " : "above ") + std::to_string(offsets[i - 1]) + ", the one before" +
                 (may_be_empty ? "" : " (an empty sequence is not allowed)"),
             std::to_string(offsets[i]));
    }
  }
  if (static_cast<size_t>(offsets.back()) != ragged.ids.size()) {
    refuse(where + ".offsets", "the last one to be " + std::to_string(ragged.ids.size()) + ", the number of ids",
           std::to_string(offsets.back()));
  }
}

void check_length(int64_t length, const PolicyInfo& policy, const std::string& what) {
  if (length > policy.context_length) {
    refuse(what, "at most " + std::to_string(policy.context_length) + " tokens, the model's context",
           std::to_string(length));
  }
}

Ragged ragged(const Fields& fields, bool may_be_empty, const PolicyInfo& policy, const std::string& where) {
  Ragged out;
  out.ids = fields.array<int32_t>("ids");
  out.offsets = fields.array<int32_t>("offsets");
  check_offsets(out, may_be_empty, where);
  check_ids(out.ids, policy, where + ".ids");
  return out;
}

std::vector<uint8_t> mask(const Fields& fields, size_t length) {
  auto values = fields.array<uint8_t>("mask", length, "one for each id");
  check_range(values, 2, fields.path("mask"), "a number");
  return values;
}

std::vector<int32_t> stop_ids(const Fields& fields, const PolicyInfo& policy) {
  const Napi::Value value = fields.get("stopIds");
  const std::string where = fields.path("stopIds");
  if (!value.IsArray()) refuse(where, "an array of token ids", describe_value(value));
  const auto array = value.As<Napi::Array>();
  if (array.Length() > 1024) refuse(where, "at most 1024 ids", std::to_string(array.Length()));
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array[i];
    const double id = item.IsNumber() ? item.As<Napi::Number>().DoubleValue() : -1;
    if (!(id >= 0 && id < static_cast<double>(policy.vocab_size)) || id != std::floor(id)) {
      refuse(at(where, i), "a token id from 0 to " + std::to_string(policy.vocab_size - 1), describe_value(item));
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

double training_temperature(const Fields& fields) { return fields.number_or("temperature", 1, coldest, hottest); }

template <class T, class Array>
Napi::Value copy_out(Napi::Env env, const std::vector<T>& values) {
  auto array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value number(Napi::Env env, double value) { return Napi::Number::New(env, value); }
Napi::Value number(Napi::Env env, int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

}  // namespace

std::string text(const Napi::Value& value, const std::string& where, size_t longest) {
  if (!value.IsString()) refuse(where, "a string", describe_value(value));
  std::string out = value.As<Napi::String>().Utf8Value();
  if (out.empty() || out.size() > longest) {
    refuse(where, "1 to " + std::to_string(longest) + " bytes", std::to_string(out.size()));
  }
  if (out.find('\0') != std::string::npos) refuse(where, "no zero byte", "one");
  return out;
}

bool flag(const Napi::Value& value, const char* name, bool fallback) {
  if (value.IsUndefined()) return fallback;
  const Napi::Value found = Fields(value, "options").get(name);
  if (found.IsUndefined()) return fallback;
  if (!found.IsBoolean()) refuse(std::string("options.") + name, "true or false", describe_value(found));
  return found.As<Napi::Boolean>().Value();
}

uint64_t seed(const Napi::Value& value) {
  bool lossless = false;
  const uint64_t seed = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) refuse("seed", "a bigint from 0 to 2^64 - 1", describe_value(value));
  return seed;
}

RuntimeOptions runtime_options(const Napi::Value& value) {
  const Fields fields(value, "options");
  RuntimeOptions options;
  if (fields.has("device")) options.device = text(fields.get("device"), "options.device", 32);
  options.threads = static_cast<int>(fields.integer_or("threads", 0, 0, 1024));
  return options;
}

PolicyOptions policy_options(const Napi::Value& value) {
  PolicyOptions options;
  if (value.IsUndefined()) return options;
  const Fields fields(value, "options");
  if (fields.has("dtype")) options.dtype = text(fields.get("dtype"), "options.dtype", 32);
  options.trainable = flag(value, "trainable", true);
  return options;
}

GenerateRequest generate_request(const Napi::Value& value, const PolicyInfo& policy) {
  const Fields fields(value, "request");
  GenerateRequest request;
  request.prompts = ragged(fields.object("prompts"), false, policy, "request.prompts");
  const int64_t prompts = request.prompts.size();
  for (int64_t i = 0; i < prompts; ++i) {
    check_length(request.prompts.length(i), policy, "request.prompts: prompt " + std::to_string(i));
  }
  request.samples_per_prompt = fields.integer("samplesPerPrompt", 1, most_completions);
  const int64_t completions = prompts * request.samples_per_prompt;
  if (completions > most_completions) {
    refuse("request", "at most " + std::to_string(most_completions) + " completions", std::to_string(completions));
  }
  request.streams =
      fields.array<uint64_t>("streams", static_cast<size_t>(completions), "prompts times samplesPerPrompt");
  request.max_new_tokens = fields.integer("maxNewTokens", 1, int32_max);
  request.temperature = fields.number("temperature", 0, hottest);
  if (request.temperature > 0 && request.temperature < coldest) {
    refuse("request.temperature", "0 (the most likely token) or at least " + describe_number(coldest),
           describe_number(request.temperature));
  }
  request.stop_ids = stop_ids(fields, policy);
  request.max_slots = fields.integer_or("maxSlots", 0, 0, most_completions);
  return request;
}

ScoreRequest score_request(const Napi::Value& value, const PolicyInfo& policy) {
  const Fields fields(value, "request");
  ScoreRequest request;
  request.sequences = ragged(fields.object("sequences"), false, policy, "request.sequences");
  for (int64_t i = 0; i < request.sequences.size(); ++i) {
    check_length(request.sequences.length(i), policy, "request.sequences: sequence " + std::to_string(i));
  }
  request.mask = mask(fields, request.sequences.ids.size());
  request.temperature = training_temperature(fields);
  return request;
}

TrainingBatch training_batch(const Napi::Value& value, Loss loss, const PolicyInfo& policy) {
  const Fields fields(value, "batch");
  const Fields completions = fields.object("completions");
  TrainingBatch batch;
  batch.prompts = ragged(fields.object("prompts"), true, policy, "batch.prompts");
  batch.completions = ragged(completions, false, policy, "batch.completions");
  const auto count = static_cast<size_t>(batch.completions.size());
  const size_t tokens = batch.completions.ids.size();
  const std::string per_completion = "one for each completion";

  batch.prompt_index = completions.array<int32_t>("promptIndex", count, per_completion);
  check_range(batch.prompt_index, batch.prompts.size(), completions.path("promptIndex"), "the index of a prompt,");
  for (size_t i = 0; i < count; ++i) {
    const auto b = static_cast<int64_t>(i);
    check_length(batch.prompts.length(batch.prompt_index[i]) + batch.completions.length(b), policy,
                 "batch: completion " + std::to_string(i) + " with its prompt");
  }
  batch.mask = mask(completions, tokens);
  if (std::find(batch.mask.begin(), batch.mask.end(), 1) == batch.mask.end()) {
    refuse(completions.path("mask"), "at least one trained token", "none");
  }
  batch.sampler_logprobs = completions.array<float>("samplerLogprobs", tokens, "one for each id");
  batch.rewards = fields.array<double>("rewards", count, per_completion);
  batch.group_index = fields.array<int32_t>("groupIndex", count, per_completion);
  batch.extra_advantage = fields.array<double>("extraAdvantage", count, per_completion);
  if (loss == Loss::dapo) {
    check_finite(batch.sampler_logprobs, completions.path("samplerLogprobs"));
    check_finite(batch.rewards, fields.path("rewards"));
    check_finite(batch.extra_advantage, fields.path("extraAdvantage"));
  }
  batch.stage_weights = fields.array<double>("stageWeights");
  check_finite(batch.stage_weights, fields.path("stageWeights"));
  batch.stage = fields.array<uint8_t>("stage", count, per_completion);
  check_range(batch.stage, static_cast<int64_t>(batch.stage_weights.size()), fields.path("stage"),
              "an index into stageWeights,");
  return batch;
}

UpdateOptions update_options(const Napi::Value& value) {
  const Fields fields(value, "options");
  const std::string loss = text(fields.get("loss"), "options.loss", 16);
  if (loss != "dapo" && loss != "nll") refuse("options.loss", "dapo or nll", "\"" + loss + "\"");
  UpdateOptions options;
  const double below_one = std::nextafter(1.0, 0.0);
  options.loss = loss == "nll" ? Loss::nll : Loss::dapo;
  options.temperature = training_temperature(fields);
  options.epsilon_low = fields.number_or("epsilonLow", options.epsilon_low, 0, 1);
  options.epsilon_high = fields.number_or("epsilonHigh", options.epsilon_high, 0, largest);
  options.learning_rate = fields.number("learningRate", 0, largest);
  options.warmup_steps = fields.integer_or("warmupSteps", options.warmup_steps, 0, int32_max);
  options.beta1 = fields.number_or("beta1", options.beta1, 0, below_one);
  options.beta2 = fields.number_or("beta2", options.beta2, 0, below_one);
  options.epsilon = fields.number_or("epsilon", options.epsilon, 1e-30, largest);
  options.weight_decay = fields.number_or("weightDecay", options.weight_decay, 0, largest);
  options.max_grad_norm = fields.number_or("maxGradNorm", options.max_grad_norm, 0, largest);
  options.micro_batch_tokens = fields.integer_or("microBatchTokens", options.micro_batch_tokens, 0, int32_max);
  return options;
}

Napi::FunctionReference callback(const Napi::Value& value, const char* name) {
  const Fields fields(value, "callbacks");
  if (!fields.has(name)) return {};
  const Napi::Value found = fields.get(name);
  if (!found.IsFunction()) refuse(fields.path(name), "a function", describe_value(found));
  return Napi::Persistent(found.As<Napi::Function>());
}

Napi::Value to_js(Napi::Env env, const std::vector<int32_t>& values) {
  return copy_out<int32_t, Napi::Int32Array>(env, values);
}

Napi::Value to_js(Napi::Env env, const Completion& completion) {
  static constexpr const char* reasons[] = {"stop", "length", "context"};
  Napi::Object out = Napi::Object::New(env);
  out.Set("index", number(env, completion.index));
  out.Set("ids", to_js(env, completion.ids));
  out.Set("logprobs", copy_out<float, Napi::Float32Array>(env, completion.logprobs));
  out.Set("finishReason", reasons[static_cast<size_t>(completion.finish_reason)]);
  return out;
}

Napi::Value to_js(Napi::Env env, const GenerateCounters& counters) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("prefillTokens", number(env, counters.prefill_tokens));
  out.Set("decodeSteps", number(env, counters.decode_steps));
  out.Set("decodeTokens", number(env, counters.decode_tokens));
  out.Set("slots", number(env, counters.slots));
  out.Set("peakBytes", number(env, counters.peak_bytes));
  out.Set("seconds", number(env, counters.seconds));
  return out;
}

Napi::Value to_js(Napi::Env env, const ScoreResult& result) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("logprobs", copy_out<float, Napi::Float32Array>(env, result.logprobs));
  out.Set("entropies", copy_out<float, Napi::Float32Array>(env, result.entropies));
  out.Set("peakBytes", number(env, result.peak_bytes));
  return out;
}

Napi::Value to_js(Napi::Env env, const UpdateResult& result) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("loss", number(env, result.loss));
  out.Set("entropy", number(env, result.entropy));
  out.Set("gradNorm", number(env, result.grad_norm));
  out.Set("learningRate", number(env, result.learning_rate));
  out.Set("ratioMean", number(env, result.ratio_mean));
  out.Set("ratioMax", number(env, result.ratio_max));
  out.Set("ratioClippedFraction", number(env, result.ratio_clipped_fraction));
  out.Set("samplerKl", number(env, result.sampler_kl));
  out.Set("samplerMaxAbsDiff", number(env, result.sampler_max_abs_diff));
  out.Set("skipped", Napi::Boolean::New(env, result.skipped));
  out.Set("step", number(env, result.step));
  out.Set("skippedSteps", number(env, result.skipped_steps));
  out.Set("trainedTokens", number(env, result.trained_tokens));
  out.Set("forwardTokens", number(env, result.forward_tokens));
  out.Set("microBatches", number(env, result.micro_batches));
  out.Set("zeroSpreadGroups", number(env, result.zero_spread_groups));
  out.Set("groups", number(env, result.groups));
  out.Set("peakBytes", number(env, result.peak_bytes));
  out.Set("seconds", number(env, result.seconds));
  out.Set("advantages", copy_out<double, Napi::Float64Array>(env, result.advantages));
  return out;
}

Napi::Value to_js(Napi::Env env, const PolicyInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  Napi::Array eos = Napi::Array::New(env, info.eos_ids.size());
  for (uint32_t i = 0; i < info.eos_ids.size(); ++i) eos[i] = Napi::Number::New(env, info.eos_ids[i]);
  out.Set("modelType", info.model_type);
  out.Set("vocabSize", number(env, info.vocab_size));
  out.Set("contextLength", number(env, info.context_length));
  out.Set("parameters", number(env, info.parameters));
  out.Set("eosIds", eos);
  out.Set("dtype", info.dtype);
  out.Set("device", info.device);
  out.Set("step", number(env, info.step));
  return out;
}

}  // namespace ilr::addon
