#include "device.h"
#include "kernels.h"

// Attention over segments with an online softmax (arXiv 2112.05682; 2205.14135): no score is ever stored. A block
// computes one row of one head. Its threads work in teams of eight lanes: a team takes every 16th key, each lane holds
// an eighth of the head, and the teams' results are merged at the end. A row's result depends on its own keys only, and
// on them in a fixed order. The first version of these kernels: the oracle of faster ones.
namespace ilr::cuda {
namespace {

constexpr int kThreads = 128, kLanes = 8, kTeams = kThreads / kLanes;

// The sum over a team's lanes, in each of them. Teams of a warp may be at different keys.
__device__ float sum_of_team(float value) {
  const unsigned mask = 0xffu << (threadIdx.x % 32 / kLanes * kLanes);
  for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(mask, value, step);
  return value;
}

// A lane's N elements of a head: from lane * N on, zeros beyond the head's end.
template <int N>
struct Slice {
  float x[N];

  template <typename T>
  __device__ void load(const T* head, int lane, int head_dim) {
    for (int i = 0; i < N; ++i) {
      const int d = lane * N + i;
      x[i] = d < head_dim ? to_float(head[d]) : 0;
    }
  }
  template <typename T>
  __device__ void store(T* head, int lane, int head_dim) const {
    for (int i = 0; i < N; ++i) {
      const int d = lane * N + i;
      if (d < head_dim) head[d] = from_float<T>(x[i]);
    }
  }
  __device__ float dot(const Slice& other) const {
    float sum = 0;
    for (int i = 0; i < N; ++i) sum += x[i] * other.x[i];
    return sum;
  }
  __device__ void scale(float a) {
    for (int i = 0; i < N; ++i) x[i] *= a;
  }
  __device__ void add(float a, const Slice& other) {
    for (int i = 0; i < N; ++i) x[i] += a * other.x[i];
  }
};

// Sums a slice over the block's teams, team after team; the result is in the first team.
template <int N>
__device__ void sum_over_teams(Slice<N>& slice, int team, int lane) {
  __shared__ float parts[kTeams][kLanes * N];
  __syncthreads();  // an earlier call's parts have been read
  for (int i = 0; i < N; ++i) parts[team][lane * N + i] = slice.x[i];
  __syncthreads();
  if (team != 0) return;
  for (int t = 1; t < kTeams; ++t) {
    for (int i = 0; i < N; ++i) slice.x[i] += parts[t][lane * N + i];
  }
}

// The keys that a row sees, in order: its prefix, then its own rows up to itself.
struct Keys {
  int64_t prefix_begin, prefix_len, own_begin, count;

  __device__ Keys(const DevicePacking& packing, int64_t row) {
    const DeviceSegment& s = packing.segments[packing.row_segment[row]];
    prefix_begin = s.prefix_begin;
    prefix_len = s.prefix_len;
    own_begin = s.own_begin;
    count = prefix_len + s.own_past + (row - s.q_begin) + 1;
  }
  __device__ int64_t row(int64_t i) const { return i < prefix_len ? prefix_begin + i : own_begin + i - prefix_len; }
};

template <typename T, int N>
__global__ void attend_row(DeviceAttention a, DevicePacking packing) {
  __shared__ float tops[kTeams], sums[kTeams];
  const int lane = threadIdx.x % kLanes, team = threadIdx.x / kLanes, d = a.head_dim;
  const int64_t row = blockIdx.x, head = blockIdx.y, kv_head = head / (a.heads / a.kv_heads);
  const T* k_head = static_cast<const T*>(a.k) + kv_head * d;
  const T* v_head = static_cast<const T*>(a.v) + kv_head * d;
  Slice<N> q, k, v, out{};
  q.load(static_cast<const T*>(a.q) + row * a.q_stride + head * d, lane, d);
  q.scale(a.scale);
  const Keys keys(packing, row);
  float top = -INFINITY, sum = 0;
  for (int64_t i = team; i < keys.count; i += kTeams) {
    const int64_t at = keys.row(i) * a.kv_stride;
    k.load(k_head + at, lane, d);
    const float score = sum_of_team(q.dot(k));
    if (score > top) {
      const float shrink = expf(top - score);  // 0 for the first key
      sum *= shrink;
      out.scale(shrink);
      top = score;
    }
    const float p = expf(score - top);
    v.load(v_head + at, lane, d);
    sum += p;
    out.add(p, v);
  }
  if (lane == 0) {
    tops[team] = top;
    sums[team] = sum;
  }
  __syncthreads();
  float best = tops[0];
  for (int t = 1; t < kTeams; ++t) best = fmaxf(best, tops[t]);
  float total = 0;
  for (int t = 0; t < kTeams; ++t) total += sums[t] * expf(tops[t] - best);
  out.scale(expf(top - best) / total);  // 0 for a team without keys
  sum_over_teams(out, team, lane);
  if (team != 0) return;
  out.store(static_cast<T*>(a.out) + (row * a.heads + head) * d, lane, d);
  if (lane == 0 && a.lse != nullptr) a.lse[row * a.heads + head] = best + logf(total);
}

// What the backward pass needs of a query row and head: delta = out . dout.
template <int N>
struct Query {
  Slice<N> q, dout;
  float lse, delta;

  template <typename T>
  __device__ void load(const DeviceAttentionGrad& g, const T*, int64_t row, int64_t head, int lane) {
    const DeviceAttention& a = g.forward;
    const int64_t at = (row * a.heads + head) * a.head_dim;
    Slice<N> out;
    q.load(static_cast<const T*>(a.q) + row * a.q_stride + head * a.head_dim, lane, a.head_dim);
    dout.load(static_cast<const T*>(g.dout) + at, lane, a.head_dim);
    out.load(static_cast<const T*>(a.out) + at, lane, a.head_dim);
    delta = sum_of_team(out.dot(dout));
    lse = a.lse[row * a.heads + head];
  }
  // The attention weight of one key and the gradient of its score before scaling.
  __device__ void weigh(const Slice<N>& k, const Slice<N>& v, float scale, float& p, float& dscore) const {
    p = expf(sum_of_team(q.dot(k)) * scale - lse);
    dscore = p * (sum_of_team(dout.dot(v)) - delta) * scale;
  }
};

template <typename T, int N>
__global__ void query_gradient(DeviceAttentionGrad g, DevicePacking packing) {
  const DeviceAttention& a = g.forward;
  const int lane = threadIdx.x % kLanes, team = threadIdx.x / kLanes, d = a.head_dim;
  const int64_t row = blockIdx.x, head = blockIdx.y, kv_head = head / (a.heads / a.kv_heads);
  Query<N> query;
  query.load(g, static_cast<const T*>(nullptr), row, head, lane);
  const Keys keys(packing, row);
  Slice<N> k, v, dq{};
  for (int64_t i = team; i < keys.count; i += kTeams) {
    const int64_t at = keys.row(i) * a.kv_stride + kv_head * d;
    k.load(static_cast<const T*>(a.k) + at, lane, d);
    v.load(static_cast<const T*>(a.v) + at, lane, d);
    float p, dscore;
    query.weigh(k, v, a.scale, p, dscore);
    dq.add(dscore, k);
  }
  sum_over_teams(dq, team, lane);
  if (team == 0) dq.store(static_cast<T*>(g.dq) + row * g.dq_stride + head * d, lane, d);
}

// A block computes dk and dv of one key row and key-value head: over the family's segments, whose rows alone can see it.
template <typename T, int N>
__global__ void key_gradient(DeviceAttentionGrad g, DevicePacking packing) {
  const DeviceAttention& a = g.forward;
  const int lane = threadIdx.x % kLanes, team = threadIdx.x / kLanes, d = a.head_dim, group = a.heads / a.kv_heads;
  const int64_t row = blockIdx.x, kv_head = blockIdx.y;
  Slice<N> k, v, dk{}, dv{};
  k.load(static_cast<const T*>(a.k) + row * a.kv_stride + kv_head * d, lane, d);
  v.load(static_cast<const T*>(a.v) + row * a.kv_stride + kv_head * d, lane, d);
  const int32_t family = packing.segments[packing.row_segment[row]].family;
  for (int32_t i = packing.family_offsets[family]; i < packing.family_offsets[family + 1]; ++i) {
    const DeviceSegment& s = packing.segments[i];
    int64_t first;  // of the segment's rows that see this key
    if (row >= s.prefix_begin && row < s.prefix_begin + s.prefix_len) {
      first = 0;
    } else if (row >= s.own_begin && row < s.own_begin + s.q_len) {
      first = row - s.own_begin;
    } else {
      continue;
    }
    const int64_t readers = (s.q_len - first) * group;
    for (int64_t reader = team; reader < readers; reader += kTeams) {
      Query<N> query;
      query.load(g, static_cast<const T*>(nullptr), s.q_begin + first + reader / group, kv_head * group + reader % group,
                 lane);
      float p, dscore;
      query.weigh(k, v, a.scale, p, dscore);
      dk.add(dscore, query.q);
      dv.add(p, query.dout);
    }
  }
  sum_over_teams(dk, team, lane);
  sum_over_teams(dv, team, lane);
  if (team != 0) return;
  dk.store(static_cast<T*>(g.dk) + row * g.dkv_stride + kv_head * d, lane, d);
  dv.store(static_cast<T*>(g.dv) + row * g.dkv_stride + kv_head * d, lane, d);
}

// Calls `f` with the element type and the smallest slice that covers the head.
template <typename F>
void with_slice(Element element, int32_t head_dim, F&& f) {
  with_element<Bf16>(element, [&](auto* type) {
    if (head_dim <= 2 * kLanes) return f(type, std::integral_constant<int, 2>{});
    if (head_dim <= 4 * kLanes) return f(type, std::integral_constant<int, 4>{});
    if (head_dim <= 8 * kLanes) return f(type, std::integral_constant<int, 8>{});
    if (head_dim <= 16 * kLanes) return f(type, std::integral_constant<int, 16>{});
    f(type, std::integral_constant<int, 32>{});
  });
}
static_assert(kLargestHeadDim == 32 * kLanes);

}  // namespace

void attend(Stream stream, Element element, const DeviceAttention& a, const DevicePacking& packing) {
  if (packing.rows == 0) return;
  with_slice(element, a.head_dim, [&](auto* type, auto n) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(attend_row<T, decltype(n)::value>, dim3(static_cast<unsigned>(packing.rows), static_cast<unsigned>(a.heads)),
           dim3(kThreads), stream, a, packing);
  });
}

void attend_backward(Stream stream, Element element, const DeviceAttentionGrad& g, const DevicePacking& packing) {
  if (packing.rows == 0) return;
  const DeviceAttention& a = g.forward;
  const unsigned rows = static_cast<unsigned>(packing.rows);
  with_slice(element, a.head_dim, [&](auto* type, auto n) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(query_gradient<T, decltype(n)::value>, dim3(rows, static_cast<unsigned>(a.heads)), dim3(kThreads), stream, g,
           packing);
    launch(key_gradient<T, decltype(n)::value>, dim3(rows, static_cast<unsigned>(a.kv_heads)), dim3(kThreads), stream, g,
           packing);
  });
}

}  // namespace ilr::cuda
