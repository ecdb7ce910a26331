// The covariances that experts have in common (Celeux and Govaert 1995): closed forms, the order of nested forms, monotone
// steps, stationarity against finite differences, and fits.
#include "../../src/stat/parsimonious_covariance.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <cmath>
#include <map>

#include "clearway/stat/fit.hpp"
#include "clearway/stat/inference.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using detail::covariance_objective;
using detail::covariance_parameters;
using detail::parsimonious_covariances;
using Eigen::Index;

struct Drawn {
  std::vector<Matrix> scatter;
  Vector weights;
};

Drawn draw(RandomStream& stream, int experts, Index m) {
  Drawn drawn;
  drawn.weights.resize(experts);
  for (int k = 0; k < experts; ++k) {
    const Matrix a = testing::random_matrix(stream, m, m + 2);
    drawn.weights(k) = 5 + 40 * stream.uniform();
    drawn.scatter.push_back(drawn.weights(k) * (a * a.transpose()));
  }
  return drawn;
}

std::vector<Matrix> spheres(const Drawn& drawn) {
  const Index m = drawn.scatter.front().rows();
  return std::vector<Matrix>(drawn.scatter.size(), Matrix::Identity(m, m));
}

std::vector<Matrix> optimum(CovarianceKind kind, const Drawn& drawn) {
  return parsimonious_covariances(kind, drawn.scatter, drawn.weights, spheres(drawn), 2000);
}

Matrix diagonal(const Matrix& a) {
  return Vector(a.diagonal()).asDiagonal();
}

TEST(ParsimoniousCovariance, ClosedForms) {
  RandomStream stream(1);
  for (int round = 0; round < 20; ++round) {
    const Drawn drawn = draw(stream, 3, 3);
    const double n = drawn.weights.sum();
    const Matrix all = drawn.scatter[0] + drawn.scatter[1] + drawn.scatter[2];
    const auto expect = [&](CovarianceKind kind, std::size_t k, const Matrix& wanted) {
      EXPECT_LT((optimum(kind, drawn)[k] - wanted).cwiseAbs().maxCoeff(), 1e-10 * wanted.cwiseAbs().maxCoeff())
          << enum_name(kind);
    };
    for (std::size_t k = 0; k < 3; ++k) {
      const Matrix& own = drawn.scatter[k];
      const double weight = drawn.weights(static_cast<Index>(k));
      expect(CovarianceKind::eii, k, all.trace() / (3 * n) * Matrix::Identity(3, 3));
      expect(CovarianceKind::vii, k, own.trace() / (3 * weight) * Matrix::Identity(3, 3));
      expect(CovarianceKind::eei, k, diagonal(all) / n);
      expect(CovarianceKind::diagonal, k, diagonal(own) / weight);
      expect(CovarianceKind::eee, k, all / n);
      expect(CovarianceKind::full, k, own / weight);
      double roots = 0, diagonal_roots = 0;
      for (const Matrix& w : drawn.scatter) {
        roots += std::cbrt(w.determinant());
        diagonal_roots += std::cbrt(diagonal(w).determinant());
      }
      expect(CovarianceKind::evv, k, own * (roots / n / std::cbrt(own.determinant())));
      expect(CovarianceKind::evi, k, diagonal(own) * (diagonal_roots / n / std::cbrt(diagonal(own).determinant())));
    }
  }
}

// What the letters say: volumes, shapes (normed eigenvalues) and orientations that are equal.
TEST(ParsimoniousCovariance, TheLettersHold) {
  RandomStream stream(2);
  for (const auto& entry : enum_names(CovarianceKind())) {
    const std::string_view name = entry.name;
    if (name.size() != 3) continue;
    const std::vector<Matrix> found = optimum(entry.value, draw(stream, 3, 4));
    const auto volume = [](const Matrix& s) { return std::pow(s.determinant(), 0.25); };
    const auto shape = [&](const Matrix& s) {
      return Vector(Eigen::SelfAdjointEigenSolver<Matrix>(s).eigenvalues() / volume(s));
    };
    for (const Matrix& s : found) {
      if (name[0] == 'E') {
        EXPECT_NEAR(volume(s), volume(found[0]), 1e-9 * volume(s)) << name;
      }
      if (name[1] == 'E') {
        EXPECT_LT((shape(s) - shape(found[0])).norm(), 1e-8 * shape(s).norm()) << name;
      }
      if (name[1] == 'I') {
        EXPECT_LT((shape(s) - Vector::Ones(4)).norm(), 1e-12) << name;
      }
      if (name[2] == 'I') {
        EXPECT_TRUE(s.isDiagonal(1e-15)) << name;
      }
      // Common axes: the matrices commute.
      if (name[2] == 'E') {
        EXPECT_LT((s * found[0] - found[0] * s).norm(), 1e-9 * (s * found[0]).norm()) << name;
      }
    }
  }
}

// Every form whose letters are at least as free reaches an objective at least as small, begun at the smaller optimum.
TEST(ParsimoniousCovariance, LargerFormsAreNeverWorse) {
  RandomStream stream(3);
  const auto within = [](std::string_view a, std::string_view b) {
    constexpr std::string_view kOrder = "IEV";
    for (std::size_t i = 0; i < 3; ++i)
      if (kOrder.find(a[i]) > kOrder.find(b[i])) return false;
    return a != b;
  };
  for (int round = 0; round < 10; ++round) {
    const Drawn drawn = draw(stream, 2 + round % 3, 2 + round % 4);
    for (const auto& small : enum_names(CovarianceKind()))
      for (const auto& large : enum_names(CovarianceKind())) {
        if (small.name.size() != 3 || large.name.size() != 3 || !within(small.name, large.name)) continue;
        const std::vector<Matrix> start = optimum(small.value, drawn);
        const double before = covariance_objective(start, drawn.scatter, drawn.weights);
        const double after =
            covariance_objective(parsimonious_covariances(large.value, drawn.scatter, drawn.weights, start, 2000),
                                 drawn.scatter, drawn.weights);
        EXPECT_LE(after, before + 1e-9 * (1 + std::abs(before))) << small.name << " in " << large.name;
        EXPECT_LT(covariance_parameters(small.value, 3, 4), covariance_parameters(large.value, 3, 4));
      }
  }
}

// The iterative forms: more rounds never raise the objective, and at the end no movement within the form lowers it:
// a change of volume, of the shape, or a rotation that all have in common.
TEST(ParsimoniousCovariance, RoundsDescendToAStationaryPoint) {
  RandomStream stream(4);
  for (const CovarianceKind kind : {CovarianceKind::vei, CovarianceKind::vee, CovarianceKind::vev, CovarianceKind::eve,
                                    CovarianceKind::vve, CovarianceKind::eev})
    for (int round = 0; round < 5; ++round) {
      const Drawn drawn = draw(stream, 3, 3);
      double last = std::numeric_limits<double>::infinity();
      std::vector<Matrix> point = spheres(drawn);
      for (int step = 0; step < 5; ++step) {
        point = parsimonious_covariances(kind, drawn.scatter, drawn.weights, point, 1);
        const double value = covariance_objective(point, drawn.scatter, drawn.weights);
        EXPECT_LE(value, last + 1e-9 * std::abs(value)) << enum_name(kind);
        last = value;
      }
      point = optimum(kind, drawn);
      const double best = covariance_objective(point, drawn.scatter, drawn.weights);
      const auto moved = [&](const auto& change) {
        std::vector<Matrix> other = point;
        for (std::size_t k = 0; k < other.size(); ++k) other[k] = change(k, other[k]);
        return covariance_objective(other, drawn.scatter, drawn.weights);
      };
      const double slack = 1e-9 * std::abs(best);
      for (const double h : {-1e-3, 1e-3}) {
        if (enum_name(kind)[0] == 'V')
          for (std::size_t j = 0; j < 3; ++j)
            EXPECT_GE(moved([&](std::size_t k, const Matrix& s) { return Matrix(s * (k == j ? 1 + h : 1.0)); }),
                      best - slack);
        EXPECT_GE(moved([&](std::size_t, const Matrix& s) { return Matrix(s * (1 + h)); }), best - slack);
        if (enum_name(kind)[2] == 'I') continue;
        for (const auto& [i, j] : {std::pair{0, 1}, std::pair{0, 2}, std::pair{1, 2}}) {
          Matrix rotation = Matrix::Identity(3, 3);
          rotation(i, i) = rotation(j, j) = std::cos(h);
          rotation(i, j) = -std::sin(h);
          rotation(j, i) = std::sin(h);
          EXPECT_GE(moved([&](std::size_t, const Matrix& s) { return Matrix(rotation * s * rotation.transpose()); }),
                    best - slack)
              << enum_name(kind);
        }
      }
    }
}

// Scatter matrices that are exactly of a form give that form back.
TEST(ParsimoniousCovariance, GivesBackWhatItIsGiven) {
  RandomStream stream(5);
  const Eigen::HouseholderQR<Matrix> qr(testing::random_matrix(stream, 3, 3));
  const Matrix axes = qr.householderQ();
  const Vector weights{{10, 20, 30}};
  const std::vector<Vector> shapes{Vector{{4, 1, 0.25}}, Vector{{0.5, 0.5, 4}}, Vector{{1, 2, 0.5}}};
  const auto expect = [&](CovarianceKind kind, const std::vector<Matrix>& truth) {
    Drawn drawn{truth, weights};
    for (std::size_t k = 0; k < 3; ++k) drawn.scatter[k] *= weights(static_cast<Index>(k));
    const std::vector<Matrix> found = optimum(kind, drawn);
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_LT((found[k] - truth[k]).norm(), 1e-5 * truth[k].norm()) << enum_name(kind);
  };
  std::vector<Matrix> eve, vve, vee;
  for (std::size_t k = 0; k < 3; ++k) {
    eve.push_back(axes * shapes[k].asDiagonal() * axes.transpose());
    vve.push_back((1.0 + static_cast<double>(k)) * eve.back());
    vee.push_back((1.0 + static_cast<double>(k)) * eve.front());
  }
  expect(CovarianceKind::eve, eve);
  expect(CovarianceKind::vve, vve);
  expect(CovarianceKind::vee, vee);
}

// 14 counts of Celeux and Govaert's table 1: K = 3, m = 4, alpha = K m, beta = m (m + 1) / 2; proportions and means left out.
TEST(ParsimoniousCovariance, CountsOfParameters) {
  const std::vector<std::pair<CovarianceKind, int>> counts = {
      {CovarianceKind::eii, 1},       {CovarianceKind::vii, 3},  {CovarianceKind::eei, 4},  {CovarianceKind::vei, 6},
      {CovarianceKind::evi, 10},      {CovarianceKind::eee, 10}, {CovarianceKind::vee, 12}, {CovarianceKind::eve, 16},
      {CovarianceKind::eev, 22},      {CovarianceKind::vve, 18}, {CovarianceKind::vev, 24}, {CovarianceKind::evv, 28},
      {CovarianceKind::diagonal, 12}, {CovarianceKind::full, 30}};
  for (const auto& [kind, count] : counts) EXPECT_EQ(covariance_parameters(kind, 3, 4), count) << enum_name(kind);
}

// Two lines in the plane with elongated noise of one shape and different volumes.
Data elongated(Index n, RandomStream& stream) {
  Data data;
  data.expert_inputs = testing::random_matrix(stream, n, 1);
  data.gate_inputs = Matrix::Zero(n, 0);
  data.response.resize(n, 2);
  for (Index i = 0; i < n; ++i) {
    const double a = stream.normal(), b = stream.normal(), x = data.expert_inputs(i, 0);
    const bool first = stream.uniform() < 0.6;
    const double size = first ? 1 : 0.5;
    data.response(i, 0) = (first ? x : 3 - x) + size * (a + 0.3 * b);
    data.response(i, 1) = (first ? 2 - x : 4 + 2 * x) + size * (0.8 * a - 0.2 * b);
  }
  data.response.col(1) *= 20;  // other units
  return data;
}

TEST(ParsimoniousCovariance, FitsAreNestedAndClimb) {
  RandomStream stream(6);
  const Data data = elongated(400, stream);
  const auto fitted = [&](CovarianceKind kind) {
    FitOptions options;
    options.experts = 2;
    options.gate.kind = GateKind::constant;
    options.expert.covariance = kind;
    const FitResult result = fit(data, options);
    EXPECT_TRUE(result.converged) << enum_name(kind) << ": " << result.brief();
    for (std::size_t i = 1; i < result.history.size(); ++i)
      if (result.history[i].start == result.history[i - 1].start) {
        EXPECT_GE(result.history[i].log_likelihood,
                  result.history[i - 1].log_likelihood - 1e-9 * std::abs(result.log_likelihood))
            << enum_name(kind);
      }
    EXPECT_NEAR(result.model.log_likelihood(data), result.log_likelihood, 1e-8 * std::abs(result.log_likelihood));
    // One weight, four coefficients for each of two experts.
    EXPECT_EQ(result.degrees_of_freedom, 1 + 8 + covariance_parameters(kind, 2, 2)) << enum_name(kind);
    return result;
  };
  std::map<std::string_view, FitResult> results;
  for (const auto& entry : enum_names(CovarianceKind()))
    if (entry.name.size() == 3) results.emplace(entry.name, fitted(entry.value));
  const auto value = [&](std::string_view name) { return results.at(name).log_likelihood; };
  for (const auto& [small, large] : {std::pair{"EII", "VII"},
                                     {"EII", "EEI"},
                                     {"VII", "VEI"},
                                     {"EEI", "VEI"},
                                     {"EEI", "EVI"},
                                     {"VEI", "VVI"},
                                     {"EVI", "VVI"},
                                     {"EEI", "EEE"},
                                     {"EEE", "VEE"},
                                     {"EEE", "EVE"},
                                     {"EEE", "EEV"},
                                     {"VEE", "VVE"},
                                     {"VEE", "VEV"},
                                     {"EVE", "EVV"},
                                     {"EEV", "VEV"},
                                     {"VVI", "VVE"},
                                     {"VVE", "VVV"},
                                     {"VEV", "VVV"},
                                     {"EVV", "VVV"}})
    EXPECT_GE(value(large), value(small) - 1e-4) << small << " in " << large;
  // The form that made the data has the smallest BIC of all but by chance: within 6 units here (2 are a bare mention).
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [name, result] : results) best = std::min(best, result.bic);
  EXPECT_LT(results.at("VEE").bic, best + 6);
  const Inference inference = infer(data, results.at("VEE"), [] {
    ModelNames names;
    names.responses = {"a", "b"};
    names.expert_inputs = {"x"};
    return names;
  }());
  EXPECT_TRUE(inference.available());
  EXPECT_TRUE(inference.findings.empty());
}

// With one expert E and V are the same, and fits are least squares: Sigma = E'E / n.
TEST(ParsimoniousCovariance, OneExpertIsLeastSquares) {
  RandomStream stream(7);
  const Data data = elongated(100, stream);
  Matrix design(100, 2);
  design << Vector::Ones(100), data.expert_inputs;
  const Matrix residual = data.response - design * design.householderQr().solve(data.response);
  const Matrix wanted = residual.transpose() * residual / 100;
  FitOptions options;
  options.experts = 1;
  options.expert.covariance = CovarianceKind::eee;
  EXPECT_LT((fit(data, options).model.experts[0].covariance() - wanted).norm(), 1e-8 * wanted.norm());
  options.expert.covariance = CovarianceKind::eii;
  const Matrix sphere = fit(data, options).model.experts[0].covariance();
  EXPECT_NEAR(sphere(0, 0), wanted.trace() / 2, 1e-8 * wanted.trace());
  EXPECT_NEAR(sphere(1, 1), wanted.trace() / 2, 1e-8 * wanted.trace());
}

TEST(ParsimoniousCovariance, NeedsAVector) {
  RandomStream stream(8);
  Data data = elongated(50, stream);
  data.response = Matrix(data.response.col(0));
  FitOptions options;
  options.expert.covariance = CovarianceKind::vee;
  EXPECT_THROW((void)fit(data, options), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
