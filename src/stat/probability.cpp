#include "probability.hpp"

#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

namespace clearway::detail {
namespace {
constexpr double kSqrtTwo = 1.41421356237309504880;
}

double two_sided_normal_tail(double z) {
  return std::erfc(std::abs(z) / kSqrtTwo);
}

double normal_quantile(double probability) {
  return -kSqrtTwo * boost::math::erfc_inv(2 * probability);
}

double chi_squared_tail(double x, double degrees) {
  return x <= 0 ? 1.0 : boost::math::gamma_q(0.5 * degrees, 0.5 * x);
}

double chi_squared_quantile(double probability, double degrees) {
  return 2 * boost::math::gamma_p_inv(0.5 * degrees, probability);
}

}  // namespace clearway::detail
