#include "convert.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "adapter_options.h"
#include "fields.h"

namespace ilr::addon {
namespace {

constexpr int64_t whole_max = int64_t{1} << 53;  // beyond it a JavaScript number skips some
constexpr uint32_t most_stop_ids = 4096;

Ragged ragged(const Fields& fields) {
  return {fields.array<int32_t>("ids"), fields.array<int32_t>("offsets")};
}

// Sequences and nothing else.
Ragged plain_ragged(const Fields& fields) {
  Ragged sequences = ragged(fields);
  fields.refuse_unknown();
  return sequences;
}

constexpr uint32_t most_stop_strings = 1024;  // the core asks for fewer, and says so
constexpr size_t longest_stop_string = 1 << 16;

std::vector<std::string> stop_strings(const Fields& fields) {
  if (!fields.has("stopStrings")) return {};
  const Napi::Value value = fields.get("stopStrings");
  const std::string where = fields.path("stopStrings");
  if (!value.IsArray()) refuse(where, "an array of strings", describe_value(value));
  const auto array = value.As<Napi::Array>();
  if (array.Length() > most_stop_strings) refuse(where, "at most 64 strings", std::to_string(array.Length()));
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array[i];
    const std::string name = where + "[" + std::to_string(i) + "]";
    if (!item.IsString()) refuse(name, "a string", describe_value(item));
    size_t length = 0;
    napi_get_value_string_utf8(item.Env(), item, nullptr, 0, &length);
    if (length > longest_stop_string) refuse(name, "at most 1024 bytes of UTF-8", std::to_string(length));
    strings.push_back(item.As<Napi::String>().Utf8Value());
  }
  return strings;
}

std::vector<int32_t> stop_ids(const Fields& fields) {
  const Napi::Value value = fields.get("stopIds");
  const std::string where = fields.path("stopIds");
  if (!value.IsArray()) refuse(where, "an array of token ids", describe_value(value));
  const auto array = value.As<Napi::Array>();
  if (array.Length() > most_stop_ids) {
    refuse(where, "at most " + std::to_string(most_stop_ids) + " ids", std::to_string(array.Length()));
  }
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array[i];
    const double id = item.IsNumber() ? item.As<Napi::Number>().DoubleValue() : -1;
    if (!(id >= 0 && id <= std::numeric_limits<int32_t>::max()) || id != std::floor(id)) {
      refuse(where + "[" + std::to_string(i) + "]", "a token id", describe_value(item));
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

template <class T>
using Choices = std::initializer_list<std::pair<const char*, T>>;

// The choice that a field names, or `fallback` where it is left out.
template <class T>
T choice(const Fields& fields, const char* name, T fallback, Choices<T> choices) {
  if (!fields.has(name)) return fallback;
  const std::string value = text(fields.get(name), fields.path(name), 64);
  std::string names;
  for (const auto& [known, meaning] : choices) {
    if (value == known) return meaning;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  refuse(fields.path(name), "one of " + names, "\"" + value + "\"");
}

// An array that may be left out: empty then, and only then.
template <class T>
std::vector<T> array_if_any(const Fields& fields, const char* name) {
  if (!fields.has(name)) return {};
  std::vector<T> values = fields.array<T>(name);
  if (values.empty()) refuse(fields.path(name), "to be left out, or a value for each", "an empty array");
  return values;
}

std::optional<double> number_if_any(const Fields& fields, const char* name) {
  if (!fields.has(name)) return {};
  return fields.number(name);
}

AdvantageOptions advantage_options(const Fields& fields) {
  AdvantageOptions options;
  options.baseline = choice(fields, "baseline", options.baseline,
                            {{"group", Baseline::group}, {"leave-one-out", Baseline::leave_one_out}, {"given", Baseline::given}});
  options.scale = choice(fields, "scale", options.scale,
                         {{"group", AdvantageScale::group}, {"batch", AdvantageScale::batch}, {"none", AdvantageScale::none}});
  options.deviation = choice(fields, "std", options.deviation,
                             {{"population", Deviation::population}, {"sample", Deviation::sample}});
  options.epsilon = fields.number_or("stdEpsilon", options.epsilon);
  return options;
}

void read_loss(const Fields& fields, UpdateOptions& o) {
  if (!fields.has("loss")) refuse(fields.path("loss"), "the name of a loss", describe_value(fields.get("loss")));
  o.loss = choice(fields, "loss", o.loss,
                  {{"grpo", Loss::grpo}, {"bnpo", Loss::bnpo}, {"dr_grpo", Loss::dr_grpo}, {"dapo", Loss::dapo},
                   {"cispo", Loss::cispo}, {"sapo", Loss::sapo}, {"luspo", Loss::luspo}, {"vespo", Loss::vespo},
                   {"nll", Loss::nll}});
  o.ratio = choice(fields, "ratio", o.ratio, {{"token", RatioLevel::token}, {"sequence", RatioLevel::sequence}});
  o.epsilon_low = fields.number_or("epsilonLow", o.epsilon_low);
  o.epsilon_high = fields.number_or("epsilonHigh", o.epsilon_high);
  o.delta = number_if_any(fields, "delta");
  o.cispo_cap = fields.number_or("cispoCap", o.cispo_cap);
  o.sapo_temperature_positive = fields.number_or("sapoTemperaturePositive", o.sapo_temperature_positive);
  o.sapo_temperature_negative = fields.number_or("sapoTemperatureNegative", o.sapo_temperature_negative);
  o.vespo_k_positive = fields.number_or("vespoKPositive", o.vespo_k_positive);
  o.vespo_lambda_positive = fields.number_or("vespoLambdaPositive", o.vespo_lambda_positive);
  o.vespo_k_negative = fields.number_or("vespoKNegative", o.vespo_k_negative);
  o.vespo_lambda_negative = fields.number_or("vespoLambdaNegative", o.vespo_lambda_negative);
  o.max_completion_tokens = fields.integer_or("maxCompletionTokens", o.max_completion_tokens, whole_max);
  o.beta = fields.number_or("beta", o.beta);
  o.kl = choice(fields, "kl", o.kl, {{"k1", KlEstimator::k1}, {"k2", KlEstimator::k2}, {"k3", KlEstimator::k3}});
  o.kl_unbiased = fields.flag_or("klUnbiased", o.kl_unbiased);
  o.entropy_bonus = fields.number_or("entropyBonus", o.entropy_bonus);
  o.top_entropy_fraction = fields.number_or("topEntropyFraction", o.top_entropy_fraction);
  o.importance_correction = choice(fields, "importanceCorrection", o.importance_correction,
                                   {{"none", ImportanceCorrection::none},
                                    {"token_truncate", ImportanceCorrection::token_truncate},
                                    {"token_mask", ImportanceCorrection::token_mask},
                                    {"sequence_truncate", ImportanceCorrection::sequence_truncate},
                                    {"sequence_mask", ImportanceCorrection::sequence_mask}});
  o.importance_max = fields.number_or("importanceMax", o.importance_max);
  o.importance_min = fields.number_or("importanceMin", o.importance_min);
  o.off_policy_threshold = number_if_any(fields, "offPolicyThreshold");
  o.advantage = advantage_options(fields);
}

// Options that may be left out whole.
Fields optional(const Napi::Value& value, const char* where) {
  return Fields(value.IsUndefined() ? Napi::Object::New(value.Env()) : value, where);
}

PolicyOptions policy_options(const Fields& fields) {
  PolicyOptions options;
  if (fields.has("dtype")) options.dtype = text(fields.get("dtype"), "options.dtype", 32);
  options.trainable = fields.flag_or("trainable", true);
  if (fields.has("optimizerKind")) options.optimizer = text(fields.get("optimizerKind"), "options.optimizerKind", 32);
  if (fields.has("moments")) options.moments = text(fields.get("moments"), "options.moments", 32);
  options.adapter = adapter_options(fields);
  return options;
}

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
  options.threads = static_cast<int>(fields.integer_or("threads", options.threads, 1024));
  options.memory_limit_bytes = fields.integer_or("memoryLimitBytes", options.memory_limit_bytes, whole_max);
  fields.refuse_unknown();
  return options;
}

PolicyOptions create_options(const Napi::Value& value) {
  const Fields fields = optional(value, "options");
  const PolicyOptions options = policy_options(fields);
  fields.refuse_unknown({"runtime", "seed", "signal"});
  return options;
}

LoadOptions load_options(const Napi::Value& value) {
  const Fields fields = optional(value, "options");
  const LoadOptions options{policy_options(fields), fields.flag_or("optimizer", false)};
  fields.refuse_unknown({"runtime", "signal"});
  return options;
}

LoadOptions share_options(const Napi::Value& value) {
  const Fields fields = optional(value, "options");
  if (fields.has("dtype")) refuse(fields.path("dtype"), "to be left out (it is the base's)", describe_value(fields.get("dtype")));
  const LoadOptions options{policy_options(fields), fields.flag_or("optimizer", false)};
  fields.refuse_unknown({"signal"});
  return options;
}

SaveOptions save_options(const Napi::Value& value) {
  const Fields fields = optional(value, "options");
  const SaveOptions options{fields.flag_or("optimizer", false), fields.flag_or("merge", false)};
  fields.refuse_unknown({"signal"});
  return options;
}

GenerateRequest generate_request(const Napi::Value& value) {
  const Fields fields(value, "request");
  GenerateRequest request;
  request.prompts = plain_ragged(fields.object("prompts"));
  request.samples_per_prompt = fields.integer("samplesPerPrompt", whole_max);
  request.streams = fields.array<uint64_t>("streams");
  request.max_new_tokens = fields.integer("maxNewTokens", whole_max);
  request.temperature = fields.number("temperature");
  request.top_k = fields.integer_or("topK", request.top_k, whole_max);
  request.top_p = fields.number_or("topP", request.top_p);
  request.min_p = fields.number_or("minP", request.min_p);
  request.repetition_penalty = fields.number_or("repetitionPenalty", request.repetition_penalty);
  if (fields.has("logitBias")) {
    const Fields bias = fields.object("logitBias");
    request.logit_bias_ids = bias.array<int32_t>("ids");
    request.logit_bias = bias.array<double>("values");
    bias.refuse_unknown();
  }
  if (fields.has("badWords")) request.bad_words = plain_ragged(fields.object("badWords"));
  request.stop_ids = stop_ids(fields);
  request.stop_strings = stop_strings(fields);
  request.batch_invariant = fields.flag_or("batchInvariant", request.batch_invariant);
  request.max_slots = fields.integer_or("maxSlots", 0, whole_max);
  fields.refuse_unknown({"signal", "onToken"});
  return request;
}

TokenBytes token_bytes(const Napi::Value& value) {
  const Fields fields(value, "tokenBytes");
  TokenBytes table{fields.array<uint8_t>("bytes"), fields.array<int32_t>("offsets")};
  fields.refuse_unknown();
  return table;
}

ScoreRequest score_request(const Napi::Value& value) {
  const Fields fields(value, "request");
  ScoreRequest request;
  request.sequences = plain_ragged(fields.object("sequences"));
  request.mask = fields.array<uint8_t>("mask");
  request.temperature = fields.number_or("temperature", request.temperature);
  request.adapter = fields.flag_or("adapter", request.adapter);
  fields.refuse_unknown({"signal"});
  return request;
}

TrainingBatch training_batch(const Napi::Value& value) {
  const Fields fields(value, "batch");
  const Fields completions = fields.object("completions");
  TrainingBatch batch;
  batch.prompts = plain_ragged(fields.object("prompts"));
  batch.completions = ragged(completions);
  batch.prompt_index = completions.array<int32_t>("promptIndex");
  batch.mask = completions.array<uint8_t>("mask");
  batch.sampler_logprobs = completions.array<float>("samplerLogprobs");
  batch.old_logprobs = array_if_any<float>(completions, "oldLogprobs");
  batch.ref_logprobs = array_if_any<float>(completions, "refLogprobs");
  batch.rewards = fields.array<double>("rewards");
  batch.group_index = fields.array<int32_t>("groupIndex");
  batch.extra_advantage = fields.array<double>("extraAdvantage");
  batch.stage = fields.array<uint8_t>("stage");
  batch.stage_weights = fields.array<double>("stageWeights");
  batch.baseline = array_if_any<double>(fields, "baseline");
  batch.stage_tokens = array_if_any<double>(fields, "stageTokens");
  completions.refuse_unknown();
  fields.refuse_unknown();
  return batch;
}

UpdateOptions update_options(const Napi::Value& value) {
  const Fields fields(value, "options");
  UpdateOptions options;
  read_loss(fields, options);
  options.temperature = fields.number_or("temperature", options.temperature);
  options.learning_rate = fields.number("learningRate");
  options.warmup_steps = fields.integer_or("warmupSteps", options.warmup_steps, whole_max);
  options.schedule = choice(
      fields, "schedule", options.schedule,
      {{"constant", Schedule::constant}, {"linear", Schedule::linear}, {"cosine", Schedule::cosine}});
  options.total_steps = fields.integer_or("totalSteps", options.total_steps, whole_max);
  options.min_learning_rate_fraction = fields.number_or("minLearningRateFraction", options.min_learning_rate_fraction);
  options.beta1 = fields.number_or("beta1", options.beta1);
  options.beta2 = fields.number_or("beta2", options.beta2);
  options.epsilon = fields.number_or("epsilon", options.epsilon);
  options.weight_decay = fields.number_or("weightDecay", options.weight_decay);
  options.max_grad_norm = fields.number_or("maxGradNorm", options.max_grad_norm);
  options.gradient_checkpointing = fields.flag_or("gradientCheckpointing", options.gradient_checkpointing);
  options.micro_batch_tokens = fields.integer_or("microBatchTokens", options.micro_batch_tokens, whole_max);
  fields.refuse_unknown({"signal", "onProgress"});
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
  if (completion.stop_string >= 0) {
    out.Set("stopString", number(env, completion.stop_string));
    out.Set("textBytes", number(env, completion.text_bytes));
  }
  return out;
}

Napi::Value to_js(Napi::Env env, const GenerateCounters& counters) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("prefillTokens", number(env, counters.prefill_tokens));
  out.Set("decodeSteps", number(env, counters.decode_steps));
  out.Set("decodeTokens", number(env, counters.decode_tokens));
  out.Set("slots", number(env, counters.slots));
  out.Set("putOff", number(env, counters.put_off));
  out.Set("recomputedTokens", number(env, counters.recomputed_tokens));
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
  out.Set("ratioClippedLowFraction", number(env, result.ratio_clipped_low_fraction));
  out.Set("ratioClippedHighFraction", number(env, result.ratio_clipped_high_fraction));
  out.Set("kl", number(env, result.kl));
  out.Set("importanceMean", number(env, result.importance_mean));
  out.Set("importanceMax", number(env, result.importance_max));
  out.Set("offPolicyDroppedFraction", number(env, result.off_policy_dropped_fraction));
  out.Set("entropyDroppedFraction", number(env, result.entropy_dropped_fraction));
  out.Set("samplerKl", number(env, result.sampler_kl));
  out.Set("samplerMaxAbsDiff", number(env, result.sampler_max_abs_diff));
  out.Set("skipped", Napi::Boolean::New(env, result.skipped));
  out.Set("step", number(env, result.step));
  out.Set("skippedSteps", number(env, result.skipped_steps));
  out.Set("trainedTokens", number(env, result.trained_tokens));
  out.Set("learningTokens", number(env, result.learning_tokens));
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
  out.Set("weightBytes", number(env, info.weight_bytes));
  out.Set("optimizerBytes", number(env, info.optimizer_bytes));
  out.Set("trainedParameters", number(env, info.trained_parameters));
  if (info.adapter) out.Set("adapter", to_js(env, *info.adapter));
  return out;
}

}  // namespace ilr::addon
