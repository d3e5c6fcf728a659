#include "nearest.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <vector>

namespace ilr::addon {
namespace {

constexpr size_t longest_word = 64;  // no name is longer, and the distance takes the product of both lengths

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Levenshtein's: letters to insert, remove or change.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(const std::string& word, const std::set<std::string>& candidates) {
  if (word.size() > longest_word) return "";
  std::string best;
  size_t fewest = longest_word;
  for (const std::string& candidate : candidates) {
    const size_t changes = distance(word, candidate);
    if (changes >= fewest || changes > std::max<size_t>(1, candidate.size() / 3)) continue;
    fewest = changes;
    best = candidate;
  }
  return best;
}

}  // namespace ilr::addon
