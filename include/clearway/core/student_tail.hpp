// The logarithm of Student's distribution function in its tails and in its middle, and how it moves with the degrees of
// freedom: what skew-t densities are made of.
//
//   P(T_n > x) = I_{n / (n + x^2)}(n/2, 1/2) / 2,   x >= 0
//
// by the continued fraction of the incomplete beta function (DLMF 8.17.22) on the side where it converges fast. From
// n = 1000 on by Hill's expansion of the normal deviate w of the same probability (Hill 1970, Communications of the ACM
// 13, 617). Its first left-out term is of order w^9 / (48 a^2)^4 near the middle and w^15 / (48 a^2)^4 in the tails,
// a = n - 1/2, and moves log P by w times that: relative to w^2 / 2 below rounding while w^14 < 1e-15 (48 a^2)^4. Beyond,
// x^2 / n is above 0.1 and the continued fraction converges fast again.
#pragma once

#include <math.h>  // lgamma_r, which unlike std::lgamma writes no global sign

#include <algorithm>
#include <array>
#include <cmath>

#include "clearway/core/normal_tail.hpp"

namespace clearway {

namespace student_tail {

/// log Gamma((n+1)/2) - log Gamma(n/2). Differences of large log-gammas cancel, so from n = 50 on the asymptotic series
/// is used (DLMF 5.11; the first left-out term, 31 / (36 n^9), is below 1e-15).
inline double half_step_log_gamma(double n) {
  if (n >= 50) {
    const double i = 1 / n, i2 = i * i;
    return 0.5 * std::log(n / 2) + i * (-0.25 + i2 * (1.0 / 24 + i2 * (-0.05 + i2 * 17 / 112)));
  }
  int sign = 0;
  return ::lgamma_r((n + 1) / 2, &sign) - ::lgamma_r(n / 2, &sign);
}

/// The continued fraction of I_x(a, b), by the rule of Lentz; x < (a + 1) / (a + b + 2).
inline double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300, kRounding = 1e-16;
  double c = 1, d = 1 / std::max(kTiny, 1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m < 2000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double coefficient : {even, odd}) {
      d = 1 + coefficient * d;
      if (std::abs(d) < kTiny) d = kTiny;
      c = 1 + coefficient / c;
      if (std::abs(c) < kTiny) c = kTiny;
      d = 1 / d;
      change *= c * d;
    }
    value *= change;
    if (std::abs(change - 1) < kRounding) break;
  }
  return value;
}

/// log P(T_n > x) for x >= 0.
inline double log_upper_tail(double x, double n) {
  constexpr double kLogTwo = 0.69314718055994530942, kHalfLogPi = 0.57236494292470008707;
  const double ratio = x * x / n, square = std::log1p(ratio);
  if (n >= 1000) {
    const double a = n - 0.5, w2 = a * square, w = std::sqrt(w2), i = 1 / (48 * a * a);
    constexpr double kNear = 8, kRootOfRounding = 0.0848;  // 1e-15^(1/14)
    if (w < kNear || w < kRootOfRounding * std::pow(i, -2.0 / 7)) {
      const double first = w * (w2 + 3);
      const double second = -w * (((4 * w2 + 33) * w2 + 240) * w2 + 855) / 10;
      const double third = w * (((((64 * w2 + 788) * w2 + 9801) * w2 + 89775) * w2 + 543375) * w2 + 1788885) / 210;
      return log_normal_cdf(-(w + i * (first + i * (second + i * third))));
    }
  }
  const double log_beta = kHalfLogPi - half_step_log_gamma(n);  // log B(n/2, 1/2)
  if (ratio * (n + 2) > 3) {
    const double y = 1 / (1 + ratio);
    return -kLogTwo - 0.5 * n * square + 0.5 * (std::log(ratio) - square) - std::log(n / 2) - log_beta +
           std::log(beta_fraction(y, n / 2, 0.5));
  }
  const double x2 = ratio / (1 + ratio);
  const double middle = std::exp(0.5 * std::log(x2) - 0.5 * n * square - log_beta) * beta_fraction(x2, 0.5, n / 2);
  return std::log(0.5 - middle);  // I_x(1/2, n/2) / 2 = x^(1/2) (1-x)^(n/2) / B * fraction
}

}  // namespace student_tail

/// log P(T_n <= x), n > 0 degrees of freedom.
inline double log_student_cdf(double x, double n) {
  if (x < 0) return student_tail::log_upper_tail(-x, n);
  return x == 0 ? -0.69314718055994530942 : std::log1p(-std::exp(student_tail::log_upper_tail(x, n)));
}

/// log of Student's density with n degrees of freedom.
inline double log_student_density(double x, double n) {
  constexpr double kHalfLogPi = 0.57236494292470008707;
  return student_tail::half_step_log_gamma(n) - kHalfLogPi - 0.5 * std::log(n) - 0.5 * (n + 1) * std::log1p(x * x / n);
}

/// First and second derivative of log P(T_n <= x) in log n: central differences of order 6 (there is no closed form).
/// Their steps of 0.05 leave a relative error of about 1e-9 of the derivatives, and 1e-11 of the value.
struct StudentCdfSlope {
  double first, second;
};
inline StudentCdfSlope log_student_cdf_in_log_n(double x, double n) {
  constexpr double kStep = 0.05;
  std::array<double, 4> up{}, down{};
  up[0] = down[0] = log_student_cdf(x, n);
  for (int i = 1; i <= 3; ++i) {
    const double factor = std::exp(kStep * i);
    up[static_cast<std::size_t>(i)] = log_student_cdf(x, n * factor);
    down[static_cast<std::size_t>(i)] = log_student_cdf(x, n / factor);
  }
  StudentCdfSlope slope{};
  slope.first = ((up[1] - down[1]) * 45 - (up[2] - down[2]) * 9 + (up[3] - down[3])) / (60 * kStep);
  slope.second =
      (-490 * up[0] + 270 * (up[1] + down[1]) - 27 * (up[2] + down[2]) + 2 * (up[3] + down[3])) / (180 * kStep * kStep);
  return slope;
}

}  // namespace clearway
