// Exact derivatives: lets every formula of this floor run on ceres::Jet<double, N>, whose infinitesimal parts carry the
// gradient with respect to N parameters (forward automatic differentiation). Needs Ceres' header jet.h, not its
// library.
#pragma once

#include <ceres/jet.h>

#include <boost/math/special_functions/digamma.hpp>

#include "clearway/core/array.hpp"

namespace clearway {

template <int N>
struct ScalarMath<ceres::Jet<double, N>> {
  using Jet = ceres::Jet<double, N>;
  static double value(const Jet& a) { return a.a; }
  /// d log Gamma(a) / da is the digamma function.
  static Jet log_gamma(const Jet& a) {
    return Jet(ScalarMath<double>::log_gamma(a.a), boost::math::digamma(a.a) * a.v);
  }
  static Jet log_student_cdf(const Jet& a, const Jet& degrees) {
    const double value = clearway::log_student_cdf(a.a, degrees.a);
    return Jet(value, std::exp(log_student_density(a.a, degrees.a) - value) * a.v +
                          log_student_cdf_in_log_n(a.a, degrees.a).first / degrees.a * degrees.v);
  }
  static Jet log_normal_cdf(const Jet& a) { return Jet(clearway::log_normal_cdf(a.a), inverse_mills_ratio(a.a) * a.v); }
};

/// An Eigen array whose elements carry the derivatives with respect to N parameters.
template <int N>
using JetArray = EigenArray<ceres::Jet<double, N>>;

}  // namespace clearway
