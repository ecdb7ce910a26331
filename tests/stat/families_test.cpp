// Fits of single experts of every family against R on data that anybody can make again; draws against the distribution;
// larger families never below the smaller ones they contain.
//
// The data, in R:
//   n <- 60; i <- 1:n; x <- ((i * 37) %% 60) / 30 - 1; u <- ((i * i * 7 + i * 13) %% 61 + 0.5) / 61.5
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "../../src/stat/em_engine.hpp"
#include "../../src/stat/response_family.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using testing::all_experts;
using testing::random_data;
using testing::random_model;

constexpr int kRows = 60;
// R iterates until the deviance changes by less than 1e-14 relative: coefficients to 1e-6.
constexpr double kRTolerance = 2e-6;

double x_of(int row) {
  const int i = row + 1;
  return static_cast<double>((i * 37) % 60) / 30 - 1;
}
double u_of(int row) {
  const int i = row + 1;
  return (static_cast<double>((i * i * 7 + i * 13) % 61) + 0.5) / 61.5;
}
double normal_quantile(double u) {
  return boost::math::quantile(boost::math::normal(), u);
}

/// y = value(x, u) on the 60 rows.
template <class Value>
Data made_by(const Value& value) {
  Data data;
  data.expert_inputs.resize(kRows, 1);
  data.gate_inputs = Matrix::Zero(kRows, 0);
  data.response.resize(kRows, 1);
  for (int i = 0; i < kRows; ++i) {
    data.expert_inputs(i, 0) = x_of(i);
    data.response(i, 0) = value(x_of(i), u_of(i));
  }
  return data;
}

FitResult fit_one(const Data& data, ExpertSpec spec) {
  FitOptions options;
  options.experts = 1;
  options.expert = spec;
  options.gate.kind = GateKind::constant;
  const FitResult result = fit(data, options);
  EXPECT_TRUE(result.converged) << enum_name(spec.kind) << ": " << result.brief();
  return result;
}

void expect_parameters(const FitResult& result, std::initializer_list<double> values, double tolerance = kRTolerance) {
  const Vector& theta = result.model.experts.front().parameters();
  Eigen::Index at = 0;
  for (const double value : values) {
    EXPECT_NEAR(theta(at), value, tolerance) << "parameter " << at;
    ++at;
  }
}

// y <- qnbinom(u, size = 1.5, mu = exp(1 + 0.8 * x)); MASS::glm.nb(y ~ x): coef, theta, logLik
TEST(OneExpert, NegativeBinomialEqualsGlmNb) {
  const std::vector<int> counts = {1, 4, 6, 3, 4,  2, 0, 0, 1, 2, 1, 0, 0, 2,  0,  8, 4,  0, 3, 0,
                                   0, 1, 2, 1, 0,  0, 2, 5, 6, 3, 4, 2, 0, 13, 0,  1, 17, 4, 3, 0,
                                   2, 3, 1, 1, 13, 2, 5, 3, 6, 4, 1, 1, 4, 0,  10, 5, 7,  2, 0, 3};
  std::size_t at = 0;
  const Data data = made_by([&](double, double) { return counts[at++]; });
  const FitResult result = fit_one(data, {.kind = ExpertKind::negative_binomial});
  expect_parameters(result, {1.019093299419018, 0.6512077491310143, std::log(1.314153932272188)}, 1e-5);
  EXPECT_NEAR(result.log_likelihood, -130.5023614205453, 1e-7);
}

// z <- ifelse(u < 0.25, 0, qpois((u - .25) / .75, exp(1 + .5 * x))); optim() on
// -sum(log(ifelse(z == 0, plogis(t), 0) + plogis(-t) * dpois(z, exp(a + b * x))))
TEST(OneExpert, ZeroInflatedPoissonEqualsOptim) {
  const std::vector<int> counts = {1, 4, 4, 3, 4, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 5, 3, 0, 2, 0,
                                   0, 0, 2, 0, 0, 0, 2, 4, 4, 3, 3, 1, 0, 7, 0, 1, 8, 3, 3, 0,
                                   2, 2, 1, 1, 7, 2, 3, 3, 5, 3, 1, 1, 3, 0, 6, 4, 5, 2, 0, 3};
  std::size_t at = 0;
  const Data data = made_by([&](double, double) { return counts[at++]; });
  const FitResult result = fit_one(data, {.kind = ExpertKind::zero_inflated_poisson});
  // optim() stops at a relative change of 1e-16 of the value, parameters then to 1e-5 (square root of the rest).
  expect_parameters(result, {1.0444803933802, 0.345202076567523, -1.00275161611681}, 2e-5);
  EXPECT_NEAR(result.log_likelihood, -110.893625101676, 1e-7);
}

// MASS::polr(cut(qlogis(u) + 1.5 * x, c(-Inf, -1, 0.5, Inf)) ~ x): slope, zeta, logLik. zeta_1 = -intercept.
TEST(OneExpert, OrdinalEqualsPolr) {
  Data data = made_by([](double x, double u) {
    const double latent = std::log(u / (1 - u)) + 1.5 * x;
    return latent <= -1 ? 0 : latent <= 0.5 ? 1 : 2;
  });
  data.classes = 3;
  const FitResult result = fit_one(data, {.kind = ExpertKind::ordinal});
  expect_parameters(result, {0.9911720107498573, 1.045827670569489, std::log(0.3767726791325371 + 0.9911720107498573)},
                    1e-5);
  EXPECT_NEAR(result.log_likelihood, -62.07673620799611, 1e-7);
}

// t <- exp(0.5 + 0.6 * x) * (-log(1 - u))^(1 / 1.6); c <- 1.850159288905433; e <- t <= c; t <- pmin(t, c)
Data times() {
  constexpr double kEnd = 1.850159288905433;
  Data data = made_by([&](double x, double u) { return std::exp(0.5 + 0.6 * x) * std::pow(-std::log1p(-u), 1 / 1.6); });
  data.event = (data.response.col(0).array() <= kEnd).cast<double>();
  data.response = data.response.cwiseMin(kEnd);
  return data;
}

// survival::survreg(Surv(t, e) ~ x, dist = "weibull"): coef, scale, logLik
TEST(OneExpert, WeibullEqualsSurvreg) {
  const FitResult result = fit_one(times(), {.kind = ExpertKind::weibull});
  expect_parameters(result, {0.5014015366483585, 0.4405369515533333, -std::log(0.7275250656716676)});
  EXPECT_NEAR(result.log_likelihood, -59.99551991364363, 1e-7);
}

// survival::survreg(Surv(t, e) ~ x, dist = "exponential"): coef, logLik
TEST(OneExpert, ExponentialEqualsSurvreg) {
  const FitResult result = fit_one(times(), {.kind = ExpertKind::exponential});
  expect_parameters(result, {0.5518242961489286, 0.5616121631106932});
  EXPECT_NEAR(result.log_likelihood, -62.42472083901261, 1e-7);
}

// y <- 0.3 + 1.2 * x + 0.7 * qnorm(u); survreg(Surv(pmax(y, -0.2), y > -0.2, type = "left") ~ x, dist = "gaussian")
TEST(OneExpert, TobitEqualsSurvreg) {
  Data data = made_by([](double x, double u) { return 0.3 + 1.2 * x + 0.7 * normal_quantile(u); });
  data.event = (data.response.col(0).array() > -0.2).select(Vector::Ones(kRows), -Vector::Ones(kRows));
  data.response = data.response.cwiseMax(-0.2);
  const FitResult result = fit_one(data, {.kind = ExpertKind::tobit});
  expect_parameters(result, {0.3472494355518538, 1.065221260125957, std::log(0.674778453685723)});
  EXPECT_NEAR(result.log_likelihood, -56.00599325647072, 1e-7);
}

// y <- qgamma(u, shape = 3, scale = (1 / (1.5 + 0.6 * x)) / 3); glm(y ~ x, Gamma("inverse")), glm(y ~ x,
// Gamma("identity")), glm(y ~ x, inverse.gaussian("1/mu^2")): coefficients do not depend on the dispersion
TEST(OneExpert, LinksOfPositiveResponsesEqualGlm) {
  const Data data = made_by([](double x, double u) {
    return boost::math::quantile(boost::math::gamma_distribution<>(3, 1 / (1.5 + 0.6 * x) / 3), u);
  });
  expect_parameters(fit_one(data, {.kind = ExpertKind::gamma, .link = LinkKind::inverse}),
                    {1.536113475192632, 0.750050336379435});
  expect_parameters(fit_one(data, {.kind = ExpertKind::gamma, .link = LinkKind::identity}),
                    {0.7077256491493285, -0.2902093465892001});
  expect_parameters(fit_one(data, {.kind = ExpertKind::inverse_gaussian, .link = LinkKind::inverse_square}),
                    {2.511664813941769, 2.048329274948776}, 1e-5);
}

// y <- qbeta(u, 4 * plogis(.3 + .5 * x), 4 * plogis(-.3 - .5 * x)); optim() on -sum(dbeta(...))
TEST(OneExpert, BetaEqualsOptim) {
  const Data data = made_by([](double x, double u) {
    const double mean = 1 / (1 + std::exp(-0.3 - 0.5 * x));
    return boost::math::quantile(boost::math::beta_distribution<>(4 * mean, 4 * (1 - mean)), u);
  });
  const FitResult result = fit_one(data, {.kind = ExpertKind::beta});
  expect_parameters(result, {0.243170167543177, 0.459926149835113, 1.22231506739552}, 2e-5);
  EXPECT_NEAR(result.log_likelihood, 6.78857298554968, 1e-7);
}

// y <- .3 + 1.2 * x + exp(-.5 + .7 * x) * qnorm(u); optim() on -sum(dnorm(y, a + b * x, exp(c + d * x), log = TRUE))
TEST(OneExpert, HeteroscedasticEqualsOptim) {
  const Data data =
      made_by([](double x, double u) { return 0.3 + 1.2 * x + std::exp(-0.5 + 0.7 * x) * normal_quantile(u); });
  const FitResult result = fit_one(data, {.kind = ExpertKind::heteroscedastic});
  expect_parameters(result, {0.255045308851677, 1.13000356604816, -0.429430319494411, 0.517486186365764}, 2e-5);
  EXPECT_NEAR(result.log_likelihood, -58.8529866676814, 1e-7);
}

// y <- .5 + x + .8 * (.9 * abs(qnorm(.5 + u / 2)) + sqrt(1 - .81) * qnorm(((i * 11) %% 61 + .5) / 61.5)); optim()
TEST(OneExpert, SkewNormalReachesOptim) {
  int row = 0;
  const Data data = made_by([&](double x, double u) {
    const int i = ++row;
    const double other = normal_quantile((static_cast<double>((i * 11) % 61) + 0.5) / 61.5);
    return 0.5 + x + 0.8 * (0.9 * std::abs(normal_quantile(0.5 + u / 2)) + std::sqrt(1 - 0.81) * other);
  });
  // The slant is large (28) and loosely determined, so values are compared; optim() may stop a little short.
  EXPECT_GE(fit_one(data, {.kind = ExpertKind::skew_normal}).log_likelihood, -42.9366508710364 - 1e-6);
}

// e <- qt(u, 3); y <- .5 + x + ifelse(e > 0, 2 * e, .5 * e); optim() from three starts, Nelder-Mead and BFGS in turn, on
// -sum(log(2) - log(w) + dt(z, nu, log = TRUE) + pt(a * z * sqrt((nu + 1) / (nu + z^2)), nu + 1, log.p = TRUE))
TEST(OneExpert, SkewTReachesOptim) {
  const Data data = made_by([](double x, double u) {
    const double e = boost::math::quantile(boost::math::students_t(3), u);
    return 0.5 + x + (e > 0 ? 2 * e : 0.5 * e);
  });
  const FitResult result = fit_one(data, {.kind = ExpertKind::skew_t});
  EXPECT_NEAR(result.log_likelihood, -116.5670178262452, 1e-6);
  // optim() stops at a relative change of 1e-16 of the value: parameters to the root of that, over the curvature.
  expect_parameters(
      result, {-0.6839774057401259, 1.248748064403225, 0.6228840167481161, 3.801008396264381, 1.001592288228325}, 1e-4);
}

// R: integrate() of the density of SkewTExpert.RValues (tests/core): mean, second moment, and distribution at 0.1.
TEST(SkewT, MomentsAndDistribution) {
  const double extra[] = {std::log(1.3), -2.5, std::log(4.5)};
  const ExpertSpec spec{.kind = ExpertKind::skew_t};
  const double mean = detail::family_mean(spec, 0.4, extra, 1);
  EXPECT_NEAR(mean, -0.7718165849898796, 1e-10);
  EXPECT_NEAR(detail::family_variance(spec, 0.4, extra, 1), 2.264546732008096 - mean * mean, 1e-8);
  EXPECT_NEAR(detail::family_distribution(spec, 0.1, 0.4, extra, 1), 0.7726725147074681, 1e-10);
  const double heavy[] = {0.0, 1.0, std::log(1.5)};
  EXPECT_TRUE(std::isinf(detail::family_variance(spec, 0, heavy, 1)));
}

// Two skew, heavy-tailed lines.
TEST(SkewT, RecoversTwoExperts) {
  RandomStream stream(77);
  constexpr Eigen::Index kMany = 1500;
  MixtureModel truth;
  truth.gate = Gate({.kind = GateKind::constant}, 0, 2);
  truth.gate.parameters().setZero();
  for (int k = 0; k < 2; ++k) truth.experts.emplace_back(ExpertSpec{.kind = ExpertKind::skew_t}, 1);
  truth.experts[0].parameters() << -4, 2, std::log(0.6), 3, std::log(4.0);
  truth.experts[1].parameters() << 4, -1, std::log(0.4), -2, std::log(6.0);
  Data data;
  data.expert_inputs = testing::random_matrix(stream, kMany, 1);
  data.gate_inputs = Matrix::Zero(kMany, 0);
  data.response = simulate(truth, data, stream).response;
  FitOptions options;
  options.expert.kind = ExpertKind::skew_t;
  options.gate.kind = GateKind::constant;
  options.starts = 3;
  options.polished = 1;
  const FitResult result = fit(data, options);
  ASSERT_TRUE(result.converged) << result.brief();
  EXPECT_GE(result.log_likelihood, truth.log_likelihood(data));
  const std::size_t first = result.model.experts[0].parameters()(1) > 0 ? 0 : 1;
  for (std::size_t k = 0; k < 2; ++k) {
    const Vector& found = result.model.experts[k == 0 ? first : 1 - first].parameters();
    const Vector& wanted = truth.experts[k].parameters();
    // About 750 rows each: standard errors near 0.05 for the location, 0.02 for the slope, 0.08 and 0.2 for log scale and
    // log nu, 0.5 for the slant; four of them are allowed.
    EXPECT_NEAR(found(0), wanted(0), 0.2) << k;
    EXPECT_NEAR(found(1), wanted(1), 0.1) << k;
    EXPECT_NEAR(found(2), wanted(2), 0.35) << k;
    EXPECT_NEAR(found(3), wanted(3), 2) << k;
    EXPECT_NEAR(found(4), wanted(4), 0.8) << k;
  }
}

// Least absolute deviations by trying the lines through every two of the points:
// y <- .3 + 1.2 * x + .6 * ifelse(u < .5, log(2 * u), -log(2 * (1 - u)))
TEST(OneExpert, LaplaceEqualsTheBestLineThroughTwoPoints) {
  const Data data = made_by(
      [](double x, double u) { return 0.3 + 1.2 * x + 0.6 * (u < 0.5 ? std::log(2 * u) : -std::log(2 * (1 - u))); });
  const FitResult result = fit_one(data, {.kind = ExpertKind::laplace});
  const double scale = 41.3421203723203 / kRows;
  expect_parameters(result, {0.2967297958534, 1.11888887100955, std::log(scale)}, 1e-8);
  EXPECT_NEAR(result.log_likelihood, -kRows * (std::log(2 * scale) + 1), 1e-8);
}

TEST(NegativeBinomial, LargeSizesLoseNoDigits) {
  const ExpertSpec spec{.kind = ExpertKind::negative_binomial};
  const double poisson = detail::point_derivatives({.kind = ExpertKind::poisson}, 7, std::log(4.0), nullptr, 1).value;
  // Around the Poisson distribution log f = log Poisson + ((y - mu)^2 - y) / (2 size) + O(size^-2), here 1e-7 + 1e-13.
  // (R's dnbinom loses 1e-11 here.)
  const double log_size = std::log(1e7);
  EXPECT_NEAR(detail::point_derivatives(spec, 7, std::log(4.0), &log_size, 1).value, poisson + 1e-7, 1e-12);
  // The forms on both sides of size = 1000 meet, in value and derivatives: 1e-9 of a change of 1e-9 in log size.
  const double below = std::log(1000.0) - 1e-9, above = std::log(1000.0) + 1e-9;
  const auto a = detail::point_derivatives(spec, 7, std::log(4.0), &below, 1);
  const auto b = detail::point_derivatives(spec, 7, std::log(4.0), &above, 1);
  EXPECT_NEAR(a.value, b.value, 2e-11);  // log Gammas of 1000 are 6000 with an absolute error of 1e-12 each
  EXPECT_NEAR(a.s, b.s, 1e-10);
  EXPECT_NEAR(a.s_s, b.s_s, 1e-9);
  // At the bound of the size it is the Poisson distribution.
  const double largest = detail::extra_parameters(spec.kind).back().upper;
  EXPECT_NEAR(detail::point_derivatives(spec, 7, std::log(4.0), &largest, 1).value, poisson, 1e-11);
}

// Experts of several kinds in one model: the parts of the machinery that look at every expert.
// P(Y <= mu) = 1/2 + 2 / (3 sqrt(2 pi mu)) + O(mu^-3/2) for whole mu (Ramanujan's theorem on exp(n)); either side of the change
// of formula at 1e9 the same.
TEST(Poisson, DistributionOfHugeMeans) {
  const auto below = [](double mean, double y) {
    Expert expert(ExpertSpec{.kind = ExpertKind::poisson}, 0);
    expert.parameters()(0) = std::log(mean);
    return expert.distribution(Vector::Constant(1, y), Matrix(1, 0), Vector(), Vector())(0);
  };
  for (const double mean : {4e8, 2e9, 3e10, 1e14})  // log and exp move the mean by 1e-15 of it and more
    EXPECT_NEAR(below(mean, mean), 0.5 + 2 / (3 * std::sqrt(2 * M_PI * mean)), 1e-8 + 1e-14 * std::sqrt(mean)) << mean;
  for (const double z : {-3.0, -1.0, 0.5, 2.0})
    EXPECT_NEAR(below(0.999e9, std::floor(0.999e9 + z * std::sqrt(0.999e9))),
                below(1.001e9, std::floor(1.001e9 + z * std::sqrt(1.001e9))), 2e-5)
        << z;  // one count is 1.3e-5 of probability at most
}

TEST(MixedFamilies, ScoreAndInformationAreDerivativesAndEmClimbs) {
  RandomStream stream(31);
  const std::vector<std::vector<ExpertKind>> mixtures = {
      {ExpertKind::linear, ExpertKind::student_t, ExpertKind::heteroscedastic},
      {ExpertKind::poisson, ExpertKind::negative_binomial, ExpertKind::linear},
      {ExpertKind::weibull, ExpertKind::gamma, ExpertKind::linear}};
  for (const auto& kinds : mixtures) {
    Data data = random_data({{.kind = kinds.front()}}, 60, 2, 2, stream, true);
    data.event.resize(0);
    MixtureModel model = random_model({.kind = GateKind::softmax}, {{.kind = kinds.front()}}, data, 3, stream);
    for (std::size_t j = 0; j < 3; ++j) model.experts[j] = testing::random_expert({{.kind = kinds[j]}}, 2, 0, stream);
    const detail::Scaling scaling(data, model);
    EXPECT_EQ(scaling.response_scale(0) != 1, kinds.front() == ExpertKind::linear);  // only these may all be scaled
    const auto engine =
        detail::make_engine(data, scaling, model, {.sigma_floor = 1e-3, .gate_ridge = 1e-3, .threads = 1});
    Vector score;
    Matrix information;
    engine->derivatives(model, score, &information);
    const Vector free = engine->map().pack(model);
    constexpr double kStep = 1e-5;
    for (Eigen::Index i = 0; i < free.size(); ++i) {
      MixtureModel moved = model;
      Vector point = free, up, down;
      point(i) = free(i) + kStep;
      engine->map().unpack(point, moved);
      const double high = engine->derivatives(moved, up, nullptr);
      point(i) = free(i) - kStep;
      engine->map().unpack(point, moved);
      const double low = engine->derivatives(moved, down, nullptr);
      // Central differences: h^2 f''' / 6 + eps |f| / h, f''' growing with the curvature.
      const double curvature = 1 + information.cwiseAbs().maxCoeff();
      EXPECT_NEAR(score(i), (high - low) / (2 * kStep), 1e-7 * (1 + score.cwiseAbs().maxCoeff()) + 1e-8 * curvature);
      EXPECT_LT((information.col(i) - (down - up) / (2 * kStep)).cwiseAbs().maxCoeff(), 1e-5 * curvature) << i;
    }
    double previous = -1e300;
    for (int round = 0; round < 6; ++round) {
      const double value = engine->step(model);
      EXPECT_GE(value, previous - 1e-9 * std::abs(previous)) << enum_name(kinds.front());
      previous = value;
    }
  }
}

TEST(MixedFamilies, EveryExpertKeepsItsKindAndListsMustFit) {
  FitOptions options;
  options.experts = 2;
  options.expert_kinds = {ExpertKind::linear, ExpertKind::student_t};
  options.settle();
  options.starts = 3;
  Data data = made_by([](double x, double u) { return (u < 0.4 ? 1 + x : -1 + 2 * x) + normal_quantile(u); });
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, options);
  std::vector<ExpertKind> kinds;
  for (const Expert& expert : result.model.experts) kinds.push_back(expert.spec().kind);
  std::sort(kinds.begin(), kinds.end());
  EXPECT_EQ(kinds, options.expert_kinds);
  // The same rounding as in the sum of 60 terms of size one.
  EXPECT_NEAR(result.model.log_likelihood(data), result.log_likelihood, 1e-9);
  options.experts = 3;
  EXPECT_THROW(fit(data, options), std::invalid_argument);
  options.experts = 2;
  options.expert_kinds = {ExpertKind::linear, ExpertKind::multinomial};
  EXPECT_THROW(fit(data, options), std::invalid_argument);
}

TEST(Simulate, DrawsFollowTheDistribution) {
  RandomStream stream(21);
  constexpr Eigen::Index kDraws = 4000;
  for (const auto& which : all_experts()) {
    if (which.responses > 1 || has_classes(which.spec.kind)) continue;
    Data one = random_data(which, 1, 2, 2, stream);
    one.event.resize(0);
    const MixtureModel model = random_model({.kind = GateKind::constant}, which, one, 1, stream);
    Data many = one.subset(std::vector<Eigen::Index>(kDraws, 0));
    const Draw draw = simulate(model, many, stream);
    const Expert& expert = model.experts.front();
    for (const double at : {0.0, 0.3, 0.9, 1.5, 3.0}) {
      const double p = expert.distribution(Vector::Constant(1, at), one.expert_inputs, one.trials, one.offset)(0);
      const double share = (draw.response.array() <= at).cast<double>().mean();
      // 4.5 standard deviations of a share: 7e-6 of all cases beyond, some 150 cases with a fixed seed.
      EXPECT_NEAR(share, p, 4.5 * std::sqrt(p * (1 - p) / kDraws) + 1e-12) << enum_name(which.spec.kind) << " " << at;
    }
  }
}

TEST(Nesting, LargerFamiliesAreNeverBelowSmallerOnes) {
  const auto value = [](const Data& data, ExpertKind kind, int experts) {
    FitOptions options;
    options.experts = experts;
    options.expert.kind = kind;
    options.gate.kind = GateKind::constant;
    options.starts = 3;
    options.polished = 1;
    return fit(data, options).log_likelihood;
  };
  const Data real = made_by([](double x, double u) { return (u < 0.4 ? 1 + x : -1 + 2 * x) + normal_quantile(u); });
  // Less spread than Poisson counts have: both larger families end at the bound where they are Poisson.
  const Data counts =
      made_by([](double x, double u) { return std::round(std::exp(1.2 + 0.5 * x) + (u < 0.5 ? 0 : 1)); });
  const Data waits = made_by([](double x, double u) { return -std::exp(0.5 * x) * std::log1p(-u); });
  for (const int experts : {1, 2}) {
    const double linear = value(real, ExpertKind::linear, experts);
    for (const ExpertKind kind : {ExpertKind::student_t, ExpertKind::skew_normal, ExpertKind::heteroscedastic})
      EXPECT_GE(value(real, kind, experts), linear - 1e-6) << enum_name(kind) << " " << experts;
    const double skew_t = value(real, ExpertKind::skew_t, experts);
    for (const ExpertKind kind : {ExpertKind::student_t, ExpertKind::skew_normal})
      EXPECT_GE(skew_t, value(real, kind, experts) - 1e-6) << enum_name(kind) << " " << experts;
    const double poisson = value(counts, ExpertKind::poisson, experts);
    for (const ExpertKind kind : {ExpertKind::negative_binomial, ExpertKind::zero_inflated_poisson})
      EXPECT_GE(value(counts, kind, experts), poisson - 1e-6) << enum_name(kind) << " " << experts;
    EXPECT_GE(value(waits, ExpertKind::weibull, experts), value(waits, ExpertKind::exponential, experts) - 1e-6)
        << experts;
  }
}

}  // namespace
}  // namespace clearway
