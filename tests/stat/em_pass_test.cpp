// em_pass against its readable form, for random problems and every instruction set of this machine; its vector exp and
// log against the standard library; its Hessian against finite differences.
#include "clearway/stat/em_pass.hpp"

#include <gtest/gtest.h>
// RapidCheck's GoogleTest header needs gtest first.
#include <rapidcheck/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "../../src/stat/em_pass_kernels.hpp"
#include "clearway/base/random.hpp"

namespace clearway {
namespace {

struct Problem {
  Matrix x, z;
  Vector y, weights;
  EmParameters parameters;
  bool shared = false;  // z is x
};

// A random problem: n rows, d expert inputs, g gate inputs (both plus ones), scores and residuals of size `scale`.
Problem random_problem(std::uint64_t seed, Eigen::Index n, Eigen::Index d, Eigen::Index g, Eigen::Index K, bool shared,
                       bool weighted, bool noise, double scale = 1.0) {
  RandomStream random(seed);
  const auto normal = [&](Eigen::Index rows, Eigen::Index cols) {
    return Matrix(Matrix::NullaryExpr(rows, cols, [&] { return random.normal(); }));
  };
  Problem p;
  p.shared = shared;
  p.x.resize(n, d + 1);
  p.x << Vector::Ones(n), normal(n, d);
  if (shared) {
    p.z = p.x;
  } else {
    p.z.resize(n, g + 1);
    p.z << Vector::Ones(n), normal(n, g);
  }
  p.parameters.coefficients = normal(d + 1, K);
  p.parameters.gate = scale * normal(p.z.cols(), K);
  p.parameters.gate.col(K - 1).setZero();
  p.parameters.sigma = (0.5 * normal(K, 1)).array().exp();
  p.y = scale * normal(n, 1) + p.x * p.parameters.coefficients.col(0);
  if (weighted) p.weights = Vector::NullaryExpr(n, [&] { return 3.0 * random.uniform(); });
  if (noise) {
    p.parameters.has_noise = true;
    p.parameters.noise_weight = 0.1;
    p.parameters.noise_log_density = -2.0;
  }
  return p;
}

// The tiled form of a problem, and a pass over it.
struct Tiled {
  TiledMatrix x, z, y, weights;
  EmPass pass;

  explicit Tiled(const Problem& p, int instruction_set = -1)
      : x(p.x),
        z(p.shared ? Matrix() : p.z),
        y(p.y),
        weights(p.weights),
        pass(EmData{&x, p.shared ? &x : &z, &y, p.weights.size() > 0 ? &weights : nullptr}, p.parameters.experts(),
             instruction_set) {}
};

// Both forms add the same n terms in another order, and their rounding errors are some units in the last place of sums
// of absolute values: 1e-12 of those leaves a factor of a hundred for n <= 1000.
void expect_near(const Matrix& actual, const Matrix& expected, double size, const char* what) {
  ASSERT_EQ(actual.rows(), expected.rows()) << what;
  ASSERT_EQ(actual.cols(), expected.cols()) << what;
  if (actual.size() == 0) return;
  ASSERT_TRUE(actual.allFinite()) << what;
  EXPECT_LE((actual - expected).cwiseAbs().maxCoeff(), 1e-12 * (1.0 + size)) << what;
}

void expect_same(const EmSums& a, const EmSums& b, const Problem& p) {
  const double n = static_cast<double>(p.x.rows()) * (p.weights.size() > 0 ? 3.0 : 1.0);
  const double xs = p.x.cwiseAbs().maxCoeff(), zs = p.z.cwiseAbs().maxCoeff();
  const double es = ((-(p.x * p.parameters.coefficients)).colwise() + p.y).cwiseAbs().maxCoeff();
  const double ls = std::abs(b.log_likelihood);
  EXPECT_NEAR(a.log_likelihood, b.log_likelihood, 1e-12 * (1.0 + n * 10.0 + ls));
  EXPECT_NEAR(a.noise_mass, b.noise_mass, 1e-12 * (1.0 + n));
  EXPECT_NEAR(a.entropy, b.entropy, 1e-12 * (1.0 + n));
  expect_near(a.counts, b.counts, n, "counts");
  expect_near(a.squares, b.squares, n * es * es, "squares");
  expect_near(a.cross, b.cross, n * es * xs, "cross");
  ASSERT_EQ(a.gram.size(), b.gram.size());
  for (std::size_t k = 0; k < a.gram.size(); ++k) expect_near(a.gram[k], b.gram[k], n * xs * xs, "gram");
  expect_near(a.gate_gradient, b.gate_gradient, n * zs, "gate gradient");
  expect_near(a.gate_information, b.gate_information, n * zs * zs, "gate information");
}

TEST(TiledMatrix, HoldsTheMatrixAndPadsWithZeros) {
  const Matrix m = Matrix::Random(37, 5);
  const TiledMatrix plain(m), ones(m, true);
  EXPECT_EQ(plain.to_matrix(), m);
  EXPECT_EQ(ones.cols(), 6);
  EXPECT_EQ(ones.to_matrix().rightCols(5), m);
  EXPECT_EQ(ones.to_matrix().col(0), Vector::Ones(37));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ones.tile(0)) % 64, 0u);
  const double* last = ones.tile(ones.tiles() - 1);
  for (Eigen::Index j = 0; j < 6; ++j)
    for (Eigen::Index i = 37 % TiledMatrix::kTile; i < TiledMatrix::kTile; ++i)
      EXPECT_EQ(last[j * TiledMatrix::kTile + i], 0.0);
  EXPECT_EQ(TiledMatrix(Vector(m.col(0))).to_matrix(), m.col(0));
  EXPECT_EQ(TiledMatrix(m.topRows(0)).tiles(), 0);
  EXPECT_EQ(TiledMatrix(m.middleRows(3, 20)).to_matrix(), m.middleRows(3, 20));

  const Vector centre = Vector::Random(5), scale = Vector::Constant(5, 2.5);
  const TiledMatrix standardised(m, true, centre, scale);
  EXPECT_EQ(standardised.to_matrix().col(0), Vector::Ones(37));
  EXPECT_EQ(standardised.to_matrix().rightCols(5), Matrix((m.rowwise() - centre.transpose()) / 2.5));
  EXPECT_EQ(standardised.tile(2)[15], 0.0);
  EXPECT_THROW(TiledMatrix(m, true, centre.head(4), scale), std::invalid_argument);
}

RC_GTEST_PROP(EmPass, EqualsReference, ()) {
  const auto n = *rc::gen::inRange(1, 700);
  const auto d = *rc::gen::inRange(0, 14), g = *rc::gen::inRange(0, 14), K = *rc::gen::inRange(1, 11);
  const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000000);
  const bool shared = *rc::gen::arbitrary<bool>(), weighted = *rc::gen::arbitrary<bool>(),
             noise = *rc::gen::arbitrary<bool>();
  const auto set = *rc::gen::inRange(0, static_cast<int>(detail::em_kernels_available()));
  const Problem p = random_problem(seed, n, d, g, K, shared, weighted, noise);
  Matrix r, r_reference;
  const EmSums expected = em_pass_reference(p.x, p.z, p.y, p.weights, p.parameters, &r_reference);
  Tiled tiled(p, set);
  EmSums actual;
  tiled.pass.run(p.parameters, EmParts::all(), actual, 1, &r);
  expect_same(actual, expected, p);
  expect_near(r, r_reference, 1.0, "responsibilities");
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(EmPass, PartsAreIndependent) {
  const Problem p = random_problem(3, 5150, 4, 2, 3, false, true, true);
  Tiled tiled(p);
  EmSums all;
  tiled.pass.run(p.parameters, EmParts::all(), all);
  for (int part = 0; part < 4; ++part) {
    EmSums one;
    tiled.pass.run(p.parameters, {part == 0, part == 1, part == 2, part == 3}, one);
    EXPECT_EQ(one.log_likelihood, all.log_likelihood);
    EXPECT_EQ(one.counts.size() > 0, part == 0);
    if (part == 0) {
      EXPECT_EQ(one.gram[1], all.gram[1]);
      EXPECT_EQ(one.cross, all.cross);
    } else if (part == 1) {
      EXPECT_EQ(one.gate_gradient, all.gate_gradient);
    } else if (part == 2) {
      EXPECT_EQ(one.gate_information, all.gate_information);
    } else {
      EXPECT_EQ(one.entropy, all.entropy);
    }
  }
}

TEST(EmPass, BitIdenticalForAnyNumberOfThreads) {
  const Problem p = random_problem(5, 40003, 6, 0, 4, true, true, true);
  EmSums one, many;
  Matrix r_one, r_many;
  Tiled tiled(p);
  tiled.pass.run(p.parameters, EmParts::all(), one, 1, &r_one);
  for (int threads : {2, 3, 7}) {
    tiled.pass.run(p.parameters, EmParts::all(), many, threads, &r_many);
    EXPECT_EQ(one.log_likelihood, many.log_likelihood);
    EXPECT_EQ(one.entropy, many.entropy);
    EXPECT_EQ(one.squares, many.squares);
    EXPECT_EQ(one.cross, many.cross);
    EXPECT_EQ(one.gram[3], many.gram[3]);
    EXPECT_EQ(one.gate_gradient, many.gate_gradient);
    EXPECT_EQ(one.gate_information, many.gate_information);
    EXPECT_EQ(r_one, r_many);
  }
}

// Scores up to 1e4, residuals far beyond the reach of exp: finite, and still the reference. Rounding errors of a log
// density of size 1e8 are about 1e-8, so that responsibilities that are not 0 or 1 differ by as much.
TEST(EmPass, ExtremeScoresStayFinite) {
  for (bool noise : {false, true}) {
    Problem p = random_problem(9, 333, 3, 0, 4, true, false, noise, 3000.0);
    p.parameters.sigma.setConstant(0.3);
    Tiled tiled(p);
    EmSums actual;
    Matrix r, r_reference;
    tiled.pass.run(p.parameters, EmParts::all(), actual, 1, &r);
    const EmSums expected = em_pass_reference(p.x, p.z, p.y, p.weights, p.parameters, &r_reference);
    EXPECT_TRUE(actual.gate_information.allFinite());
    EXPECT_TRUE(actual.gate_gradient.allFinite());
    EXPECT_TRUE(std::isfinite(actual.entropy));
    EXPECT_NEAR(actual.log_likelihood, expected.log_likelihood, 1e-12 * std::abs(expected.log_likelihood));
    expect_near(r, r_reference, 1e5, "responsibilities");
  }
}

TEST(EmPass, OverflowingResidualsStayFinite) {
  Problem p = random_problem(9, 20, 1, 0, 2, true, false, false);
  p.y(3) = 1e200;
  Tiled tiled(p);
  EmSums sums;
  Matrix r;
  tiled.pass.run(p.parameters, {}, sums, 1, &r);
  EXPECT_TRUE(std::isfinite(sums.log_likelihood));
  EXPECT_TRUE(r.allFinite());
}

TEST(EmPass, IntegerWeightsAreRepeatedRows) {
  const Problem p = random_problem(11, 50, 3, 2, 3, false, false, true);
  Problem weighted = p, repeated = p;
  weighted.weights = Vector::Constant(50, 2.0);
  repeated.x.resize(100, p.x.cols());
  repeated.x << p.x, p.x;
  repeated.z.resize(100, p.z.cols());
  repeated.z << p.z, p.z;
  repeated.y.resize(100);
  repeated.y << p.y, p.y;
  EmSums a, b;
  Tiled(weighted).pass.run(p.parameters, EmParts::all(), a);
  Tiled(repeated).pass.run(p.parameters, EmParts::all(), b);
  expect_same(a, b, weighted);
}

TEST(EmPass, RejectsShapesThatDoNotFit) {
  const Problem p = random_problem(1, 20, 2, 1, 3, false, false, false);
  Tiled tiled(p);
  EmSums sums;
  EmParameters wrong = p.parameters;
  wrong.sigma(1) = 0.0;
  EXPECT_THROW(tiled.pass.run(wrong, {}, sums), std::invalid_argument);
  wrong = p.parameters;
  wrong.gate.conservativeResize(5, 3);
  EXPECT_THROW(tiled.pass.run(wrong, {}, sums), std::invalid_argument);
  const TiledMatrix short_y(Vector(p.y.head(10)));
  EXPECT_THROW(EmPass({&tiled.x, &tiled.z, &short_y}, 3), std::invalid_argument);
  EXPECT_THROW(EmPass({&tiled.x, &tiled.z, &tiled.y}, 0), std::invalid_argument);
  EXPECT_THROW(EmPass({&tiled.x, &tiled.z, &tiled.y}, 2, 99), std::invalid_argument);
}

// Log-likelihood of the readable form at parameters moved by `step`, in the order of EmDerivatives.
EmParameters moved(const EmParameters& at, const Vector& step) {
  EmParameters out = at;
  const Eigen::Index p = at.coefficients.rows(), q = at.gate.rows(), K = at.experts();
  Eigen::Index i = 0;
  for (Eigen::Index k = 0; k + 1 < K; ++k, i += q) out.gate.col(k) += step.segment(i, q);
  for (Eigen::Index k = 0; k < K; ++k, i += p + 1) {
    out.coefficients.col(k) += step.segment(i, p);
    out.sigma(k) *= std::exp(step(i + p));
  }
  if (at.has_noise) {
    const double logit = std::log(at.noise_weight / (1.0 - at.noise_weight)) + step(i++);
    out.noise_weight = 1.0 / (1.0 + std::exp(-logit));
  }
  EXPECT_EQ(i, step.size());
  return out;
}

// Richardson's extrapolation of central differences with h = 1e-3: the truncation error is 4 h^4 / 120 = 3e-14 times
// the fifth derivative, the rounding error 1e-16 / h = 1e-13 times the value. The tolerance of 1e-7 leaves room for
// fifth derivatives a million times the second, which sharp responsibilities reach.
double derivative(const std::function<double(double)>& f) {
  const double h = 1e-3;
  return (8.0 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12.0 * h);
}

RC_GTEST_PROP(EmPass, DerivativesAreThoseOfTheReferenceLikelihood, ()) {
  const auto n = *rc::gen::inRange(1, 60);
  const auto d = *rc::gen::inRange(0, 4), g = *rc::gen::inRange(0, 4), K = *rc::gen::inRange(1, 5);
  const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000000);
  const bool shared = *rc::gen::arbitrary<bool>(), weighted = *rc::gen::arbitrary<bool>(),
             noise = *rc::gen::arbitrary<bool>();
  Problem p = random_problem(seed, n, d, g, K, shared, weighted, noise);
  p.parameters.sigma = p.parameters.sigma.cwiseMax(0.7);
  Tiled tiled(p);
  EmDerivatives at, above;
  tiled.pass.derivatives(p.parameters, at);
  EXPECT_NEAR(at.log_likelihood, em_pass_reference(p.x, p.z, p.y, p.weights, p.parameters).log_likelihood,
              1e-12 * (10.0 * n + std::abs(at.log_likelihood)));
  const Eigen::Index size = at.gradient.size();
  RC_ASSERT(size == (K - 1) * p.z.cols() + K * (p.x.cols() + 1) + (noise ? 1 : 0));
  const double scale = 1.0 + at.hessian.cwiseAbs().maxCoeff() + at.gradient.cwiseAbs().maxCoeff();
  for (Eigen::Index i = 0; i < size; ++i) {
    const double slope = derivative([&](double h) {
      const EmParameters there = moved(p.parameters, h * Vector::Unit(size, i));
      return em_pass_reference(p.x, p.z, p.y, p.weights, there).log_likelihood;
    });
    EXPECT_NEAR(at.gradient(i), slope, 1e-7 * scale) << "gradient " << i;
    for (Eigen::Index j = 0; j < size; ++j) {
      const double curvature = derivative([&](double h) {
        tiled.pass.derivatives(moved(p.parameters, h * Vector::Unit(size, i)), above);
        return above.gradient(j);
      });
      EXPECT_NEAR(at.hessian(i, j), curvature, 1e-7 * scale) << "hessian " << i << ", " << j;
    }
  }
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(EmPass, DerivativesAreBitIdenticalForAnyNumberOfThreads) {
  const Problem p = random_problem(5, 20003, 5, 0, 4, true, true, true);
  Tiled tiled(p);
  EmDerivatives one, many;
  tiled.pass.derivatives(p.parameters, one, 1);
  tiled.pass.derivatives(p.parameters, many, 3);
  EXPECT_EQ(one.log_likelihood, many.log_likelihood);
  EXPECT_EQ(one.gradient, many.gradient);
  EXPECT_EQ(one.hessian, many.hessian);
}

// Units in the last place between two doubles of the same sign.
double ulps(double a, double b) {
  return std::abs(a - b) / (std::nextafter(std::abs(b), INFINITY) - std::abs(b));
}

TEST(EmPassKernels, ExponentialAndLogarithmAreWithinTwoUlps) {
  RandomStream random(1);
  std::vector<double> x(1 << 16), e(x.size()), l(x.size());
  for (std::size_t set = 0; set < detail::em_kernels_available(); ++set) {
    const detail::EmKernels& kernels = detail::em_kernels(set);
    for (double width : {1e-9, 0.4, 30.0, 708.0}) {
      for (double& v : x) v = random.uniform(-width, width);
      x[0] = 0.0;
      kernels.exponential(x.data(), e.data(), x.size());
      EXPECT_EQ(e[0], 1.0);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_LE(ulps(e[i], std::exp(x[i])), 2.0) << kernels.name << x[i];
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::exp(x[i]);
      x[0] = 1.0;
      kernels.logarithm(x.data(), l.data(), x.size());
      EXPECT_EQ(l[0], 0.0);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_LE(ulps(l[i], std::log(x[i])), 2.0) << kernels.name << x[i];
    }
    for (double& v : x) v = -1e6 * random.uniform() - 745.2;
    kernels.exponential(x.data(), e.data(), x.size());
    for (double v : e) ASSERT_EQ(v, 0.0);
  }
}

}  // namespace
}  // namespace clearway
