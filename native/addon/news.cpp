#include "news.h"

#include <utility>

#include "convert.h"

namespace ilr::addon {
namespace {

struct News {
  std::vector<int32_t> tokens;
  std::vector<Completion> completions;
  std::pair<int64_t, int64_t> progress;
};

News take(Call& call) {
  const std::lock_guard lock(call.mutex);
  call.news_posted = false;
  return {std::exchange(call.tokens, {}), std::exchange(call.completions, {}),
          std::exchange(call.progress, {-1, -1})};
}

}  // namespace

void tell_news(Napi::Env env, Call& call) {
  const News news = take(call);
  try {
    if (!news.tokens.empty() && !call.on_tokens.IsEmpty()) call.on_tokens.Call({to_js(env, news.tokens)});
    for (const Completion& completion : news.completions) {
      const Napi::HandleScope scope(env);
      if (!call.on_completion.IsEmpty()) call.on_completion.Call({to_js(env, completion)});
    }
    if (news.progress.first >= 0 && !call.on_progress.IsEmpty()) {
      call.on_progress.Call({Napi::Number::New(env, static_cast<double>(news.progress.first)),
                             Napi::Number::New(env, static_cast<double>(news.progress.second))});
    }
  } catch (const Napi::Error&) {
    call.abort = true;
  }
}

}  // namespace ilr::addon
