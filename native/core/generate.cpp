#include "generate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "error.h"
#include "random.h"
#include "sampler.h"
#include "stop_strings.h"

namespace ilr {
namespace {

constexpr int64_t kPrefillTokens = 4096;  // rows of one prefill pass
constexpr int64_t kMostSlots = 256;

// A prompt's rows in the cache and its last hidden state, held while completions of it are under way.
struct Region {
  int64_t prompt = -1;  // index of a unique prompt, -1: free
  int64_t users = 0;
};

struct Slot {
  int64_t completion = -1;  // -1: free
  int64_t region = 0;
  Completion result;
  StopStrings::Text text;
};

// Equal prompts are one: [P] index of the first equal prompt.
std::vector<int64_t> find_unique(const Ragged& prompts) {
  std::map<std::string_view, int64_t> first;
  std::vector<int64_t> unique;
  for (int64_t p = 0; p < prompts.size(); ++p) {
    const std::string_view bytes(reinterpret_cast<const char*>(prompts.begin(p)),
                                 static_cast<size_t>(prompts.length(p)) * sizeof(int32_t));
    unique.push_back(first.emplace(bytes, p).first->second);
  }
  return unique;
}

class Generator {
 public:
  Generator(const Model& model, const GenerateRequest& request, const TokenBytes* token_bytes, int64_t cache_byte_limit,
            const OnCompletion& on_completion, const OnToken& on_token, const Control& control)
      : model_(model), request_(request), on_completion_(on_completion), on_token_(on_token), control_(control),
        processor_(request, model.config().vocab_size), stop_strings_(request.stop_strings, token_bytes),
        unique_(find_unique(request.prompts)) {
    const int64_t context = model.config().max_positions;
    int64_t longest = 0, shortest = context;
    for (int64_t p = 0; p < request.prompts.size(); ++p) {
      const int64_t length = request.prompts.length(p);
      if (length >= context) {
        throw Error("ILR_INVALID_ARGUMENT", "prompt " + std::to_string(p) + ": expected at most " +
                                                std::to_string(context - 1) + " tokens (the model has " +
                                                std::to_string(context) + " positions), got " + std::to_string(length));
      }
      longest = std::max(longest, length);
      shortest = std::min(shortest, length);
    }
    prompt_rows_ = longest;
    new_rows_ = std::min(request.max_new_tokens, context - shortest);
    // Completions of equal prompts lie together, so that a prompt's rows can be given back early.
    const int64_t total = request.prompts.size() * request.samples_per_prompt;
    for (int64_t i = 0; i < total; ++i) order_.push_back(i);
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return prompt_of(a) < prompt_of(b); });

    const int64_t per_slot = (prompt_rows_ + new_rows_) * model.cache_bytes_per_row();
    const int64_t fit = std::max<int64_t>(1, cache_byte_limit / per_slot);
    const int64_t wanted = request.max_slots > 0 ? request.max_slots : std::min(kMostSlots, fit);
    slots_.resize(static_cast<size_t>(std::min(wanted, total)));
    regions_.resize(std::min<size_t>(slots_.size(), static_cast<size_t>(request.prompts.size())));
    cache_ = model.make_cache(static_cast<int64_t>(regions_.size()) * prompt_rows_ +
                              static_cast<int64_t>(slots_.size()) * new_rows_);
    const at::Tensor& w = model.output_head().weight_VC;
    last_hidden_ = at::empty({static_cast<int64_t>(regions_.size()), w.size(1)}, w.options());
    counters_.slots = static_cast<int64_t>(slots_.size());
  }

  GenerateCounters run() {
    for (;;) {
      while (admit()) {
      }
      if (active() == 0) return counters_;
      throw_if_aborted(control_);
      decode();
    }
  }

 private:
  int64_t prompt_of(int64_t completion) const { return unique_[completion / request_.samples_per_prompt]; }
  int64_t prompt_row(int64_t region) const { return region * prompt_rows_; }
  int64_t slot_row(int64_t slot) const {
    return static_cast<int64_t>(regions_.size()) * prompt_rows_ + slot * new_rows_;
  }
  int64_t active() const {
    return std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.completion >= 0; });
  }

  // Fills free slots: computes prompts that are not there yet, then draws each new completion's first token.
  // True where a completion ended at once, so that its slot is free again.
  bool admit() {
    std::vector<int64_t> admitted, to_compute;
    for (size_t s = 0; s < slots_.size() && next_ < order_.size(); ++s) {
      if (slots_[s].completion >= 0) continue;
      const int64_t completion = order_[next_++];
      const int64_t region = take_region(prompt_of(completion), to_compute);
      slots_[s] = {completion, region, {completion, {}, {}, FinishReason::length}, {}};
      admitted.push_back(static_cast<int64_t>(s));
    }
    if (admitted.empty()) return false;
    throw_if_aborted(control_);  // completions that end with their first token never reach decode
    prefill(to_compute);
    // One row of logits per prompt, however many completions start from it.
    std::map<int64_t, int64_t> row_of;
    std::vector<int64_t> regions, rows;
    for (const int64_t s : admitted) {
      const auto [found, is_new] = row_of.emplace(slots_[s].region, static_cast<int64_t>(regions.size()));
      if (is_new) regions.push_back(slots_[s].region);
      rows.push_back(found->second);
    }
    const at::Tensor index = at::tensor(at::ArrayRef<int64_t>(regions), at::kLong).to(last_hidden_.device());
    return append(admitted, rows, last_hidden_.index_select(0, index)) > 0 && next_ < order_.size();
  }

  int64_t take_region(int64_t prompt, std::vector<int64_t>& to_compute) {
    int64_t free = -1;
    for (size_t r = 0; r < regions_.size(); ++r) {
      if (regions_[r].prompt == prompt) {
        ++regions_[r].users;
        return static_cast<int64_t>(r);
      }
      if (regions_[r].users == 0 && free < 0) free = static_cast<int64_t>(r);
    }
    // There are as many regions as slots or prompts: one is free whenever a slot is.
    regions_[free] = {prompt, 1};
    to_compute.push_back(free);
    return free;
  }

  void prefill(const std::vector<int64_t>& regions) {
    for (size_t first = 0; first < regions.size();) {
      throw_if_aborted(control_);
      Packing packing;
      std::vector<int64_t> cache_rows, last_rows, filled;
      while (first < regions.size()) {
        const int64_t region = regions[first];
        const int64_t prompt = regions_[region].prompt, length = request_.prompts.length(prompt);
        if (packing.tokens() > 0 && packing.tokens() + length > kPrefillTokens) break;
        packing.append(request_.prompts.begin(prompt), length);
        packing.segments.back().own_begin = prompt_row(region);
        for (int64_t i = 0; i < length; ++i) cache_rows.push_back(prompt_row(region) + i);
        last_rows.push_back(packing.tokens() - 1);
        filled.push_back(region);
        ++first;
      }
      const at::Tensor hidden = model_.forward(packing, cache_rows, cache_);
      const auto device = hidden.device();
      last_hidden_.index_copy_(
          0, at::tensor(at::ArrayRef<int64_t>(filled), at::kLong).to(device),
          hidden.index_select(0, at::tensor(at::ArrayRef<int64_t>(last_rows), at::kLong).to(device)));
      counters_.prefill_tokens += packing.tokens();
    }
  }

  void decode() {
    std::vector<int64_t> slots, rows, cache_rows;
    Packing packing;
    for (size_t s = 0; s < slots_.size(); ++s) {
      const Slot& slot = slots_[s];
      if (slot.completion < 0) continue;
      const int64_t prompt = prompt_of(slot.completion), length = request_.prompts.length(prompt);
      const int64_t past = static_cast<int64_t>(slot.result.ids.size()) - 1;
      const int64_t row = packing.tokens();
      packing.ids.push_back(slot.result.ids.back());
      packing.positions.push_back(static_cast<int32_t>(length + past));
      packing.segments.push_back(
          {row, 1, prompt_row(slot.region), length, slot_row(static_cast<int64_t>(s)), past});
      cache_rows.push_back(slot_row(static_cast<int64_t>(s)) + past);
      slots.push_back(static_cast<int64_t>(s));
      rows.push_back(row);
    }
    const at::Tensor hidden = model_.forward(packing, cache_rows, cache_);
    ++counters_.decode_steps;
    append(slots, rows, hidden);
  }

  // Draws a token for each slot from its row of `hidden`, and gives back the slots that ended; how many did.
  int64_t append(const std::vector<int64_t>& slots, const std::vector<int64_t>& rows, const at::Tensor& hidden) {
    const at::Tensor logits = model_.output_head().logits(hidden);
    std::vector<Draw> draws;
    for (size_t i = 0; i < slots.size(); ++i) {
      const Slot& slot = slots_[slots[i]];
      const int64_t prompt = prompt_of(slot.completion);
      const std::span prompt_ids(request_.prompts.begin(prompt), static_cast<size_t>(request_.prompts.length(prompt)));
      draws.push_back({rows[i], uniform_at(request_.streams[slot.completion], slot.result.ids.size()),
                       {prompt_ids, slot.result.ids}});
    }
    const std::vector<Drawn> drawn = draw_tokens(logits, draws, request_.temperature, &processor_);
    int64_t ended = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
      Slot& slot = slots_[slots[i]];
      slot.result.ids.push_back(drawn[i].id);
      slot.result.logprobs.push_back(drawn[i].logprob);
      ++counters_.decode_tokens;
      if (on_token_) on_token_(slot.completion, drawn[i].id);
      if (has_ended(slot)) {
        finish(slot);
        ++ended;
      }
    }
    return ended;
  }

  bool has_ended(Slot& slot) const {
    const int64_t length = static_cast<int64_t>(slot.result.ids.size());
    const auto& stops = request_.stop_ids;
    const StopStrings::Match match = stop_strings_.append(slot.text, slot.result.ids.back());
    if (match.index >= 0) {
      slot.result.finish_reason = FinishReason::stop;
      slot.result.stop_string = match.index;
      slot.result.text_bytes = match.text_bytes;
    } else if (std::find(stops.begin(), stops.end(), slot.result.ids.back()) != stops.end()) {
      slot.result.finish_reason = FinishReason::stop;
    } else if (length >= request_.max_new_tokens) {
      slot.result.finish_reason = FinishReason::length;
    } else if (request_.prompts.length(prompt_of(slot.completion)) + length >= model_.config().max_positions) {
      slot.result.finish_reason = FinishReason::context;
    } else {
      return false;
    }
    return true;
  }

  void finish(Slot& slot) {
    --regions_[slot.region].users;
    slot.completion = -1;
    on_completion_(std::move(slot.result));
  }

  const Model& model_;
  const GenerateRequest& request_;
  const OnCompletion& on_completion_;
  const OnToken& on_token_;
  const Control& control_;
  LogitsProcessor processor_;
  StopStrings stop_strings_;
  std::vector<int64_t> unique_;
  std::vector<int64_t> order_;
  size_t next_ = 0;
  int64_t prompt_rows_ = 0;
  int64_t new_rows_ = 0;
  std::vector<Slot> slots_;
  std::vector<Region> regions_;
  KvCache cache_;
  at::Tensor last_hidden_;  // [regions, C]
  GenerateCounters counters_;
};

}  // namespace

void throw_if_aborted(const Control& control) {
  if (control.abort != nullptr && control.abort->load(std::memory_order_relaxed)) {
    throw Error("ILR_ABORTED", "the work was aborted");
  }
}

GenerateCounters generate(const Model& model, const GenerateRequest& request, const TokenBytes* token_bytes,
                          int64_t cache_byte_limit, const OnCompletion& on_completion, const OnToken& on_token,
                          const Control& control) {
  const at::NoGradGuard no_grad;
  if (request.prompts.size() == 0) return {};
  return Generator(model, request, token_bytes, cache_byte_limit, on_completion, on_token, control).run();
}

}  // namespace ilr
