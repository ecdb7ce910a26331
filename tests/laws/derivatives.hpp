// Comparing exact with numerical derivatives, and number types with one another.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/core/jet.hpp"
#include "clearway/core/parameters.hpp"
#include "generated.hpp"

namespace clearway::laws {

using Jet = ceres::Jet<double, 1>;  // one derivative: along a direction
using Jets = JetArray<1>;

inline Jets to_jets(const DoubleArray& a) {
  return a.cast<Jet>();
}

/// Values with the derivatives of `direction`.
inline Jets to_jets(const DoubleArray& a, const DoubleArray& direction) {
  Jets out = a.cast<Jet>();
  for (Eigen::Index i = 0; i < a.size(); ++i) out.data()[i].v[0] = direction.data()[i];
  return out;
}

template <template <class> class Parameters>
Parameters<Jets> to_jets(const Parameters<DoubleArray>& p) {
  return converted<Parameters, Jets>(p, [](const DoubleArray& a) { return to_jets(a); });
}

inline DoubleArray values(const Jets& a) {
  return a.unaryExpr([](const Jet& t) { return t.a; });
}

/// Checks that the Jet derivative of `function` at `at` along `direction` is its numerical derivative.
///
/// Five-point differences with step h have truncation error h^4 |f^(5)| / 30 and rounding error about 1.5 eps |f| / h.
/// At h = 1e-4, with values up to 1e3 and fifth derivatives up to 1e8 (scores of size 10 to the fifth power), both stay
/// below 1e-8. The tolerance is 1e-6 relative. Near a kink (ReLU at 0, distance 0) differences mean nothing: there two
/// step sizes disagree and the case is discarded.
template <template <class> class Parameters, class Function>
void check_derivative(const Parameters<DoubleArray>& at, const Parameters<DoubleArray>& direction,
                      Function&& function) {
  const Vector start = flatten(at);
  const Vector unit = flatten(direction).normalized();
  const auto along = [&](double t) {
    Parameters<DoubleArray> moved = at;
    unflatten(Vector(start + t * unit), moved);
    return function.template operator()<DoubleArray>(moved);
  };
  const auto difference = [&](double h) {
    return (along(-2 * h) - 8 * along(-h) + 8 * along(h) - along(2 * h)) / (12 * h);
  };
  Parameters<Jets> lifted = to_jets(at);
  Eigen::Index next = 0;
  Parameters<Jets>::visit(lifted, [&](std::string_view, Jets& a) {
    for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i].v[0] = unit(next++);
  });
  const double exact = function.template operator()<Jets>(lifted).v[0];
  const double coarse = difference(1e-4), fine = difference(5e-5);
  const double tolerance = 1e-6 * (1 + std::abs(fine));
  require(std::isfinite(exact));
  assume(std::abs(coarse - fine) <= 0.1 * tolerance);
  require_at_most(std::abs(exact - fine), tolerance);
}

/// The message of the std::invalid_argument that `action` throws; empty when it throws nothing.
template <class Action>
std::string thrown(Action&& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// Calls body(name, with) for every array of a parameter struct; with(change) is a copy in which `change` was applied
/// to that array only.
template <class Parameters, class Body>
void for_each_array(const Parameters& parameters, Body&& body) {
  std::vector<std::string> names;
  Parameters::visit(parameters, [&](std::string_view name, const auto&) { names.emplace_back(name); });
  for (const std::string& chosen : names)
    body(chosen, [&](auto&& change) {
      Parameters copy = parameters;
      Parameters::visit(copy, [&](std::string_view name, DoubleArray& a) {
        if (name == chosen) change(a);
      });
      return copy;
    });
}

}  // namespace clearway::laws
