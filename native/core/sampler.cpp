#include "sampler.h"

#include <ATen/Parallel.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <memory>

#include "cpu_kernels.h"
#include "error.h"
#include "gpu.h"

namespace ilr {
namespace {

void check_finite(const std::vector<Drawn>& drawn) {
  for (const Drawn& d : drawn) {
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

std::vector<Drawn> draw_tokens(const at::Tensor& logits_RV, const std::vector<Draw>& draws, double temperature) {
  std::vector<Drawn> drawn;
  if (const auto* kernels = gpu::kernels_for(logits_RV)) {
    drawn = gpu::draw_tokens(*kernels, logits_RV, draws, temperature);
  } else if (!logits_RV.device().is_cpu()) {
    drawn = draw_anywhere(logits_RV, draws, temperature);
  } else if (logits_RV.scalar_type() == at::kFloat) {
    drawn = draw_on_cpu<float>(logits_RV, draws, temperature);
  } else {
    drawn = draw_on_cpu<double>(logits_RV, draws, temperature);
  }
  check_finite(drawn);
  return drawn;
}

}  // namespace ilr
