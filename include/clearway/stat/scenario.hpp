// Named regression problems with known truth: the designs on which the literature and this project are measured.
//
//   gridlock   k unit regressors, k gate directions orthogonal to them, one noise level, Gaussian inputs: the setting
//   of
//              Makkuva, Viswanath, Kannan, Oh (ICML 2019, arXiv 1802.07417); every assumption can be broken by an
//              option
//   lambda     two experts on a grid of [0, 1] (Nguyen, Nguyen, Ho, NeurIPS 2023, arXiv 2305.03288)
//   laplace    Laplace gate, k = 2 (Han et al., FuseMoE, arXiv 2402.03226, appendix I)
//   gauss, const, pois, binom, gamma, out, hard, noisy, rare
//              inputs uniform on (-2, 2)^d, shares of the experts and separation of their means bounded from below
//   vector     gridlock with a response of several columns and a full noise covariance
//
// docs/gridlock-study.md states every design in full. A problem is a function of its options: same options, same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/stat/mixture_model.hpp"
#include "clearway/stat/simulate.hpp"

namespace clearway {

enum class ScenarioKind {
  gridlock,
  lambda,
  laplace,
  gauss,
  constant,
  poisson,
  binomial,
  gamma,
  outliers,
  hard,
  noisy,
  rare,
  vector
};
inline std::span<const EnumName<ScenarioKind>> enum_names(ScenarioKind) {
  static constexpr std::array<EnumName<ScenarioKind>, 13> names{{
      {ScenarioKind::gridlock, "gridlock", "unit regressors, gates orthogonal to them"},
      {ScenarioKind::lambda, "lambda", "two crossing lines on a grid of [0, 1]"},
      {ScenarioKind::laplace, "laplace", "two linear experts behind a Laplace gate"},
      {ScenarioKind::gauss, "gauss", "linear experts, inputs uniform"},
      {ScenarioKind::constant, "const", "gauss with weights that do not depend on the inputs"},
      {ScenarioKind::poisson, "pois", "counts, log link"},
      {ScenarioKind::binomial, "binom", "successes out of 20, logit link"},
      {ScenarioKind::gamma, "gamma", "positive responses of shape 5, log link"},
      {ScenarioKind::outliers, "out", "gauss with 5 % of the responses uniform on (-20, 20)"},
      {ScenarioKind::hard, "hard", "gauss with 6 or more experts, shares from 5 %"},
      {ScenarioKind::noisy, "noisy", "gauss with noise of 0.9 to 1.3"},
      {ScenarioKind::rare, "rare", "gauss where the first expert answers for 3 % of the rows"},
      {ScenarioKind::vector, "vector", "gridlock with a vector response"},
  }};
  return names;
}

/// Distribution of the inputs of the gridlock scenario. Mean 0 and covariance I except where said.
enum class InputKind { gaussian, logistic, uniform, gmm, student, anisotropic };
inline std::span<const EnumName<InputKind>> enum_names(InputKind) {
  static constexpr std::array<EnumName<InputKind>, 6> names{{
      {InputKind::gaussian, "gaussian", "standard normal"},
      {InputKind::logistic, "logistic", "independent logistic coordinates"},
      {InputKind::uniform, "uniform", "independent uniform coordinates"},
      {InputKind::gmm, "gmm", "two normal clusters of shares 0.3 and 0.7, 3 apart; not standardised"},
      {InputKind::student, "t5", "multivariate t with 5 degrees of freedom"},
      {InputKind::anisotropic, "anisotropic", "normal, covariance of condition 100, mean not 0"},
  }};
  return names;
}

/// What to draw. A number that is 0 means the scenario's own default.
struct ScenarioOptions {
  ScenarioKind scenario = ScenarioKind::gridlock;
  int experts = 0;
  int dim = 0;
  std::int64_t rows = 0;
  double noise = 0.0;
  ExpertSpec expert;  ///< gridlock: the non-linearity g
  bool orthogonal = true;
  double gate_norm = 4.0;
  double gate_intercepts = 0.0;
  double expert_intercepts = 0.0;
  std::vector<double> norms;
  InputKind inputs = InputKind::gaussian;
  int responses = 2;
  std::int64_t seed = 1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("scenario", self.scenario, OptionInfo{.help = "named problem"});
    field("experts", self.experts,
          OptionInfo{.help = "number of experts", .minimum = 0, .maximum = 100, .off = "0, the scenario's own"});
    field("dim", self.dim,
          OptionInfo{.help = "number of inputs", .minimum = 0, .maximum = 10000, .off = "0, the scenario's own"});
    field("rows", self.rows, OptionInfo{.help = "number of rows", .minimum = 0, .off = "0, the scenario's own"});
    field("noise", self.noise,
          OptionInfo{
              .help = "noise standard deviation (gridlock, vector)", .minimum = 0, .off = "0, the scenario's own"});
    field("expert", self.expert.kind, OptionInfo{.help = "mean function of the experts (gridlock)"});
    field("degree", self.expert.degree, OptionInfo{.help = "power of polynomial experts", .minimum = 1, .maximum = 9});
    field("leak", self.expert.leak,
          OptionInfo{.help = "slope of leaky-relu experts below zero", .minimum = 0, .maximum = 1});
    field("orthogonal", self.orthogonal,
          OptionInfo{.help = "gate directions orthogonal to every regressor (gridlock)", .off = "false"});
    field("gate-norm", self.gate_norm, OptionInfo{.help = "length of the gate directions (gridlock)", .minimum = 0});
    field("gate-intercepts", self.gate_intercepts,
          OptionInfo{.help = "standard deviation of gate intercepts (gridlock)", .minimum = 0, .off = "0"});
    field("expert-intercepts", self.expert_intercepts,
          OptionInfo{.help = "standard deviation of expert intercepts (gridlock)", .minimum = 0, .off = "0"});
    field("norms", self.norms,
          OptionInfo{.help = "length of each regressor (gridlock), one number per expert",
                     .minimum = 0,
                     .above_minimum = true,
                     .off = "all 1"});
    field("inputs", self.inputs, OptionInfo{.help = "distribution of the inputs (gridlock)"});
    field("responses", self.responses,
          OptionInfo{.help = "columns of the response (vector)", .minimum = 2, .maximum = 100});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
  }
};

/// A problem: its truth and the data drawn from it.
struct Problem {
  ScenarioOptions options;  ///< with the scenario's own numbers filled in
  MixtureModel truth;
  Data data;
  std::vector<int> labels;  ///< true expert per row from 0; truth.expert_count() marks an outlier. Never an input.
  NoiseBox noise_box;       ///< range of the outliers (out), else empty
  Vector shares;            ///< expected share of each expert, by the inputs of the data
};

/// Draws a problem. The truth depends on the seed and the model's size only, never on the number of rows.
/// Throws std::invalid_argument for options that no problem of that scenario can have.
Problem make_problem(const ScenarioOptions& options);

namespace detail {
// Streams of one seed: the truth, the inputs and the responses never share random numbers.
constexpr std::uint64_t kTruthStream = 1;
constexpr std::uint64_t kInputStream = 2;
constexpr std::uint64_t kResponseStream = 3;

/// Fills truth and data.expert_inputs of a gridlock or vector problem.
void make_gridlock(Problem& problem);
/// Fills truth, data.expert_inputs, trials and noise_box of a problem with uniform inputs.
void make_uniform_design(Problem& problem);
/// Fills truth and data.expert_inputs of the two published simulations.
void make_published(Problem& problem);

/// n x d independent standard normals, row by row.
Matrix normal_matrix(Eigen::Index rows, Eigen::Index columns, RandomStream& stream);
/// A softmax gate with the given intercepts and slopes (k x q), moved so that the last row is 0.
Gate softmax_gate(const Vector& intercepts, const Matrix& slopes);
}  // namespace detail

}  // namespace clearway
