// The exact rows of the acceptance table: constants, population tensors, the quartic loss; and the behaviour at the
// edges (k = 1, k > d, even functions, collinear columns, threads).
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <Eigen/Dense>

#include "clearway/stat/gaussian_mixture.hpp"
#include "clearway/stat/quartic_loss.hpp"
#include "clearway/stat/response_transform.hpp"
#include "clearway/stat/spectral.hpp"
#include "stat/gridlock_problem.hpp"

namespace clearway {
namespace {

using testing::gridlock_problem;
using testing::GridlockOptions;
using testing::regressor_error;

ExpertSpec link_of(ExpertKind kind, double leak = 0.01, int degree = 2) {
  ExpertSpec spec;
  spec.kind = kind;
  spec.leak = leak;
  spec.degree = degree;
  return spec;
}

Matrix normals(Eigen::Index rows, Eigen::Index columns, RandomStream& stream) {
  Matrix m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) m(i) = stream.normal();
  return m;
}

/// Unit columns in general position: redrawn until the smallest singular value is at least `floor`.
Matrix unit_columns(Eigen::Index d, Eigen::Index k, double floor, RandomStream& stream) {
  for (;;) {
    const Matrix a = normals(d, k, stream).colwise().normalized();
    if (Eigen::JacobiSVD<Matrix>(a).singularValues()(k - 1) >= floor) return a;
  }
}

Vector random_weights(Eigen::Index k, RandomStream& stream) {
  Vector w(k);
  for (Eigen::Index i = 0; i < k; ++i) w(i) = 0.5 + stream.uniform();
  return w / w.sum();
}

void expect_relative(double value, double expected, double tolerance, const char* what) {
  EXPECT_NEAR(value, expected, tolerance * std::max(1.0, std::abs(expected))) << what;
}

// ---- row 1: constants
// ------------------------------------------------------------------------------------------------

TEST(ResponseTransform, LinearIsExact) {
  const ResponseTransform t = response_transform(link_of(ExpertKind::linear));
  const double tolerance = 1e-14;
  EXPECT_NEAR(t.alpha, 0, tolerance);
  EXPECT_NEAR(t.b, -3, 3 * tolerance);
  EXPECT_NEAR(t.gamma, 0, tolerance);
  EXPECT_NEAR(t.c2, 2, 2 * tolerance);
  EXPECT_NEAR(t.c3, 6, 6 * tolerance);
  EXPECT_NEAR(t.alpha4, 0, tolerance);
  EXPECT_NEAR(t.b2, -6, 6 * tolerance);
  EXPECT_NEAR(t.b1, 0, tolerance);
  EXPECT_NEAR(t.c4, 24, 24 * tolerance);
  EXPECT_NEAR(t.beta(0.5), -3.75, 1e-14);
  EXPECT_NEAR(t.beta4(0.5), -7.5, 1e-13);
}

struct TableRow {
  ExpertSpec link;
  double alpha, b, gamma, c2, c3;
};

// Published digits: twelve (eleven for c2, c3), so that 1e-9 relative is far above their rounding.
TEST(ResponseTransform, TableOfConstants) {
  const std::vector<TableRow> table = {
      {link_of(ExpertKind::sigmoid), -1.5, 0.650992626083, -1, 6.2396483959e-2, 2.2768577653e-2},
      {link_of(ExpertKind::tanh), 0, -0.699857958598, 0, 3.6359537628e-1, 2.3345663827e-1},
      {link_of(ExpertKind::relu), -3.293593735141, 2.255815181652, -1.595769121606, 3.6338022763e-1, 3.7209240917e-1},
      {link_of(ExpertKind::leaky_relu), -3.244785821702, 2.155849730291, -1.579811430390, 3.7614896110e-1,
       4.1129738620e-1}};
  for (const TableRow& row : table) {
    SCOPED_TRACE(enum_name(row.link.kind));
    const ResponseTransform t = response_transform(row.link);
    const auto near = [](double value, double expected) {
      EXPECT_NEAR(value, expected, 1e-9 * std::max(std::abs(expected), 1e-3)) << expected;
    };
    near(t.alpha, row.alpha);
    near(t.b, row.b);
    near(t.gamma, row.gamma);
    near(t.c2, row.c2);
    near(t.c3, row.c3);
  }
  const ResponseTransform leaky = response_transform(link_of(ExpertKind::leaky_relu, 0.2));
  expect_relative(leaky.alpha, -2.482339241393, 1e-9, "alpha");
  expect_relative(leaky.gamma, -1.276615297285, 1e-9, "gamma");
  expect_relative(leaky.c2, 6.3256334575e-1, 1e-9, "c2");
  expect_relative(leaky.c3, 1.1226046508, 1e-9, "c3");
}

// Eight digits were published for the quartic constants.
TEST(ResponseTransform, QuarticConstants) {
  const auto check = [](ExpertSpec link, double alpha4, double b2, double b1, double c4) {
    SCOPED_TRACE(enum_name(link.kind));
    const ResponseTransform t = response_transform(link);
    EXPECT_NEAR(t.alpha4, alpha4, 1e-7);
    EXPECT_NEAR(t.b2, b2, 1e-7);
    EXPECT_NEAR(t.b1, b1, 1e-6);
    EXPECT_NEAR(t.c4, c4, 2e-6 * c4);
  };
  check(link_of(ExpertKind::sigmoid), -2, 1.3386314, -0.33863141, 9.358987e-3);
  check(link_of(ExpertKind::tanh), 0, -1.0192599, 0, 1.568724e-1);
  check(link_of(ExpertKind::relu), -5.3524827, 8.1250266, -3.291295, 5.010469e-1);
  check(link_of(ExpertKind::leaky_relu), -5.2098831, 7.5896392, -2.8351605, 6.491114e-1);
}

// The closed form for leaky ReLU of any slope, derived by hand from the half-line moments.
RC_GTEST_PROP(ResponseTransform, LeakyClosedForm, ()) {
  const double s = *rc::gen::inRange(0, 96) / 100.0;
  const double c = 1 / std::sqrt(2 * M_PI);
  const ResponseTransform t = response_transform(link_of(ExpertKind::leaky_relu, s));
  const double c2 = 1 + s * s - (2 / M_PI) * (1 - s) * (1 - s);
  const double alpha = -3 * c * (1 - s) * (1 + 3 * s + s * s) / c2;
  RC_ASSERT(std::abs(t.alpha - alpha) < 1e-12);
  RC_ASSERT(std::abs(t.b - (-3 * (1 - s + s * s) - 4 * c * (1 - s) * alpha)) < 1e-12);
  RC_ASSERT(std::abs(t.gamma + 4 * c * (1 - s)) < 1e-12);
  RC_ASSERT(std::abs(t.c2 - c2) < 1e-12);
  RC_ASSERT(std::abs(t.c3 - (3 * (1 + s * s * s) + 2 * c * (1 - s * s) * alpha)) < 1e-12);
}

// The null conditions by another quadrature than the library's: Simpson's rule on each side of the kink at 0, where
// psi(z) = E[P(y) | z] is computed from the reference mean functions of the tests.
TEST(ResponseTransform, NullConditionsHold) {
  const double sigma = 0.3;
  for (const ExpertSpec& link :
       {link_of(ExpertKind::linear), link_of(ExpertKind::sigmoid), link_of(ExpertKind::tanh), link_of(ExpertKind::relu),
        link_of(ExpertKind::leaky_relu, 0.2), link_of(ExpertKind::polynomial, 0, 3)}) {
    SCOPED_TRACE(enum_name(link.kind));
    const ResponseTransform t = response_transform(link);
    const double s2 = sigma * sigma;
    double cubic[4] = {}, quadratic[3] = {}, quartic[5] = {};
    const int points = 40000;
    for (const double side : {-1.0, 1.0})
      for (int i = 0; i <= points; ++i) {
        const double z = side * 16.0 * i / points;
        const double simpson = (i == 0 || i == points) ? 1 : (i % 2 == 1 ? 4 : 2);
        const double weight = simpson / 3 * 16.0 / points * std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
        const double g = testing::reference_mean(link, z), g2 = g * g, g3 = g2 * g;
        const double e1 = g, e2 = g2 + s2, e3 = g3 + 3 * g * s2, e4 = g2 * g2 + 6 * g2 * s2 + 3 * s2 * s2;
        const double he[5] = {1, z, z * z - 1, z * z * z - 3 * z, z * z * z * z - 6 * z * z + 3};
        for (int m = 1; m <= 3; ++m) cubic[m] += weight * he[m] * (e3 + t.alpha * e2 + t.beta(sigma) * e1);
        for (int m = 1; m <= 2; ++m) quadratic[m] += weight * he[m] * (e2 + t.gamma * e1);
        for (int m = 1; m <= 4; ++m)
          quartic[m] += weight * he[m] * (e4 + t.alpha4 * e3 + t.beta4(sigma) * e2 + t.gamma4(sigma) * e1);
      }
    // Simpson's rule is good to about 1e-13 relative here; the constants of z^3 are of order 1e3 to 1e6.
    const double unit = std::max(1.0, std::abs(t.c4));
    EXPECT_NEAR(quadratic[1], 0, 1e-10 * std::max(1.0, t.c2));
    EXPECT_NEAR(cubic[1], 0, 1e-10 * std::max(1.0, t.c3));
    EXPECT_NEAR(cubic[2], 0, 1e-10 * std::max(1.0, t.c3));
    for (int m = 1; m <= 3; ++m) EXPECT_NEAR(quartic[m], 0, 1e-10 * unit) << m;
    EXPECT_NEAR(quadratic[2], t.c2, 1e-10 * std::max(1.0, t.c2));
    EXPECT_NEAR(cubic[3], t.c3, 1e-10 * std::max(1.0, t.c3));
    EXPECT_NEAR(quartic[4], t.c4, 1e-10 * unit);
  }
}

// ReLU with the almost-everywhere derivative instead of the weak one leaves E[psi''] = c (12/pi - 3): the trap.
TEST(ResponseTransform, ReluTrapIsAvoided) {
  const double c = 1 / std::sqrt(2 * M_PI);
  const ResponseTransform t = response_transform(link_of(ExpertKind::relu));
  const HermiteMoments& m = t.moments;
  const double trap_alpha = -3 * std::sqrt(2 / M_PI), trap_b = 3 * (4 / M_PI - 1);
  EXPECT_NEAR(m[3][2] + trap_alpha * m[2][2] + trap_b * m[1][2], c * (12 / M_PI - 3), 1e-12);
  EXPECT_NEAR(t.null_conditions()[2], 0, 1e-14);
}

TEST(ResponseTransform, EvenPowersHaveNoCubic) {
  const ResponseTransform t = response_transform(link_of(ExpertKind::polynomial, 0, 2));
  EXPECT_FALSE(t.has_cubic);
  EXPECT_TRUE(t.has_quadratic);
  EXPECT_TRUE(t.has_quartic);
  EXPECT_NEAR(t.c2, 12, 1e-12);  // E[z^4 (z^2 - 1)] = 15 - 3
  EXPECT_TRUE(std::isnan(t.alpha));
  EXPECT_THROW(response_transform(link_of(ExpertKind::poisson)), std::invalid_argument);
}

// ---- row 2: population tensors
// ---------------------------------------------------------------------------------------

void expect_recovery(DecompositionMethod method, int k, std::uint64_t seed, double tolerance) {
  RandomStream stream(seed, static_cast<std::uint64_t>(k));
  const Eigen::Index d = k + 3;
  const Matrix a = unit_columns(d, k, 0.2, stream);
  const Vector w = random_weights(k, stream);
  SymmetricTensor3 t3(d);
  Matrix m2 = Matrix::Zero(d, d);
  for (Eigen::Index i = 0; i < k; ++i) {
    t3.add_rank_one(w(i), a.col(i));
    m2 += w(i) * a.col(i) * a.col(i).transpose();
  }
  const RankOneTerms terms = decompose(m2, t3, k, {.method = method, .seed = seed});
  EXPECT_TRUE(terms.usable);
  std::vector<int> order;
  EXPECT_LT(regressor_error(terms.vectors.transpose(), a.transpose(), &order), tolerance) << "k " << k;
  for (int i = 0; i < k; ++i) EXPECT_NEAR(terms.weights(order[static_cast<std::size_t>(i)]), w(i), tolerance);
  EXPECT_TRUE(std::is_sorted(terms.weights.data(), terms.weights.data() + k, std::greater<>()));
}

TEST(TensorDecomposition, PopulationTensorsRecoverRegressorsAndWeights) {
  for (int k = 2; k <= 6; ++k)
    for (std::uint64_t seed = 0; seed < 8; ++seed) expect_recovery(DecompositionMethod::power, k, seed, 1e-8);
}

// Alternating least squares may lose a factor and then says so by its residual: what it calls exact is right, and that
// happens most of the time. It converges linearly, hence 1e-6.
TEST(TensorDecomposition, OrthogonalisedAlternatingLeastSquares) {
  int exact = 0;
  for (int k = 2; k <= 4; ++k)
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      RandomStream stream(seed, static_cast<std::uint64_t>(k));
      const Matrix a = unit_columns(k + 3, k, 0.5, stream);
      const Vector w = random_weights(k, stream);
      SymmetricTensor3 t3(k + 3);
      for (Eigen::Index i = 0; i < k; ++i) t3.add_rank_one(w(i), a.col(i));
      const Matrix m2 = a * w.asDiagonal() * a.transpose();
      const RankOneTerms terms =
          decompose(m2, t3, k, {.method = DecompositionMethod::als, .iterations = 200, .seed = seed});
      if (terms.residual > 1e-9) continue;
      ++exact;
      EXPECT_LT(regressor_error(terms.vectors.transpose(), a.transpose()), 1e-6);
    }
  EXPECT_GE(exact, 9) << "of 12";
}

// Lengths need not be 1: the pair of moments determines them.
TEST(TensorDecomposition, UnequalLengths) {
  RandomStream stream(5);
  Matrix a = unit_columns(6, 3, 0.4, stream);
  a.col(0) *= 0.5;
  a.col(2) *= 2;
  const Vector w = random_weights(3, stream);
  SymmetricTensor3 t3(6);
  for (Eigen::Index i = 0; i < 3; ++i) t3.add_rank_one(w(i), a.col(i));
  const RankOneTerms terms = decompose(Matrix(a * w.asDiagonal() * a.transpose()), t3, 3, {});
  EXPECT_LT(regressor_error(terms.vectors.transpose(), a.transpose()), 1e-8);
}

TEST(TensorDecomposition, TransformAgreesWithDefinition) {
  RandomStream stream(7);
  SymmetricTensor3 t(4);
  for (int i = 0; i < 5; ++i) t.add_rank_one(stream.normal(), normals(4, 1, stream).col(0));
  const Matrix d = normals(4, 2, stream);
  const SymmetricTensor3 small = t.transformed(d);
  for (int a = 0; a < 2; ++a)
    for (int b = 0; b < 2; ++b)
      for (int c = 0; c < 2; ++c) {
        double sum = 0;
        for (int i = 0; i < 4; ++i)
          for (int j = 0; j < 4; ++j)
            for (int l = 0; l < 4; ++l) sum += t(i, j, l) * d(i, a) * d(j, b) * d(l, c);
        EXPECT_NEAR(small(a, b, c), sum, 1e-12);
      }
}

// ---- row 17: quartic loss
// --------------------------------------------------------------------------------------------

// The loss by its definition, as a mean over a sample of the tensors S4 and S2 written out.
double quartic_loss_by_definition(const Matrix& x, const Vector& q4, const Vector& q2, const Matrix& b, double mu,
                                  double lambda) {
  const double n = static_cast<double>(x.rows());
  const auto t1 = [&](const Vector& u, const Vector& v) {
    double sum = 0;
    for (Eigen::Index t = 0; t < x.rows(); ++t) {
      const double ux = x.row(t).dot(u), vx = x.row(t).dot(v), uv = u.dot(v), uu = u.squaredNorm(),
                   vv = v.squaredNorm();
      sum += q4(t) * (ux * ux * vx * vx - uu * vx * vx - vv * ux * ux - 4 * uv * ux * vx + uu * vv + 2 * uv * uv);
    }
    return sum / n;
  };
  double loss = 0;
  for (Eigen::Index i = 0; i < b.rows(); ++i) {
    const Vector u = b.row(i).transpose();
    for (Eigen::Index j = 0; j < b.rows(); ++j) loss += (i == j ? -mu : 1.0) * t1(u, b.row(j).transpose());
    double t3 = 0;
    for (Eigen::Index t = 0; t < x.rows(); ++t) {
      const double ux = x.row(t).dot(u);
      t3 += q2(t) * (ux * ux - u.squaredNorm()) / n;
    }
    loss += lambda * (t3 - 1) * (t3 - 1);
  }
  return loss;
}

TEST(QuarticLoss, EqualsItsDefinition) {
  RandomStream stream(11);
  const Eigen::Index k = 3, n = 50;
  const Matrix x = normals(n, k, stream);
  const Vector q4 = normals(n, 1, stream).col(0), q2 = normals(n, 1, stream).col(0);
  // T4 and M2 of that sample, entry by entry from the Hermite tensors.
  QuarticMoments moments{Matrix::Zero(k, k), Matrix::Zero(k * k, k * k)};
  const auto delta = [](Eigen::Index a, Eigen::Index b) { return a == b ? 1.0 : 0.0; };
  for (Eigen::Index t = 0; t < n; ++t) {
    const auto r = x.row(t);
    for (Eigen::Index a = 0; a < k; ++a)
      for (Eigen::Index b = 0; b < k; ++b) {
        moments.m2(a, b) += q2(t) * (r(a) * r(b) - delta(a, b)) / static_cast<double>(n);
        for (Eigen::Index c = 0; c < k; ++c)
          for (Eigen::Index e = 0; e < k; ++e)
            moments.t4(a + k * b, c + k * e) +=
                q4(t) / static_cast<double>(n) *
                (r(a) * r(b) * r(c) * r(e) - r(a) * r(b) * delta(c, e) - r(a) * r(c) * delta(b, e) -
                 r(a) * r(e) * delta(b, c) - r(b) * r(c) * delta(a, e) - r(b) * r(e) * delta(a, c) -
                 r(c) * r(e) * delta(a, b) + delta(a, b) * delta(c, e) + delta(a, c) * delta(b, e) +
                 delta(a, e) * delta(b, c));
      }
  }
  const QuarticLoss loss(moments, {.lambda = 0.7, .mu = 0.2});
  const Matrix b = normals(k, k, stream);
  const double expected = quartic_loss_by_definition(x, q4, q2, b, 0.2, 0.7);
  EXPECT_NEAR(loss.value(b), expected, 1e-10 * (1 + std::abs(expected)));
}

TEST(QuarticLoss, GradientEqualsFiniteDifferences) {
  RandomStream stream(12);
  const Matrix a = unit_columns(4, 4, 0.3, stream);
  const QuarticLoss loss(population_quartic_moments(random_weights(4, stream), a), {.delta = 0.1});
  const Matrix b = normals(4, 4, stream);
  Matrix gradient;
  loss.value(b, &gradient);
  // Central differences with one Richardson step on a polynomial of degree 4: exact but for rounding, about
  // eps |L4| / h = 1e-16 * 1e2 / 1e-2 = 1e-12.
  const double h = 1e-2;
  for (Eigen::Index i = 0; i < b.size(); ++i) {
    const auto central = [&](double step) {
      Matrix plus = b, minus = b;
      plus(i) += step;
      minus(i) -= step;
      return (loss.value(plus) - loss.value(minus)) / (2 * step);
    };
    const double difference = (4 * central(h / 2) - central(h)) / 3;
    EXPECT_NEAR(gradient(i), difference, 1e-8 * std::max(1.0, std::abs(difference)));
  }
}

TEST(QuarticLoss, RandomStartsReachTheTruthOnPopulationMoments) {
  int recovered = 0;
  for (std::uint64_t start = 0; start < 30; ++start) {
    RandomStream stream(13, start);
    const Matrix a = unit_columns(3, 3, 0.3, stream);
    const Vector w = random_weights(3, stream);
    const QuarticLoss loss(population_quartic_moments(w, a), {});
    EXPECT_NEAR(loss.mu(), 0.25 * w.minCoeff(), 1e-6);  // found by power iteration
    const QuarticMinimum minimum = minimise(loss, normals(3, 3, stream));
    Matrix found = directions_of(minimum.b);
    for (Eigen::Index i = 0; i < 3; ++i) {
      Eigen::Index nearest = 0;
      (found.row(i) * a).cwiseAbs().maxCoeff(&nearest);
      if (found.row(i).dot(a.col(nearest)) < 0) found.row(i) = -found.row(i);  // L4 is even in B
    }
    recovered += regressor_error(found, a.transpose()) < 1e-6;
  }
  EXPECT_GE(recovered, 29);
}

// ---- edges
// -----------------------------------------------------------------------------------------------------------

TEST(SpectralRegressors, OneLinearExpertIsLeastSquares) {
  RandomStream stream(20);
  const Matrix x = normals(500, 3, stream).array() * 4 + 7;
  const Vector slope = Vector::LinSpaced(3, -1, 2);
  Vector y = (x * slope).array() + 5;
  for (double& value : y) value += 0.1 * stream.normal();
  Matrix design(500, 4);
  design << Vector::Ones(500), x;
  const Vector expected = design.colPivHouseholderQr().solve(y);
  SpectralOptions options;
  options.experts = 1;
  const SpectralResult result = spectral_regressors(x, y, options);
  ASSERT_TRUE(result.found);
  EXPECT_NEAR(result.intercepts(0), expected(0), 1e-9);
  EXPECT_LT((result.slopes.row(0).transpose() - expected.tail(3)).norm(), 1e-10);
}

TEST(SpectralRegressors, MoreExpertsThanInputsIsNotFound) {
  const testing::GridlockProblem p = gridlock_problem({.experts = 2, .dim = 4, .rows = 500}, 1);
  SpectralOptions options;
  options.experts = 3;
  for (const Eigen::Index d : {1, 2}) {
    const SpectralResult result = spectral_regressors(p.x.leftCols(d), p.y, options);
    EXPECT_FALSE(result.found);
    EXPECT_FALSE(result.reliable);
    ASSERT_FALSE(result.diagnoses.empty());
    EXPECT_NE(result.diagnoses.front().find("independent inputs"), std::string::npos);
  }
}

TEST(SpectralRegressors, UserMistakesThrow) {
  const testing::GridlockProblem p = gridlock_problem({.rows = 200}, 1);
  SpectralOptions options;
  options.experts = 0;
  EXPECT_THROW(spectral_regressors(p.x, p.y, options), std::invalid_argument);
  options.experts = 2;
  EXPECT_THROW(spectral_regressors(p.x.topRows(100), p.y, options), std::invalid_argument);
  options.link = link_of(ExpertKind::polynomial, 0, 2);
  EXPECT_THROW(spectral_regressors(p.x, p.y, options), std::invalid_argument);
  options.link = link_of(ExpertKind::gamma);
  EXPECT_THROW(spectral_regressors(p.x, p.y, options), std::invalid_argument);
  options = {};
  options.sigma = -1;
  EXPECT_THROW(spectral_regressors(p.x, p.y, options), std::invalid_argument);
  Matrix x = p.x;
  x(3, 2) = std::nan("");
  EXPECT_THROW(spectral_regressors(x, p.y, {}), std::invalid_argument);
}

TEST(SpectralRegressors, SameForAnyNumberOfThreads) {
  const testing::GridlockProblem p = gridlock_problem({.experts = 3, .rows = 9000, .student_degrees = 5}, 4);
  SpectralOptions options;
  options.experts = 3;
  const SpectralResult one = spectral_regressors(p.x, p.y, options);
  options.threads = 4;
  const SpectralResult four = spectral_regressors(p.x, p.y, options);
  EXPECT_TRUE(one.used_mixture);
  EXPECT_EQ(one.slopes, four.slopes);
  EXPECT_EQ(one.weights, four.weights);
}

// Affine change of the inputs and of the unit of y: the fitted means must be the same functions. Holds exactly for the
// moments; the random starts of the decomposition see rotated tensors, hence not bit for bit.
TEST(SpectralRegressors, EquivariantUnderAffineInputs) {
  const testing::GridlockProblem p = gridlock_problem({.experts = 2, .dim = 5, .rows = 4000}, 2);
  RandomStream stream(3);
  const Matrix m = normals(5, 5, stream) + 3 * Matrix::Identity(5, 5);
  const Eigen::RowVectorXd shift = normals(1, 5, stream).row(0) * 10;
  const Matrix x2 = (p.x * m).rowwise() + shift;
  const Vector y2 = (p.y * 250).array() - 40;
  const SpectralResult a = spectral_regressors(p.x, p.y, {});
  const SpectralResult b = spectral_regressors(x2, y2, {});
  const Matrix mean_a = ((p.x * a.slopes.transpose()).rowwise() + a.intercepts.transpose()) * 250;
  const Matrix mean_b = ((x2 * b.slopes.transpose()).rowwise() + b.intercepts.transpose()).array() + 40;
  EXPECT_LT((mean_a - mean_b).cwiseAbs().maxCoeff(), 1e-6 * 250);
}

TEST(SpectralRegressors, ConstantAndRepeatedColumnsDoNotMatter) {
  const testing::GridlockProblem p = gridlock_problem({.experts = 2, .dim = 5, .rows = 4000}, 3);
  Matrix wide(4000, 7);
  wide << p.x, Vector::Constant(4000, 3.0), p.x.col(0);
  const SpectralResult a = spectral_regressors(p.x, p.y, {});
  const SpectralResult b = spectral_regressors(wide, p.y, {});
  ASSERT_TRUE(b.found);
  const Matrix mean_a = (p.x * a.slopes.transpose()).rowwise() + a.intercepts.transpose();
  const Matrix mean_b = (wide * b.slopes.transpose()).rowwise() + b.intercepts.transpose();
  EXPECT_LT((mean_a - mean_b).cwiseAbs().maxCoeff(), 1e-6);
}

TEST(SpectralRegressors, TooManyExpertsAreDiagnosed) {
  const testing::GridlockProblem p = gridlock_problem({.experts = 2, .rows = 20000}, 5);
  SpectralOptions options;
  options.experts = 5;
  const SpectralResult result = spectral_regressors(p.x, p.y, options);
  EXPECT_TRUE(result.found);
  EXPECT_FALSE(result.reliable);
}

TEST(OrthogonalityDiagnosis, LargestCosine) {
  Matrix gates(2, 3), experts(2, 3);
  gates << 1, 1, 0, 0, 0, 0;
  experts << 0, 0, 1, 0, 2, 0;
  EXPECT_NEAR(orthogonality_diagnosis(gates, experts), std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(orthogonality_diagnosis(gates, experts.topRows(1)), 0, 1e-15);
  EXPECT_EQ(orthogonality_diagnosis(Matrix::Zero(2, 3), experts), 0);
  const Matrix scale = Vector{{4.0, 1.0, 1.0}}.asDiagonal();
  EXPECT_NEAR(orthogonality_diagnosis(gates, experts, scale), std::sqrt(0.2), 1e-12);
  EXPECT_THROW(orthogonality_diagnosis(gates, Matrix::Zero(2, 2)), std::invalid_argument);
}

TEST(GaussianMixture, FindsTwoClusters) {
  RandomStream stream(31);
  Matrix z = normals(3000, 2, stream);
  for (Eigen::Index t = 0; t < z.rows(); ++t) z(t, 0) += t % 3 == 0 ? -3.0 : 3.0;
  const GaussianMixture mixture = fit_gaussian_mixture(z, {.components = 2});
  ASSERT_EQ(mixture.components.size(), 2u);
  std::vector<double> centres = {mixture.components[0].mean(0), mixture.components[1].mean(0)};
  std::sort(centres.begin(), centres.end());
  // 1000 and 2000 rows of unit variance: standard errors 0.03 and 0.02, five of them.
  EXPECT_NEAR(centres[0], -3, 0.16);
  EXPECT_NEAR(centres[1], 3, 0.12);
  const Matrix r = mixture.responsibilities(z);
  EXPECT_LT((r.rowwise().sum().array() - 1).abs().maxCoeff(), 1e-12);
}

}  // namespace
}  // namespace clearway
