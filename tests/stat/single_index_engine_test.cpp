// The fused pass and the fast engine for every single-index family, against the general engine, the one-row formulas of
// response_family.hpp, central differences and closed forms.
#include <gtest/gtest.h>
// RapidCheck's GoogleTest header needs gtest first.
#include <rapidcheck/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "../../src/stat/em_engine.hpp"
#include "../../src/stat/em_pass_kernels.hpp"
#include "../../src/stat/response_family.hpp"
#include "clearway/base/random.hpp"
#include "clearway/stat/em_pass.hpp"

namespace clearway {
namespace {

using detail::EmEngine;
using detail::EngineSettings;
using detail::Scaling;
using Eigen::Index;

constexpr ExpertKind kKinds[] = {ExpertKind::linear,     ExpertKind::constant, ExpertKind::sigmoid,
                                 ExpertKind::tanh,       ExpertKind::relu,     ExpertKind::leaky_relu,
                                 ExpertKind::polynomial, ExpertKind::poisson,  ExpertKind::bernoulli,
                                 ExpertKind::binomial,   ExpertKind::gamma};

Matrix normal(RandomStream& random, Index rows, Index cols) {
  return Matrix::NullaryExpr(rows, cols, [&] { return random.normal(); });
}

bool is_gaussian(ExpertKind kind) {
  MixtureModel model;
  return Expert({.kind = kind}, 1).has_sigma();
}

struct Settings {
  ExpertKind kind = ExpertKind::poisson;
  std::uint64_t seed = 1;
  int rows = 200, inputs = 2, experts = 3;
  bool weighted = false, noise = false, offset = false, shared = false;
  GateKind gate = GateKind::softmax;
};

struct Problem {
  Data data;
  MixtureModel model;  // random parameters, on the working scale
  Scaling scaling;

  // Responses lie in the range of the family around a random linear predictor; they need not follow the model.
  explicit Problem(const Settings& s) {
    RandomStream random(s.seed);
    data.expert_inputs = normal(random, s.rows, s.inputs);
    data.gate_inputs = s.shared ? data.expert_inputs : normal(random, s.rows, 1);
    const Vector eta = data.expert_inputs * Vector::Constant(s.inputs, 0.4) + 0.3 * normal(random, s.rows, 1);
    data.response.resize(s.rows, 1);
    if (s.kind == ExpertKind::binomial)
      data.trials = Vector::NullaryExpr(s.rows, [&] { return std::floor(1 + 20 * random.uniform()); });
    for (Index i = 0; i < s.rows; ++i) {
      const double u = random.uniform(), p = 1 / (1 + std::exp(-eta(i)));
      double& y = data.response(i, 0);
      if (s.kind == ExpertKind::poisson)
        y = std::floor(2 * std::exp(eta(i)) * u + u);
      else if (s.kind == ExpertKind::bernoulli)
        y = u < p ? 1 : 0;
      else if (s.kind == ExpertKind::binomial)
        y = std::min(data.trials(i), std::floor(data.trials(i) * p * 2 * u + u));
      else if (s.kind == ExpertKind::gamma)
        y = std::exp(eta(i)) * (0.1 - std::log(u + 1e-3));
      else
        y = p + 0.3 * random.normal();
    }
    if (s.weighted) data.weights = Vector::NullaryExpr(s.rows, [&] { return 3.0 * random.uniform(); });
    if (s.offset) data.offset = 0.5 * normal(random, s.rows, 1);
    ExpertSpec spec{.kind = s.kind, .degree = 3, .leak = 0.1};
    model.gate = Gate({.kind = s.gate, .temperature = 1.5}, static_cast<int>(data.gate_inputs.cols()), s.experts);
    model.gate.parameters() = 0.7 * normal(random, model.gate.parameters().size(), 1);
    model.gate.pin();
    for (int k = 0; k < s.experts; ++k) {
      Expert expert(spec, s.inputs);
      expert.parameters() = 0.4 * normal(random, expert.parameters().size(), 1);
      model.experts.push_back(expert);
    }
    if (s.noise) {
      model.has_noise = true;
      model.noise_weight = 0.1;
      model.noise_log_density = -2.0;
    }
    scaling = Scaling(data, model);
  }

  std::unique_ptr<EmEngine> fast(double ridge = 0) const {
    return detail::make_single_index_engine(data, scaling, model, {.gate_ridge = ridge});
  }
  std::unique_ptr<EmEngine> general(double ridge = 0) const {
    return detail::make_general_engine(data, scaling, model, {.gate_ridge = ridge});
  }
};

Settings random_settings() {
  Settings s;
  s.kind = *rc::gen::elementOf(std::vector<ExpertKind>(std::begin(kKinds), std::end(kKinds)));
  s.seed = *rc::gen::inRange<std::uint64_t>(0, 1000000);
  s.rows = *rc::gen::inRange(10, 300);
  s.inputs = *rc::gen::inRange(1, 5);
  s.experts = *rc::gen::inRange(1, 5);
  s.weighted = *rc::gen::arbitrary<bool>();
  s.noise = is_gaussian(s.kind) && *rc::gen::arbitrary<bool>();
  s.offset = *rc::gen::arbitrary<bool>();
  s.shared = *rc::gen::arbitrary<bool>();
  s.gate = *rc::gen::element(GateKind::softmax, GateKind::constant, GateKind::equal, GateKind::quadratic);
  return s;
}

// Sums of the pass row by row, and of their absolute terms: what rounding errors are measured with.
struct RowByRow {
  EmSums sums, size;
  double largest = 0;  // log density

  RowByRow(const Problem& p, const EmParameters& at, const Matrix& x, const Matrix& z) {
    const Index n = x.rows(), K = at.experts();
    const ExpertSpec& spec = p.model.experts[0].spec();
    const bool gaussian = is_gaussian(spec.kind), gamma = spec.kind == ExpertKind::gamma;
    sums.counts = sums.squares = Vector::Zero(K);
    sums.cross = Matrix::Zero(x.cols(), K);
    sums.gram.assign(static_cast<std::size_t>(K), Matrix::Zero(x.cols(), x.cols()));
    sums.gate_gradient = Matrix::Zero(z.cols(), K);
    size = sums;
    for (Index i = 0; i < n; ++i) {
      const double w = p.data.weights.size() ? p.data.weights(i) : 1.0;
      const double trials = p.data.trials.size() ? p.data.trials(i) : 1.0;
      const Vector row = x.row(i), scores = at.gate.transpose() * z.row(i).transpose();
      const Vector gate = (scores.array() - scores.maxCoeff()).exp() / (scores.array() - scores.maxCoeff()).exp().sum();
      const double eps = at.has_noise ? at.noise_weight : 0.0;
      std::vector<detail::PointDerivatives> d;
      Vector density(K);
      for (Index k = 0; k < K; ++k) {
        const double eta = at.coefficients.col(k).dot(row) + (p.data.offset.size() ? p.data.offset(i) : 0.0);
        const double extra = std::log(gaussian ? at.sigma(k) : at.shape(k));
        d.push_back(detail::point_derivatives(spec, p.data.response(i, 0), eta, &extra, trials));
        density(k) = std::log1p(-eps) + std::log(gate(k)) + d.back().value;
        largest = std::max(largest, std::abs(d.back().value));
      }
      const double log_noise = at.has_noise ? std::log(eps) + at.noise_log_density : -1e300;
      const double top = std::max(density.maxCoeff(), log_noise);
      density = (density.array() - top).exp();
      const double total = density.sum() + std::exp(log_noise - top);
      const double log_density = top + std::log(total);
      sums.log_likelihood += w * log_density;
      size.log_likelihood += w * (1 + std::abs(log_density));
      for (Index k = 0; k < K; ++k) {
        const detail::PointDerivatives& v = d[static_cast<std::size_t>(k)];
        const double r = w * density(k) / total;
        const double dispersion = gaussian ? at.sigma(k) * at.sigma(k) : gamma ? 1 / at.shape(k) : 1.0;
        // From the score of log sigma or log shape.
        const double square = gaussian ? (v.s + 1) * dispersion
                              : gamma  ? std::log(at.shape(k)) - detail::digamma(at.shape(k)) - v.s / at.shape(k)
                                       : 0.0;
        const auto at_k = static_cast<std::size_t>(k);
        sums.counts(k) += r;
        size.counts(k) += r;
        sums.squares(k) += r * square;
        size.squares(k) += r * (1 + std::abs(square));
        sums.cross.col(k) += r * dispersion * v.eta * row;
        size.cross.col(k) += r * (1 + dispersion * std::abs(v.eta)) * row.cwiseAbs();
        sums.gram[at_k] += r * dispersion * v.information * row * row.transpose();
        size.gram[at_k] += r * (1 + dispersion * v.information) * row.cwiseAbs() * row.cwiseAbs().transpose();
        const double share = w * density.sum() / total;
        sums.gate_gradient.col(k) += (r - share * gate(k)) * z.row(i).transpose();
        size.gate_gradient.col(k) += w * z.row(i).transpose().cwiseAbs();
      }
    }
  }
};

// A log density of size a is rounded by some units of 2^-53 a, and a responsibility by as much relative to itself; sums
// of n <= 1000 terms add some units of the absolute sum: 1e-14 (100 + largest a) leaves a factor of ten.
void expect_near(const Matrix& actual, const Matrix& expected, const Matrix& size, double largest, const char* what) {
  ASSERT_TRUE(actual.allFinite()) << what;
  const Matrix error = (actual - expected).cwiseAbs();
  for (Index i = 0; i < error.size(); ++i)
    EXPECT_LE(error(i), 1e-14 * (100 + largest) * size(i) + 1e-300) << what << ' ' << i << " of " << expected(i);
}

RC_GTEST_PROP(FamilyPass, EqualsTheOneRowFormulas, ()) {
  Settings s = random_settings();
  s.gate = GateKind::softmax;
  if (s.kind == ExpertKind::linear || s.kind == ExpertKind::constant) s.kind = ExpertKind::gamma;
  s.noise = s.noise && is_gaussian(s.kind);
  s.rows = *rc::gen::inRange(1, 700);
  const Problem p(s);
  const auto set = *rc::gen::inRange(0, static_cast<int>(detail::em_kernels_available()));
  const TiledMatrix x(p.data.expert_inputs, true), z(p.data.gate_inputs, true), y(p.data.response), w(p.data.weights),
      offset(p.data.offset), trials(p.data.trials);
  EmParameters at;
  at.coefficients.resize(s.inputs + 1, s.experts);
  at.sigma = at.shape = Vector::NullaryExpr(s.experts, [&](Index k) { return 0.5 + 0.3 * static_cast<double>(k); });
  for (int k = 0; k < s.experts; ++k)
    at.coefficients.col(k) = p.model.experts[static_cast<std::size_t>(k)].parameters().head(s.inputs + 1);
  at.gate = Eigen::Map<const Matrix>(p.model.gate.parameters().data(), z.cols(), s.experts);
  at.has_noise = s.noise;
  at.noise_weight = 0.1;
  at.noise_log_density = -2.0;
  const auto given = [](const TiledMatrix& m) { return m.rows() > 0 ? &m : nullptr; };
  EmPass pass({&x, &z, &y, given(w), given(offset), given(trials), p.model.experts[0].spec()}, s.experts, set);
  EmSums sums;
  pass.run(at, EmParts::all(), sums);
  const RowByRow expected(p, at, x.to_matrix(), z.to_matrix());
  const auto compare = [&](const Matrix& a, const Matrix& b, const Matrix& size, const char* what) {
    expect_near(a, b, size, expected.largest, what);
  };
  const auto scalar = [](double v) { return Matrix::Constant(1, 1, v); };
  compare(scalar(sums.log_likelihood), scalar(expected.sums.log_likelihood), scalar(expected.size.log_likelihood),
          "log-likelihood");
  compare(sums.counts, expected.sums.counts, expected.size.counts, "counts");
  compare(sums.squares, expected.sums.squares, expected.size.squares, "squares");
  compare(sums.cross, expected.sums.cross, expected.size.cross, "cross");
  compare(sums.gate_gradient, expected.sums.gate_gradient, expected.size.gate_gradient, "gate gradient");
  for (std::size_t k = 0; k < sums.gram.size(); ++k)
    compare(sums.gram[k], expected.sums.gram[k], expected.size.gram[k], "gram");
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(FamilyPass, RejectsWhatItCannotDo) {
  const TiledMatrix x(Matrix::Ones(5, 1)), y(Matrix::Ones(5, 1)), few(Matrix::Ones(4, 1));
  const auto make = [&](ExpertKind kind, const TiledMatrix* offset) {
    EmData data;
    data.x = data.z = &x;
    data.y = &y;
    data.family.kind = kind;
    data.offset = offset;
    return EmPass(data, 1);
  };
  EXPECT_THROW(make(ExpertKind::student_t, nullptr), std::invalid_argument);
  EXPECT_THROW(make(ExpertKind::poisson, &few), std::invalid_argument);
  EXPECT_THROW(make(ExpertKind::linear, &y), std::invalid_argument);
  EmParameters at;
  at.coefficients = at.gate = Matrix::Zero(1, 1);
  at.shape = Vector::Zero(1);
  EmSums sums;
  EmPass gamma = make(ExpertKind::gamma, nullptr);
  EXPECT_THROW(gamma.run(at, {}, sums), std::invalid_argument);
  at.shape.resize(0);
  EXPECT_THROW(gamma.run(at, {}, sums), std::invalid_argument);
  EXPECT_NO_THROW(make(ExpertKind::poisson, nullptr).run(at, {}, sums));
}

// The two engines add the same terms in another order and with other exponentials: 1e-10 of the sum of log densities,
// and of the largest entry for derivatives, is far above rounding and far below any wrong term.
RC_GTEST_PROP(SingleIndexEngine, EqualsTheGeneralEngine, ()) {
  const Settings s = random_settings();
  const Problem p(s);
  const double ridge = *rc::gen::element(0.0, 0.01);
  const auto fast = p.fast(ridge), general = p.general(ridge);
  RC_ASSERT(fast);
  const double value = general->objective(p.model);
  const double scale = 1 + std::abs(value) + static_cast<double>(s.rows);
  RC_ASSERT(std::abs(fast->objective(p.model) - value) <= 1e-10 * scale);
  MixtureModel stepped = p.model;
  RC_ASSERT(std::abs(fast->step(stepped) - value) <= 1e-10 * scale);
  Vector score, expected_score;
  Matrix information, expected;
  RC_ASSERT(std::abs(fast->derivatives(p.model, score, &information) - value) <= 1e-10 * scale);
  general->derivatives(p.model, expected_score, &expected);
  const double size = 1 + expected.cwiseAbs().maxCoeff() + expected_score.cwiseAbs().maxCoeff();
  RC_ASSERT((score - expected_score).cwiseAbs().maxCoeff() <= 1e-10 * size);
  RC_ASSERT((information - expected).cwiseAbs().maxCoeff() <= 1e-10 * size);
}

// Richardson's extrapolation of central differences errs by 4 h^4 / 120 = 3e-18 of the fifth derivative and by rounding
// / h = 1e-11 of the objective. ReLU experts have kinks, which random rows meet within h now and then: left out.
template <class Function>
auto derivative(const Function& f) {
  const double h = 1e-4;
  return ((8.0 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12.0 * h));
}

RC_GTEST_PROP(SingleIndexEngine, DerivativesAreThoseOfTheObjective, ()) {
  Settings s = random_settings();
  if (s.kind == ExpertKind::relu || s.kind == ExpertKind::leaky_relu) s.kind = ExpertKind::tanh;
  s.rows = std::min(s.rows, 60);
  s.experts = std::min(s.experts, 3);
  const Problem p(s);
  const auto engine = p.fast();
  const detail::ParameterMap& map = engine->map();
  Vector score, moved_score;
  Matrix information;
  engine->derivatives(p.model, score, &information);
  const double size = 10 + information.cwiseAbs().maxCoeff() + score.cwiseAbs().maxCoeff();
  const Vector centre = map.pack(p.model);
  for (Index i = 0; i < map.size; ++i) {
    const auto moved = [&](double h) {
      MixtureModel model = p.model;
      map.unpack(centre + h * Vector::Unit(map.size, i), model);
      return model;
    };
    const double slope = derivative([&](double h) { return engine->objective(moved(h)); });
    RC_ASSERT(std::abs(slope - score(i)) <= 1e-6 * size);
    for (Index j = 0; j < map.size; ++j) {
      const double curvature = derivative([&](double h) {
        engine->derivatives(moved(h), moved_score, nullptr);
        return -moved_score(j);
      });
      RC_ASSERT(std::abs(curvature - information(j, i)) <= 1e-6 * size);
    }
  }
}

// From a start by memberships and from random parameters, no iteration lowers the objective beyond the engine's own
// allowance for rounding.
RC_GTEST_PROP(SingleIndexEngine, NeverGoesDown, ()) {
  const Settings s = random_settings();
  const Problem p(s);
  const auto engine = p.fast();
  MixtureModel model = p.model;
  if (*rc::gen::arbitrary<bool>()) {
    RandomStream random(s.seed + 1);
    Matrix r = Matrix::NullaryExpr(s.rows, s.experts, [&] { return random.uniform(); });
    r = r.rowwise().sum().cwiseInverse().asDiagonal() * r;
    engine->maximise(r, 2, model);
  }
  engine->reset();
  double before = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < 40; ++i) {
    const double value = engine->step(model);
    RC_ASSERT(std::isfinite(value));
    RC_ASSERT(value >= before - 2e-10 * std::abs(before));
    before = value;
  }
}

// One expert: what its step solves has a closed form for an intercept alone, a vanishing score in general.
TEST(SingleIndexEngine, OneExpertReachesItsMaximum) {
  for (ExpertKind kind : kKinds) {
    if (kind == ExpertKind::relu || kind == ExpertKind::leaky_relu || kind == ExpertKind::polynomial) continue;
    Settings s{.kind = kind, .seed = 4, .rows = 500, .experts = 1, .weighted = true};
    const Problem p(s);
    const auto engine = p.fast();
    MixtureModel model = p.model;
    engine->maximise(Matrix::Ones(s.rows, 1), 1, model);
    for (int i = 0; i < 100; ++i) engine->step(model);
    Vector score;
    engine->derivatives(model, score, nullptr);
    // EM with an exact M-step converges quadratically here; the mean score is at rounding.
    EXPECT_LE(score.cwiseAbs().maxCoeff(), 1e-9 * p.data.weights.sum()) << enum_name(kind);
  }
  Settings s{.kind = ExpertKind::poisson, .rows = 100, .inputs = 0, .experts = 1, .gate = GateKind::equal};
  const Problem p(s);
  MixtureModel model = p.model;
  const auto engine = p.fast();
  engine->maximise(Matrix::Ones(s.rows, 1), 1, model);
  EXPECT_NEAR(model.experts[0].parameters()(0), std::log(p.data.response.mean()), 1e-12);
}

// Linear predictors far beyond the reach of exp: objective, step and derivatives stay finite.
TEST(SingleIndexEngine, ExtremePredictorsStayFinite) {
  for (ExpertKind kind : kKinds)
    for (double factor : {1e2, 1e4, 1e8}) {
      Problem p({.kind = kind, .seed = 7});
      for (Expert& expert : p.model.experts) expert.parameters().head(kind == ExpertKind::constant ? 1 : 3) *= factor;
      const auto engine = p.fast();
      EXPECT_FALSE(std::isnan(engine->objective(p.model))) << enum_name(kind) << factor;
      Vector score;
      Matrix information;
      engine->derivatives(p.model, score, &information);
      EXPECT_FALSE(score.hasNaN()) << enum_name(kind) << factor;
      EXPECT_FALSE(information.hasNaN()) << enum_name(kind) << factor;
      for (int i = 0; i < 5; ++i) {
        EXPECT_FALSE(std::isnan(engine->step(p.model))) << enum_name(kind) << factor;
        for (const Expert& expert : p.model.experts) EXPECT_TRUE(expert.parameters().allFinite()) << enum_name(kind);
        EXPECT_TRUE(p.model.gate.parameters().allFinite()) << enum_name(kind) << factor;
      }
    }
}

TEST(SingleIndexEngine, LeavesOtherModelsToTheGeneralEngine) {
  const auto made = [](const std::function<void(Problem&)>& change) {
    Problem p({.kind = ExpertKind::sigmoid, .rows = 50});
    change(p);
    return p.fast() != nullptr;
  };
  const auto set_experts = [](Problem& p, ExpertSpec spec) { p.model.experts.assign(3, Expert(spec, 2)); };
  EXPECT_TRUE(made([](Problem&) {}));
  EXPECT_FALSE(made([](Problem& p) { p.model.gate = Gate({.kind = GateKind::laplace}, 1, 3); }));
  EXPECT_FALSE(made([](Problem& p) { p.model.gate = Gate({.kind = GateKind::sigmoid}, 1, 3); }));
  EXPECT_FALSE(made([&](Problem& p) { set_experts(p, {.kind = ExpertKind::student_t}); }));
  EXPECT_FALSE(made([&](Problem& p) { set_experts(p, {.kind = ExpertKind::network}); }));
  EXPECT_FALSE(
      made([&](Problem& p) { set_experts(p, {.kind = ExpertKind::tanh, .divisor = VarianceDivisor::unbiased}); }));
  EXPECT_TRUE(
      made([&](Problem& p) { set_experts(p, {.kind = ExpertKind::linear, .divisor = VarianceDivisor::unbiased}); }));
}

// A noise level shared by all experts: pooled over experts by both engines.
TEST(SingleIndexEngine, SharedNoiseLevelIsPooled) {
  for (ExpertKind kind : {ExpertKind::linear, ExpertKind::tanh}) {
    Problem p({.kind = kind, .seed = 3, .weighted = true});
    const Expert shared({.kind = kind, .variance = VarianceKind::shared}, 2);
    for (Expert& expert : p.model.experts) {
      Expert changed = shared;
      changed.parameters() = expert.parameters();
      changed.set_sigma(0.5);
      expert = changed;
    }
    const auto fast = p.fast(), general = p.general();
    MixtureModel a = p.model, b = p.model;
    for (int i = 0; i < 300; ++i) {
      fast->step(a);
      general->step(b);
    }
    EXPECT_EQ(a.experts[0].sigma(), a.experts[2].sigma());
    EXPECT_NEAR(fast->objective(a), general->objective(b), 1e-4 * std::abs(general->objective(b)));
    Vector score;
    fast->derivatives(a, score, nullptr);
    EXPECT_EQ(score.size(), fast->map().size);
  }
}

}  // namespace
}  // namespace clearway
