// Numbers that carry two first derivatives and the mixed second one exactly (hyper-dual numbers, Fike and Alonso 2011):
//
//   a + a_u e1 + a_v e2 + a_uv e1 e2,   e1^2 = e2^2 = 0
//
// f(a) follows from f, f', f'' by the chain rule. Real is double or a number of more digits.
#pragma once

#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>

namespace clearway::detail {

template <class Real>
struct HyperDual {
  Real value = 0, u = 0, v = 0, uv = 0;

  HyperDual() = default;
  explicit HyperDual(double number) : value(number) {}
  HyperDual(const Real& number, const Real& first, const Real& second, const Real& mixed)
      : value(number), u(first), v(second), uv(mixed) {}

  friend HyperDual operator+(const HyperDual& a, const HyperDual& b) {
    return {Real(a.value + b.value), Real(a.u + b.u), Real(a.v + b.v), Real(a.uv + b.uv)};
  }
  friend HyperDual operator-(const HyperDual& a, const HyperDual& b) {
    return {Real(a.value - b.value), Real(a.u - b.u), Real(a.v - b.v), Real(a.uv - b.uv)};
  }
  friend HyperDual operator*(const HyperDual& a, const HyperDual& b) {
    return {Real(a.value * b.value), Real(a.value * b.u + a.u * b.value), Real(a.value * b.v + a.v * b.value),
            Real(a.value * b.uv + a.u * b.v + a.v * b.u + a.uv * b.value)};
  }
  friend HyperDual operator/(const HyperDual& a, const HyperDual& b) {
    const Real inverse = 1 / b.value;
    return a * b.chain(inverse, Real(-inverse * inverse), Real(2 * inverse * inverse * inverse));
  }

  /// f(a) from f, f' and f'' at a.value.
  HyperDual chain(const Real& f, const Real& first, const Real& second) const {
    return {f, Real(first * u), Real(first * v), Real(first * uv + second * u * v)};
  }

  friend HyperDual exp(const HyperDual& a) {
    using std::exp;
    const Real e = exp(a.value);
    return a.chain(e, e, e);
  }
  friend HyperDual log(const HyperDual& a) {
    using std::log;
    const Real inverse = 1 / a.value;
    return a.chain(Real(log(a.value)), inverse, Real(-inverse * inverse));
  }
  friend HyperDual sqrt(const HyperDual& a) {
    using std::sqrt;
    const Real root = sqrt(a.value);
    const Real first = 1 / (2 * root);
    return a.chain(root, first, Real(-first / (2 * a.value)));
  }
  friend HyperDual sin(const HyperDual& a) {
    using std::cos;
    using std::sin;
    const Real s = sin(a.value);
    return a.chain(s, Real(cos(a.value)), Real(-s));
  }
  friend HyperDual cos(const HyperDual& a) {
    using std::cos;
    using std::sin;
    const Real c = cos(a.value);
    return a.chain(c, Real(-sin(a.value)), Real(-c));
  }
  friend HyperDual tanh(const HyperDual& a) {
    using std::tanh;
    const Real t = tanh(a.value);
    const Real first = 1 - t * t;
    return a.chain(t, first, Real(-2 * t * first));
  }
  friend HyperDual sigmoid(const HyperDual& a) {
    using std::exp;
    const Real s = 1 / (1 + Real(exp(Real(-a.value))));
    const Real first = s * (1 - s);
    return a.chain(s, first, Real(first * (1 - 2 * s)));
  }
  friend HyperDual softplus(const HyperDual& a) {
    using std::exp;
    using std::log;
    const Real e = exp(a.value);
    const Real s = e / (1 + e);
    return a.chain(Real(log(Real(1 + e))), s, Real(s * (1 - s)));
  }
  /// The second derivative is 0 wherever it exists.
  friend HyperDual relu(const HyperDual& a) { return a.value > 0 ? a : HyperDual(); }
  friend HyperDual normal_cdf(const HyperDual& a) {
    using std::exp;
    const Real density = exp(Real(-a.value * a.value / 2)) * boost::math::constants::one_div_root_two_pi<Real>();
    const Real cdf = boost::math::erfc(Real(-a.value * boost::math::constants::one_div_root_two<Real>())) / 2;
    return a.chain(cdf, density, Real(-a.value * density));
  }
};

}  // namespace clearway::detail
