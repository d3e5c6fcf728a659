#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../core/types.h"

namespace ilr::addon {

// One call in flight. `deferred` and the references belong to the JavaScript thread; what follows the mutex, to both.
struct Call {
  explicit Call(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  enum class Stage : uint8_t { queued, running, ended };
  std::atomic<Stage> stage{Stage::queued};
  std::atomic<bool> abort{false};

  Napi::Promise::Deferred deferred;
  Napi::FunctionReference on_completion;
  Napi::FunctionReference on_tokens;
  Napi::FunctionReference on_progress;
  const char* memory_advice = nullptr;  // what lowers the memory that the call takes
  std::shared_ptr<void> keeps;  // what must live until the call has settled

  // News on its way, coalesced: one delivery takes all that came since the last.
  std::mutex mutex;
  std::vector<Completion> completions;
  std::vector<int32_t> tokens;  // pairs: index, id
  std::pair<int64_t, int64_t> progress{-1, -1};
  bool news_posted = false;

  // References must end on the JavaScript thread, wherever the last owner lets go.
  void drop_references() {
    on_completion.Reset();
    on_tokens.Reset();
    on_progress.Reset();
    keeps.reset();
  }
};

}  // namespace ilr::addon
