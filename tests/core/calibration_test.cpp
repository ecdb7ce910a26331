// Calibration against scipy's minimisers (scores_reference.py), closed forms, and truth that simulated rows hide.

#include <gtest/gtest.h>

#include <cmath>

#include "clearway/base/random.hpp"
#include "clearway/core/calibration.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "laws/generated.hpp"
#include "score_rows.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using test::numbers;

// Where scipy stopped: losses to rounding; arguments to the square root of rounding (a flat minimum), BFGS to its
// gradient of 1e-11 over a curvature of order 0.1.
constexpr double kLoss = 1e-12, kArgument = 1e-7;

TEST(Temperature, AgreesWithScipy) {
  const test::ReferenceRows rows;
  const TemperatureFit binary = fit_temperature(rows.logit, rows.event);
  EXPECT_NEAR(binary.temperature, 2.59374623174607, kArgument);
  EXPECT_NEAR(binary.loss_after, 0.657188584070834, kLoss);
  EXPECT_NEAR(binary.loss_before, log_loss(rows.probability, rows.event), kLoss);
  EXPECT_TRUE(binary.converged && !binary.separated && binary.note.empty());
  const TemperatureFit many = fit_class_temperature(rows.class_logit, rows.classes);
  EXPECT_NEAR(many.temperature, 0.555538045915551, kArgument);
  EXPECT_NEAR(many.loss_after, 0.691302130746794, kLoss);
  EXPECT_NEAR(multiclass_log_loss(class_probability(rows.class_logit, many.temperature), rows.classes), many.loss_after,
              kLoss);
}

TEST(Platt, AgreesWithScipy) {
  const test::ReferenceRows rows;
  const PlattFit fit = fit_platt(rows.logit, rows.event);
  EXPECT_NEAR(fit.slope, 0.418388342631441, kArgument);
  EXPECT_NEAR(fit.intercept, -0.528356617987901, kArgument);
  EXPECT_NEAR(fit.loss_after, 0.626194329455056, kLoss);
  EXPECT_NEAR(log_loss(event_probability(rows.logit, fit.slope, fit.intercept), rows.event), fit.loss_after, kLoss);
  EXPECT_TRUE(fit.converged && !fit.separated && fit.note.empty());
}

TEST(Calibration, SeparatedClassesGetSmoothedTargets) {
  const Vector logit = numbers({-2, -1, -0.5, 1, 3}), event = numbers({0, 0, 0, 1, 1});
  const PlattFit platt = fit_platt(logit, event);
  EXPECT_NEAR(platt.slope, 0.649146367018414, kArgument);
  EXPECT_NEAR(platt.intercept, -0.428955131056746, kArgument);
  EXPECT_TRUE(platt.separated && platt.converged);
  EXPECT_NE(platt.note.find("separate the classes"), std::string::npos);
  const TemperatureFit temperature = fit_temperature(logit, event);
  EXPECT_NEAR(temperature.temperature, 1.54097902008969, kArgument);
  EXPECT_TRUE(temperature.separated);
  // The same rows as two columns of logits.
  Matrix columns(5, 2);
  columns << 0.3 * logit, 1.3 * logit;
  EXPECT_NEAR(fit_class_temperature(columns, std::vector<int>{0, 0, 0, 1, 1}).temperature, temperature.temperature,
              1e-12);
}

TEST(Calibration, OneClassConstantAndWrongLogitsAreSaidInWords) {
  const PlattFit one = fit_platt(numbers({-1, 2, 0.5}), numbers({0, 0, 0}));
  EXPECT_NEAR(event_probability(numbers({7}), one.slope, one.intercept)(0), 1.0 / 5, 1e-9);  // 1 / (3 + 2)
  EXPECT_NE(one.note.find("only one class"), std::string::npos);
  const PlattFit constant = fit_platt(numbers({2, 2, 2, 2}), numbers({1, 0, 0, 0}));
  EXPECT_EQ(constant.slope, 0);
  EXPECT_NEAR(event_probability(numbers({2}), constant.slope, constant.intercept)(0), 0.25, 1e-15);
  EXPECT_NE(constant.note.find("equal"), std::string::npos);
  const PlattFit wrong = fit_platt(numbers({2, -1, 0, 1}), numbers({0, 1, 0, 1}));
  EXPECT_LT(wrong.slope, 0);
  EXPECT_NE(wrong.note.find("wrong way"), std::string::npos);
  const TemperatureFit chance = fit_temperature(numbers({2, -1, 0, 1}), numbers({0, 1, 0, 1}));
  EXPECT_NE(chance.note.find("do not point"), std::string::npos);
  EXPECT_NEAR(chance.loss_after, std::log(2.0), 1e-3);
  const TemperatureFit zero = fit_temperature(numbers({0, 0}), numbers({0, 1}));
  EXPECT_EQ(zero.temperature, 1);
  EXPECT_FALSE(zero.note.empty());
}

// 998 rows right by 1e-6, one wrong by 1e-9 and one right by 1000: the minimum lies where sigma(-beta 1e-6) 998e-6 =
// 1e-9, at beta = 1.4e7, but the scale is that of the large one: rms of +-z/2 = sqrt(1000^2 / 4 / 1000) = 15.8.
TEST(Temperature, StaysWithinItsBounds) {
  Vector logit = Vector::Constant(1000, 1e-6), event = Vector::Ones(1000);
  logit(0) = -1e-9;
  logit(1) = 1000;
  const TemperatureFit fit = fit_temperature(logit, event);
  EXPECT_NEAR(fit.temperature, 1e-3 * std::sqrt(250.0), 1e-10);
  EXPECT_NE(fit.note.find("least value"), std::string::npos);
  // 999 rows right by 1 and one wrong by t = 1e-12: 999 sigma(-beta) = t / 2 at beta = log(1998 / t).
  logit.setOnes();
  logit(0) = -1e-12;
  EXPECT_NEAR(1 / fit_temperature(logit, event).temperature, std::log(1998e12), 1e-9);
}

struct Simulated {
  Vector logit, event;
  /// Events with probability sigma(slope z + intercept), z normal with deviation 2.
  Simulated(std::uint64_t stream, Index n, double slope, double intercept) : logit(n), event(n) {
    RandomStream random(11, stream);
    for (Index i = 0; i < n; ++i) {
      logit(i) = 2 * random.normal();
      event(i) = random.uniform() < 1 / (1 + std::exp(-slope * logit(i) - intercept));
    }
  }
};

// The estimate of 1 / T has variance 1 / sum p (1 - p) z^2 (the inverse Fisher information), p at the truth; four
// standard errors are allowed. Bias is of order 1 / n, a hundredth of that.
TEST(Temperature, RecoversTheTemperature) {
  const Simulated rows(0, 4000, 1 / 2.5, 0);
  const Vector p = event_probability(rows.logit, 1 / 2.5);
  const double information = (p.array() * (1 - p.array()) * rows.logit.array().square()).sum();
  EXPECT_NEAR(1 / fit_temperature(rows.logit, rows.event).temperature, 1 / 2.5, 4 / std::sqrt(information));
}

// Multi-class: the information of row i is the variance of z_c under softmax(z / T).
TEST(Temperature, RecoversTheTemperatureOfClasses) {
  RandomStream random(12);
  Matrix z(4000, 4);
  for (Index i = 0; i < z.size(); ++i) z.data()[i] = 3 * random.normal();
  const Matrix p = class_probability(z, 1.7);
  std::vector<int> classes;
  double information = 0;
  for (Index i = 0; i < z.rows(); ++i) {
    const Vector row = p.row(i);
    classes.push_back(static_cast<int>(random.categorical(row.data(), 4)));
    const double mean = row.dot(z.row(i));
    information += row.dot(z.row(i).transpose().cwiseAbs2()) - mean * mean;
  }
  EXPECT_NEAR(1 / fit_class_temperature(z, classes).temperature, 1 / 1.7, 4 / std::sqrt(information));
}

// Standard errors from the inverse of sum p (1 - p) (z, 1)(z, 1)'.
TEST(Platt, RecoversSlopeAndIntercept) {
  const Simulated rows(1, 4000, 0.6, -1.2);
  const Vector p = event_probability(rows.logit, 0.6, -1.2);
  const Vector weight = p.array() * (1 - p.array());
  const double zz = weight.dot(rows.logit.cwiseAbs2()), z1 = weight.dot(rows.logit), one = weight.sum();
  const double determinant = zz * one - z1 * z1;
  const PlattFit fit = fit_platt(rows.logit, rows.event);
  EXPECT_NEAR(fit.slope, 0.6, 4 * std::sqrt(one / determinant));
  EXPECT_NEAR(fit.intercept, -1.2, 4 * std::sqrt(zz / determinant));
}

TEST(Calibration, Laws) {
  EXPECT_TRUE(laws::holds("scaling the logits scales T; Platt absorbs any line; loss does not rise", [](auto& problem) {
    const Index n = 8 + problem.n;
    Vector logit(n), event(n);
    for (Index i = 0; i < n; ++i) {
      logit(i) = problem.random.normal();
      event(i) = problem.random.uniform() < 1 / (1 + std::exp(-2 * logit(i)));
    }
    const TemperatureFit one = fit_temperature(logit, event), three = fit_temperature(3 * logit, event);
    laws::require(one.converged);
    // The bounds move with the scale; what is found is exact to 1e-9 of it before the last step.
    laws::require_at_most(std::abs(three.temperature / (3 * one.temperature) - 1), 1e-8);
    const PlattFit platt = fit_platt(logit, event);
    laws::require(platt.converged);
    const Vector moved = 5 - 2 * logit.array();
    const PlattFit again = fit_platt(moved, event);
    laws::require_at_most((event_probability(logit, platt.slope, platt.intercept) -
                           event_probability(moved, again.slope, again.intercept))
                              .cwiseAbs()
                              .maxCoeff(),
                          1e-6);
    if (!one.separated) laws::require_at_most(one.loss_after, one.loss_before + 1e-12);
    if (!platt.separated) {
      laws::require_at_most(platt.loss_after, one.loss_after + 1e-12);  // the temperature is one of its lines
      // The scores are 0: mean p = rate (the calibration-in-the-large of logistic regression).
      laws::require_at_most(std::abs(event_probability(logit, platt.slope, platt.intercept).mean() - event.mean()),
                            1e-8);
    }
  }));
}

TEST(Calibration, OfLabelsIsThatOfEachLabel) {
  const Simulated a(2, 100, 0.5, 0), b(3, 100, 2, 1);
  Matrix logits(100, 2), events(100, 2);
  logits << a.logit, b.logit;
  events << a.event, b.event;
  EXPECT_EQ(fit_label_temperatures(logits, events)[1].temperature, fit_temperature(b.logit, b.event).temperature);
  EXPECT_EQ(fit_label_platt(logits, events)[0].slope, fit_platt(a.logit, a.event).slope);
}

// The root mean square of (2, -1, 0, 1) / 0.5 is sqrt(6 / 4) / 0.5; and no other factor has a smaller loss.
TEST(DeviationScale, IsTheMaximumOfTheLikelihood) {
  const Vector mean = numbers({0, 1, 2, 3}), target = numbers({2, 0, 2, 4}), sd = Vector::Constant(4, 0.5);
  const double scale = fit_deviation_scale(mean, sd, target);
  EXPECT_NEAR(scale, std::sqrt(1.5) / 0.5, 1e-14);
  EXPECT_LT(gaussian_log_loss(mean, scale * sd, target), gaussian_log_loss(mean, 1.01 * scale * sd, target));
  EXPECT_LT(gaussian_log_loss(mean, scale * sd, target), gaussian_log_loss(mean, 0.99 * scale * sd, target));
  EXPECT_EQ(fit_deviation_scale(mean, sd, mean), 1e-6);
}

TEST(Calibration, RefusesWhatIsWrong) {
  const double nan = std::nan(""), far = std::numeric_limits<double>::infinity();
  EXPECT_THROW(fit_platt(numbers({nan, 1}), numbers({0, 1})), std::invalid_argument);
  EXPECT_THROW(fit_platt(numbers({far, 1}), numbers({0, 1})), std::invalid_argument);
  EXPECT_THROW(fit_platt(Vector(), Vector()), std::invalid_argument);
  EXPECT_THROW(fit_temperature(numbers({0, 1}), numbers({0, 0.5})), std::invalid_argument);
  EXPECT_THROW(fit_class_temperature(Matrix::Zero(2, 2), std::vector<int>{0, 2}), std::invalid_argument);
  EXPECT_THROW(fit_label_platt(Matrix::Zero(2, 2), Matrix::Zero(2, 1)), std::invalid_argument);
  EXPECT_THROW(fit_deviation_scale(numbers({0}), numbers({0}), numbers({0})), std::invalid_argument);
  EXPECT_THROW(class_probability(Matrix::Zero(1, 2), 0), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
