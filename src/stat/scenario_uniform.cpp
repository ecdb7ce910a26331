// Problems with inputs uniform on (-2, 2)^d, and the two published simulations.
//
// A truth is drawn until it satisfies its constraints on a fixed set of check points: every expert's share at least a
// bound, and every two experts' means at least 1 apart in root mean square (on the link scale for GLM experts).
#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/scenario.hpp"

namespace clearway::detail {
namespace {

constexpr Eigen::Index kCheckPoints = 2000;
constexpr int kMaxDraws = 20000;
constexpr double kRareShare = 0.03;
constexpr double kGammaShape = 5.0;
constexpr double kTrials = 20.0;
constexpr double kOutlierShare = 0.05;
constexpr double kOutlierRange = 20.0;

Matrix uniform_matrix(Eigen::Index rows, Eigen::Index columns, double low, double high, RandomStream& stream) {
  Matrix values(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < columns; ++j) values(i, j) = stream.uniform(low, high);
  return values;
}

// Gate slopes: directions of length 2.5 for d >= 2; for d = 1 numbers that are pairwise at least 1.5 apart.
Matrix draw_gate_slopes(int experts, int dim, RandomStream& stream) {
  Matrix slopes(experts, dim);
  if (dim >= 2) {
    slopes = normal_matrix(experts, dim, stream);
    for (int i = 0; i < experts; ++i) slopes.row(i) *= 2.5 / slopes.row(i).norm();
    return slopes;
  }
  std::vector<double> values{0.0};
  for (int i = 1; i < experts; ++i) values.push_back(values.back() + 1.5 + stream.exponential());
  const std::vector<std::size_t> order = stream.permutation(values.size());
  for (int i = 0; i < experts; ++i) slopes(i, 0) = values[order[static_cast<std::size_t>(i)]];
  return slopes.array() - slopes.mean();
}

struct Coefficients {
  Vector gate_intercepts;
  Matrix gate_slopes;
  Vector intercepts;
  Matrix slopes;
  Vector sigmas;
};

bool has_log_link(ScenarioKind kind) {
  return kind == ScenarioKind::poisson || kind == ScenarioKind::gamma;
}
bool is_glm(ScenarioKind kind) {
  return has_log_link(kind) || kind == ScenarioKind::binomial;
}

Coefficients draw_coefficients(const ScenarioOptions& options, RandomStream& stream) {
  const int k = options.experts;
  const int d = options.dim;
  Coefficients drawn;
  drawn.gate_slopes = draw_gate_slopes(k, d, stream);
  drawn.gate_intercepts.resize(k);
  drawn.intercepts.resize(k);
  drawn.sigmas.resize(k);
  const bool glm = is_glm(options.scenario);
  const bool noisy = options.scenario == ScenarioKind::noisy;
  for (int i = 0; i < k; ++i) {
    drawn.gate_intercepts(i) = 0.5 * stream.normal();
    drawn.intercepts(i) = glm ? 0.5 + stream.normal() : 1.5 * stream.normal();
    drawn.sigmas(i) = noisy ? stream.uniform(0.9, 1.3) : stream.uniform(0.3, 0.6);
  }
  drawn.slopes = (glm ? 0.7 : 0.9) * normal_matrix(k, d, stream);
  return drawn;
}

Matrix softmax(const Matrix& x, const Vector& intercepts, const Matrix& slopes) {
  Matrix weights = (x * slopes.transpose()).rowwise() + intercepts.transpose();
  weights = (weights.colwise() - weights.rowwise().maxCoeff()).array().exp();
  return weights.array().colwise() / weights.rowwise().sum().array();
}

// Moves the first gate intercept until the first expert's share is `share` (monotone, hence bisection).
void set_first_share(Coefficients& drawn, const Matrix& x, double share) {
  double low = -60.0;
  double high = 60.0;
  for (int step = 0; step < 100; ++step) {
    drawn.gate_intercepts(0) = 0.5 * (low + high);
    const double now = softmax(x, drawn.gate_intercepts, drawn.gate_slopes).col(0).mean();
    (now < share ? low : high) = drawn.gate_intercepts(0);
  }
}

bool acceptable(const Coefficients& drawn, const Matrix& x, const ScenarioOptions& options) {
  const Vector shares = softmax(x, drawn.gate_intercepts, drawn.gate_slopes).colwise().mean().transpose();
  const bool hard = options.scenario == ScenarioKind::hard;
  const double least = hard ? 0.05 : std::min(0.12, 0.6 / options.experts);
  for (int i = 0; i < options.experts; ++i) {
    if (options.scenario == ScenarioKind::rare && i == 0) continue;
    if (shares(i) < least) return false;
  }
  const Matrix means = (x * drawn.slopes.transpose()).rowwise() + drawn.intercepts.transpose();
  for (int i = 0; i < options.experts; ++i)
    for (int j = 0; j < i; ++j)
      if (std::sqrt((means.col(i) - means.col(j)).squaredNorm() / static_cast<double>(x.rows())) < 1.0) return false;
  // A log link turns large linear predictors into absurd responses: at most exp(5) = 148 on average at a corner.
  if (has_log_link(options.scenario))
    for (int i = 0; i < options.experts; ++i)
      if (drawn.intercepts(i) + 2.0 * drawn.slopes.row(i).cwiseAbs().sum() > 5.0) return false;
  return true;
}

Expert make_expert(const ScenarioOptions& options, const Coefficients& drawn, int i) {
  ExpertSpec spec;
  if (options.scenario == ScenarioKind::poisson) spec.kind = ExpertKind::poisson;
  if (options.scenario == ScenarioKind::binomial) spec.kind = ExpertKind::binomial;
  if (options.scenario == ScenarioKind::gamma) spec.kind = ExpertKind::gamma;
  Expert expert(spec, options.dim);
  expert.parameters()(0) = drawn.intercepts(i);
  expert.parameters().segment(1, options.dim) = drawn.slopes.row(i).transpose();
  if (spec.kind == ExpertKind::gamma) expert.parameters()(options.dim + 1) = std::log(kGammaShape);
  if (expert.has_sigma()) expert.set_sigma(drawn.sigmas(i));
  return expert;
}

Gate constant_gate(const Vector& shares) {
  const int experts = static_cast<int>(shares.size());
  Gate gate(GateSpec{.kind = GateKind::constant}, 0, experts);
  for (int i = 0; i < experts; ++i) gate.block(i)(0) = std::log(shares(i) / shares(experts - 1));
  return gate;
}

}  // namespace

void make_uniform_design(Problem& problem) {
  const ScenarioOptions& options = problem.options;
  const auto seed = static_cast<std::uint64_t>(options.seed);
  RandomStream truth(seed, kTruthStream);
  RandomStream stream(seed, kInputStream);
  const Matrix check = uniform_matrix(kCheckPoints, options.dim, -2.0, 2.0, truth);

  Coefficients drawn;
  int draws = 0;
  do {
    if (++draws > kMaxDraws)
      user_error("scenario {} found no {} experts in {} inputs that are far enough apart; use fewer experts",
                 enum_name(options.scenario), options.experts, options.dim);
    drawn = draw_coefficients(options, truth);
    if (options.scenario == ScenarioKind::rare) set_first_share(drawn, check, kRareShare);
  } while (!acceptable(drawn, check, options));

  if (options.scenario == ScenarioKind::constant) {
    problem.truth.gate =
        constant_gate(softmax(check, drawn.gate_intercepts, drawn.gate_slopes).colwise().mean().transpose());
  } else {
    problem.truth.gate = softmax_gate(drawn.gate_intercepts, drawn.gate_slopes);
  }
  for (int i = 0; i < options.experts; ++i) problem.truth.experts.push_back(make_expert(options, drawn, i));
  if (options.scenario == ScenarioKind::outliers) {
    problem.truth.has_noise = true;
    problem.truth.noise_weight = kOutlierShare;
    problem.truth.noise_log_density = -std::log(2.0 * kOutlierRange);
    problem.noise_box = {Vector::Constant(1, -kOutlierRange), Vector::Constant(1, kOutlierRange)};
  }

  const auto rows = static_cast<Eigen::Index>(options.rows);
  problem.data.expert_inputs = uniform_matrix(rows, options.dim, -2.0, 2.0, stream);
  if (options.scenario == ScenarioKind::binomial) problem.data.trials = Vector::Constant(rows, kTrials);
}

void make_published(Problem& problem) {
  const ScenarioOptions& options = problem.options;
  if (options.experts != 2)
    user_error("scenario {} has 2 experts, not {}", enum_name(options.scenario), options.experts);
  const auto rows = static_cast<Eigen::Index>(options.rows);
  Expert first(ExpertSpec{}, options.dim);
  Expert second(ExpertSpec{}, options.dim);

  if (options.scenario == ScenarioKind::lambda) {  // numbers of the authors' released simulation
    if (options.dim != 1) user_error("scenario lambda has 1 input, not {}", options.dim);
    problem.truth.gate = softmax_gate(Vector{{-8.0, 0.0}}, Matrix{{25.0}, {0.0}});
    first.parameters().head(2) << 15.0, -20.0;
    second.parameters().head(2) << -5.0, 20.0;
    first.set_sigma(0.3);
    second.set_sigma(0.4);
    problem.data.expert_inputs = Vector::LinSpaced(rows, 0.0, 1.0);
  } else {  // gate N(0, 0.01/d), experts N(0, 1/d), variances |N(0, 1/d)|, inputs uniform on [0, 1]
    const auto seed = static_cast<std::uint64_t>(options.seed);
    RandomStream truth(seed, kTruthStream);
    RandomStream stream(seed, kInputStream);
    const double scale = 1.0 / std::sqrt(static_cast<double>(options.dim));
    Gate gate(GateSpec{.kind = GateKind::laplace}, options.dim, 2);
    for (int i = 0; i < 2; ++i)
      for (Eigen::Index j = 0; j <= options.dim; ++j) gate.block(i)(j) = 0.1 * scale * truth.normal();
    gate.pin();
    problem.truth.gate = gate;
    for (Expert* expert : {&first, &second}) {
      for (Eigen::Index j = 0; j <= options.dim; ++j) expert->parameters()(j) = scale * truth.normal();
      expert->set_sigma(std::sqrt(scale * std::abs(truth.normal())));
    }
    problem.data.expert_inputs = uniform_matrix(rows, options.dim, 0.0, 1.0, stream);
  }
  problem.truth.experts = {first, second};
}

}  // namespace clearway::detail
