#pragma once

#include <memory>

namespace ilr::addon {

class Environment;

// process.exit runs no cleanup hook of the main thread, yet it runs LibTorch's static destructors: before them, every
// environment is stopped and closed. A job that does not stop within seconds ends the process there and then.
void stop_at_process_exit(const std::weak_ptr<Environment>& environment);

}  // namespace ilr::addon
