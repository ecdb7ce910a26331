// Stable counting sort: which members belong to each group (assignments of an expert, assignments of a token).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clearway::kernels {

struct Groups {
  std::vector<std::int64_t> first;    ///< groups + 1; members of group g are first[g] .. first[g + 1] - 1
  std::vector<std::int64_t> members;  ///< indices into the keys, in order within a group

  std::size_t size() const { return first.size() - 1; }
  std::size_t count(std::size_t group) const { return static_cast<std::size_t>(first[group + 1] - first[group]); }
  const std::int64_t* begin(std::size_t group) const { return members.data() + first[group]; }
};

/// Throws std::invalid_argument naming `what` when a key is outside 0 .. groups-1.
Groups group_by(std::span<const std::int64_t> keys, std::int64_t groups, const char* what);

}  // namespace clearway::kernels
