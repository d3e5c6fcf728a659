#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace ilr {

// The one exception of the core. `code` is one of src/errors.ts; the addon turns it into an IlrError.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace ilr
