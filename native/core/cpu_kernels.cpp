// Compiled with -ffast-math (this file only): sums may be reordered and exp vectorised. Nothing here tests for NaN or
// infinity; callers do. Nothing of the standard library's templates is used: a copy of one made here, with instructions
// that the machine may lack, could become the copy that the whole program calls.
#include "cpu_kernels.h"

#include <cmath>
#include <cstdlib>
#include <new>

#ifndef ILR_CPU_CAPABILITY
#define ILR_CPU_CAPABILITY base
#endif

namespace ilr::ILR_CPU_CAPABILITY {
namespace {

// A head size known to the compiler unrolls the inner loops, which are too short to be worth a counted one.
template <int N>
struct HeadDim {
  static constexpr int64_t value = N;
  explicit HeadDim(int64_t) {}
  operator int64_t() const { return N; }
};
template <>
struct HeadDim<0> {
  int64_t value;
  explicit HeadDim(int64_t d) : value(d) {}
  operator int64_t() const { return value; }
};

template <typename F>
void with_head_dim(int64_t d, F&& f) {
  switch (d) {
    case 16: return f(HeadDim<16>(d));
    case 24: return f(HeadDim<24>(d));
    case 32: return f(HeadDim<32>(d));
    case 64: return f(HeadDim<64>(d));
    case 128: return f(HeadDim<128>(d));
    default: return f(HeadDim<0>(d));
  }
}

template <typename T, typename Dim>
inline T dot(const T* a, const T* b, const Dim& dim) {
  T sum = 0;
  for (int64_t i = 0; i < dim; ++i) sum += a[i] * b[i];
  return sum;
}

template <typename T, typename Dim>
inline void axpy(T* y, T a, const T* x, const Dim& dim) {
  for (int64_t i = 0; i < dim; ++i) y[i] += a * x[i];
}

// The keys that one query row sees: the last `count` of a segment's prefix and own rows, in order.
struct Keys {
  int64_t prefix_begin, prefix_count, own_begin, own_count;
  int64_t count() const { return prefix_count + own_count; }
};

inline Keys keys_of(const Segment& s, int64_t j, int64_t window) {
  const int64_t own = s.own_past + j + 1, all = s.prefix_len + own;
  const int64_t skipped = window > 0 && all > window ? all - window : 0;
  const int64_t skipped_prefix = skipped < s.prefix_len ? skipped : s.prefix_len;
  const int64_t skipped_own = skipped - skipped_prefix;
  return {s.prefix_begin + skipped_prefix, s.prefix_len - skipped_prefix, s.own_begin + skipped_own, own - skipped_own};
}

template <typename T, typename F>
inline void each_key(const T* base, int64_t stride, int64_t offset, const Keys& keys, F&& f) {
  const T* prefix = base + keys.prefix_begin * stride + offset;
  for (int64_t i = 0; i < keys.prefix_count; ++i) f(i, prefix + i * stride);
  const T* rows = base + keys.own_begin * stride + offset;
  for (int64_t i = 0; i < keys.own_count; ++i) f(keys.prefix_count + i, rows + i * stride);
}

// Scores bent towards +-softcap; slope [n] takes the derivative, where it is wanted.
template <typename T>
inline void cap_scores(T* scores, T* slope, int64_t n, T softcap) {
  for (int64_t i = 0; i < n; ++i) {
    const T bent = std::tanh(scores[i] / softcap);
    scores[i] = softcap * bent;
    if (slope != nullptr) slope[i] = 1 - bent * bent;
  }
}

// Per-thread buffers of the attention weights, kept from call to call.
template <typename T>
struct Buffer {
  T* data = nullptr;
  int64_t size = 0;
  ~Buffer() { std::free(data); }
};

template <typename T>
T* scratch(int which, int64_t size) {
  thread_local Buffer<T> buffers[3];
  Buffer<T>& b = buffers[which];
  if (b.size < size) {
    std::free(b.data);
    b.data = static_cast<T*>(std::malloc(static_cast<size_t>(2 * size) * sizeof(T)));
    b.size = b.data != nullptr ? 2 * size : 0;
    if (b.data == nullptr) throw std::bad_alloc();
  }
  return b.data;
}

#if defined(__AVX512F__)
constexpr int64_t kVectorBytes = 64, kTileRows = 12;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32, kTileRows = 6;
#else
constexpr int64_t kVectorBytes = 16, kTileRows = 4;
#endif

// A tile of c is kTileRows rows of two vectors, held in registers while k runs.
template <typename T>
struct Tile {
  typedef T Vector __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
  static constexpr int64_t lanes = kVectorBytes / static_cast<int64_t>(sizeof(T));
  static constexpr int64_t columns = 2 * lanes;
};
constexpr int64_t kDepth = 256;  // of k at once: the packed columns stay in the first-level cache

template <typename T>
inline T widen(T x) {
  return x;
}
template <typename T>
inline T widen(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return static_cast<T>(value);
}

// Columns [j, j + columns) of b for one run of k, row after row, zeros beyond n.
template <typename T, typename B>
void pack_columns(const GemmArgs<T, B>& g, int64_t j, int64_t k_begin, int64_t depth, T* packed) {
  constexpr int64_t columns = Tile<T>::columns;
  const int64_t valid = g.n - j < columns ? g.n - j : columns;
  const B* b = g.b + k_begin * g.b_row + j * g.b_column;
  if (valid < columns) {
    for (int64_t i = 0; i < depth * columns; ++i) packed[i] = 0;
  }
  if (g.b_column == 1) {
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t c = 0; c < valid; ++c) packed[k * columns + c] = widen<T>(b[k * g.b_row + c]);
    }
  } else {
    for (int64_t c = 0; c < valid; ++c) {
      for (int64_t k = 0; k < depth; ++k) packed[k * columns + c] = widen<T>(b[k * g.b_row + c * g.b_column]);
    }
  }
}

template <typename T, int kRows>
void multiply_tile(const T* a, int64_t a_row, int64_t a_column, const T* packed, int64_t depth, T* c, int64_t c_row,
                   int64_t valid, bool overwrite) {
  using Vector = typename Tile<T>::Vector;
  constexpr int64_t lanes = Tile<T>::lanes, columns = Tile<T>::columns;
  Vector sum[kRows][2] = {};
  for (int64_t k = 0; k < depth; ++k) {
    const Vector low = *reinterpret_cast<const Vector*>(packed + k * columns);
    const Vector high = *reinterpret_cast<const Vector*>(packed + k * columns + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const T x = a[r * a_row + k * a_column];
      sum[r][0] += x * low;
      sum[r][1] += x * high;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    T* row = c + r * c_row;
    if (valid == columns) {
      for (int half = 0; half < 2; ++half) {
        Vector* out = reinterpret_cast<Vector*>(row + half * lanes);
        *out = overwrite ? sum[r][half] : *out + sum[r][half];
      }
    } else {
      const T* values = reinterpret_cast<const T*>(sum[r]);
      for (int64_t i = 0; i < valid; ++i) row[i] = overwrite ? values[i] : row[i] + values[i];
    }
  }
}

template <typename T, int kRows>
void multiply_last_rows(int64_t rows, const T* a, int64_t a_row, int64_t a_column, const T* packed, int64_t depth, T* c,
                        int64_t c_row, int64_t valid, bool overwrite) {
  if (rows == kRows) return multiply_tile<T, kRows>(a, a_row, a_column, packed, depth, c, c_row, valid, overwrite);
  if constexpr (kRows > 1) {
    multiply_last_rows<T, kRows - 1>(rows, a, a_row, a_column, packed, depth, c, c_row, valid, overwrite);
  }
}

template <typename T, typename B>
void gemm(const GemmArgs<T, B>& g) {
  constexpr int64_t columns = Tile<T>::columns;
  T* packed = scratch<T>(0, kDepth * columns);
  for (int64_t j = 0; j < g.n; j += columns) {
    const int64_t valid = g.n - j < columns ? g.n - j : columns;
    for (int64_t k = 0; k < g.k; k += kDepth) {
      const int64_t depth = g.k - k < kDepth ? g.k - k : kDepth;
      const bool overwrite = k == 0 && !g.accumulate;
      pack_columns(g, j, k, depth, packed);
      const T* a = g.a + k * g.a_column;
      int64_t i = 0;
      for (; i + kTileRows <= g.m; i += kTileRows) {
        multiply_tile<T, kTileRows>(a + i * g.a_row, g.a_row, g.a_column, packed, depth, g.c + i * g.c_row + j, g.c_row,
                                    valid, overwrite);
      }
      if (i < g.m) {
        multiply_last_rows<T, kTileRows - 1>(g.m - i, a + i * g.a_row, g.a_row, g.a_column, packed, depth,
                                             g.c + i * g.c_row + j, g.c_row, valid, overwrite);
      }
    }
  }
}

template <typename T>
void attend(const AttentionArgs<T>& a, const Segment& s, int64_t kv_head) {
  const int64_t group = a.heads / a.kv_heads;
  T* p = scratch<T>(0, s.prefix_len + s.own_past + s.q_len);
  with_head_dim(a.head_dim, [&](auto dim) {
    for (int64_t j = 0; j < s.q_len; ++j) {
      const Keys keys = keys_of(s, j, a.window);
      const int64_t n = keys.count();
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        const T* q = a.q + (s.q_begin + j) * a.q_stride + h * dim;
        each_key(a.k, a.k_stride, kv_head * dim, keys, [&](int64_t i, const T* k) { p[i] = dot(q, k, dim) * a.scale; });
        if (a.softcap > 0) cap_scores<T>(p, nullptr, n, a.softcap);
        T top = p[0];
        for (int64_t i = 1; i < n; ++i) top = p[i] > top ? p[i] : top;
        T sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += p[i] = std::exp(p[i] - top);
        T* out = a.out + (s.q_begin + j) * a.heads * dim + h * dim;
        for (int64_t d = 0; d < dim; ++d) out[d] = 0;
        const T inverse = 1 / sum;
        each_key(a.v, a.v_stride, kv_head * dim, keys,
                 [&](int64_t i, const T* v) { axpy(out, p[i] * inverse, v, dim); });
        if (a.lse != nullptr) a.lse[(s.q_begin + j) * a.heads + h] = top + std::log(sum);
      }
    }
  });
}

template <typename T>
void attend_backward(const AttentionGradArgs<T>& g, const Segment& s, int64_t kv_head) {
  const AttentionArgs<T>& a = g.forward;
  const int64_t group = a.heads / a.kv_heads;
  const int64_t most = s.prefix_len + s.own_past + s.q_len;
  T* p = scratch<T>(0, most);
  T* dp = scratch<T>(1, most);
  T* slope = a.softcap > 0 ? scratch<T>(2, most) : nullptr;
  with_head_dim(a.head_dim, [&](auto dim) {
    for (int64_t j = 0; j < s.q_len; ++j) {
      const Keys keys = keys_of(s, j, a.window);
      const int64_t n = keys.count();
      const int64_t row = s.q_begin + j;
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        const T* q = a.q + row * a.q_stride + h * dim;
        const T* out = a.out + row * a.heads * dim + h * dim;
        const T* dout = g.dout + row * a.heads * dim + h * dim;
        T* dq = g.dq + row * g.dq_stride + h * dim;
        const T lse = a.lse[row * a.heads + h];
        const T delta = dot(out, dout, dim);
        if (a.softcap > 0) {
          each_key(a.k, a.k_stride, kv_head * dim, keys, [&](int64_t i, const T* k) { p[i] = dot(q, k, dim) * a.scale; });
          cap_scores(p, slope, n, a.softcap);
          for (int64_t i = 0; i < n; ++i) p[i] -= lse;
        } else {
          each_key(a.k, a.k_stride, kv_head * dim, keys,
                   [&](int64_t i, const T* k) { p[i] = dot(q, k, dim) * a.scale - lse; });
        }
        each_key(a.v, a.v_stride, kv_head * dim, keys, [&](int64_t i, const T* v) { dp[i] = dot(dout, v, dim); });
        for (int64_t i = 0; i < n; ++i) p[i] = std::exp(p[i]);
        for (int64_t i = 0; i < n; ++i) dp[i] = p[i] * (dp[i] - delta) * a.scale;
        if (a.softcap > 0) {
          for (int64_t i = 0; i < n; ++i) dp[i] *= slope[i];
        }
        each_key(a.k, a.k_stride, kv_head * dim, keys, [&](int64_t i, const T* k) { axpy(dq, dp[i], k, dim); });
        each_key(g.dk, g.dk_stride, kv_head * dim, keys,
                 [&](int64_t i, const T* dk) { axpy(const_cast<T*>(dk), dp[i], q, dim); });
        each_key(g.dv, g.dv_stride, kv_head * dim, keys,
                 [&](int64_t i, const T* dv) { axpy(const_cast<T*>(dv), p[i], dout, dim); });
      }
    }
  });
}

template <typename T>
void rotate(T* rows, int64_t row_count, int64_t stride, int64_t heads, int64_t head_dim, const int32_t* positions,
            const T* cos, const T* sin, T direction) {
  const int64_t half = head_dim / 2;
  for (int64_t r = 0; r < row_count; ++r) {
    const T* c = cos + positions[r] * half;
    const T* n = sin + positions[r] * half;
    for (int64_t h = 0; h < heads; ++h) {
      T* x = rows + r * stride + h * head_dim;
      for (int64_t i = 0; i < half; ++i) {
        const T a = x[i], b = x[half + i], t = direction * n[i];
        x[i] = a * c[i] - b * t;
        x[half + i] = b * c[i] + a * t;
      }
    }
  }
}

template <typename T>
void rms_norm(const T* x, const T* w, T* y, T* rstd, int64_t rows, int64_t width, double eps) {
  for (int64_t r = 0; r < rows; ++r, x += width, y += width) {
    T sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += x[i] * x[i];
    const T inverse = 1 / std::sqrt(sum / static_cast<T>(width) + static_cast<T>(eps));
    for (int64_t i = 0; i < width; ++i) y[i] = x[i] * inverse * w[i];
    if (rstd != nullptr) rstd[r] = inverse;
  }
}

template <typename T>
void rms_norm_backward(const T* dy, const T* x, const T* w, const T* rstd, T* dx, double* dw, int64_t rows,
                       int64_t width) {
  for (int64_t r = 0; r < rows; ++r, dy += width, x += width, dx += width) {
    const T inverse = rstd[r];
    T sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += dy[i] * w[i] * x[i];
    const T c = sum * inverse * inverse / static_cast<T>(width);
    for (int64_t i = 0; i < width; ++i) dx[i] = inverse * (dy[i] * w[i] - x[i] * c);
    for (int64_t i = 0; i < width; ++i) dw[i] += static_cast<double>(dy[i] * x[i] * inverse);
  }
}

// 1 / (1 + exp(-x)) by way of exp(-|x|) <= 1: exp(-x) alone overflows below -88 in float32, and -ffast-math then makes a
// NaN of 1 / infinity.
template <typename T>
T sigmoid(T x) {
  const T e = std::exp(x < 0 ? x : -x);
  return (x < 0 ? e : T{1}) / (1 + e);
}

template <typename T>
void swiglu(const T* gate_up, T* y, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, gate_up += 2 * width, y += width) {
    const T* up = gate_up + width;
    for (int64_t i = 0; i < width; ++i) y[i] = gate_up[i] * sigmoid(gate_up[i]) * up[i];
  }
}

template <typename T>
void swiglu_backward(const T* dy, const T* gate_up, T* dgate_up, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, gate_up += 2 * width, dgate_up += 2 * width, dy += width) {
    const T* up = gate_up + width;
    for (int64_t i = 0; i < width; ++i) {
      const T share = sigmoid(gate_up[i]);
      const T silu = gate_up[i] * share;
      dgate_up[i] = dy[i] * up[i] * (share + silu * (1 - share));
      dgate_up[width + i] = dy[i] * silu;
    }
  }
}

// gelu(x) in its tanh form is x * sigmoid(2 u(x)) with u(x) = sqrt(2 / pi) (x + 0.044715 x^3). arXiv 1606.08415.
template <typename T>
constexpr T kGeluScale = static_cast<T>(1.5957691216057307);  // 2 sqrt(2 / pi)
template <typename T>
constexpr T kGeluCubic = static_cast<T>(0.044715);

template <typename T>
void geglu(const T* gate_up, T* y, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, gate_up += 2 * width, y += width) {
    const T* up = gate_up + width;
    for (int64_t i = 0; i < width; ++i) {
      const T x = gate_up[i];
      y[i] = x * sigmoid(kGeluScale<T> * (x + kGeluCubic<T> * x * x * x)) * up[i];
    }
  }
}

template <typename T>
void geglu_backward(const T* dy, const T* gate_up, T* dgate_up, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, gate_up += 2 * width, dgate_up += 2 * width, dy += width) {
    const T* up = gate_up + width;
    for (int64_t i = 0; i < width; ++i) {
      const T x = gate_up[i];
      const T z = kGeluScale<T> * (x + kGeluCubic<T> * x * x * x);
      // rest is 1 - share; taken as a difference, its rounding would be multiplied by x^3.
      const T share = sigmoid(z), rest = sigmoid(-z);
      const T slope = kGeluScale<T> * (1 + 3 * kGeluCubic<T> * x * x);
      dgate_up[i] = dy[i] * up[i] * share * (1 + x * rest * slope);
      dgate_up[width + i] = dy[i] * x * share;
    }
  }
}

template <typename T>
double sample(const T* logits, T* scratch, int64_t vocab, double inverse_temperature, double u, int32_t* token) {
  const T scale = static_cast<T>(inverse_temperature);
  T top = logits[0];
  for (int64_t i = 1; i < vocab; ++i) top = logits[i] > top ? logits[i] : top;
  double sum = 0;
  for (int64_t i = 0; i < vocab; ++i) scratch[i] = std::exp((logits[i] - top) * scale);
  for (int64_t i = 0; i < vocab; ++i) sum += static_cast<double>(scratch[i]);
  // The last token with any mass stands in where rounding leaves the target beyond the sum.
  const double target = u * sum;
  double mass = 0;
  int64_t chosen = 0;
  for (int64_t i = 0; i < vocab; ++i) {
    if (scratch[i] <= 0) continue;
    chosen = i;
    mass += static_cast<double>(scratch[i]);
    if (mass > target) break;
  }
  *token = static_cast<int32_t>(chosen);
  return static_cast<double>((logits[chosen] - top) * scale) - std::log(sum);
}

}  // namespace

template <typename T>
CpuKernels<T> kernels() {
#define ILR_STRING(x) #x
#define ILR_NAME(x) ILR_STRING(x)
  return {&gemm<T, T>, &gemm<T, Bf16>, &attend<T>, &attend_backward<T>, &rotate<T>, &rms_norm<T>, &rms_norm_backward<T>, &swiglu<T>,
          &swiglu_backward<T>, &geglu<T>, &geglu_backward<T>, &sample<T>, ILR_NAME(ILR_CPU_CAPABILITY)};
}
template CpuKernels<float> kernels<float>();
template CpuKernels<double> kernels<double>();

}  // namespace ilr::ILR_CPU_CAPABILITY
