#include "generated.hpp"

#include <fmt/format.h>
#include <rapidcheck.h>

namespace clearway::laws {

::testing::AssertionResult holds(const std::string& law, const std::function<void(Problem&)>& body) {
  const bool kept = rc::check(law, [&] {
    const auto n = *rc::gen::inRange<std::ptrdiff_t>(1, 12);
    const auto d = *rc::gen::inRange<std::ptrdiff_t>(1, 5);
    const auto k = *rc::gen::inRange<std::ptrdiff_t>(1, 6);
    Problem problem{n, d, k, RandomStream(*rc::gen::arbitrary<std::uint64_t>())};
    body(problem);
  });
  return kept ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << "law broken: " << law;
}

void require(bool condition, std::source_location where) {
  if (!condition) RC_FAIL(fmt::format("{}:{}: condition is false", where.file_name(), where.line()));
}

void require_at_most(double actual, double limit, std::source_location where) {
  if (!(actual <= limit)) RC_FAIL(fmt::format("{}:{}: {} is above {}", where.file_name(), where.line(), actual, limit));
}

void assume(bool condition) {
  RC_PRE(condition);
}

}  // namespace clearway::laws
