#include "kernels/grouping.hpp"

#include "clearway/base/errors.hpp"

namespace clearway::kernels {

Groups group_by(std::span<const std::int64_t> keys, std::int64_t groups, const char* what) {
  Groups out;
  out.first.assign(static_cast<std::size_t>(groups) + 1, 0);
  for (const std::int64_t key : keys) {
    if (key < 0 || key >= groups) user_error("{} must be in 0 .. {}, not {}", what, groups - 1, key);
    ++out.first[static_cast<std::size_t>(key) + 1];
  }
  for (std::size_t g = 0; g + 1 < out.first.size(); ++g) out.first[g + 1] += out.first[g];
  out.members.resize(keys.size());
  std::vector<std::int64_t> next(out.first.begin(), out.first.end() - 1);
  for (std::size_t i = 0; i < keys.size(); ++i)
    out.members[static_cast<std::size_t>(next[static_cast<std::size_t>(keys[i])]++)] = static_cast<std::int64_t>(i);
  return out;
}

}  // namespace clearway::kernels
