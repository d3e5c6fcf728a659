#pragma once

#include "packing.h"

namespace ilr::test {

// Two families: a prompt of 7 with three completions behind it, one of them a single token, and sequences of their own.
inline Packing branching_packing() {
  const std::vector<int32_t> ids(64, 1);
  Packing packing;
  const int64_t prompt = packing.append(ids.data(), 7);
  for (const int64_t length : {5, 1, 19}) packing.append(ids.data(), length, prompt, 7);
  packing.close_family();
  for (const int64_t length : {1, 33}) {
    packing.append(ids.data(), length);
    packing.close_family();
  }
  return packing;
}

}  // namespace ilr::test
