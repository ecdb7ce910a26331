// Counting sort: the definition of a stable sort.
#include "kernels/grouping.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace clearway::kernels {
namespace {

RC_GTEST_PROP(Grouping, EqualsStableSort, ()) {
  const auto groups = *rc::gen::inRange<std::int64_t>(1, 9);
  const auto keys = *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, groups));
  const Groups found = group_by(keys, groups, "keys");
  std::vector<std::int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return keys[a] < keys[b]; });
  RC_ASSERT(found.members == order);
  RC_ASSERT(found.size() == static_cast<std::size_t>(groups));
  for (std::int64_t g = 0; g < groups; ++g)
    RC_ASSERT(found.count(g) == static_cast<std::size_t>(std::count(keys.begin(), keys.end(), g)));
}

TEST(Grouping, NamesWhatIsOutside) {
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{4}}) {
    const std::vector<std::int64_t> keys{0, bad};
    try {
      group_by(keys, 4, "experts of assignments");
      FAIL();
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(), "experts of assignments must be in 0 .. 3, not " + std::to_string(bad));
    }
  }
}

}  // namespace
}  // namespace clearway::kernels
