#pragma once

#include <set>
#include <string>

namespace ilr::addon {

// The candidate with the fewest changed letters, capitals aside, when they are few for its length; else empty.
// As `nearest` of src/config-keys.ts.
std::string nearest(const std::string& word, const std::set<std::string>& candidates);

}  // namespace ilr::addon
