#include "device.h"
#include "kernels.h"

// Log-softmax, entropy and the target's log-prob of rows of logits in one read, their gradient in another, and drawing
// tokens. A block takes one row.
namespace ilr::cuda {
namespace {

constexpr int kThreads = 256;

// Running sums of a softmax: with e = exp(x - top), sum of e and of e * (x - top).
struct Softmax {
  float top = -INFINITY, sum = 0, weighted = 0;

  __device__ void add(float x) {
    if (x == -INFINITY) return;  // an impossible token
    if (x > top) {
      move(x);
      sum += 1;
    } else {
      const float e = expf(x - top);
      sum += e;
      weighted += e * (x - top);
    }
  }
  __device__ void move(float new_top) {
    if (sum > 0) {
      const float shrink = expf(top - new_top);
      weighted = shrink * (weighted + (top - new_top) * sum);
      sum *= shrink;
    }
    top = new_top;
  }
};

template <typename T>
__global__ void score_row(const T* logits, const int64_t* targets, float* logprobs, float* entropies, float* lse,
                          int64_t vocab, float inverse_temperature) {
  const int64_t row = blockIdx.x;
  logits += row * vocab;
  Softmax own;
  for (int64_t i = threadIdx.x; i < vocab; i += blockDim.x) own.add(to_float(logits[i]) * inverse_temperature);
  const float top = reduce_block(own.top, Max{});
  if (own.top < top) own.move(top);
  const float sum = reduce_block(own.sum, Add{}), weighted = reduce_block(own.weighted, Add{});
  if (threadIdx.x != 0) return;
  const float log_sum = logf(sum);
  logprobs[row] = to_float(logits[targets[row]]) * inverse_temperature - top - log_sum;
  entropies[row] = log_sum - weighted / sum;
  lse[row] = top + log_sum;
}

// d logprob / d logit_i = ([i = target] - p_i) / temperature, d entropy / d logit_i = -p_i (log p_i + entropy) / temperature.
template <typename T>
__global__ void score_gradient(T* logits, const int64_t* targets, const float* entropies, const float* lse,
                               const float* dlogprobs, const float* dentropies, int64_t vocab, float inverse_temperature) {
  const int64_t row = blockIdx.x, target = targets[row];
  logits += row * vocab;
  const float log_sum = lse[row], entropy = entropies[row];
  const float dlogprob = dlogprobs != nullptr ? dlogprobs[row] * inverse_temperature : 0;
  const float dentropy = dentropies != nullptr ? dentropies[row] * inverse_temperature : 0;
  for (int64_t i = threadIdx.x; i < vocab; i += blockDim.x) {
    const float logp = to_float(logits[i]) * inverse_temperature - log_sum, p = expf(logp);
    float gradient = (i == target ? dlogprob : 0) - dlogprob * p;
    if (dentropy != 0 && p > 0) gradient -= dentropy * p * (logp + entropy);
    logits[i] = from_float<T>(gradient);
  }
}

// Threads own runs of the vocabulary, in order, so that the token is where u falls among the probabilities.
template <typename T>
__global__ void sample_row(const T* logits, const int64_t* rows, const double* us, int32_t* ids, float* logprobs,
                           int64_t vocab, float inverse_temperature) {
  __shared__ double masses[kThreads];
  __shared__ double below;   // mass in front of the chosen run
  __shared__ int chosen_run;
  const int64_t draw = blockIdx.x, run = (vocab + kThreads - 1) / kThreads;
  const int64_t begin = threadIdx.x * run, end = begin + run < vocab ? begin + run : vocab;
  logits += rows[draw] * vocab;
  const bool greedy = inverse_temperature == 0;
  const float scale = greedy ? 1 : inverse_temperature;

  float own_top = -INFINITY;
  for (int64_t i = begin; i < end; ++i) own_top = Max{}(own_top, to_float(logits[i]));
  const float top = reduce_block(own_top, Max{});
  double mass = 0;
  for (int64_t i = begin; i < end; ++i) mass += static_cast<double>(expf((to_float(logits[i]) - top) * scale));
  masses[threadIdx.x] = mass;
  __syncthreads();
  double total = 0;
  for (int t = 0; t < kThreads; ++t) total += masses[t];
  if (threadIdx.x == 0) {
    // The last run with any mass stands in where rounding leaves the target beyond the sum.
    const double target = us[draw] * total;
    double sum = 0;
    chosen_run = 0;
    below = 0;
    for (int t = 0; t < kThreads; ++t) {
      if (!(masses[t] > 0)) continue;
      chosen_run = t;
      below = sum;
      sum += masses[t];
      if (sum > target) break;
    }
    if (greedy) chosen_run = -1;
  }
  __syncthreads();
  int64_t token = -1;
  if (greedy) {
    for (int64_t i = begin; i < end && token < 0; ++i) {
      if (to_float(logits[i]) == top) token = i;
    }
    // The first run that has one.
    const int first = reduce_block(token < 0 ? kThreads : static_cast<int>(threadIdx.x),
                                   [](int a, int b) { return a < b ? a : b; });
    if (first == kThreads && threadIdx.x == 0) token = 0;  // nothing but NaN: the log-prob says so
    if (first != kThreads && first != static_cast<int>(threadIdx.x)) token = -1;
  } else if (static_cast<int>(threadIdx.x) == chosen_run) {
    const double target = us[draw] * total;
    double sum = below;
    token = begin;
    for (int64_t i = begin; i < end; ++i) {
      const float e = expf((to_float(logits[i]) - top) * scale);
      if (!(e > 0)) continue;
      token = i;
      sum += static_cast<double>(e);
      if (sum > target) break;
    }
  }
  if (token < 0) return;
  ids[draw] = static_cast<int32_t>(token);
  logprobs[draw] = static_cast<float>(static_cast<double>((to_float(logits[token]) - top) * scale) - log(total));
}

}  // namespace

void score(Stream stream, Element element, const void* logits, const int64_t* targets, float* logprobs, float* entropies,
           float* lse, int64_t rows, int64_t vocab, float inverse_temperature) {
  if (rows == 0) return;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(score_row<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), stream, static_cast<const T*>(logits), targets,
           logprobs, entropies, lse, vocab, inverse_temperature);
  });
}

void score_backward(Stream stream, Element element, void* logits, const int64_t* targets, const float* entropies,
                    const float* lse, const float* dlogprobs, const float* dentropies, int64_t rows, int64_t vocab,
                    float inverse_temperature) {
  if (rows == 0) return;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(score_gradient<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), stream, static_cast<T*>(logits), targets,
           entropies, lse, dlogprobs, dentropies, vocab, inverse_temperature);
  });
}

void sample(Stream stream, Element element, const void* logits, const int64_t* rows, const double* u, int32_t* ids,
            float* logprobs, int64_t draws, int64_t vocab, float inverse_temperature) {
  if (draws == 0) return;
  with_element<Bf16>(element, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(sample_row<T>, dim3(static_cast<unsigned>(draws)), dim3(kThreads), stream, static_cast<const T*>(logits), rows,
           u, ids, logprobs, vocab, inverse_temperature);
  });
}

}  // namespace ilr::cuda
