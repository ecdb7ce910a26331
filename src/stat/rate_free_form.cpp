// The free form of the rates study: a truth for any gate and experts, and the exponents where theory knows them.
#include <cmath>

#include "clearway/base/random.hpp"
#include "compare_atoms.hpp"
#include "rate_presets.hpp"

namespace clearway::detail {
namespace {

constexpr std::uint64_t kTruthStream = 7001;
constexpr int kMostDraws = 2000;
constexpr int kCheckRows = 500;
constexpr double kGateScale = 2.0;    // standard deviation of gate parameters: weights from about 0.05 to 0.95
constexpr double kExpertScale = 1.5;  // of coefficients of the means
constexpr double kLeastShare = 0.5;   // of an equal share
constexpr double kLeastDistance = 3;  // root mean square distance of two means, in units of the noise
constexpr double kDefaultNoise = 0.3;

Vector normals(Eigen::Index count, double scale, RandomStream& stream) {
  Vector values(count);
  for (double& value : values) value = scale * stream.normal();
  return values;
}

MixtureModel draw_truth(const GateSpec& gate, const ExpertSpec& expert, int dim, int experts, double noise,
                        RandomStream& stream) {
  constexpr int kClasses = 3;
  const bool classes = expert.kind == ExpertKind::multinomial;
  MixtureModel model;
  model.gate = Gate(gate, gate.kind == GateKind::constant || gate.kind == GateKind::equal ? 0 : dim, experts);
  model.gate.parameters() = normals(model.gate.parameters().size(), kGateScale, stream);
  model.gate.pin();
  for (int i = 0; i < experts; ++i) {
    Expert made(expert, dim, 1, classes ? kClasses : 0);
    made.parameters() = normals(made.parameters().size(), kExpertScale, stream);
    if (made.has_sigma()) made.set_sigma(noise);
    model.experts.push_back(std::move(made));
  }
  return model;
}

bool well_separated(const MixtureModel& truth, const Data& check, double noise) {
  const Matrix shares = truth.gate.log_weights(check.gate_inputs).array().exp().colwise().mean();
  if (shares.minCoeff() < kLeastShare / truth.expert_count()) return false;
  if (!truth.experts.front().has_sigma()) return true;
  for (std::size_t i = 0; i < truth.experts.size(); ++i)
    for (std::size_t j = i + 1; j < truth.experts.size(); ++j) {
      const Matrix difference = truth.experts[i].mean(check.expert_inputs, Vector(), Vector()) -
                                truth.experts[j].mean(check.expert_inputs, Vector(), Vector());
      if (std::sqrt(difference.squaredNorm() / static_cast<double>(kCheckRows)) < kLeastDistance * noise) return false;
    }
  return true;
}

void add_theory(RateProblem& problem, GateKind gate, ExpertKind expert) {
  const bool least_squares = problem.method == FitMethod::least_squares;
  problem.exponents = strongly_identifiable_exponents();
  switch (expert) {
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
      if (gate != GateKind::softmax) break;
      problem.theory = "Strongly identifiable experts: 2 for every parameter of a shared expert.";
      return;
    case ExpertKind::linear:
      if (least_squares) break;
      if (gate == GateKind::softmax) {
        problem.exponents = softmax_linear_exponents();
        problem.known_cells = kSolvedCells;
        problem.theory = "Softmax gate, linear experts: r, r/2, r, r/2.";
        return;
      }
      if (gate == GateKind::laplace) {
        problem.exponents = laplace_linear_exponents();
        problem.known_cells = kSolvedCells;
        problem.theory = "Laplace gate, linear experts: 2, 2, r, r/2.";
        return;
      }
      break;
    default:
      break;
  }
  problem.over_rates = false;
  problem.theory =
      "No paper that we know gives exponents of shared experts for this gate, expert and method; the loss is shown "
      "with "
      "exponent 2.";
}

}  // namespace

RateProblem free_problem(const RateStudyOptions& options) {
  const auto gate = options.gate.empty() ? GateKind::softmax : enum_value<GateKind>("gate", options.gate);
  const auto expert = options.expert.empty() ? ExpertKind::linear : enum_value<ExpertKind>("expert", options.expert);
  const int experts = options.true_experts > 0 ? options.true_experts : 2;
  const int dim = options.dim > 0 ? options.dim : 1;
  const double noise = options.noise > 0 ? options.noise : kDefaultNoise;
  switch (expert) {
    case ExpertKind::network:
    case ExpertKind::binomial:
    case ExpertKind::student_t:
      user_error("study rates compares experts by intercept, slopes and variance; {} experts have others",
                 enum_name(expert));
    default:
      break;
  }
  RateProblem problem;
  problem.name = "free";
  problem.method = options.method.empty() ? FitMethod::em : enum_value<FitMethod>("method", options.method);
  if (problem.method != FitMethod::em && problem.method != FitMethod::least_squares)
    user_error("method of a study of rates must be em or least-squares, not {}", enum_name(problem.method));
  problem.title = fmt::format("{} gate, {} experts, {}", enum_name(gate), enum_name(expert), enum_name(problem.method));
  problem.low = -1;
  RandomStream stream(static_cast<std::uint64_t>(options.seed), kTruthStream);
  Data check;
  check.expert_inputs = Matrix::NullaryExpr(kCheckRows, dim, [&] { return stream.uniform(-1.0, 1.0); });
  int draws = 0;
  do {
    if (++draws > kMostDraws)
      user_error(
          "no {} {} experts with a {} gate and noise {} were found that are far enough apart; use fewer experts, "
          "less noise or another seed",
          experts, enum_name(expert), enum_name(gate), noise);
    problem.truth = draw_truth(GateSpec{.kind = gate}, ExpertSpec{.kind = expert}, dim, experts, noise, stream);
    if (problem.method == FitMethod::least_squares) problem.truth.form = ModelForm::regression;
    check.gate_inputs = check.expert_inputs.leftCols(problem.truth.gate.inputs());
  } while (!well_separated(problem.truth, check, noise));
  problem.fitted = {experts, experts + 1};
  const GateBlocks blocks = gate_blocks(problem.truth.gate);
  if (!blocks.comparable)
    user_error("study rates compares gates by intercept and slopes (or centres); those of gate {} say too little",
               enum_name(gate));
  if (!blocks.intercepts_relative) problem.atom_weight = AtomWeight::sigmoid;  // a sigmoid of its own for every expert
  add_theory(problem, gate, expert);
  return problem;
}

}  // namespace clearway::detail
