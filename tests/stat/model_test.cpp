// Gates, experts and mixtures chosen at run time, against the formulas of the core floor, finite differences, quadrature
// and the laws of a change of scale.
#include <gtest/gtest.h>

#include <Eigen/QR>
#include <cmath>
#include <numeric>

#include "../../src/stat/expert_updates.hpp"
#include "clearway/core/experts/all.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using testing::all_experts;
using testing::all_gates;
using testing::random_data;
using testing::random_expert;
using testing::random_gate;
using testing::random_matrix;
using testing::random_model;
using testing::top_k_gates;

// Central differences with h = 1e-5 err by h^2 f'''/6 + eps f / h: some 1e-10 for values and derivatives of order 1; the
// third derivatives here stay below 1e3.
constexpr double kStep = 1e-5;
constexpr double kDifferenceTolerance = 2e-7;

TEST(GateModel, JacobianOfScoresIsTheirDerivative) {
  RandomStream stream(1);
  const Matrix x = random_matrix(stream, 9, 3);
  for (const GateSpec& spec : all_gates()) {
    Gate gate = random_gate(spec, 3, 3, stream);
    for (int k = 0; gate.has_own_scores() && k < 3; ++k) {
      const Matrix jacobian = gate.score_jacobian(x, k);
      for (Eigen::Index i = 0; i < gate.block_size(); ++i) {
        Gate up = gate, down = gate;
        up.block(k)(i) += kStep;
        down.block(k)(i) -= kStep;
        const Vector difference = (up.scores(x).col(k) - down.scores(x).col(k)) / (2 * kStep);
        EXPECT_LT((jacobian.col(i) - difference).cwiseAbs().maxCoeff(), kDifferenceTolerance)
            << enum_name(spec.kind) << " parameter " << i;
      }
    }
    if (gate.is_linear()) {
      const Matrix f = gate.features(x) * Eigen::Map<const Matrix>(gate.parameters().data(), gate.block_size(), 3);
      EXPECT_LT((f / spec.temperature - gate.scores(x)).cwiseAbs().maxCoeff(), 1e-12) << enum_name(spec.kind);
    }
  }
}

// Random rows lie so far from the borders of top-k selections that a step of 1e-5 crosses none.
std::vector<GateSpec> gates_of_all_kinds() {
  std::vector<GateSpec> specs = all_gates();
  for (const GateSpec& spec : top_k_gates()) specs.push_back(spec);
  specs.push_back({.kind = GateKind::unnormalised_sigmoid, .temperature = 0.8});
  specs.push_back({.kind = GateKind::fixed, .weights = {0.5, 2.0, 1.0, 0.7}});
  return specs;
}

TEST(GateModel, JacobianOfACombinationIsItsDerivative) {
  RandomStream stream(6, 1);
  const Matrix x = random_matrix(stream, 9, 3), values = random_matrix(stream, 9, 4);
  for (const GateSpec& spec : gates_of_all_kinds()) {
    Gate gate = random_gate(spec, 3, 4, stream);
    const auto combination = [&] {
      return Vector(gate.log_weights(x).array().exp().matrix().cwiseProduct(values).rowwise().sum());
    };
    const Matrix jacobian = gate.combination_jacobian(x, values);
    ASSERT_EQ(jacobian.cols(), gate.parameters().size());
    for (Eigen::Index c = 0; c < jacobian.cols(); ++c) {
      // Central differences with h = 1e-5: truncation h^2 f''' / 6 and rounding eps f / h are both near 1e-10.
      const double h = 1e-5, old = gate.parameters()(c);
      gate.parameters()(c) = old + h;
      const Vector up = combination();
      gate.parameters()(c) = old - h;
      const Vector down = combination();
      gate.parameters()(c) = old;
      EXPECT_LT((jacobian.col(c) - (up - down) / (2 * h)).cwiseAbs().maxCoeff(), 1e-8)
          << enum_name(spec.kind) << " parameter " << c;
    }
  }
}

TEST(GateModel, DegreesOfFreedomAreTheDirectionsThatMoveTheWeights) {
  // At a random point the rank of d log w / d theta (all rows and experts) is the dimension of the family of weights.
  // Directions without effect have singular values at rounding (1e-15 of the largest), others above 1e-6 of it.
  RandomStream stream(6, 2);
  const Matrix x = random_matrix(stream, 60, 3);
  std::vector<GateSpec> specs = all_gates();
  specs.push_back({.kind = GateKind::quadratic, .shape = QuadraticShape::low_rank, .rank = 1});
  specs.push_back({.kind = GateKind::cosine, .estimate_temperature = false});
  for (const GateSpec& spec : specs) {
    const Gate gate = random_gate(spec, 3, 4, stream);
    Matrix all(60 * 4, gate.parameters().size());
    for (int k = 0; k < 4; ++k) {
      Matrix one = Matrix::Zero(60, 4);
      one.col(k).setOnes();
      all.middleRows(60 * k, 60) = gate.weighted_log_jacobian(x, one);
    }
    Eigen::Index free = 0, rank = 0;
    for (Eigen::Index i = 0; i < gate.parameters().size(); ++i)
      if (!gate.pinned(i)) all.col(free++) = all.col(i).eval();
    if (free > 0) {
      Eigen::ColPivHouseholderQR<Matrix> qr(all.leftCols(free));
      qr.setThreshold(1e-9);
      rank = qr.rank();
    }
    EXPECT_EQ(gate.degrees_of_freedom(), rank) << enum_name(spec.kind);
  }
}

TEST(GateModel, ChangeOfScaleAndOrderKeepTheWeights) {
  RandomStream stream(2);
  const Matrix raw = 3.0 * random_matrix(stream, 20, 3);
  const Vector scale = Vector::LinSpaced(3, 0.5, 4.0);
  // -inf, where top-k leaves an expert out, becomes a number that is the same on both sides.
  const auto finite = [](const Matrix& a) { return Matrix(a.cwiseMax(-1e6)); };
  for (const GateSpec& spec : gates_of_all_kinds()) {
    const Gate gate = random_gate(spec, 3, 4, stream);
    // The monomial gate, for one, has no linear term to take up a shift of the inputs.
    const Vector centre = gate.may_be_shifted() ? Vector(Vector::LinSpaced(3, -2.0, 5.0)) : Vector(Vector::Zero(3));
    const Matrix standard = (raw.rowwise() - centre.transpose()) * scale.cwiseInverse().asDiagonal();
    const Gate moved = gate.on_raw_scale(centre, scale);
    const Matrix before = finite(gate.log_weights(standard));
    EXPECT_LT((finite(moved.log_weights(raw)) - before).cwiseAbs().maxCoeff(), 1e-11) << enum_name(spec.kind);
    EXPECT_LT((finite(moved.on_standard_scale(centre, scale).log_weights(standard)) - before).cwiseAbs().maxCoeff(),
              1e-11)
        << enum_name(spec.kind);
    const std::vector<int> order{2, 0, 3, 1};
    const Gate turned = gate.permuted(order);
    const Matrix after = finite(turned.log_weights(standard));
    for (int k = 0; k < 4; ++k)
      EXPECT_LT((after.col(k) - before.col(order[static_cast<std::size_t>(k)])).cwiseAbs().maxCoeff(), 1e-12)
          << enum_name(spec.kind);
    for (Eigen::Index i = 0; i < turned.parameters().size(); ++i)
      EXPECT_TRUE(!turned.pinned(i) || turned.parameters()(i) == 0) << enum_name(spec.kind) << " parameter " << i;
    if (gate.sums_to_one()) {
      EXPECT_LT((before.array().exp().rowwise().sum() - 1).abs().maxCoeff(), 1e-14) << enum_name(spec.kind);
    }
    EXPECT_EQ(gate.block_names({"a", "b", "c"}).size(), static_cast<std::size_t>(gate.block_size()));
    EXPECT_EQ(gate.shared_names({"a", "b", "c"}).size(), static_cast<std::size_t>(gate.shared_size()));
  }
}

TEST(GateModel, HierarchicalWeightsAreProductsOfTwoSoftmaxes) {
  RandomStream stream(2, 1);
  const Matrix x = random_matrix(stream, 5, 2);
  Gate gate = random_gate({.kind = GateKind::hierarchical, .groups = 2, .inner = LevelKind::laplace}, 2, 4, stream);
  gate.set_units(Vector::Zero(2), Vector::Ones(2));
  EXPECT_EQ(gate.group_of(), (std::vector<int>{0, 0, 1, 1}));
  const Matrix log_weights = gate.log_weights(x);
  for (Eigen::Index t = 0; t < 5; ++t) {
    double outer[2], inner[4];
    for (int g = 0; g < 2; ++g) outer[g] = std::exp(gate.group_block(g)(0) + x.row(t).dot(gate.group_block(g).tail(2)));
    for (int k = 0; k < 4; ++k)  // the smoothing of the distance, 1e-6, moves it by less than that
      inner[k] = std::exp(gate.block(k)(0) - (x.row(t).transpose() - gate.block(k).tail(2)).norm());
    for (int k = 0; k < 4; ++k) {
      const int g = k / 2;
      const double expected = outer[g] / (outer[0] + outer[1]) * inner[k] / (inner[2 * g] + inner[2 * g + 1]);
      EXPECT_NEAR(std::exp(log_weights(t, k)), expected, 2e-6);
    }
  }
}

TEST(GateModel, UnnormalisedWeightsAreTheSigmoidsAndFixedOnesAsGiven) {
  RandomStream stream(2, 2);
  const Matrix x = random_matrix(stream, 5, 2);
  const Gate gate = random_gate({.kind = GateKind::unnormalised_sigmoid}, 2, 3, stream);
  const Matrix weights = gate.log_weights(x).array().exp();
  for (int k = 0; k < 3; ++k) {
    const Vector linear = (x * gate.block(k).tail(2)).array() + gate.block(k)(0);
    EXPECT_LT((weights.col(k).array() - 1 / (1 + (-linear.array()).exp())).abs().maxCoeff(), 1e-15);
  }
  EXPECT_FALSE(gate.sums_to_one());
  const Gate fixed({.kind = GateKind::fixed, .weights = {1, 3}}, 2, 2);
  EXPECT_NEAR(std::exp(fixed.log_weights(x)(4, 1)), 0.75, 1e-15);
  EXPECT_NEAR(std::exp(fixed.permuted({1, 0}).log_weights(x)(4, 1)), 0.25, 1e-15);
}

TEST(GateModel, TopKLeavesOutAllButTheBest) {
  RandomStream stream(2, 3);
  const Matrix x = random_matrix(stream, 50, 3);
  for (const GateSpec& spec : top_k_gates()) {
    const Gate gate = random_gate(spec, 3, 4, stream);
    EXPECT_FALSE(gate.is_smooth());
    const Matrix logs = gate.log_weights(x), dense = gate.dense().log_weights(x).array().exp();
    for (Eigen::Index t = 0; t < x.rows(); ++t) {
      double left_out = 0, least_kept = 1;
      int kept = 0;
      for (int k = 0; k < 4; ++k) {
        if (std::isfinite(logs(t, k)))
          least_kept = std::min(least_kept, dense(t, k)), ++kept;
        else
          left_out = std::max(left_out, dense(t, k));
      }
      EXPECT_EQ(kept, spec.top_k);
      EXPECT_NEAR(logs.row(t).array().exp().sum(), 1, 1e-14);
      EXPECT_TRUE(spec.top_k_rule == TopKRule::slopes || least_kept >= left_out);
    }
  }
  EXPECT_TRUE(Gate({.kind = GateKind::softmax, .top_k = 3}, 2, 3).is_smooth());
  EXPECT_TRUE(Gate({.kind = GateKind::softmax, .top_k = 3}, 2, 1).is_smooth());
  EXPECT_EQ(Gate({.kind = GateKind::fixed, .weights = {1, 2}}, 2, 1).log_weights(x.leftCols(2))(0, 0), 0.0);
}

TEST(GateModel, WrongUseIsNamed) {
  EXPECT_THROW(Gate({.kind = GateKind::softmax}, 2, 0), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::softmax, .temperature = 0}, 2, 2), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::softmax}, 2, 2).log_weights(Matrix::Zero(3, 1)), std::invalid_argument);
  Gate laplace({.kind = GateKind::laplace}, 2, 2);
  EXPECT_THROW(laplace.set_input_scale(Vector::Zero(2)), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::softmax, .top_k = 3}, 2, 2), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::constant, .top_k = 1}, 2, 2), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::hierarchical, .groups = 3}, 2, 2), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::fixed, .weights = {1}}, 2, 2), std::invalid_argument);
  EXPECT_THROW(Gate({.kind = GateKind::fixed, .weights = {1, 0}}, 2, 2), std::invalid_argument);
  Gate grouped({.kind = GateKind::hierarchical}, 2, 3);
  EXPECT_THROW(grouped.set_group_of({1, 0, 0}), std::invalid_argument);
  EXPECT_THROW(grouped.set_group_of({0, 0, 0}), std::invalid_argument);
}

TEST(ExpertModel, ScoreRowsAndHessianAreDerivatives) {
  RandomStream stream(3);
  for (const auto& which : all_experts()) {
    const Data data = random_data(which, 12, 2, 2, stream);
    Expert expert = random_expert(which, 2, data.classes, stream);
    const Matrix rows = detail::expert_score_rows(expert, data);
    const Vector weight = Vector::LinSpaced(12, 0.1, 1.0);
    const bool closed = detail::has_closed_hessian(expert);
    const Matrix hessian = closed ? detail::expert_hessian(expert, data, weight) : Matrix();
    for (Eigen::Index i = 0; i < expert.parameters().size(); ++i) {
      Expert up = expert, down = expert;
      up.parameters()(i) += kStep;
      down.parameters()(i) -= kStep;
      const Vector difference = (up.log_density(data) - down.log_density(data)) / (2 * kStep);
      const double size = 1 + rows.cwiseAbs().maxCoeff();
      EXPECT_LT((rows.col(i) - difference).cwiseAbs().maxCoeff(), kDifferenceTolerance * size * 10)
          << enum_name(which.spec.kind) << " parameter " << i;
      if (!closed) continue;
      const Vector second = (detail::expert_score_rows(up, data) - detail::expert_score_rows(down, data)).transpose() *
                            weight / (2 * kStep);
      EXPECT_LT((hessian.col(i) - second).cwiseAbs().maxCoeff(),
                kDifferenceTolerance * 10 * (1 + second.cwiseAbs().maxCoeff()))
          << enum_name(which.spec.kind) << " parameter " << i;
    }
  }
}

TEST(ExpertModel, DensityIsTheOneOfTheCoreFloor) {
  RandomStream stream(4);
  using A = Eigen::ArrayXXd;
  for (const auto& which : all_experts()) {
    if (which.responses > 1) continue;
    const Data data = random_data(which, 15, 2, 2, stream);
    const Expert expert = random_expert(which, 2, data.classes, stream);
    const A x = data.expert_inputs.array(), y = data.response.array();
    const Vector& p = expert.parameters();
    const auto at = [&](Eigen::Index i) { return A::Constant(1, 1, p(i)); };
    const bool has_slopes = which.spec.kind != ExpertKind::constant && p.size() >= 3;  // 2: an attribute of two classes
    const A slopes = has_slopes ? A(p.segment(1, 2).transpose().array()) : A(1, 0);
    A core;
    const auto gaussian = [&](Activation activation) {
      const A inputs = which.spec.kind == ExpertKind::constant ? A(15, 0) : x;
      return GaussianExpert{activation}.log_density(y, inputs, GaussianParameters<A>{slopes, at(0), at(p.size() - 1)});
    };
    switch (which.spec.kind) {
      case ExpertKind::linear:
      case ExpertKind::constant:
        core = gaussian({});
        break;
      case ExpertKind::sigmoid:
        core = gaussian(Activation{.kind = ActivationKind::sigmoid});
        break;
      case ExpertKind::tanh:
        core = gaussian(Activation{.kind = ActivationKind::tanh});
        break;
      case ExpertKind::gelu:
        core = gaussian(Activation{.kind = ActivationKind::gelu});
        break;
      case ExpertKind::relu:
        core = gaussian(Activation{.kind = ActivationKind::relu});
        break;
      case ExpertKind::leaky_relu:
        core = gaussian(Activation{.kind = ActivationKind::leaky_relu, .leak = which.spec.leak});
        break;
      case ExpertKind::polynomial:
        core = gaussian(Activation{.kind = ActivationKind::polynomial, .degree = which.spec.degree});
        break;
      case ExpertKind::student_t:
        core = StudentTExpert{}.log_density(y, x, StudentTParameters<A>{slopes, at(0), at(3), at(4)});
        break;
      case ExpertKind::poisson:
        core = PoissonExpert{}.log_density(y, x, PoissonParameters<A>{slopes, at(0)});
        break;
      case ExpertKind::gamma:
        core = GammaExpert{which.spec.link}.log_density(y, x, GammaParameters<A>{slopes, at(0), at(3)});
        break;
      case ExpertKind::inverse_gaussian:
        core = InverseGaussianExpert{which.spec.link}.log_density(y, x, {slopes, at(0), at(3)});
        break;
      case ExpertKind::laplace:
        core = LaplaceExpert{}.log_density(y, x, LaplaceExpertParameters<A>{slopes, at(0), at(3)});
        break;
      case ExpertKind::skew_normal:
        core = SkewNormalExpert{}.log_density(y, x, SkewNormalParameters<A>{slopes, at(0), at(3), at(4)});
        break;
      case ExpertKind::skew_t:
        core = SkewTExpert{}.log_density(y, x, SkewTParameters<A>{slopes, at(0), at(3), at(4), at(5)});
        break;
      case ExpertKind::heteroscedastic:
        core = HeteroscedasticExpert{}.log_density(
            y, x, HeteroscedasticParameters<A>{slopes, at(0), A(p.segment(4, 2).transpose().array()), at(3)});
        break;
      case ExpertKind::tobit:
        core = TobitExpert{}.log_density(y, x, TobitParameters<A>{slopes, at(0), at(3)}, A(data.event.array()));
        break;
      case ExpertKind::weibull:
        core = WeibullExpert{}.log_density(y, x, WeibullParameters<A>{slopes, at(0), at(3)}, A(data.event.array()));
        break;
      case ExpertKind::exponential:
        core = ExponentialExpert{}.log_density(y, x, ExponentialParameters<A>{slopes, at(0)}, A(data.event.array()));
        break;
      case ExpertKind::beta:
        core = BetaExpert{}.log_density(y, x, BetaParameters<A>{slopes, at(0), at(3)});
        break;
      case ExpertKind::negative_binomial:
        core = NegativeBinomialExpert{}.log_density(y, x, NegativeBinomialParameters<A>{slopes, at(0), at(3)});
        break;
      case ExpertKind::zero_inflated_poisson:
        core = ZeroInflatedPoissonExpert{}.log_density(y, x, ZeroInflatedPoissonParameters<A>{slopes, at(0), at(3)});
        break;
      case ExpertKind::ordinal: {
        OrdinalExpert three;
        three.classes = 3;
        core = three.log_density(y, x, OrdinalParameters<A>{slopes, at(0), at(3)});
        break;
      }
      default:
        continue;
    }
    const Vector here = expert.log_density(data);
    EXPECT_LT((here - core.matrix().col(0)).cwiseAbs().maxCoeff(), 1e-11 * (1 + here.cwiseAbs().maxCoeff()))
        << enum_name(which.spec.kind);
  }
}

TEST(ExpertModel, ChangeOfScaleIsAChangeOfVariables) {
  RandomStream stream(5);
  const Vector x_centre = Vector::LinSpaced(2, -1.0, 3.0);
  for (const auto& which : all_experts()) {
    Data data = random_data(which, 15, 2, 2, stream);
    Vector x_scale = Vector::LinSpaced(2, 0.5, 2.0);
    if (data.attributes > 0) x_scale.setConstant(0.5);  // the columns of an attribute have one unit
    const Expert expert = random_expert(which, 2, data.classes, stream);
    const bool scaled = expert.response_may_be_scaled();
    const Vector y_centre =
        scaled ? Vector(Vector::LinSpaced(which.responses, 1.0, 2.0)) : Vector(Vector::Zero(which.responses));
    const Vector y_scale =
        scaled ? Vector(Vector::LinSpaced(which.responses, 3.0, 4.0)) : Vector(Vector::Ones(which.responses));
    const Vector standard = expert.log_density(data);
    const Expert raw_expert = expert.on_raw_scale(x_centre, x_scale, y_centre, y_scale);
    const Data standard_data = data;
    data.expert_inputs = (data.expert_inputs * x_scale.asDiagonal()).rowwise() + x_centre.transpose();
    data.response = (data.response * y_scale.asDiagonal()).rowwise() + y_centre.transpose();
    const Vector raw = raw_expert.log_density(data).array() + y_scale.array().log().sum();
    EXPECT_LT((raw - standard).cwiseAbs().maxCoeff(), 1e-9 * (1 + standard.cwiseAbs().maxCoeff()))
        << enum_name(which.spec.kind);
    const Expert back = raw_expert.on_standard_scale(x_centre, x_scale, y_centre, y_scale);
    EXPECT_LT((back.parameters() - expert.parameters()).cwiseAbs().maxCoeff(), 1e-12);
  }
}

TEST(ExpertModel, DistributionIsTheSumOrIntegralOfTheDensity) {
  RandomStream stream(6);
  for (const auto& which : all_experts()) {
    if (which.responses > 1 || has_classes(which.spec.kind)) continue;
    const Data one = random_data(which, 1, 2, 2, stream);
    const Expert expert = random_expert(which, 2, 0, stream);
    const auto density = [&](double y) {
      Data d = one;
      d.response(0, 0) = y;
      return std::exp(expert.log_density(d)(0));
    };
    const auto cdf = [&](double y) {
      return expert.distribution(Vector::Constant(1, y), one.expert_inputs, one.trials, one.offset)(0);
    };
    if (is_count(which.spec.kind)) {
      const int last = which.spec.kind == ExpertKind::bernoulli ? 1 : which.spec.kind == ExpertKind::binomial ? 7 : 12;
      double sum = 0;
      for (int y = 0; y <= last; ++y) {
        sum += density(y);
        EXPECT_NEAR(cdf(y), sum, 1e-12) << enum_name(which.spec.kind) << " at " << y;
      }
      EXPECT_EQ(cdf(-1), 0);
      continue;
    }
    const ResponseKind kind = response_kind(which.spec.kind);
    double a = kind == ResponseKind::positive ? 0.7 : kind == ResponseKind::unit ? 0.2 : -0.4;
    if (which.spec.kind == ExpertKind::laplace) a = 0.05 + expert.mean(one.expert_inputs, one.trials, one.offset)(0);
    const double b = a + (kind == ResponseKind::unit ? 0.6 : 0.9);
    double integral = 0;  // Simpson with 200 intervals of h = 0.0045: error h^4 f''''/180, below 1e-10 here
    const int steps = 200;
    for (int i = 0; i <= steps; ++i)
      integral += (i == 0 || i == steps ? 1 : i % 2 ? 4 : 2) * density(a + (b - a) * i / steps);
    integral *= (b - a) / steps / 3;
    EXPECT_NEAR(cdf(b) - cdf(a), integral, 1e-8) << enum_name(which.spec.kind);
  }
}

TEST(MixtureModel, QuantilesInvertTheDistribution) {
  RandomStream stream(7);
  for (const auto& which : all_experts()) {
    if (which.responses > 1 || has_classes(which.spec.kind)) continue;
    const Data data = random_data(which, 6, 2, 2, stream);
    const MixtureModel model = random_model({.kind = GateKind::softmax}, which, data, 3, stream);
    const Matrix weights = model.gate.log_weights(data.gate_inputs).array().exp();
    for (double probability : {0.05, 0.5, 0.93}) {
      const Vector q = model.quantile(data, probability);
      Vector at = Vector::Zero(6), below = Vector::Zero(6);
      for (int k = 0; k < 3; ++k) {
        const Expert& e = model.experts[static_cast<std::size_t>(k)];
        at += weights.col(k).cwiseProduct(e.distribution(q, data.expert_inputs, data.trials, data.offset));
        below +=
            weights.col(k).cwiseProduct(e.distribution(q.array() - 1, data.expert_inputs, data.trials, data.offset));
      }
      const bool count = is_count(which.spec.kind);
      for (Eigen::Index i = 0; i < 6; ++i) {
        if (count) {
          EXPECT_GE(at(i), probability);
          EXPECT_LT(below(i), probability);
        } else {
          EXPECT_NEAR(at(i), probability, 1e-9) << enum_name(which.spec.kind);
        }
      }
    }
  }
}

TEST(MixtureModel, ResponsibilitiesLikelihoodAndMean) {
  RandomStream stream(8);
  for (const auto& which : all_experts()) {
    const Data data = random_data(which, 10, 2, 3, stream, true);
    const MixtureModel model = random_model({.kind = GateKind::softmax}, which, data, 3, stream, which.responses == 1);
    const Matrix joint = model.joint_log_density(data);
    const Vector row = joint.array().exp().rowwise().sum().log();
    EXPECT_NEAR(model.log_likelihood(data), row.dot(data.weights), 1e-10 * std::abs(row.dot(data.weights)) + 1e-10);
    const Matrix r = model.responsibilities(data);
    EXPECT_LT((r.rowwise().sum().array() - 1).abs().maxCoeff(), 1e-14);
    // Reordering the experts reorders responsibilities and changes nothing else.
    const MixtureModel turned = model.permuted({1, 2, 0});
    EXPECT_NEAR(turned.log_likelihood(data), model.log_likelihood(data),
                1e-10 * (1 + std::abs(model.log_likelihood(data))));
    EXPECT_LT((turned.responsibilities(data).col(0) - r.col(1)).cwiseAbs().maxCoeff(), 1e-12);
    EXPECT_LT((turned.mean(data) - model.mean(data)).cwiseAbs().maxCoeff(),
              1e-9 * (1 + model.mean(data).cwiseAbs().maxCoeff()));
  }
}

TEST(DataCheck, EveryBadValueIsNamed) {
  RandomStream stream(9);
  const auto expect_error = [](const Data& data, ExpertKind kind, const std::string& part) {
    try {
      data.check(kind);
      ADD_FAILURE() << "no error for: " << part;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  const Data good = random_data({{.kind = ExpertKind::linear}}, 5, 2, 2, stream);
  EXPECT_NO_THROW(good.check(ExpertKind::linear));
  Data bad = good;
  bad.response(3, 0) = std::nan("");
  expect_error(bad, ExpertKind::linear, "row 4");
  bad = good;
  bad.weights = Vector::Constant(5, -1.0);
  expect_error(bad, ExpertKind::linear, "weights");
  bad = good;
  bad.gate_inputs = Matrix::Zero(4, 1);
  expect_error(bad, ExpertKind::linear, "gate inputs have 4 rows");
  expect_error(good, ExpertKind::poisson, "count");
  bad = good;
  bad.response(2, 0) = -0.5;
  expect_error(bad, ExpertKind::gamma, "row 3: the response of gamma experts must be positive");
  expect_error(good, ExpertKind::bernoulli, "0 or 1");
  expect_error(good, ExpertKind::binomial, "trials");
  expect_error(Data{}, ExpertKind::linear, "no rows");
}

}  // namespace
}  // namespace clearway
