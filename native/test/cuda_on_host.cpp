#include "cuda_on_host.h"

#include <ucontext.h>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "check.h"

namespace ilr::cuda {

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace host {
namespace {

constexpr size_t kStackBytes = 64 << 10;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack = std::make_unique<char[]>(kStackBytes);
  dim3 index;
  bool ended = false;
  uint32_t waiting_for = 0;           // lanes of its warp; 0: not at a shuffle
  bool at_barrier = false;            // of the block
  std::map<uint32_t, uint64_t> met;   // how often it came to a meeting of these lanes
  uint64_t barriers = 0;
};

std::vector<Fiber> fibers;
size_t running = 0, threads = 0;
ucontext_t scheduler;
const std::function<void()>* body = nullptr;
Order order = Order::ascending;
double slots[1024];

void run_fiber() {
  (*body)();
  fibers[running].ended = true;
  swapcontext(&fibers[running].context, &scheduler);
}

bool may_go_on(size_t i) {
  Fiber& fiber = fibers[i];
  if (fiber.ended) return false;
  if (fiber.at_barrier) {
    return std::all_of(fibers.begin(), fibers.begin() + static_cast<std::ptrdiff_t>(threads),
                       [&](const Fiber& f) { return f.ended || f.barriers >= fiber.barriers; });
  }
  const uint32_t mask = fiber.waiting_for;
  const size_t warp = i / 32 * 32;
  for (size_t lane = 0; mask != 0 && lane < 32 && warp + lane < threads; ++lane) {
    Fiber& f = fibers[warp + lane];
    if ((mask >> lane & 1) != 0 && !f.ended && f.met[mask] < fiber.met[mask]) return false;
  }
  return true;
}

void resume(size_t i) {
  running = i;
  threadIdx = fibers[i].index;
  fibers[i].at_barrier = false;
  fibers[i].waiting_for = 0;
  swapcontext(&scheduler, &fibers[i].context);
}

void run_block() {
  for (size_t i = 0; i < threads; ++i) {
    Fiber& fiber = fibers[i];
    const unsigned index = static_cast<unsigned>(i);
    fiber.index = dim3(index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y);
    fiber.ended = fiber.at_barrier = false;
    fiber.waiting_for = 0;
    fiber.met.clear();
    fiber.barriers = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_fiber, 0);
  }
  std::vector<size_t> turns(threads);
  std::iota(turns.begin(), turns.end(), size_t{0});
  if (order == Order::descending) std::reverse(turns.begin(), turns.end());
  if (order == Order::shuffled) {
    for (size_t i = 0; i < threads; ++i) std::swap(turns[i], turns[i * 7919 % threads]);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (const size_t i : turns) {
      if (!may_go_on(i)) continue;
      resume(i);
      moved = true;
    }
  }
  for (size_t i = 0; i < threads; ++i) {
    if (!fibers[i].ended) throw Error("ILR_TORCH", "thread " + std::to_string(i) + " of a block waits for ever");
  }
}

void pause() { swapcontext(&fibers[running].context, &scheduler); }

}  // namespace

void set_order(Order wanted) { order = wanted; }

void run_grid(dim3 grid, dim3 block, const std::function<void()>& thread) {
  threads = static_cast<size_t>(block.x) * block.y * block.z;
  if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y > 65535 || grid.z > 65535) {
    throw Error("ILR_TORCH", "a grid that a GPU refuses");
  }
  if (fibers.size() < threads) fibers.resize(threads);
  gridDim = grid;
  blockDim = block;
  body = &thread;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block();
      }
    }
  }
}

void wait_for_block() {
  ++fibers[running].barriers;
  fibers[running].at_barrier = true;
  pause();
}

void wait_for_lanes(uint32_t mask) {
  ++fibers[running].met[mask];
  fibers[running].waiting_for = mask;
  pause();
}

double& exchange(unsigned lane) { return slots[running / 32 * 32 + lane]; }

}  // namespace host
}  // namespace ilr::cuda
