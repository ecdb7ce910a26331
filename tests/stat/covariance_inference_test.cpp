// Standard errors where experts have parts of their covariances in common: against differences of the likelihood in other
// coordinates of every form, multivariate regression, and larger forms that are the same with one expert.
#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <cmath>
#include <functional>

#include "../../src/stat/merge_loss.hpp"
#include "clearway/stat/profile.hpp"
#include "inference_cases.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using testing::names_for;
using testing::options_for;
using testing::with_ones;

// Two linear experts behind a softmax gate; three responses, with covariances that no form ties.
Data ellipsoids(Index n, std::uint64_t seed) {
  RandomStream stream(seed);
  Matrix first(3, 3), second(3, 3);
  first << 1.0, 0.0, 0.0, 0.4, 0.6, 0.0, -0.2, 0.3, 0.4;
  second << 0.5, 0.0, 0.0, -0.3, 0.9, 0.0, 0.4, 0.1, 0.7;
  Data data;
  data.expert_inputs.resize(n, 1);
  data.response.resize(n, 3);
  for (Index t = 0; t < n; ++t) {
    const double x = stream.normal();
    data.expert_inputs(t, 0) = 2 + 3 * x;
    const bool one = stream.uniform() < 1 / (1 + std::exp(-0.3 - 0.8 * x));
    Vector noise(3), mean(3);
    noise << stream.normal(), stream.normal(), stream.normal();
    mean << (one ? 2 + x : -1 - 0.5 * x), (one ? -x : 2.0), (one ? 1.0 : 0.5 * x);
    data.response.row(t) = (mean + (one ? first : second) * noise).transpose();
  }
  data.gate_inputs = data.expert_inputs;
  data.weights = Vector::LinSpaced(n, 0.5, 1.5);
  return data;
}

void put_covariance(const Matrix& covariance, Expert& expert) {
  const Index m = covariance.rows();
  const bool full = !is_diagonal(expert.spec().covariance);
  const Matrix factor = covariance.llt().matrixL();
  Index at = expert.parameters().size() - (full ? m * (m + 1) / 2 : m);
  for (Index j = 0; j < m; ++j)
    for (Index i = j; i < (full ? m : j + 1); ++i)
      expert.parameters()(at++) = i == j ? std::log(factor(j, j)) : factor(i, j);
}

// All free parameters: gate, coefficients, and Sigma_k = exp(v) D C(W) diag(exp(l)) C(W)' D' with Cayley's rotations
// C(W) = (I - W/2)^-1 (I + W/2), logarithms of m - 1 ratios, and the axes D of the estimate. The source has other ones:
// standard errors do not depend on which.
class Coordinates {
 public:
  Coordinates(const MixtureModel& model, std::string_view letters) : model_(model), letters_(letters) {
    m_ = model.experts.front().responses();
    const auto experts = static_cast<Index>(model.experts.size());
    for (Index i = 0; i < model.gate.parameters().size(); ++i)
      if (!model.gate.pinned(i)) stacked_.push_back(i);
    Index at = model.gate.parameters().size();
    for (const Expert& expert : model.experts) {
      const Index means = m_ * (1 + expert.inputs());
      for (Index i = 0; i < means; ++i) stacked_.push_back(at + i);
      at += expert.parameters().size();
    }
    const Matrix common = eigenvectors(model.experts.front().covariance());
    for (const Expert& expert : model.experts) {
      const Matrix sigma = expert.covariance();
      axes_.push_back(letters[2] == 'I'   ? Matrix(Matrix::Identity(m_, m_))
                      : letters[2] == 'E' ? common
                                          : eigenvectors(sigma));
      logs_.emplace_back((axes_.back().transpose() * sigma * axes_.back()).diagonal().array().log());
    }
    const auto many = [&](char letter, Index each) {
      return letter == 'I' ? Index{0} : each * (letter == 'V' ? experts : 1);
    };
    volumes_ = static_cast<Index>(stacked_.size());
    shapes_ = volumes_ + many(letters[0], 1);
    turns_ = shapes_ + many(letters[1], m_ - 1);
    size_ = turns_ + many(letters[2], m_ * (m_ - 1) / 2);
  }

  Index size() const { return size_; }
  const std::vector<Index>& stacked() const { return stacked_; }  // of the first coordinates

  MixtureModel at(const Vector& point) const {
    MixtureModel model = model_;
    Vector parameters = model_parameters(model_);
    for (std::size_t i = 0; i < stacked_.size(); ++i) parameters(stacked_[i]) += point(static_cast<Index>(i));
    set_model_parameters(parameters, model);
    for (std::size_t k = 0; k < model.experts.size(); ++k) {
      const auto place = [&](char letter, Index begin, Index each) {
        return begin + (letter == 'V' ? static_cast<Index>(k) * each : 0);
      };
      Vector log = logs_[k].array() + point(place(letters_[0], volumes_, 1));
      if (letters_[1] != 'I') {
        const Vector shape = point.segment(place(letters_[1], shapes_, m_ - 1), m_ - 1);
        log.head(m_ - 1) += shape;
        log(m_ - 1) -= shape.sum();
      }
      Matrix axes = axes_[k];
      if (letters_[2] != 'I') {
        Matrix skew = Matrix::Zero(m_, m_);
        Index next = place(letters_[2], turns_, m_ * (m_ - 1) / 2);
        for (Index j = 0; j < m_; ++j)
          for (Index i = j + 1; i < m_; ++i) {
            skew(i, j) = 0.5 * point(next++);
            skew(j, i) = -skew(i, j);
          }
        const Matrix one = Matrix::Identity(m_, m_);
        axes *= (one - skew).lu().solve(one + skew);
      }
      put_covariance(axes * log.array().exp().matrix().asDiagonal() * axes.transpose(), model.experts[k]);
    }
    return model;
  }

  Vector steps(const Inference& inference, double rows) const {
    Vector steps = Vector::Constant(size_, 0.05 / std::sqrt(rows));
    for (std::size_t i = 0; i < stacked_.size(); ++i)
      steps(static_cast<Index>(i)) = 0.05 * std::sqrt(inference.model_covariance(stacked_[i], stacked_[i]));
    return steps;
  }

 private:
  static Matrix eigenvectors(const Matrix& a) { return Eigen::SelfAdjointEigenSolver<Matrix>(a).eigenvectors(); }

  MixtureModel model_;
  std::string_view letters_;
  Index m_ = 0, volumes_ = 0, shapes_ = 0, turns_ = 0, size_ = 0;
  std::vector<Index> stacked_;
  std::vector<Matrix> axes_;
  std::vector<Vector> logs_;
};

// Minus the second differences at 0, with one Richardson step.
Matrix information_of(const std::function<double(const Vector&)>& f, const Vector& steps) {
  const Index p = steps.size();
  const auto second = [&](Index i, Index j, double scale) {
    const auto value = [&](double a, double b) {
      Vector point = Vector::Zero(p);
      point(i) += a * scale * steps(i);
      point(j) += b * scale * steps(j);
      return f(point);
    };
    return -(value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)) / (4 * scale * scale * steps(i) * steps(j));
  };
  Matrix result(p, p);
  for (Index i = 0; i < p; ++i)
    for (Index j = 0; j <= i; ++j) result(i, j) = result(j, i) = (4 * second(i, j, 0.5) - second(i, j, 1)) / 3;
  return result;
}

Matrix jacobian_of(const std::function<Vector(const Vector&)>& f, const Vector& steps) {
  Matrix result(f(Vector::Zero(steps.size())).size(), steps.size());
  for (Index i = 0; i < steps.size(); ++i) {
    const auto slope = [&](double h) -> Vector {
      Vector point = Vector::Zero(steps.size());
      point(i) = h;
      const Vector up = f(point);
      point(i) = -h;
      return (up - f(point)) / (2 * h);
    };
    result.col(i) = (4 * slope(0.5 * steps(i)) - slope(steps(i))) / 3;
  }
  return result;
}

// Deviations and correlations in the order of the table.
Vector spreads(const MixtureModel& model) {
  std::vector<double> values;
  for (const Expert& expert : model.experts) {
    const Matrix sigma = expert.covariance();
    const Vector sd = sigma.diagonal().cwiseSqrt();
    values.insert(values.end(), sd.data(), sd.data() + sd.size());
    if (!is_diagonal(expert.spec().covariance))
      for (Index i = 0; i < sd.size(); ++i)
        for (Index j = i + 1; j < sd.size(); ++j) values.push_back(sigma(i, j) / (sd(i) * sd(j)));
  }
  return Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
}

FitResult fitted(const Data& data, CovarianceKind form, int experts = 2, const GateSpec& gate = {}) {
  FitOptions options = options_for(experts, gate, {.covariance = form});
  options.starts = 4;
  options.max_iterations = 20000;
  return fit(data, options);
}

class EveryForm : public ::testing::TestWithParam<EnumName<CovarianceKind>> {};

// Errors of what is compared: the maximum is found to 1e-9 of a squared standard error (asserted), the information changes
// by less than its third derivative times 3e-5 standard errors, which is 3e-5 / sqrt(240); differences with one Richardson
// step of 0.05 standard errors leave 0.05^4 / 16 of the sixth derivative, 4e-7, inverted at condition numbers up to 20.
constexpr double kTolerance = 1e-5;

TEST_P(EveryForm, StandardErrorsAreThoseOfDifferencesInOtherCoordinates) {
  const std::string_view letters = GetParam().name;
  const Data data = ellipsoids(240, 5);
  const FitResult result = fitted(data, GetParam().value);
  ASSERT_TRUE(result.converged) << result.brief();
  const ModelNames names = names_for(data);
  const Inference observed = infer(data, result, names);
  std::vector<int> pairs(240);
  for (std::size_t t = 0; t < pairs.size(); ++t) pairs[t] = static_cast<int>(t % 120);
  const Inference robust = infer(data, result, names, {.standard_errors = StandardErrorKind::sandwich});
  const Inference cluster = infer(data, result, names, {.standard_errors = StandardErrorKind::cluster}, pairs);
  ASSERT_TRUE(observed.available());
  EXPECT_TRUE(observed.findings.empty());
  EXPECT_LT(std::abs(observed.newton_decrement), 1e-9);

  const Coordinates coordinates(result.model, letters);
  EXPECT_EQ(coordinates.size(), result.degrees_of_freedom);
  const Vector steps = coordinates.steps(observed, 240);
  const Matrix inverse =
      information_of([&](const Vector& point) { return coordinates.at(point).log_likelihood(data); }, steps).inverse();
  Matrix scores = jacobian_of([&](const Vector& point) { return coordinates.at(point).log_density(data); }, steps);
  scores = data.weights.asDiagonal() * scores;
  const Matrix by_pair = scores.topRows(120) + scores.bottomRows(120);
  const Matrix to_spread = jacobian_of([&](const Vector& point) { return spreads(coordinates.at(point)); }, steps);
  const auto compare = [&](const Inference& inference, const Matrix& covariance, const char* which) {
    for (std::size_t i = 0; i < coordinates.stacked().size(); ++i) {
      const auto at = static_cast<Index>(i);
      const double error = std::sqrt(inference.model_covariance(coordinates.stacked()[i], coordinates.stacked()[i]));
      EXPECT_NEAR(error / std::sqrt(covariance(at, at)), 1, kTolerance) << which << ": coordinate " << i;
    }
    const Vector wanted = (to_spread * covariance * to_spread.transpose()).diagonal().cwiseSqrt();
    Index at = 0;
    for (int i = 0; i < inference.size(); ++i) {
      if (inference.parts[static_cast<std::size_t>(i)] != ParameterPart::spread) continue;
      EXPECT_NEAR(inference.standard_errors(i) / wanted(at++), 1, kTolerance)
          << which << ": " << inference.names[static_cast<std::size_t>(i)];
    }
    EXPECT_EQ(at, wanted.size());
  };
  compare(observed, inverse, "observed");
  compare(robust, inverse * scores.transpose() * scores * inverse, "sandwich");
  compare(cluster, inverse * by_pair.transpose() * by_pair * inverse, "cluster");
}

std::vector<EnumName<CovarianceKind>> fourteen_forms() {
  std::vector<EnumName<CovarianceKind>> forms;
  for (const auto& entry : enum_names(CovarianceKind()))
    if (entry.name.size() == 3) forms.push_back(entry);
  return forms;
}

INSTANTIATE_TEST_SUITE_P(Fourteen, EveryForm, ::testing::ValuesIn(fourteen_forms()),
                         [](const auto& form) { return std::string(form.param.name); });

TEST(CovarianceInference, GroupsAreTheClusters) {
  Data data = ellipsoids(240, 6);
  data.weights.resize(0);
  data.gate_inputs = Matrix(240, 0);
  for (int t = 0; t < 240; ++t) data.groups.push_back(t / 2);
  const FitResult result = fitted(data, CovarianceKind::vee, 2, {.kind = GateKind::constant});
  ASSERT_TRUE(result.converged);
  const Inference robust = infer(data, result, names_for(data), {.standard_errors = StandardErrorKind::sandwich});
  ASSERT_TRUE(robust.available());
  const Coordinates coordinates(result.model, "VEE");
  const Vector steps = coordinates.steps(infer(data, result, names_for(data)), 240);
  const Matrix inverse =
      information_of([&](const Vector& point) { return coordinates.at(point).log_likelihood(data); }, steps).inverse();
  Matrix crossproduct = Matrix::Zero(coordinates.size(), coordinates.size());
  for (Index g = 0; g < 120; ++g) {
    const Data group = data.subset({2 * g, 2 * g + 1});
    const Matrix score = jacobian_of(
        [&](const Vector& point) { return Vector(Vector::Constant(1, coordinates.at(point).log_likelihood(group))); },
        steps);
    crossproduct += score.transpose() * score;
  }
  const Matrix covariance = inverse * crossproduct * inverse;
  for (std::size_t i = 0; i < coordinates.stacked().size(); ++i) {
    const auto at = static_cast<Index>(i);
    const double error = std::sqrt(robust.model_covariance(coordinates.stacked()[i], coordinates.stacked()[i]));
    EXPECT_NEAR(error / std::sqrt(covariance(at, at)), 1, kTolerance) << i;
  }
}

// Zellner: with one expert, least squares for every response, covariance of the coefficients Sigma x (X'X)^-1.
TEST(CovarianceInference, OneExpertIsMultivariateRegression) {
  Data data = ellipsoids(80, 7);
  data.weights.resize(0);
  const FitResult result = fitted(data, CovarianceKind::eee, 1);
  const Inference inference = infer(data, result, names_for(data));
  const Matrix design = with_ones(data.expert_inputs);
  const Matrix residual = data.response - design * design.householderQr().solve(data.response);
  const Matrix sigma = residual.transpose() * residual / 80;
  const Matrix inverse = (design.transpose() * design).inverse();
  ASSERT_TRUE(inference.available());
  for (Index a = 0; a < 3; ++a)
    for (Index b = 0; b < 3; ++b) {
      const Matrix wanted = sigma(a, b) * inverse;
      // The information of a vector response is a central difference of the score with steps of 1e-5: 1e-5 of rounding
      // over 1e-16 leaves 1e-10 of its entries, times a condition number below 100.
      EXPECT_LT((inference.covariance.block(2 * a, 2 * b, 2, 2) - wanted).norm(), 1e-7 * wanted.norm());
    }
  for (Index a = 0; a < 3; ++a)  // var(s^2) = 2 sigma^4 / n
    EXPECT_NEAR(inference.standard_errors(6 + a), std::sqrt(sigma(a, a) / 160), 1e-7);
}

TEST(CovarianceInference, FormsThatAreTheSameWithOneExpertHaveTheSameErrors) {
  const Data data = ellipsoids(100, 8);
  const ModelNames names = names_for(data);
  for (const EnumName<CovarianceKind>& form : fourteen_forms()) {
    if (form.name[1] == 'I') continue;
    const CovarianceKind like = form.name[2] == 'I' ? CovarianceKind::diagonal : CovarianceKind::full;
    const FitResult a = fitted(data, form.value, 1), b = fitted(data, like, 1);
    for (const StandardErrorKind kind : {StandardErrorKind::observed, StandardErrorKind::sandwich}) {
      const Vector one = infer(data, a, names, {.standard_errors = kind}).standard_errors;
      const Vector two = infer(data, b, names, {.standard_errors = kind}).standard_errors;
      // Both estimates are closed forms; see above for the differences.
      EXPECT_LT((one - two).cwiseQuotient(two).cwiseAbs().maxCoeff(), 1e-7) << form.name;
    }
  }
}

// Residuals (+-1, 0), (0, +-1) at every x: a sphere to the last bits, whose axes nothing tells.
TEST(CovarianceInference, AxesOfASphereAreNotIdentifiedAndCoefficientsStand) {
  Data data;
  data.expert_inputs.resize(40, 1);
  data.response.resize(40, 2);
  for (Index t = 0; t < 40; ++t) {
    const double x = static_cast<double>(t / 4), sign = t % 2 ? 1 : -1;
    data.expert_inputs(t, 0) = x;
    data.response.row(t) << 1 + x + (t % 4 < 2 ? sign : 0), 2 - x + (t % 4 < 2 ? 0 : sign);
  }
  data.gate_inputs = data.expert_inputs;
  const Matrix design = with_ones(data.expert_inputs);
  const Vector wanted = (0.5 * (design.transpose() * design).inverse()).diagonal().cwiseSqrt();
  for (const CovarianceKind form : {CovarianceKind::eev, CovarianceKind::vve}) {
    const FitResult result = fitted(data, form, 1);
    const Inference inference = infer(data, result, names_for(data));
    ASSERT_TRUE(inference.available());
    ASSERT_FALSE(inference.findings.empty());
    EXPECT_EQ(inference.findings.front().problem, ValidityProblem::not_identified);
    for (int i = 0; i < inference.size(); ++i)
      if (inference.parts[static_cast<std::size_t>(i)] == ParameterPart::spread) {
        EXPECT_FALSE(inference.valid(i));
      } else {
        EXPECT_NEAR(inference.standard_errors(i), wanted(i % 2), 1e-7);
      }
  }
  // An ellipsoid in one piece has no axes to lose.
  EXPECT_TRUE(infer(data, fitted(data, CovarianceKind::eee, 1), names_for(data)).findings.empty());
}

TEST(CovarianceInference, NoiseAtTheFloorWithholdsItsExperts) {
  Data data = ellipsoids(200, 9);
  data.weights.resize(0);
  for (Index t = 0; t < 200; ++t) {  // two planes without noise
    const double x = data.expert_inputs(t, 0);
    data.response.row(t) << (t % 2 ? x : 5 - x), (t % 2 ? 1 - x : x), (t % 2 ? 2 * x : -x);
  }
  FitOptions options = options_for(2, {.kind = GateKind::constant}, {.covariance = CovarianceKind::eii});
  options.keep_degenerate = true;
  data.gate_inputs = Matrix(200, 0);
  const FitResult result = fit(data, options);
  const Inference inference = infer(data, result, names_for(data));
  bool floor = false;
  for (const ValidityFinding& finding : inference.findings) floor |= finding.problem == ValidityProblem::noise_floor;
  EXPECT_TRUE(floor);
  for (int i = 0; i < inference.size(); ++i) {
    const ParameterPart part = inference.parts[static_cast<std::size_t>(i)];
    if (part == ParameterPart::expert || part == ParameterPart::spread) {
      EXPECT_FALSE(inference.valid(i));
    }
    EXPECT_EQ(std::isfinite(inference.standard_errors(i)), inference.valid(i));
  }
}

TEST(CovarianceInference, CovariancesOfAnotherFormAreNoEstimate) {
  const Data data = ellipsoids(240, 5);
  FitResult result = fitted(data, CovarianceKind::vee);
  put_covariance(Vector(Vector::LinSpaced(3, 0.5, 1.5)).asDiagonal(), result.model.experts[1]);
  const Inference inference = infer(data, result, names_for(data));
  EXPECT_FALSE(inference.available());
  EXPECT_EQ(inference.findings.front().problem, ValidityProblem::common_covariance);
}

// Merging two experts into one is the fit of one expert: of its likelihood, and of its number of parameters.
TEST(CovarianceInference, MergingTwoExpertsIsTheFitOfOne) {
  Data data = ellipsoids(240, 10);
  data.gate_inputs = Matrix(240, 0);
  const double weight = data.weights.sum();
  for (const CovarianceKind form :
       {CovarianceKind::eii, CovarianceKind::eee, CovarianceKind::vei, CovarianceKind::eev}) {
    const GateSpec constant{.kind = GateKind::constant};
    const FitResult two = fitted(data, form, 2, constant), one = fitted(data, form, 1, constant);
    const detail::Scaling scaling(data, two.model);
    const auto losses =
        detail::merge_losses(data, scaling, scaling.to_standard(two.model), two.model.responsibilities(data), 1e-3);
    ASSERT_EQ(losses.size(), 1u);
    EXPECT_NEAR(losses[0].loss, two.log_likelihood - one.log_likelihood, 1e-8 * std::abs(one.log_likelihood));
    EXPECT_NEAR(losses[0].charge, 0.5 * (two.degrees_of_freedom - one.degrees_of_freedom) * std::log(weight), 1e-10);
  }
}

TEST(CovarianceInference, ProfilesSayThatTheyAreNotForIt) {
  const Data data = ellipsoids(240, 5);
  const FitResult result = fitted(data, CovarianceKind::vee);
  const ModelNames names = names_for(data);
  EXPECT_THROW((void)profile_interval(data, result, names, infer(data, result, names), "expert 1: y1: x1", 0.95, 1),
               std::invalid_argument);
}

}  // namespace
}  // namespace clearway
