#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "logits_processor.h"
#include "policy_fixture.h"
#include "random.h"
#include "safetensors.h"
#include "sampler.h"
#include "stop_strings.h"

#include "check.h"

namespace ilr::test {
namespace {

constexpr int64_t vocab = 61;

// A case of sampling.safetensors: a row of logits, options, what was written before, and the distribution that
// transformers' logits processors leave.
struct GoldenCase {
  GenerateRequest request;
  std::vector<int32_t> history;
  std::vector<double> logits, probabilities;  // [V]
};

std::vector<GoldenCase> golden_cases() {
  const SafetensorsReader file = SafetensorsReader::open_file(golden("sampling.safetensors"));
  const at::Tensor options = file.view("options"), logits = file.view("logits"), expected = file.view("probabilities");
  std::vector<GoldenCase> cases;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const std::string number = std::to_string(i);
    GoldenCase c{};
    c.history = values_of<int32_t>(file.view("history"));
    c.logits = values_of<double>(logits[i]);
    c.probabilities = values_of<double>(expected[i]);
    const std::vector<double> values = values_of<double>(options[i]);
    c.request.temperature = values[0];
    c.request.top_k = static_cast<int64_t>(values[1]);
    c.request.top_p = values[2];
    c.request.min_p = values[3];
    c.request.repetition_penalty = values[4];
    c.request.logit_bias_ids = values_of<int32_t>(file.view("bias_ids." + number));
    c.request.logit_bias = values_of<double>(file.view("bias." + number));
    c.request.bad_words = {values_of<int32_t>(file.view("bad_word_ids." + number)),
                           values_of<int32_t>(file.view("bad_word_offsets." + number))};
    cases.push_back(std::move(c));
  }
  return cases;
}

std::vector<double> distribution(const GoldenCase& c, const GenerateRequest& request) {
  const LogitsProcessor processor(request, vocab);
  std::vector<double> scores = c.logits;
  const std::span<const int32_t> history = c.history;
  processor.adjust(scores, {history.first(3), history.subspan(3)});
  for (double& score : scores) score /= request.temperature;
  processor.truncate(scores);
  return values_of<double>(at::softmax(at::tensor(at::ArrayRef<double>(scores), at::kDouble), 0));
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST("sampling: each option leaves the distribution that transformers leaves") {
  for (const GoldenCase& c : golden_cases()) {
    // Both compute in float64, in another order.
    CHECK_CLOSE(largest_difference(distribution(c, c.request), c.probabilities), 0, 1e-12);
  }
}

TEST("sampling: each option left out misses transformers") {
  const std::vector<std::function<void(GenerateRequest&)>> mutants{
      [](GenerateRequest& r) { r.top_k = 0; },
      [](GenerateRequest& r) { r.top_p = 1; },
      [](GenerateRequest& r) { r.min_p = 0; },
      [](GenerateRequest& r) { r.repetition_penalty = 1; },
      [](GenerateRequest& r) { r.temperature = 1; },
      [](GenerateRequest& r) { r.logit_bias_ids.clear(); },
      [](GenerateRequest& r) { r.bad_words = {}; },
  };
  const std::vector<GoldenCase> cases = golden_cases();
  for (const auto& mutate : mutants) {
    double worst = 0;
    for (const GoldenCase& c : cases) {
      GenerateRequest mutant = c.request;
      mutate(mutant);
      worst = std::max(worst, largest_difference(distribution(c, mutant), c.probabilities));
    }
    CHECK(worst > 1e-3);  // the tolerance above is 1e-12
  }
}

// Pearson's statistic of `draws` tokens against a distribution, and its degrees of freedom. Tokens that are expected less
// than five times are one cell; one that cannot come makes it infinite.
struct ChiSquare {
  double statistic = 0;
  double freedom = -1;
  // Above it once in about 10^5 seeds (Wilson and Hilferty's cube at 4.3 standard deviations); the seeds here are fixed.
  double limit() const {
    const double spread = 2 / (9 * freedom);
    return freedom * std::pow(1 - spread + 4.3 * std::sqrt(spread), 3);
  }
};

ChiSquare chi_square(const std::vector<int32_t>& drawn, const std::vector<double>& probabilities) {
  std::vector<double> counts(probabilities.size(), 0);
  for (const int32_t id : drawn) ++counts[static_cast<size_t>(id)];
  const auto draws = static_cast<double>(drawn.size());
  ChiSquare result;
  const auto add_cell = [&](double count, double expected) {
    result.statistic += (count - expected) * (count - expected) / expected;
    ++result.freedom;
  };
  double rare = 0, rare_expected = 0;
  for (size_t v = 0; v < probabilities.size(); ++v) {
    const double expected = draws * probabilities[v];
    if (expected == 0 && counts[v] > 0) result.statistic = std::numeric_limits<double>::infinity();
    if (expected >= 5) {
      add_cell(counts[v], expected);
    } else {
      rare += counts[v];
      rare_expected += expected;
    }
  }
  if (rare_expected >= 5) add_cell(rare, rare_expected);
  return result;
}

constexpr int64_t draw_count = 20000;

std::vector<int32_t> draw_many(const GoldenCase& c, const GenerateRequest& request, at::ScalarType type) {
  const LogitsProcessor processor(request, vocab);
  const std::span<const int32_t> history = c.history;
  std::vector<Draw> draws;
  for (int64_t i = 0; i < draw_count; ++i) {
    draws.push_back({0, uniform_at(900 + static_cast<uint64_t>(i), 8), {history.first(3), history.subspan(3)}});
  }
  const at::Tensor logits = at::tensor(at::ArrayRef<double>(c.logits), at::kDouble).unsqueeze(0).to(type);
  std::vector<int32_t> ids;
  for (const Drawn& d : draw_tokens(logits, draws, request.temperature, &processor)) ids.push_back(d.id);
  return ids;
}

TEST("sampling: tokens are drawn as often as transformers' distribution says: chi-square, each option") {
  for (const GoldenCase& c : golden_cases()) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const ChiSquare test = chi_square(draw_many(c, c.request, type), c.probabilities);
      if (test.freedom == 0) {
        CHECK_EQUAL(test.statistic, 0);  // a single token
        continue;
      }
      CHECK(test.statistic < test.limit());
      CHECK(test.statistic > 0);
    }
  }
}

TEST("sampling: the chi-square test tells a sampler that is bent") {
  const auto fails = [](const GoldenCase& c, const std::function<void(GenerateRequest&)>& mutate) {
    GenerateRequest mutant = c.request;
    mutate(mutant);
    const ChiSquare test = chi_square(draw_many(c, mutant, at::kDouble), c.probabilities);
    return test.statistic > test.limit();
  };
  const std::vector<GoldenCase> cases = golden_cases();
  CHECK(!fails(cases[0], [](GenerateRequest&) {}));
  CHECK(fails(cases[0], [](GenerateRequest& r) { r.temperature = 1.05; }));
  CHECK(fails(cases[3], [](GenerateRequest& r) { r.top_k = 8; }));
  CHECK(fails(cases[5], [](GenerateRequest& r) { r.top_p = 0.95; }));
  CHECK(fails(cases[7], [](GenerateRequest& r) { r.min_p = 0.03; }));
  CHECK(fails(cases[9], [](GenerateRequest& r) { r.repetition_penalty = 1.05; }));
  CHECK(fails(cases[11], [](GenerateRequest& r) { r.logit_bias[0] = 3.7; }));
  CHECK(fails(cases[12], [](GenerateRequest& r) { r.bad_words = {{5, 11}, {0, 1, 2}}; }));
  // Numbers that never reach the last eighth, as those of a generator with too few bits.
  std::vector<int32_t> ids;
  std::vector<Draw> draws;
  for (uint64_t i = 0; i < draw_count; ++i) draws.push_back({0, 0.875 * uniform_at(i, 0)});
  const at::Tensor logits = at::tensor(at::ArrayRef<double>(cases[0].logits), at::kDouble).unsqueeze(0);
  for (const Drawn& d : draw_tokens(logits, draws, 1)) ids.push_back(d.id);
  const ChiSquare test = chi_square(ids, cases[0].probabilities);
  CHECK(test.statistic > test.limit());
}

TEST("sampling: log-probs are of the temperature-scaled distribution, whatever the options") {
  for (const GoldenCase& c : golden_cases()) {
    for (const double temperature : {0.0, c.request.temperature}) {
      const at::Tensor row = at::tensor(at::ArrayRef<double>(c.logits), at::kDouble);
      const at::Tensor logp = at::log_softmax(row / (temperature == 0 ? 1 : temperature), 0);
      const LogitsProcessor processor(c.request, vocab);
      const std::span<const int32_t> history = c.history;
      for (const Drawn& d : draw_tokens(row.unsqueeze(0), {{0, 0.1, {history, {}}}, {0, 0.9, {history, {}}}}, temperature,
                                        &processor)) {
        CHECK_CLOSE(d.logprob, logp[d.id].item<double>(), 1e-6);
      }
    }
  }
}

TEST("sampling: equals that are most likely are decided by the lower id") {
  const auto row = [](std::vector<float> values) {
    return at::tensor(at::ArrayRef<float>(values), at::kFloat).unsqueeze(0);
  };
  GenerateRequest request{};
  const auto draw = [&](const at::Tensor& logits, double temperature, double u) {
    const LogitsProcessor processor(request, logits.size(1));
    return draw_tokens(logits, {{0, u}}, temperature, &processor)[0].id;
  };
  const at::Tensor equals = row({0, 2, 2, 2, 1});
  CHECK_EQUAL(draw(equals, 0, 0.99), 1);
  request.bad_words = {{1}, {0, 1}};
  CHECK_EQUAL(draw(equals, 0, 0.99), 2);
  request.bad_words = {};
  request.top_p = 0.1;  // less than one of the three: the first alone
  CHECK_EQUAL(draw(equals, 1, 0.99), 1);
  request.top_p = 1;
  request.top_k = 1;  // as likely as the first: all three, as in transformers
  CHECK_EQUAL(draw(equals, 1, 0.99), 3);
  request.top_k = 0;
  request.min_p = 1;
  CHECK_EQUAL(draw(equals, 1, 0.99), 3);
  CHECK_EQUAL(draw(equals, 1, 0), 1);
}

TEST("sampling: options that leave no token, or logits that are not finite, are errors") {
  GenerateRequest request{};
  request.bad_words = {{0, 1, 2, 2}, {0, 1, 2, 4}};  // 0, 1, and 2 after 2
  const LogitsProcessor processor(request, 3);
  const std::vector<int32_t> history{2};
  const at::Tensor logits = at::tensor(at::ArrayRef<double>({1.0, 2.0, 3.0}), at::kDouble).unsqueeze(0);
  for (const double temperature : {0.0, 1.0}) {
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "badWords", draw_tokens(logits, {{0, 0.5, {history, {}}}}, temperature, &processor));
    CHECK_EQUAL(draw_tokens(logits, {{0, 0.5}}, temperature, &processor)[0].id, 2);
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      for (const int64_t place : {0, 2}) {
        const at::Tensor broken = logits.clone();
        broken[0][place].fill_(bad);
        CHECK_THROWS("ILR_TORCH", "not finite", draw_tokens(broken, {{0, 0.5}}, temperature, &processor));
      }
    }
  }
}

// One token per entry, and what it writes.
TokenBytes table_of(const std::vector<std::string>& tokens) {
  TokenBytes table;
  for (const std::string& token : tokens) {
    table.bytes.insert(table.bytes.end(), token.begin(), token.end());
    table.offsets.push_back(static_cast<int32_t>(table.bytes.size()));
  }
  return table;
}

struct Found {
  size_t tokens;
  StopStrings::Match match;
};

// Every token in turn until a string is found.
Found find(const std::vector<std::string>& strings, const std::vector<std::string>& tokens) {
  const TokenBytes table = table_of(tokens);
  const StopStrings stop(strings, &table);
  StopStrings::Text text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const StopStrings::Match match = stop.append(text, static_cast<int32_t>(i));
    if (match.index >= 0) return {i + 1, match};
  }
  return {tokens.size(), {}};
}

TEST("stop strings: found across tokens, by the token that completes them") {
  const auto expect = [](const Found& found, size_t tokens, int64_t index, int64_t text_bytes) {
    CHECK_EQUAL(found.tokens, tokens);
    CHECK_EQUAL(found.match.index, index);
    if (index >= 0) CHECK_EQUAL(found.match.text_bytes, text_bytes);
  };
  expect(find({"stop"}, {"don't ", "st", "op", " now"}), 3, 0, 6);
  expect(find({"stop"}, {"stop"}), 1, 0, 0);
  expect(find({"stop"}, {"s", "t", "o", "p"}), 4, 0, 0);
  expect(find({"stop"}, {"a stop, b", "c"}), 1, 0, 2);
  expect(find({"stop"}, {"st", "", "op"}), 3, 0, 0);
  expect(find({"stop"}, {"sto", "stop"}), 2, 0, 3);
  expect(find({"stop"}, {"sto", "p ", "x"}), 2, 0, 0);
  expect(find({"stop"}, {"sto", "q", "p"}), 3, -1, 0);
  // The match that ends first, whichever token it lies in; of two that end together the longer.
  expect(find({"abcd", "bc"}, {"abcd"}), 1, 1, 1);
  expect(find({"abcd", "bc"}, {"a", "b", "c", "d"}), 3, 1, 1);
  expect(find({"b", "aab"}, {"xa", "ab"}), 2, 1, 1);
  expect(find({"\n\nQ", "\n\n"}, {"a\n", "\nQ"}), 2, 1, 1);
  // Two of three and of four bytes, cut between tokens: "≠" is E2 89 A0, "😀" is F0 9F 98 80.
  expect(find({"\xE2\x89\xA0"}, {"a\xE2", "\x89\xA0 b"}), 2, 0, 1);
  expect(find({"\xF0\x9F\x98\x80!"}, {"\xF0\x9F\x98\x80", "\xF0\x9F", "\x98\x80!"}), 3, 0, 4);
}

TEST("stop strings: what cannot be found is refused by name") {
  const TokenBytes table = table_of({"a", "b", "\n", "c"});
  const auto refuse = [&](const std::string& part, const std::vector<std::string>& strings, const TokenBytes* bytes) {
    CHECK_THROWS("ILR_INVALID_ARGUMENT", part, check_stop_strings(strings, bytes));
  };
  check_stop_strings({"ab", "\n"}, &table);
  check_stop_strings({}, nullptr);
  refuse("setTokenBytes", {"ab"}, nullptr);
  refuse("stopStrings[1]", {"ab", ""}, &table);
  refuse("1024 bytes", {std::string(1025, 'a')}, &table);
  refuse("0x78", {"ab", "ax"}, &table);
  refuse("twice", {"ab", "c", "ab"}, &table);
  refuse("U+FFFD", {"a\xEF\xBF\xBD"}, &table);
  refuse("at most 64", std::vector<std::string>(65, "a"), &table);
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "at most 3", check(table, 3));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "rise", check(TokenBytes{{1, 2}, {0, 2, 1, 2}}, 9));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "end with 2", check(TokenBytes{{1, 2}, {0, 1}}, 9));
  CHECK_THROWS("ILR_INVALID_ARGUMENT", "start with 0", check(TokenBytes{{1, 2}, {1, 2}}, 9));
}

// Of a policy: one letter per token.
GenerateRequest letters_request(int64_t samples, int64_t max_new_tokens) {
  GenerateRequest request{};
  request.prompts = {{5, 9, 2, 41}, {0, 4}};
  request.samples_per_prompt = samples;
  for (uint64_t i = 0; i < static_cast<uint64_t>(samples); ++i) request.streams.push_back(i);
  request.max_new_tokens = max_new_tokens;
  request.temperature = 1;
  return request;
}

std::map<int64_t, Completion> complete(Policy& policy, const GenerateRequest& request) {
  std::map<int64_t, Completion> completions;
  policy.generate(request, [&](Completion c) { completions[c.index] = std::move(c); }, {}, {});
  return completions;
}

TEST("stop strings: a completion is what it would be without them, up to the token that completes one") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    std::vector<std::string> tokens;
    for (int i = 0; i < 60; ++i) tokens.push_back(i % 3 == 0 ? "ab" : i % 3 == 1 ? "b" : "a");  // the last writes nothing
    const TokenBytes table = table_of(tokens);
    GenerateRequest request = letters_request(40, 30);
    const auto whole = complete(policy, request);
    request.stop_strings = {"aaa", "bab"};
    CHECK_THROWS("ILR_INVALID_ARGUMENT", "setTokenBytes", complete(policy, request));
    policy.set_token_bytes(table);
    int stopped = 0;
    for (const auto& [index, c] : complete(policy, request)) {
      const std::vector<int32_t>& all = whole.at(index).ids;
      CHECK(std::equal(c.ids.begin(), c.ids.end(), all.begin()));
      std::string text;
      for (const int32_t id : c.ids) text += id < 60 ? tokens[static_cast<size_t>(id)] : "";
      const size_t first = std::min(text.find("aaa"), text.find("bab"));
      CHECK((c.finish_reason == FinishReason::stop) == (first != std::string::npos));
      if (first == std::string::npos) {
        CHECK_EQUAL(c.stop_string, -1);
        CHECK_EQUAL(c.ids.size(), all.size());
        continue;
      }
      ++stopped;
      CHECK_EQUAL(c.text_bytes, static_cast<int64_t>(first));
      CHECK_EQUAL(text.substr(first, 3), request.stop_strings[static_cast<size_t>(c.stop_string)]);
      const std::string last = c.ids.back() < 60 ? tokens[static_cast<size_t>(c.ids.back())] : "";
      CHECK(first + 3 > text.size() - last.size());  // the token before did not complete it
    }
    CHECK(stopped > 30);
  });
}

TEST("sampling: bad words never appear, a prompt's end may begin one") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    GenerateRequest request = letters_request(60, 30);
    // The most common pairs and tokens of free samples, and what most often comes first after the prompt's 41.
    std::map<std::vector<int32_t>, int> seen;
    for (const auto& [index, c] : complete(policy, request)) {
      ++seen[{41, c.ids[0]}];
      for (size_t i = 0; i + 1 < c.ids.size(); ++i) ++seen[{c.ids[i], c.ids[i + 1]}];
    }
    std::vector<std::vector<int32_t>> words{{7}};
    for (const auto& [pair, count] : seen) {
      if (count > 1) words.push_back(pair);
    }
    CHECK(words.size() > 50);
    for (const std::vector<int32_t>& word : words) {
      request.bad_words.ids.insert(request.bad_words.ids.end(), word.begin(), word.end());
      request.bad_words.offsets.push_back(static_cast<int32_t>(request.bad_words.ids.size()));
    }
    for (const auto& [index, c] : complete(policy, request)) {
      std::vector<int32_t> ids{5, 9, 2, 41};
      ids.insert(ids.end(), c.ids.begin(), c.ids.end());
      for (const std::vector<int32_t>& word : words) {
        CHECK(std::search(ids.begin() + 5 - static_cast<int64_t>(word.size()), ids.end(), word.begin(), word.end()) ==
              ids.end());
      }
    }
  });
}

// The second token, so that a cached row is drawn from too; the first is forced by a large bias.
TEST("sampling: a policy's completions follow the renormalised distribution of each option") {
  with_policy(golden("llama-untied"), "float64", [&](Policy& policy) {
    const at::Tensor logits = policy.state().logits({5, 9, 2, 41, 17})[-1].to(at::kDouble);
    GenerateRequest request = letters_request(draw_count, 1);
    request.prompts = {{5, 9, 2, 41, 17}, {0, 5}};
    const std::vector<std::function<void(GenerateRequest&)>> options{
        [](GenerateRequest& r) { r.top_k = 9; },
        [](GenerateRequest& r) { r.top_p = 0.8; },
        [](GenerateRequest& r) { r.min_p = 0.1; },
        [](GenerateRequest& r) { r.repetition_penalty = 1.4; },
        [](GenerateRequest& r) { r.temperature = 1.6, r.top_p = 0.95, r.top_k = 30, r.min_p = 0.02; },
    };
    for (const auto& set : options) {
      GenerateRequest changed = request;
      set(changed);
      GoldenCase c{changed, changed.prompts.ids, values_of<double>(logits), {}};
      c.probabilities = distribution(c, changed);
      std::vector<int32_t> first;
      for (const auto& [index, completion] : complete(policy, changed)) first.push_back(completion.ids[0]);
      const ChiSquare test = chi_square(first, c.probabilities);
      CHECK(test.freedom > 0);
      CHECK(test.statistic < test.limit());
    }
  });
}

TEST("sampling: with a fixed stream an option that leaves all tokens draws what none draws") {
  with_policy(golden("qwen2-tied"), "float64", [&](Policy& policy) {
    GenerateRequest request = letters_request(20, 25);
    const auto plain = complete(policy, request);
    request.top_p = 1 - 1e-12;
    request.min_p = 1e-12;
    request.top_k = 60;
    request.bad_words = {{60}, {0, 1}};
    request.logit_bias_ids = {60};
    request.logit_bias = {-50};
    const auto changed = complete(policy, request);
    int equal = 0;
    for (const auto& [index, c] : plain) equal += c.ids == changed.at(index).ids;
    CHECK(equal >= 10);  // token 60 itself may have come, and moves the draws of others by its mass
  });
}

TEST("sampling: options that mean nothing are refused by name") {
  with_policy(golden("qwen2-tied"), "float32", [&](Policy& policy) {
    const auto refuse = [&](const std::string& part, const std::function<void(GenerateRequest&)>& change) {
      GenerateRequest request = letters_request(1, 2);
      change(request);
      CHECK_THROWS("ILR_INVALID_ARGUMENT", part, complete(policy, request));
    };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double bad : {nan, -0.1, 0.0, 1.1}) refuse("topP", [&](GenerateRequest& r) { r.top_p = bad; });
    for (const double bad : {nan, -0.1, 1.1}) refuse("minP", [&](GenerateRequest& r) { r.min_p = bad; });
    for (const double bad : {nan, -1.0, 0.0, 1e9}) {
      refuse("repetitionPenalty", [&](GenerateRequest& r) { r.repetition_penalty = bad; });
    }
    refuse("topK", [](GenerateRequest& r) { r.top_k = -1; });
    refuse("logitBias.ids[1]", [](GenerateRequest& r) { r.logit_bias_ids = {1, 61}, r.logit_bias = {0, 0}; });
    refuse("twice", [](GenerateRequest& r) { r.logit_bias_ids = {1, 1}, r.logit_bias = {0, 0}; });
    refuse("logitBias.values", [](GenerateRequest& r) { r.logit_bias_ids = {1}, r.logit_bias = {0, 0}; });
    refuse("logitBias.values", [](GenerateRequest& r) { r.logit_bias_ids = {1}, r.logit_bias = {-INFINITY}; });
    refuse("badWords.ids[0]", [](GenerateRequest& r) { r.bad_words = {{61}, {0, 1}}; });
    refuse("badWords", [](GenerateRequest& r) { r.bad_words = {{}, {0, 0}}; });
    refuse("every token", [](GenerateRequest& r) {
      for (int32_t id = 0; id < vocab; ++id) {
        r.bad_words.ids.push_back(id);
        r.bad_words.offsets.push_back(id + 1);
      }
    });
  });
}

}  // namespace
}  // namespace ilr::test
