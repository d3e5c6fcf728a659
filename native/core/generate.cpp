#include "generate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "abort.h"
#include "cache_pool.h"
#include "error.h"
#include "random.h"
#include "sampler.h"
#include "stop_strings.h"

namespace ilr {
namespace {

constexpr int64_t kPrefillTokens = 4096;  // rows of one prefill pass
constexpr int64_t kMostSlots = 256;
constexpr int64_t kFirstRows = 256;  // of a completion's run in the cache; it doubles as the completion grows

// A prompt's rows in the cache and its last hidden state, held while completions of it are under way or to come.
struct Region {
  CacheRun run;
  int64_t users = 0;
  at::Tensor last_hidden;  // [1, C]
};

struct Slot {
  int64_t age = -1;  // place in the order of admission, -1: free
  int64_t prompt = 0;
  CacheRun run;      // of the tokens it has written
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
        unique_(find_unique(request.prompts)), pool_(model, row_limit(model, request, cache_byte_limit)) {
    const int64_t context = model.config().max_positions;
    for (int64_t p = 0; p < request.prompts.size(); ++p) {
      const int64_t length = request.prompts.length(p);
      if (length >= context) {
        throw Error("ILR_INVALID_ARGUMENT", "prompt " + std::to_string(p) + ": expected at most " +
                                                std::to_string(context - 1) + " tokens (the model has " +
                                                std::to_string(context) + " positions), got " + std::to_string(length));
      }
    }
    // Completions of equal prompts lie together, so that a prompt's rows can be given back early.
    const int64_t total = request.prompts.size() * request.samples_per_prompt;
    for (int64_t i = 0; i < total; ++i) order_.push_back(i);
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return prompt_of(a) < prompt_of(b); });
    slots_.resize(static_cast<size_t>(std::min(request.max_slots > 0 ? request.max_slots : kMostSlots, total)));
    counters_.slots = static_cast<int64_t>(slots_.size());
    reserve();
  }

  GenerateCounters run() {
    for (;;) {
      while (admit()) {
      }
      if (active() == 0) return counters_;
      throw_if_aborted(control_);
      make_room();
      if (active() > 0) decode();
    }
  }

 private:
  // The longest prompt and the longest completion always find room together, whatever the limit.
  static int64_t row_limit(const Model& model, const GenerateRequest& request, int64_t byte_limit) {
    int64_t longest_prompt = 0, longest_completion = 0;
    for (int64_t p = 0; p < request.prompts.size(); ++p) {
      longest_prompt = std::max(longest_prompt, request.prompts.length(p));
      longest_completion = std::max(longest_completion, most_new_rows(model, request, p));
    }
    return std::max(byte_limit / model.cache_bytes_per_row(),
                    CachePool::whole_blocks(longest_prompt) + CachePool::whole_blocks(longest_completion));
  }

  static int64_t most_new_rows(const Model& model, const GenerateRequest& request, int64_t prompt) {
    return std::min(request.max_new_tokens, model.config().max_positions - request.prompts.length(prompt));
  }

  int64_t prompt_of(int64_t completion) const { return unique_[completion / request_.samples_per_prompt]; }
  int64_t most_rows(int64_t prompt) const { return most_new_rows(model_, request_, prompt); }
  int64_t first_rows(int64_t prompt) const { return std::min(kFirstRows, most_rows(prompt)); }
  int64_t active() const {
    return std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.age >= 0; });
  }

  // Rows of the completions that start at once, so that the cache does not grow under them.
  void reserve() {
    int64_t rows = 0, last = -1;
    for (size_t i = 0; i < slots_.size(); ++i) {
      const int64_t prompt = prompt_of(order_[i]);
      if (prompt != last) rows += CachePool::whole_blocks(request_.prompts.length(prompt));
      rows += CachePool::whole_blocks(first_rows(prompt));
      last = prompt;
    }
    pool_.reserve(rows);
  }

  // Fills free slots while the cache has room: completions that were put off first, then new ones. Computes what is not in
  // the cache, then draws each new completion's first token. True where one ended at once, so that its slot is free again.
  bool admit() {
    std::vector<int64_t> started, resumed, to_compute;
    for (size_t s = 0; s < slots_.size(); ++s) {
      Slot& slot = slots_[s];
      if (slot.age >= 0) continue;
      if (!put_off_.empty()) {
        Slot& paused = put_off_.front();
        const auto written = static_cast<int64_t>(paused.result.ids.size());
        if (!place(paused, std::min(most_rows(paused.prompt), std::max(kFirstRows, 2 * written)), to_compute)) break;
        slot = std::move(paused);
        put_off_.pop_front();
        resumed.push_back(static_cast<int64_t>(s));
      } else if (next_ < order_.size()) {
        const int64_t completion = order_[next_], prompt = prompt_of(completion);
        Slot fresh{static_cast<int64_t>(next_), prompt, {}, {completion, {}, {}, FinishReason::length}, {}};
        if (!place(fresh, first_rows(prompt), to_compute)) break;
        slot = std::move(fresh);
        ++next_;
        started.push_back(static_cast<int64_t>(s));
      }
    }
    if (started.empty() && resumed.empty()) return false;
    throw_if_aborted(control_);  // completions that end with their first token never reach decode
    compute_prompts(to_compute);
    compute_again(resumed);
    if (started.empty()) return false;
    // One row of logits per prompt, however many completions start from it.
    std::map<int64_t, int64_t> row_of;
    std::vector<at::Tensor> hidden;
    std::vector<int64_t> rows;
    for (const int64_t s : started) {
      const int64_t prompt = slots_[s].prompt;
      const auto [found, is_new] = row_of.emplace(prompt, static_cast<int64_t>(hidden.size()));
      if (is_new) hidden.push_back(regions_.at(prompt).last_hidden);
      rows.push_back(found->second);
    }
    return append(started, rows, at::cat(hidden)) > 0 && (next_ < order_.size() || !put_off_.empty());
  }

  // Finds room for a completion and, where it is not there yet, its prompt, which joins `to_compute`.
  bool place(Slot& slot, int64_t rows, std::vector<int64_t>& to_compute) {
    const auto [found, is_new] = regions_.try_emplace(slot.prompt);
    Region& region = found->second;
    ++region.users;
    if (is_new) {
      const auto run = take(request_.prompts.length(slot.prompt));
      if (!run) {
        regions_.erase(found);
        return false;
      }
      region.run = *run;
    }
    const auto run = take(rows);
    if (!run) {
      --region.users;
      if (is_new) drop(found);
      return false;
    }
    slot.run = *run;
    if (is_new) to_compute.push_back(slot.prompt);
    return true;
  }

  std::optional<CacheRun> take(int64_t rows) {
    auto run = pool_.take(rows);
    while (!run && drop_idle_region()) run = pool_.take(rows);
    return run;
  }

  // A prompt's rows that no completion under way reads; it is computed again when one does.
  bool drop_idle_region() {
    const auto idle =
        std::find_if(regions_.begin(), regions_.end(), [](const auto& entry) { return entry.second.users == 0; });
    if (idle == regions_.end()) return false;
    drop(idle);
    return true;
  }

  void drop(std::map<int64_t, Region>::iterator region) {
    pool_.give_back(region->second.run);
    regions_.erase(region);
  }

  // Makes each run long enough for one more row, the oldest completion's first. Where the cache is full the youngest is put
  // off: its rows are given up, and computed again when there is room. So the oldest always goes on.
  void make_room() {
    std::vector<int64_t> by_age;
    for (size_t s = 0; s < slots_.size(); ++s) {
      if (slots_[s].age >= 0) by_age.push_back(static_cast<int64_t>(s));
    }
    std::sort(by_age.begin(), by_age.end(), [&](int64_t a, int64_t b) { return slots_[a].age < slots_[b].age; });
    for (size_t i = 0; i < by_age.size(); ++i) {
      Slot& slot = slots_[by_age[i]];
      const auto past = static_cast<int64_t>(slot.result.ids.size()) - 1;
      while (slot.run.rows <= past) {
        if (pool_.extend(slot.run, std::min(2 * slot.run.rows, most_rows(slot.prompt)), past)) break;
        if (drop_idle_region()) continue;
        put_off(slots_[by_age.back()]);
        by_age.pop_back();
        if (i == by_age.size()) return;
      }
    }
  }

  void put_off(Slot& slot) {
    pool_.give_back(slot.run);
    --regions_.at(slot.prompt).users;
    ++counters_.put_off;
    put_off_.push_front(std::move(slot));  // younger ones wait behind it
    slot = {};
  }

  void compute_prompts(const std::vector<int64_t>& prompts) {
    for (size_t first = 0; first < prompts.size();) {
      throw_if_aborted(control_);
      Packing packing;
      std::vector<int64_t> cache_rows, last_rows;
      const size_t begin = first;
      for (; first < prompts.size(); ++first) {
        const int64_t prompt = prompts[first], length = request_.prompts.length(prompt);
        if (packing.tokens() > 0 && packing.tokens() + length > kPrefillTokens) break;
        packing.append(request_.prompts.begin(prompt), length);
        const int64_t row = regions_.at(prompt).run.begin;
        packing.segments.back().own_begin = row;
        for (int64_t i = 0; i < length; ++i) cache_rows.push_back(row + i);
        last_rows.push_back(packing.tokens() - 1);
      }
      const at::Tensor hidden = model_.forward(packing, cache_rows, pool_.cache());
      const at::Tensor last =
          hidden.index_select(0, at::tensor(at::ArrayRef<int64_t>(last_rows), at::kLong).to(hidden.device()));
      for (size_t i = begin; i < first; ++i) {
        regions_.at(prompts[i]).last_hidden = last.narrow(0, static_cast<int64_t>(i - begin), 1);
        // A prompt that comes back after its rows were given up does not count again.
        if (computed_.insert(prompts[i]).second) {
          counters_.prefill_tokens += request_.prompts.length(prompts[i]);
        } else {
          counters_.recomputed_tokens += request_.prompts.length(prompts[i]);
        }
      }
    }
  }

  // The rows of completions that were put off: of all they have written but the last token, which is decoded next.
  void compute_again(const std::vector<int64_t>& slots) {
    for (const int64_t s : slots) {
      throw_if_aborted(control_);
      const Slot& slot = slots_[s];
      const auto written = static_cast<int64_t>(slot.result.ids.size()) - 1;
      if (written == 0) continue;
      Packing packing;
      std::vector<int64_t> cache_rows;
      packing.append(slot.result.ids.data(), written, regions_.at(slot.prompt).run.begin,
                     request_.prompts.length(slot.prompt));
      packing.segments.back().own_begin = slot.run.begin;
      for (int64_t i = 0; i < written; ++i) cache_rows.push_back(slot.run.begin + i);
      model_.forward(packing, cache_rows, pool_.cache());
      counters_.recomputed_tokens += written;
    }
  }

  void decode() {
    std::vector<int64_t> slots, rows, cache_rows;
    Packing packing;
    for (size_t s = 0; s < slots_.size(); ++s) {
      const Slot& slot = slots_[s];
      if (slot.age < 0) continue;
      const int64_t length = request_.prompts.length(slot.prompt);
      const int64_t past = static_cast<int64_t>(slot.result.ids.size()) - 1;
      const int64_t row = packing.tokens();
      packing.ids.push_back(slot.result.ids.back());
      packing.positions.push_back(static_cast<int32_t>(length + past));
      packing.segments.push_back({row, 1, regions_.at(slot.prompt).run.begin, length, slot.run.begin, past});
      cache_rows.push_back(slot.run.begin + past);
      slots.push_back(static_cast<int64_t>(s));
      rows.push_back(row);
    }
    const at::Tensor hidden = model_.forward(packing, cache_rows, pool_.cache());
    ++counters_.decode_steps;
    append(slots, rows, hidden);
  }

  // Draws a token for each slot from its row of `hidden`, and gives back the slots that ended; how many did.
  int64_t append(const std::vector<int64_t>& slots, const std::vector<int64_t>& rows, const at::Tensor& hidden) {
    const at::Tensor logits = model_.output_head().logits(hidden);
    std::vector<Draw> draws;
    for (size_t i = 0; i < slots.size(); ++i) {
      const Slot& slot = slots_[slots[i]];
      const std::span prompt_ids(request_.prompts.begin(slot.prompt),
                                 static_cast<size_t>(request_.prompts.length(slot.prompt)));
      draws.push_back({rows[i], uniform_at(request_.streams[slot.result.index], slot.result.ids.size()),
                       {prompt_ids, slot.result.ids}});
    }
    const std::vector<Drawn> drawn = draw_tokens(logits, draws, request_.temperature, &processor_);
    int64_t ended = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
      Slot& slot = slots_[slots[i]];
      slot.result.ids.push_back(drawn[i].id);
      slot.result.logprobs.push_back(drawn[i].logprob);
      ++counters_.decode_tokens;
      if (on_token_) on_token_(slot.result.index, drawn[i].id);
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
    } else if (request_.prompts.length(slot.prompt) + length >= model_.config().max_positions) {
      slot.result.finish_reason = FinishReason::context;
    } else {
      return false;
    }
    return true;
  }

  void finish(Slot& slot) {
    pool_.give_back(slot.run);
    const auto region = regions_.find(slot.prompt);
    if (--region->second.users == 0 && !is_awaited(slot.prompt)) drop(region);
    slot.age = -1;
    on_completion_(std::move(slot.result));
  }

  // Whether a completion of the prompt is still to come.
  bool is_awaited(int64_t prompt) const {
    return (next_ < order_.size() && prompt_of(order_[next_]) == prompt) ||
           std::any_of(put_off_.begin(), put_off_.end(), [&](const Slot& slot) { return slot.prompt == prompt; });
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
  std::vector<Slot> slots_;
  std::deque<Slot> put_off_;           // the oldest first
  std::map<int64_t, Region> regions_;  // by unique prompt
  std::set<int64_t> computed_;         // prompts, once or more
  CachePool pool_;
  GenerateCounters counters_;
};

}  // namespace

GenerateCounters generate(const Model& model, const GenerateRequest& request, const TokenBytes* token_bytes,
                          int64_t cache_byte_limit, const OnCompletion& on_completion, const OnToken& on_token,
                          const Control& control) {
  const at::NoGradGuard no_grad;
  if (request.prompts.size() == 0) return {};
  return Generator(model, request, token_bytes, cache_byte_limit, on_completion, on_token, control).run();
}

}  // namespace ilr
