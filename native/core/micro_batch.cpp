#include "micro_batch.h"

#include <algorithm>

namespace ilr {

std::vector<MicroBatch> cut(const TrainingBatch& b, int64_t budget, const std::function<bool(int64_t)>& is_wanted) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < b.completions.size(); ++i) {
    if (is_wanted(i)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t x, int64_t y) { return b.prompt_index[x] < b.prompt_index[y]; });
  std::vector<MicroBatch> batches;
  int64_t used = 0;
  for (const int64_t i : order) {
    const bool is_new_prompt = batches.empty() || b.prompt_index[batches.back().back()] != b.prompt_index[i];
    const int64_t prompt = b.prompts.length(b.prompt_index[i]), own = b.completions.length(i);
    if (batches.empty() || used + own + (is_new_prompt ? prompt : 0) > budget) {
      batches.emplace_back();
      used = prompt;
    } else if (is_new_prompt) {
      used += prompt;
    }
    used += own;
    batches.back().push_back(i);
  }
  return batches;
}

Packing pack(const TrainingBatch& b, const MicroBatch& micro, TrainedTokens& tokens) {
  Packing packing;
  int64_t prompt = -1, prompt_row = 0, prompt_length = 0;
  for (size_t k = 0; k < micro.size(); ++k) {
    const int64_t i = micro[k];
    if (b.prompt_index[i] != prompt) {
      if (prompt >= 0) packing.close_family();
      prompt = b.prompt_index[i];
      prompt_length = b.prompts.length(prompt);
      prompt_row = packing.append(b.prompts.begin(prompt), prompt_length);
    }
    const int64_t row = packing.append(b.completions.begin(i), b.completions.length(i), prompt_row, prompt_length);
    const int64_t first = b.completions.offsets[i];
    for (int64_t t = 0; t < b.completions.length(i); ++t) {
      if (b.mask[first + t] == 0) continue;
      tokens.sources.push_back(t > 0 ? row + t - 1 : prompt_row + prompt_length - 1);
      tokens.targets.push_back(b.completions.ids[first + t]);
      tokens.places.push_back(first + t);
      tokens.completions.push_back(static_cast<int64_t>(k));
    }
  }
  packing.close_family();
  return packing;
}

}  // namespace ilr
