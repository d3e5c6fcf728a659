#include "sampler.h"

#include <ATen/Parallel.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "cpu_kernels.h"
#include "error.h"
#include "gpu.h"

namespace ilr {
namespace {

constexpr int32_t kNone = -1;

void check_drawn(const std::vector<Drawn>& drawn) {
  for (const Drawn& d : drawn) {
    if (d.id == kNone) {
      throw Error("ILR_INVALID_ARGUMENT", "badWords: they rule out every token that could come next; leave some out");
    }
    if (!std::isfinite(d.logprob)) {
      throw Error("ILR_TORCH", "the model's logits are not finite: the weights hold NaN or infinity, or have diverged");
    }
  }
}

template <typename T>
Drawn greedy(const T* logits, int64_t vocab) {
  int64_t best = 0;
  for (int64_t i = 1; i < vocab; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  double sum = 0;
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[i]) - static_cast<double>(logits[best]));
  return {static_cast<int32_t>(best), static_cast<float>(-std::log(sum))};
}

template <typename T>
std::vector<Drawn> draw_on_cpu(const at::Tensor& logits, const std::vector<Draw>& draws, double temperature) {
  const int64_t vocab = logits.size(1);
  const T* base = logits.const_data_ptr<T>();
  std::vector<Drawn> drawn(draws.size());
  const int64_t grain = std::max<int64_t>(1, 32768 / vocab);
  at::parallel_for(0, static_cast<int64_t>(draws.size()), grain, [&](int64_t begin, int64_t end) {
    const auto scratch = std::make_unique<T[]>(static_cast<size_t>(vocab));
    for (int64_t i = begin; i < end; ++i) {
      const T* row = base + draws[i].row * vocab;
      if (temperature == 0) {
        drawn[i] = greedy(row, vocab);
      } else {
        int32_t id = 0;
        const double logprob = cpu_kernels<T>().sample(row, scratch.get(), vocab, 1 / temperature, draws[i].u, &id);
        drawn[i] = {id, static_cast<float>(logprob)};
      }
    }
  });
  return drawn;
}

template <typename T>
double log_softmax_at(const T* logits, int64_t vocab, int64_t id, double inverse_temperature) {
  const double top = static_cast<double>(*std::max_element(logits, logits + vocab));
  double sum = 0;
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp((static_cast<double>(logits[i]) - top) * inverse_temperature);
  return (static_cast<double>(logits[id]) - top) * inverse_temperature - std::log(sum);
}

int32_t most_likely(const std::vector<double>& scores) {
  return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

int32_t draw_one(const std::vector<double>& scores, double u) {
  const double top = scores[static_cast<size_t>(most_likely(scores))];
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - top);
  const double target = u * sum;
  double mass = 0;
  int32_t chosen = kNone;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double weight = std::exp(scores[i] - top);
    if (!(weight > 0)) continue;
    chosen = static_cast<int32_t>(i);
    mass += weight;
    if (mass > target) break;
  }
  return chosen;
}

template <typename T>
Drawn draw_changed(const T* logits, int64_t vocab, const Draw& draw, double temperature,
                   const LogitsProcessor& processor) {
  const double inverse_temperature = temperature == 0 ? 1 : 1 / temperature;
  std::vector<double> scores(logits, logits + vocab);
  // Nothing below may compare NaN. A logit of -infinity is a token that never comes.
  for (const double score : scores) {
    if (!(score < std::numeric_limits<double>::infinity())) return {0, std::numeric_limits<float>::quiet_NaN()};
  }
  processor.adjust(scores, draw.history);
  if (std::isinf(scores[static_cast<size_t>(most_likely(scores))])) return {kNone, 0};
  int32_t id = 0;
  if (temperature == 0) {
    id = most_likely(scores);
  } else {
    for (double& score : scores) score *= inverse_temperature;
    processor.truncate(scores);
    id = draw_one(scores, draw.u);
  }
  return {id, static_cast<float>(log_softmax_at(logits, vocab, id, inverse_temperature))};
}

template <typename T>
std::vector<Drawn> draw_changed_rows(const at::Tensor& logits, const std::vector<Draw>& draws, double temperature,
                                     const LogitsProcessor& processor) {
  const int64_t vocab = logits.size(1);
  const T* base = logits.const_data_ptr<T>();
  std::vector<Drawn> drawn(draws.size());
  at::parallel_for(0, static_cast<int64_t>(draws.size()), std::max<int64_t>(1, 4096 / vocab),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       drawn[i] = draw_changed(base + draws[i].row * vocab, vocab, draws[i], temperature, processor);
                     }
                   });
  return drawn;
}

// Rows that a processor changes are drawn on the CPU, whatever the device: one code, one result.
std::vector<Drawn> draw_changed_anywhere(const at::Tensor& logits_RV, const std::vector<Draw>& draws,
                                         double temperature, const LogitsProcessor& processor) {
  const bool is_double = logits_RV.scalar_type() == at::kDouble;
  const at::Tensor logits = logits_RV.to(at::kCPU, is_double ? at::kDouble : at::kFloat).contiguous();
  return is_double ? draw_changed_rows<double>(logits, draws, temperature, processor)
                   : draw_changed_rows<float>(logits, draws, temperature, processor);
}

// The same in ATen operations, for a device without a kernel.
std::vector<Drawn> draw_anywhere(const at::Tensor& logits_RV, const std::vector<Draw>& draws, double temperature) {
  std::vector<int64_t> rows;
  std::vector<double> us;
  for (const Draw& d : draws) {
    rows.push_back(d.row);
    us.push_back(d.u);
  }
  const auto device = logits_RV.device();
  at::Tensor logits = logits_RV.index_select(0, at::tensor(at::ArrayRef<int64_t>(rows), at::kLong).to(device));
  if (temperature > 0) logits = logits.div(temperature);
  const at::Tensor logp = at::log_softmax(logits.to(at::kDouble), -1);
  at::Tensor ids;
  if (temperature == 0) {
    ids = logp.argmax(-1);
  } else {
    const at::Tensor mass = at::cumsum(logp.exp(), -1);
    const at::Tensor u = at::tensor(at::ArrayRef<double>(us), at::kDouble).to(device).unsqueeze(1);
    ids = at::searchsorted(mass, u.mul(mass.narrow(1, mass.size(1) - 1, 1)), false, true).squeeze(1);
    ids = ids.clamp(0, mass.size(1) - 1);
  }
  const at::Tensor chosen = logp.gather(1, ids.unsqueeze(1)).squeeze(1).cpu();
  const at::Tensor host_ids = ids.cpu();
  std::vector<Drawn> drawn;
  for (int64_t i = 0; i < host_ids.numel(); ++i) {
    drawn.push_back({static_cast<int32_t>(host_ids.const_data_ptr<int64_t>()[i]),
                     static_cast<float>(chosen.const_data_ptr<double>()[i])});
  }
  return drawn;
}

}  // namespace

std::vector<Drawn> draw_tokens(const at::Tensor& logits_RV, const std::vector<Draw>& draws, double temperature,
                               const LogitsProcessor* processor) {
  const bool is_cpu = logits_RV.device().is_cpu();
  std::vector<Drawn> drawn;
  if (processor != nullptr && processor->is_active()) {
    drawn = draw_changed_anywhere(logits_RV, draws, temperature, *processor);
  } else if (const auto* kernels = gpu::kernels_for(logits_RV)) {
    drawn = gpu::draw_tokens(*kernels, logits_RV, draws, temperature);
  } else if (is_cpu && logits_RV.scalar_type() == at::kFloat) {
    drawn = draw_on_cpu<float>(logits_RV, draws, temperature);
  } else if (is_cpu && logits_RV.scalar_type() == at::kDouble) {
    drawn = draw_on_cpu<double>(logits_RV, draws, temperature);
  } else {
    drawn = draw_anywhere(logits_RV, draws, temperature);
  }
  check_drawn(drawn);
  return drawn;
}

}  // namespace ilr
