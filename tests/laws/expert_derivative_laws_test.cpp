// Laws of every expert across number types: values on Jets equal values on doubles, exact derivatives of log-density
// and mean equal finite differences, and both throw alike on shapes that do not fit.

#include <limits>

#include "derivatives.hpp"
#include "generated.hpp"
#include "responses.hpp"

namespace clearway::laws {
namespace {

template <class Expert>
class ExpertDerivativeLaws : public ::testing::Test {};
TYPED_TEST_SUITE(ExpertDerivativeLaws, Experts);

template <class Expert>
struct Drawn {
  DoubleArray x, y;
  typename Expert::template Parameters<DoubleArray> at, direction;
};

template <class Expert>
Drawn<Expert> draw(Problem& problem) {
  const Expert expert;
  Drawn<Expert> out;
  out.x = normal_array(problem.random, problem.n, problem.d);
  out.at = expert.zero_parameters(out.x, problem.d, problem.k);
  out.direction = out.at;
  fill_normal(problem.random, 0.5, out.at);
  fill_normal(problem.random, 0.5, out.direction);
  out.y = any_response(problem.random, expert, out.at, problem.n);
  return out;
}

TYPED_TEST(ExpertDerivativeLaws, LogDensityDerivativeEqualsFiniteDifference) {
  EXPECT_TRUE(holds("Jet derivative of a sum of log-densities = finite difference", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    // A response on the edge of a moving box has no derivative; keep it in the inner part.
    if constexpr (std::is_base_of_v<UniformExpert, TypeParam>) {
      const double low = drawn.at.lower(0, 0), high = drawn.at.upper(0, 0), margin = 0.01 * (high - low);
      assume((drawn.y >= low + margin).all() && (drawn.y <= high - margin).all());
    }
    const DoubleArray c =
        normal_array(problem.random, problem.n, TypeParam().log_density(drawn.y, drawn.x, drawn.at).cols());
    check_derivative(drawn.at, drawn.direction, [&]<class A>(const typename TypeParam::template Parameters<A>& p) {
      using S = scalar_t<A>;
      const A x = drawn.x.template cast<S>(), y = drawn.y.template cast<S>();
      return S((TypeParam().log_density(y, x, p) * c.cast<S>()).sum());
    });
  }));
}

TYPED_TEST(ExpertDerivativeLaws, MeanDerivativeEqualsFiniteDifference) {
  EXPECT_TRUE(holds("Jet derivative of a sum of means = finite difference", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray c = normal_array(problem.random, problem.n, TypeParam().mean(drawn.x, drawn.at).cols());
    check_derivative(drawn.at, drawn.direction, [&]<class A>(const typename TypeParam::template Parameters<A>& p) {
      using S = scalar_t<A>;
      const A x = drawn.x.template cast<S>();
      return S((TypeParam().mean(x, p) * c.cast<S>()).sum());
    });
  }));
}

TYPED_TEST(ExpertDerivativeLaws, ValuesOnJetsEqualValuesOnDoubles) {
  EXPECT_TRUE(holds("Jet value = double value", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray on_doubles = TypeParam().log_density(drawn.y, drawn.x, drawn.at);
    const Jets on_jets = TypeParam().log_density(to_jets(drawn.y), to_jets(drawn.x), to_jets(drawn.at));
    // A few dozen roundings of terms that may be larger than their sum (exponents, squares): 1e4 eps.
    const double tolerance = 1e4 * std::numeric_limits<double>::epsilon() * (1 + on_doubles.abs().maxCoeff());
    require_at_most(largest_difference(values(on_jets), on_doubles), tolerance);
  }));
}

TYPED_TEST(ExpertDerivativeLaws, WrongShapesThrowAlike) {
  const TypeParam expert;
  RandomStream random(1);
  const DoubleArray x = normal_array(random, 4, 3);
  auto right = expert.zero_parameters(x, 3, 2);
  fill_normal(random, 0.5, right);
  const DoubleArray y = any_response(random, expert, right, 4);
  const auto message = [&](const DoubleArray& response, const DoubleArray& inputs, const auto& p) {
    const std::string on_doubles = thrown([&] { expert.log_density(response, inputs, p); });
    const std::string on_jets = thrown([&] { expert.log_density(to_jets(response), to_jets(inputs), to_jets(p)); });
    EXPECT_EQ(on_doubles, on_jets);
    return on_doubles;
  };
  EXPECT_EQ(message(y, x, right), "");
  for_each_array(right, [&](std::string_view name, auto&& with) {
    const auto taller = with([](DoubleArray& a) { a = DoubleArray::Zero(a.rows() + 1, a.cols()); });
    const std::string text = message(y, x, taller);
    EXPECT_NE(text.find(TypeParam::kName), std::string::npos) << name << ": " << text;
  });
  const DoubleArray short_response = y.topRows(3);
  EXPECT_NE(message(short_response, x, right).find("response must be 4 x"), std::string::npos);
  const bool reads_inputs = !std::is_base_of_v<UniformExpert, TypeParam>;
  EXPECT_EQ(message(y, x.leftCols(2), right).find(TypeParam::kName) != std::string::npos, reads_inputs);
}

}  // namespace
}  // namespace clearway::laws
