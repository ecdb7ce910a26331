// Log-densities of the experts for counts, times, proportions, skewed and censored responses, against R 4.2. Each value
// is that of the call in the comment above it, with intercepts that give the parameters of the call.

#include "arrays.hpp"
#include "clearway/core/experts/all.hpp"
#include "clearway/core/normal_tail.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::expect_near;
using testing::kTight;

const DoubleArray kNoInput(1, 0);
const DoubleArray kNoSlope(1, 0);

DoubleArray number(double value) {
  return array({{value}});
}

// pnorm(c(-5.5, -30, 2), log.p = TRUE)
TEST(NormalTail, LogarithmOfTheDistributionFunction) {
  // Relative rounding of a few operations.
  EXPECT_NEAR(log_normal_cdf(-5.5), -17.77937635262526, 1e-13);
  EXPECT_NEAR(log_normal_cdf(-30), -454.3212439563432, 1e-12);
  EXPECT_NEAR(log_normal_cdf(2), -0.02301290932896349, 1e-16);
  // The two forms meet at -5: continuous to the precision of erfc in its tail, 1e-13 relative.
  EXPECT_NEAR(log_normal_cdf(-5 - 1e-12), log_normal_cdf(-5 + 1e-12), 1e-10);
  EXPECT_NEAR(inverse_mills_ratio(-5 - 1e-12), inverse_mills_ratio(-5 + 1e-12), 1e-10);
}

TEST(NegativeBinomialExpert, RValue) {
  const NegativeBinomialParameters<DoubleArray> p{kNoSlope, number(std::log(1.7)), number(std::log(2.5))};
  // dnbinom(3, size = 2.5, mu = 1.7, log = TRUE)
  expect_near(NegativeBinomialExpert().log_density(number(3), kNoInput, p), number(-2.128981678301633), kTight);
}

TEST(ZeroInflatedPoissonExpert, RValue) {
  const ZeroInflatedPoissonParameters<DoubleArray> p{kNoSlope, number(std::log(1.7)), number(std::log(0.3 / 0.7))};
  // log(0.3 * (y == 0) + 0.7 * dpois(y, 1.7)) for y = 0, 2
  expect_near(ZeroInflatedPoissonExpert().log_density(number(0), kNoInput, p), number(-0.8489160797119937), kTight);
  expect_near(ZeroInflatedPoissonExpert().log_density(number(2), kNoInput, p), number(-1.688565622374337), kTight);
}

TEST(WeibullExpert, RValues) {
  const WeibullParameters<DoubleArray> p{kNoSlope, number(std::log(2.2)), number(std::log(1.4))};
  // dweibull(1.7, shape = 1.4, scale = 2.2, log = TRUE); pweibull(..., lower.tail = FALSE, log.p = TRUE)
  expect_near(WeibullExpert().log_density(number(1.7), kNoInput, p), number(-1.252123120786329), kTight);
  expect_near(WeibullExpert().log_density(number(1.7), kNoInput, p, number(0)), number(-0.6970063533224311), kTight);
}

TEST(ExponentialExpert, RValues) {
  const ExponentialParameters<DoubleArray> p{kNoSlope, number(std::log(2.2))};
  // dexp(1.7, 1 / 2.2, log = TRUE); log P(Y > 1.7) = -1.7 / 2.2
  expect_near(ExponentialExpert().log_density(number(1.7), kNoInput, p), number(-1.561184633091543), kTight);
  expect_near(ExponentialExpert().log_density(number(1.7), kNoInput, p, number(0)), number(-1.7 / 2.2), kTight);
}

TEST(BetaExpert, RValue) {
  const BetaParameters<DoubleArray> p{kNoSlope, number(std::log(0.4 / 0.6)), number(std::log(5))};
  // dbeta(0.3, 0.4 * 5, 0.6 * 5, log = TRUE)
  expect_near(BetaExpert().log_density(number(0.3), kNoInput, p), number(0.5675839575845996), kTight);
}

TEST(GammaExpert, RValueUnderEveryLink) {
  // dgamma(1.7, shape = 2.5, scale = 2.2 / 2.5, log = TRUE)
  for (const auto& [link, intercept] :
       {std::pair{LinkKind::log, std::log(2.2)}, std::pair{LinkKind::inverse, 1 / 2.2},
        std::pair{LinkKind::inverse_square, 1 / (2.2 * 2.2)}, std::pair{LinkKind::identity, 2.2}})
    expect_near(
        GammaExpert{link}.log_density(number(1.7), kNoInput,
                                      GammaParameters<DoubleArray>{kNoSlope, number(intercept), number(std::log(2.5))}),
        number(-1.100975246923133), kTight);
}

TEST(InverseGaussianExpert, RValueUnderEveryLink) {
  // 0.5 * log(l / (2 * pi * y^3)) - l * (y - mu)^2 / (2 * mu^2 * y) with y = 1.7, mu = 2.2, l = 2.5
  for (const auto& [link, intercept] :
       {std::pair{LinkKind::log, std::log(2.2)}, std::pair{LinkKind::inverse, 1 / 2.2},
        std::pair{LinkKind::inverse_square, 1 / (2.2 * 2.2)}, std::pair{LinkKind::identity, 2.2}})
    expect_near(InverseGaussianExpert{link}.log_density(
                    number(1.7), kNoInput,
                    InverseGaussianParameters<DoubleArray>{kNoSlope, number(intercept), number(std::log(2.5))}),
                number(-1.294715611921133), kTight);
}

TEST(SkewNormalExpert, RValues) {
  const SkewNormalParameters<DoubleArray> p{kNoSlope, number(0.4), number(std::log(1.3)), number(-2.5)};
  // log(2) - log(1.3) + dnorm(z, log = TRUE) + pnorm(-2.5 * z, log.p = TRUE), z = (y - 0.4) / 1.3, y = 1.7 and 8
  expect_near(SkewNormalExpert().log_density(number(1.7), kNoInput, p), number(-6.069803894390908), kTight);
  expect_near(SkewNormalExpert().log_density(number(8), kNoInput, p), number(-127.9872878647391), 10 * kTight);
}

// pt(c(-5.5, -30, 2, -1.2), 4.5, log.p = TRUE), pt(c(-5.5, -30, 2), 30000, log.p = TRUE), pt(-1e6, 7, log.p = TRUE)
TEST(StudentTail, RValues) {
  EXPECT_NEAR(log_student_cdf(-5.5, 4.5), -6.277991120465193, 1e-14);
  EXPECT_NEAR(log_student_cdf(-30, 4.5), -13.65680983155023, 1e-13);
  EXPECT_NEAR(log_student_cdf(2, 4.5), -0.05564903379969684, 1e-16);
  EXPECT_NEAR(log_student_cdf(-1.2, 4.5), -1.932826423556238, 1e-14);
  EXPECT_NEAR(log_student_cdf(-5.5, 30000), -17.77125861516576, 1e-12);
  EXPECT_NEAR(log_student_cdf(-30, 30000), -447.688506438304, 1e-10);  // R's own rounding
  EXPECT_NEAR(log_student_cdf(2, 30000), -0.02301751340100647, 1e-14);
  EXPECT_NEAR(log_student_cdf(-1e6, 7), -91.82537760917712, 1e-12);
}

// Many degrees of freedom, far out. mpmath 1.3 with 40 digits, the density integrated from x on:
//   c = loggamma((n+1)/2) - loggamma(n/2) - log(n pi)/2;  f(t) = -(n+1)/2 log1p(t^2/n);  r = (n+1) x / (n + x^2)
//   c + f(x) + log(quad(lambda u: exp(f(x + u/r) - f(x)) / r, [0, 1, 2, 4, ..., 128, 512, 4096, inf]))
// Four roundings of a sum of terms as large as the result; further out log(1 + x^2 / n) n / 2 adds its own.
TEST(StudentTail, FarOutWithManyDegreesOfFreedom) {
  struct Value {
    double n, x, log_tail;
  };
  for (const Value& v :
       {Value{1e3, 13.572776111084208, -87.9903295572108684}, Value{1e3, 22.069505989304336, -202.218571170518132},
        Value{1e5, 8.501556805219057, -39.1973964396971804}, Value{1e5, 40.160635822655195, -804.608447360464453},
        Value{1e5, 339.3362445896018, -38314.4143224570619}, Value{1e8, 8.500001556562744, -39.1973964282176885},
        Value{1e8, 13.000005525001974, -87.9897199710225677}, Value{1e8, 40.000160100534536, -804.608442013759192},
        Value{1e8, 12218.988117614632, -45675086.2795851249}, Value{1e8, 26095.579775479346, -102768931.97573512},
        Value{1e10, 8.500000015565625, -39.1973964282176711}, Value{1e10, 720383.924532754, -19841572440.5533621},
        Value{1e13, 20.0000000002005, -203.917155371097283}, Value{1e13, 648181622.251817, -53228902925080.9655}})
    EXPECT_NEAR(log_student_cdf(-v.x, v.n), v.log_tail, 4 * 2.3e-16 * std::abs(v.log_tail)) << v.n << " " << v.x;
}

// One, two and three degrees of freedom have closed forms, and with ever more the distribution becomes normal.
TEST(StudentTail, ClosedFormsAndLimit) {
  for (double x = -40; x <= 40; x += 0.37) {
    const double tail = x < -1 ? std::atan(-1 / x) / kPi : 0.5 + std::atan(x) / kPi;
    EXPECT_NEAR(log_student_cdf(x, 1), std::log(tail), 1e-14) << x;
    const double root = std::sqrt(2 + x * x);
    EXPECT_NEAR(log_student_cdf(x, 2), std::log(x < 0 ? 1 / (root * (root - x)) : 0.5 * (1 + x / root)), 1e-14) << x;
    const double s = x / std::sqrt(3.0);
    const double third = 0.5 + (s / (1 + s * s) + std::atan(s)) / kPi;
    if (x > -10) {  // the closed form cancels below
      EXPECT_NEAR(log_student_cdf(x, 3), std::log(third), 1e-15 / third) << x;
    }
    // log P(T_n <= x) = log Phi(x) + O((1 + x^4) / (4 n)), far in the tail x^4 / (4 n) itself.
    EXPECT_NEAR(log_student_cdf(x, 1e8), log_normal_cdf(x), 5e-9 * (1 + x * x * x * x)) << x;
  }
  // The forms on both sides of their borders meet: 50 and 1000 degrees of freedom, x^2 near 3 and w near 8. The step itself
  // is worth up to 2e-13 n x^4 / (4 n^2), 4e-12, and n/2 log(1 + x^2 / n) = 60 is rounded to 1e-14.
  for (const double n : {50.0, 1000.0})
    for (const double x : {-12.0, -8.0, -1.7320508, -0.3})
      EXPECT_NEAR(log_student_cdf(x, n * (1 - 1e-13)), log_student_cdf(x, n * (1 + 1e-13)), 1e-11);
  for (const double n : {3.0, 40.0, 900.0, 5000.0})
    for (const double x : {std::sqrt(3 * n / (n + 2)), std::sqrt(n * std::expm1(64 / (n - 0.5)))})
      EXPECT_NEAR(log_student_cdf(-x * (1 - 1e-13), n), log_student_cdf(-x * (1 + 1e-13), n), 3e-11) << n << " " << x;
}

// d log(F) / d log(n) has a closed form between one and two degrees of freedom nowhere; Richardson's rule on the closed
// expression of the density instead: F(x; n) by the trapezoidal rule, exponentially exact after x = sinh(t).
TEST(StudentTail, SlopeInTheDegreesOfFreedom) {
  const auto tail = [](double x, double n) {
    double sum = 0;
    constexpr double kStep = 1e-3;
    const double last = std::asinh(x);
    for (int i = 0; i < 40000;
         ++i) {  // from t = last down, midpoints of the end corrected by Euler and Maclaurin below
      const double t = last - kStep * i, weight = i == 0 ? 0.5 : 1;
      sum += weight * kStep * std::cosh(t) * std::exp(log_student_density(std::sinh(t), n));
    }
    const double h = 1e-4;
    const auto f = [&](double t) { return std::cosh(t) * std::exp(log_student_density(std::sinh(t), n)); };
    return sum - kStep * kStep / 12 * (f(last + h) - f(last - h)) / (2 * h);
  };
  for (const double n : {1.3, 6.0, 80.0})
    for (const double x : {-4.0, -0.5, 1.5}) {
      const double h = 1e-2;
      const double up = std::log(tail(x, n * std::exp(h))), middle = std::log(tail(x, n)),
                   down = std::log(tail(x, n * std::exp(-h)));
      const double up2 = std::log(tail(x, n * std::exp(2 * h))), down2 = std::log(tail(x, n * std::exp(-2 * h)));
      const StudentCdfSlope slope = log_student_cdf_in_log_n(x, n);
      EXPECT_NEAR(slope.first, (8 * (up - down) - (up2 - down2)) / (12 * h), 1e-8) << n << " " << x;
      EXPECT_NEAR(slope.second, (-30 * middle + 16 * (up + down) - (up2 + down2)) / (12 * h * h), 1e-6)
          << n << " " << x;
    }
}

TEST(SkewTExpert, RValues) {
  const SkewTParameters<DoubleArray> p{kNoSlope, number(0.4), number(std::log(1.3)), number(-2.5),
                                       number(std::log(4.5))};
  // log(2) - log(1.3) + dt(z, 4.5, log = TRUE) + pt(-2.5 * z * sqrt(5.5 / (4.5 + z^2)), 5.5, log.p = TRUE),
  // z = (y - 0.4) / 1.3, y = 1.7, 8 and -3
  expect_near(SkewTExpert().log_density(number(1.7), kNoInput, p), number(-4.781602801961862), kTight);
  expect_near(SkewTExpert().log_density(number(8), kNoInput, p), number(-13.3725683254687), 10 * kTight);
  expect_near(SkewTExpert().log_density(number(-3), kNoInput, p), number(-3.087459086355922), kTight);
  // integrate() of y times the density
  expect_near(SkewTExpert().mean(kNoInput, p), number(-0.7718165849898796), 1e-10);
}

TEST(SkewTExpert, ContainsStudentAndSkewNormal) {
  for (const double y : {-7.0, -0.3, 0.4, 2.5}) {
    const SkewTParameters<DoubleArray> straight{kNoSlope, number(0.4), number(0.3), number(0), number(1.2)};
    const StudentTParameters<DoubleArray> student{kNoSlope, number(0.4), number(0.3), number(1.2)};
    expect_near(SkewTExpert().log_density(number(y), kNoInput, straight),
                StudentTExpert().log_density(number(y), kNoInput, student), kTight);
    // z^4 / nu and nu log nu times rounding.
    const SkewTParameters<DoubleArray> light{kNoSlope, number(0.4), number(0.3), number(-2), number(std::log(1e6))};
    const SkewNormalParameters<DoubleArray> normal{kNoSlope, number(0.4), number(0.3), number(-2)};
    expect_near(SkewTExpert().log_density(number(y), kNoInput, light),
                SkewNormalExpert().log_density(number(y), kNoInput, normal), 1e-3);
  }
}

TEST(LaplaceExpert, ClosedForm) {
  const LaplaceExpertParameters<DoubleArray> p{kNoSlope, number(0.4), number(std::log(1.3))};
  // log(exp(-abs(1.7 - 0.4) / 1.3) / 2 / 1.3)
  expect_near(LaplaceExpert().log_density(number(1.7), kNoInput, p), number(-1.955511445027436), kTight);
}

TEST(TobitExpert, RValues) {
  const TobitParameters<DoubleArray> p{kNoSlope, number(0.4), number(std::log(1.3))};
  // pnorm(1.7, 0.4, 1.3, log.p = TRUE); the same with lower.tail = FALSE
  expect_near(TobitExpert().log_density(number(1.7), kNoInput, p, number(-1)), number(-0.17275377902345), kTight);
  expect_near(TobitExpert().log_density(number(1.7), kNoInput, p, number(0)), number(-1.841021645009263), kTight);
  expect_near(TobitExpert().log_density(number(1.7), kNoInput, p, number(1)),
              TobitExpert().log_density(number(1.7), kNoInput, p), kTight);
}

TEST(OrdinalExpert, RValue) {
  OrdinalExpert three;
  three.classes = 3;
  // Thresholds 0 and 1.2, eta = 0.4, the middle class: log(plogis(1.2 - 0.4) - plogis(0 - 0.4))
  const OrdinalParameters<DoubleArray> p{kNoSlope, number(0.4), number(std::log(1.2))};
  expect_near(three.log_density(number(1), kNoInput, p), number(-1.242498336208164), kTight);
}

TEST(HeteroscedasticExpert, IsTheGaussianOfTheRow) {
  const HeteroscedasticParameters<DoubleArray> p{number(0.7), number(0.1), number(-0.6), number(0.3)};
  for (const double x : {0.5, -1.0}) {
    const GaussianParameters<DoubleArray> same{number(0.7), number(0.1), number(0.3 - 0.6 * x)};
    expect_near(HeteroscedasticExpert().log_density(number(1.3), number(x), p),
                GaussianExpert().log_density(number(1.3), number(x), same), kTight);
  }
}

}  // namespace
}  // namespace clearway
