// Laws of every gate across number types: values on Jets equal values on doubles, exact derivatives equal finite
// differences, and both throw alike on shapes that do not fit.

#include <limits>

#include "derivatives.hpp"
#include "gate_cases.hpp"
#include "generated.hpp"

namespace clearway::laws {
namespace {

template <class Gate>
class GateDerivativeLaws : public ::testing::Test {};
TYPED_TEST_SUITE(GateDerivativeLaws, Gates);

/// sum_ij c_ij log_weights_ij, a function of parameters and inputs on any container.
template <class Gate, class A>
scalar_t<A> weighted_sum(const A& x, const typename Gate::template Parameters<A>& p, const DoubleArray& c) {
  const A log_weights = Gate().log_weights(x, p);
  return (log_weights * c.cast<scalar_t<A>>()).sum();
}

TYPED_TEST(GateDerivativeLaws, DerivativeEqualsFiniteDifference) {
  EXPECT_TRUE(holds("Jet derivative = finite difference, along a random direction", [](Problem& problem) {
    const TypeParam gate;
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    const DoubleArray c = normal_array(problem.random, problem.n, problem.k);
    auto at = gate.zero_parameters(x, problem.d, problem.k);
    auto direction = at;
    fill_normal(problem.random, 1.0, at);
    fill_normal(problem.random, 1.0, direction);
    check_derivative(at, direction, [&]<class A>(const typename TypeParam::template Parameters<A>& p) {
      return weighted_sum<TypeParam, A>(x.template cast<scalar_t<A>>(), p, c);
    });
  }));
}

TYPED_TEST(GateDerivativeLaws, ValuesOnJetsEqualValuesOnDoubles) {
  EXPECT_TRUE(holds("Jet value = double value", [](Problem& problem) {
    const TypeParam gate;
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    auto at = gate.zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 1.0, at);
    const DoubleArray scores = gate.scores(x, at);
    const DoubleArray on_doubles = gate.log_weights(x, at);
    const Jets on_jets = gate.log_weights(to_jets(x), to_jets(at));
    // Sums of at most a few dozen terms in another order, and another exp (Eigen's, standard): 100 eps of the scores.
    const double tolerance = 100 * std::numeric_limits<double>::epsilon() * (1 + scores.abs().maxCoeff());
    require_at_most(largest_difference(values(on_jets), on_doubles), tolerance);
  }));
}

TYPED_TEST(GateDerivativeLaws, WrongShapesThrowAlike) {
  const TypeParam gate;
  RandomStream random(1);
  const DoubleArray x = normal_array(random, 4, 3);
  const auto right = gate.zero_parameters(x, 3, 2);
  const auto message = [&](const DoubleArray& inputs, const auto& p) {
    const std::string on_doubles = thrown([&] { gate.log_weights(inputs, p); });
    const std::string on_jets = thrown([&] { gate.log_weights(to_jets(inputs), to_jets(p)); });
    EXPECT_EQ(on_doubles, on_jets);
    return on_doubles;
  };
  EXPECT_EQ(message(x, right), "");
  for_each_array(right, [&](std::string_view name, auto&& with) {
    const std::string text = message(x, with([](DoubleArray& a) { a.conservativeResize(a.rows() + 1, a.cols()); }));
    EXPECT_NE(text.find(TypeParam::kName), std::string::npos) << name << ": " << text;
  });
  const bool reads_inputs = !std::is_base_of_v<ConstantGate, TypeParam>;
  EXPECT_EQ(message(x.leftCols(2), right).find(TypeParam::kName) != std::string::npos, reads_inputs);
}

}  // namespace
}  // namespace clearway::laws
