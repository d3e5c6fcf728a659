#pragma once

#include <napi.h>

#include <memory>

namespace ilr::addon {

class Environment;

// process.exit runs no cleanup hook of the main thread, yet it runs LibTorch's static destructors, and those must not
// run beside a job. The process's 'exit' event comes before them: the environment is stopped and closed there. A job
// that does not stop within seconds, or an exit without the event, ends the process there and then.
void close_at_process_exit(Napi::Env env, const std::shared_ptr<Environment>& environment);

}  // namespace ilr::addon
