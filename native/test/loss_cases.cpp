#include "loss_cases.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "json.h"

#include "check.h"

namespace ilr::test {
namespace {

template <typename T>
T named(const std::string& name, const std::vector<std::pair<const char*, T>>& choices) {
  for (const auto& [known, value] : choices) {
    if (name == known) return value;
  }
  throw Error("ILR_INVALID_ARGUMENT", "a loss case names an unknown " + name);
}

Loss loss_of(const std::string& name) {
  return named<Loss>(name, {{"grpo", Loss::grpo}, {"bnpo", Loss::bnpo}, {"dr_grpo", Loss::dr_grpo}, {"dapo", Loss::dapo},
                            {"cispo", Loss::cispo}, {"sapo", Loss::sapo}, {"luspo", Loss::luspo}, {"vespo", Loss::vespo},
                            {"nll", Loss::nll}});
}

ImportanceCorrection correction_of(const std::string& name) {
  return named<ImportanceCorrection>(name, {{"none", ImportanceCorrection::none},
                                            {"token_truncate", ImportanceCorrection::token_truncate},
                                            {"token_mask", ImportanceCorrection::token_mask},
                                            {"sequence_truncate", ImportanceCorrection::sequence_truncate},
                                            {"sequence_mask", ImportanceCorrection::sequence_mask}});
}

double number_of(const Json& json) {
  const int64_t* whole = json.as_int();
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(json.value);
}

UpdateOptions options_of(const Json& json) {
  const auto number = [&](const char* name) { return number_of(*json.find(name)); };
  const auto word = [&](const char* name) { return *json.find(name)->as_string(); };
  const auto if_any = [&](const char* name) {
    return json.find(name) != nullptr ? std::optional<double>(number(name)) : std::nullopt;
  };
  UpdateOptions o;
  o.temperature = 0.7;
  o.loss = loss_of(word("loss"));
  o.ratio = named<RatioLevel>(word("ratio"), {{"token", RatioLevel::token}, {"sequence", RatioLevel::sequence}});
  o.epsilon_low = number("epsilon_low");
  o.epsilon_high = number("epsilon_high");
  o.delta = if_any("delta");
  o.cispo_cap = number("cispo_cap");
  o.sapo_temperature_positive = number("sapo_temperature_positive");
  o.sapo_temperature_negative = number("sapo_temperature_negative");
  o.vespo_k_positive = number("vespo_k_positive");
  o.vespo_lambda_positive = number("vespo_lambda_positive");
  o.vespo_k_negative = number("vespo_k_negative");
  o.vespo_lambda_negative = number("vespo_lambda_negative");
  o.max_completion_tokens = static_cast<int64_t>(number("max_completion_tokens"));
  o.beta = number("beta");
  o.kl = named<KlEstimator>(word("kl"), {{"k1", KlEstimator::k1}, {"k2", KlEstimator::k2}, {"k3", KlEstimator::k3}});
  o.kl_unbiased = *json.find("kl_unbiased")->as_bool();
  o.entropy_bonus = number("entropy_bonus");
  o.top_entropy_fraction = number("top_entropy_fraction");
  o.importance_correction = correction_of(word("importance_correction"));
  o.importance_max = number("importance_max");
  o.importance_min = number("importance_min");
  o.off_policy_threshold = if_any("off_policy_threshold");
  o.advantage = {baseline_of(word("baseline")), scale_of(word("scale")), deviation_of(word("std")), number("std_epsilon")};
  return o;
}

TrainingBatch batch_of(const SafetensorsReader& file) {
  const auto ints = [&](const char* name) { return values_of<int32_t>(file.view(std::string("batch.") + name)); };
  const auto doubles = [&](const char* name) { return values_of<double>(file.view(std::string("batch.") + name)); };
  TrainingBatch b;
  b.prompts = {ints("prompt_ids"), ints("prompt_offsets")};
  b.completions = {ints("completion_ids"), ints("completion_offsets")};
  b.prompt_index = ints("prompt_index");
  b.mask = values_of<uint8_t>(file.view("batch.mask"));
  b.sampler_logprobs = values_of<float>(file.view("batch.sampler_logprobs"));
  b.rewards = doubles("rewards");
  b.group_index = ints("group_index");
  b.extra_advantage = doubles("extra_advantage");
  b.stage = values_of<uint8_t>(file.view("batch.stage"));
  b.stage_weights = doubles("stage_weights");
  return b;
}

void choose_inputs(LossCase& c, const Json& options, const SafetensorsReader& file) {
  if (*options.find("old")->as_bool()) c.batch.old_logprobs = values_of<float>(file.view("batch.old_logprobs"));
  if (c.options.beta != 0) c.batch.ref_logprobs = values_of<float>(file.view("batch.ref_logprobs"));
  if (*options.find("stage_tokens")->as_bool()) c.batch.stage_tokens = values_of<double>(file.view("batch.stage_tokens"));
  if (const Json* kind = options.find("overflow"); kind != nullptr) {
    c.batch.sampler_logprobs = values_of<float>(file.view("batch.sampler_logprobs." + *kind->as_string()));
  }
}

// One flat vector holds the gradients of all tensors, by name.
Tensors split(const at::Tensor& flat, const SafetensorsReader& model) {
  Tensors out;
  std::vector<std::string> names = model.names();
  std::sort(names.begin(), names.end());
  int64_t at = 0;
  for (const std::string& name : names) {
    const std::vector<int64_t> shape = model.shape(name);
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    out[name] = flat.narrow(0, at, count).reshape(shape).clone();
    at += count;
  }
  CHECK_EQUAL(at, flat.size(0));
  return out;
}

SafetensorsReader open_cases() { return SafetensorsReader::open_file(golden("losses/cases.safetensors")); }

}  // namespace

Baseline baseline_of(const std::string& name) {
  return named<Baseline>(name,
                         {{"group", Baseline::group}, {"leave-one-out", Baseline::leave_one_out}, {"given", Baseline::given}});
}

AdvantageScale scale_of(const std::string& name) {
  return named<AdvantageScale>(
      name, {{"group", AdvantageScale::group}, {"batch", AdvantageScale::batch}, {"none", AdvantageScale::none}});
}

Deviation deviation_of(const std::string& name) {
  return named<Deviation>(name, {{"population", Deviation::population}, {"sample", Deviation::sample}});
}

std::vector<LossCase> read_loss_cases() {
  const SafetensorsReader file = open_cases(), model = SafetensorsReader::open_folder(golden("losses"));
  std::vector<LossCase> cases;
  for (const auto& [key, text] : file.metadata()) {
    if (!key.starts_with("case.")) continue;
    const Json json = parse_json(text, key);
    LossCase c;
    c.name = key.substr(5);
    c.batch = batch_of(file);
    c.options = options_of(*json.find("options"));
    choose_inputs(c, *json.find("options"), file);
    for (const auto& [name, value] : *json.find("report")->as_object()) c.report[name] = number_of(value);
    c.gradients = split(file.view("grad." + c.name), model);
    cases.push_back(std::move(c));
  }
  return cases;
}

LossCase read_loss_case(const std::string& name) {
  for (LossCase& c : read_loss_cases()) {
    if (c.name == name) return std::move(c);
  }
  throw Error("ILR_INVALID_ARGUMENT", "there is no loss case " + name);
}

std::map<std::string, std::vector<double>> read_advantage_cases() {
  const SafetensorsReader file = open_cases();
  std::map<std::string, std::vector<double>> out;
  for (const std::string& name : file.names()) {
    if (name.starts_with("advantages.")) out[name.substr(11)] = values_of<double>(file.view(name));
  }
  out["rewards"] = values_of<double>(file.view("batch.rewards"));
  out["baseline"] = values_of<double>(file.view("batch.baseline"));
  return out;
}

double figure(const UpdateResult& r, const std::string& name) {
  return named<double>(name, {{"loss", r.loss},
                              {"entropy", r.entropy},
                              {"ratio_mean", r.ratio_mean},
                              {"ratio_max", r.ratio_max},
                              {"ratio_clipped_low_fraction", r.ratio_clipped_low_fraction},
                              {"ratio_clipped_high_fraction", r.ratio_clipped_high_fraction},
                              {"kl", r.kl},
                              {"importance_mean", r.importance_mean},
                              {"importance_max", r.importance_max},
                              {"off_policy_dropped_fraction", r.off_policy_dropped_fraction},
                              {"entropy_dropped_fraction", r.entropy_dropped_fraction},
                              {"sampler_kl", r.sampler_kl},
                              {"sampler_max_abs_diff", r.sampler_max_abs_diff}});
}

}  // namespace ilr::test
