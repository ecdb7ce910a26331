#include "rate_presets.hpp"

#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/scenario.hpp"

namespace clearway {
namespace detail {
MixtureModel mixture(const GateSpec& gate, const ExpertSpec& expert, int dim, int classes,
                     const std::vector<Part>& parts) {
  MixtureModel model;
  model.gate = Gate(gate, dim, static_cast<int>(parts.size()));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    for (std::size_t j = 0; j < part.gate.size(); ++j)
      model.gate.block(static_cast<int>(i))(static_cast<Eigen::Index>(j)) = part.gate[j];
    Expert made(expert, dim, 1, classes);
    for (std::size_t j = 0; j < part.mean.size(); ++j) made.parameters()(static_cast<Eigen::Index>(j)) = part.mean[j];
    if (made.has_sigma()) made.set_sigma(part.sigma);
    model.experts.push_back(std::move(made));
  }
  return model;
}

namespace {

constexpr const char* kSoftmaxPaper = "Nguyen, Nguyen, Ho, NeurIPS 2023, arXiv 2305.03288";
constexpr const char* kLaplacePaper = "Han, Nguyen, Harris, Ho, Saria, NeurIPS 2024, arXiv 2402.03226 (FuseMoE)";
constexpr const char* kStrongPaper = "Nguyen et al., 2025 (DeepSeekMoE analysis), after Ho, Yang, Jordan";
constexpr const char* kTemperaturePaper = "Nguyen, Akbarian, Ho, ICML 2024, arXiv 2401.13875";
constexpr const char* kQuadraticPaper = "Akbarian et al., 2024, arXiv 2410.11222";
constexpr const char* kMultinomialPaper = "Nguyen et al., ICML 2024, arXiv 2310.14188";

constexpr const char* kLeastSquaresPaper = "Nguyen, Ho, Rinaldo, ICML 2024, arXiv 2402.02952";

constexpr const char* kSoftmaxTheory =
    "Softmax gate, linear experts: r, r/2, r, r/2 for gate slope, expert slope, intercept, variance; r = 4 for two "
    "fitted experts that share a true one, 6 for three, not known (at least 7) beyond.";
constexpr const char* kLaplaceTheory =
    "Laplace gate, linear experts: 2, 2, r, r/2 for centre, expert slope, intercept, variance; r = 4 for two fitted "
    "experts that share a true one, 6 for three, not known (at least 7) beyond.";
constexpr const char* kStrongTheory = "Strongly identifiable experts: 2 for every parameter of a shared expert.";

RateProblem softmax_gauss() {
  RateProblem problem;
  problem.title = "softmax gate, linear Gaussian experts, maximum likelihood";
  problem.paper = kSoftmaxPaper;
  ScenarioOptions lambda;
  lambda.scenario = ScenarioKind::lambda;
  lambda.rows = 2;
  problem.truth = make_problem(lambda).truth;
  problem.inputs = RateInputs::grid;
  problem.exponents = softmax_linear_exponents();
  problem.known_cells = kSolvedCells;
  problem.theory = kSoftmaxTheory;
  const std::string source = "recomputed from the authors' published outputs";
  problem.published = {{RateQuantity::loss, 2, -0.506, source},
                       {RateQuantity::gate_slope_exact, 2, -0.51, source},
                       {RateQuantity::expert_slope_exact, 2, -0.51, source},
                       {RateQuantity::variance_exact, 2, -0.51, source},
                       {RateQuantity::loss, 3, -0.466, source}};
  problem.remarks = {
      "The first expert has gate intercept -8, so that the loss weighs its gate slope by exp(-8): look at the "
      "unweighted "
      "errors too."};
  return problem;
}

RateProblem softmax_tanh() {
  RateProblem problem;
  problem.title = "softmax gate, tanh experts, maximum likelihood";
  problem.paper = kStrongPaper;
  problem.truth = mixture(GateSpec{}, ExpertSpec{.kind = ExpertKind::tanh}, 1, 0,
                          {{{0.0, 3.0}, {0.5, 3.0}, 0.1}, {{0.0, 0.0}, {-0.5, -2.0}, 0.15}});
  problem.low = -1;
  problem.exponents = strongly_identifiable_exponents();
  problem.theory = kStrongTheory;
  return problem;
}

RateProblem temperature() {
  RateProblem problem = softmax_gauss();
  problem.title = "softmax gate with a fixed temperature of 0.5, linear Gaussian experts, maximum likelihood";
  problem.paper = kTemperaturePaper;
  problem.published.clear();
  problem.truth = mixture(GateSpec{.temperature = 0.5}, ExpertSpec{}, 1, 0,
                          {{{-1.0, 3.0}, {1.0, -2.0}, 0.3}, {{0.0, 0.0}, {-1.0, 2.0}, 0.4}});
  problem.inputs = RateInputs::uniform;
  problem.low = -1;
  problem.remarks = {
      "The paper estimates the temperature with the rest and proves rates slower than any power of n. Beside scores "
      "that "
      "are linear in the inputs a temperature changes nothing but the scale of the gate, so here it is fixed, and the "
      "rates are those of the softmax gate."};
  return problem;
}

RateProblem laplace_gauss() {
  RateProblem problem;
  problem.title = "Laplace gate, linear Gaussian experts, maximum likelihood";
  problem.paper = kLaplacePaper;
  problem.truth = mixture(GateSpec{.kind = GateKind::laplace}, ExpertSpec{}, 2, 0,
                          {{{0.3, -1.0, 0.5}, {1.0, 1.5, -0.5}, 0.4}, {{0.0, 1.0, -0.5}, {-1.0, 0.5, 1.0}, 0.6}});
  problem.low = -2;
  problem.high = 2;
  problem.exponents = laplace_linear_exponents();
  problem.known_cells = kSolvedCells;
  problem.theory = kLaplaceTheory;
  const std::string source = "the paper's figure, five data sets per size";
  problem.published = {{RateQuantity::loss, 2, -0.49, source}, {RateQuantity::loss, 3, -0.47, source}};
  problem.remarks = {
      "The paper draws gate centres from N(0, 0.01/d) and inputs from [0, 1]: the two centres almost coincide, and "
      "with "
      "one input and both of them left of 0 they cannot be estimated at all. Our truth keeps the model and puts the "
      "centres apart, inside the range of two inputs."};
  return problem;
}

RateProblem quadratic(bool linear_term) {
  RateProblem problem;
  problem.title = fmt::format("{} gate, linear Gaussian experts, maximum likelihood",
                              linear_term ? "quadratic polynomial" : "quadratic monomial");
  problem.paper = kQuadraticPaper;
  const GateSpec gate{.kind = GateKind::quadratic, .linear_term = linear_term};
  const std::vector<double> block = linear_term ? std::vector<double>{-1.5, 1.5, 5.0} : std::vector<double>{-2.0, 6.0};
  problem.truth = mixture(gate, ExpertSpec{}, 1, 0,
                          {{block, {2.0, -1.0}, 0.3}, {std::vector<double>(block.size(), 0.0), {-1.0, 2.0}, 0.4}});
  problem.low = -1;
  problem.exponents = linear_term ? softmax_linear_exponents() : laplace_linear_exponents();
  problem.known_cells = kSolvedCells;
  problem.theory =
      linear_term
          ? "Derived here, not in our notes on the paper: the linear part of the gate interacts with linear experts as "
            "the softmax gate's does, so its exponents are used: r, r/2, r, r/2."
          : "Derived here, not in our notes on the paper: without a linear part the gate does not interact with the "
            "slopes, so the exponents of the Laplace gate are used: 2, 2, r, r/2.";
  return problem;
}

// Chosen for a large Fisher information.
MixtureModel logit_truth() {
  return mixture(GateSpec{}, ExpertSpec{.kind = ExpertKind::multinomial}, 1, 3,
                 {{{1.0, -1.0}, {-0.5, -4.5, -0.5, 3.5}, 0.0}, {{0.0, 0.0}, {-1.0, 1.5, -0.5, -1.0}, 0.0}});
}

MixtureModel vanishing_logit_truth() {
  return mixture(GateSpec{}, ExpertSpec{.kind = ExpertKind::multinomial}, 1, 3,
                 {{{2.0, 1.0}, {1.5, 4.0, -0.5, -2.5}, 0.0}, {{0.0, 0.0}, {1.0, 0.0, 0.5, 0.0}, 0.0}});
}

RateProblem multinomial(bool vanishing) {
  RateProblem problem;
  problem.title = fmt::format("softmax gate, three-class logit experts{}, maximum likelihood",
                              vanishing ? ", the slopes of one expert vanish" : "");
  problem.paper = kMultinomialPaper;
  problem.truth = vanishing ? vanishing_logit_truth() : logit_truth();
  problem.low = -2;
  problem.high = 2;
  problem.remarks = {
      "The truth was chosen for a large Fisher information; still the standard errors at n rows are up to 30 / "
      "sqrt(n), "
      "so that only large samples show the rates."};
  problem.exponents = strongly_identifiable_exponents();
  problem.over_rates = !vanishing;
  problem.theory = vanishing
                       ? "When all slopes of an expert are 0, shared experts converge slower than any power of n; "
                         "the loss is shown with exponent 2."
                       : "No expert without slopes (regime 1): 2 for every parameter of a shared expert.";
  return problem;
}

RateProblem least_squares(bool linear) {
  RateProblem problem;
  problem.title = fmt::format("softmax gate, {} experts, least squares", linear ? "linear" : "sigmoid");
  problem.paper = kLeastSquaresPaper;
  problem.method = FitMethod::least_squares;
  if (linear)
    problem.truth =
        mixture(GateSpec{}, ExpertSpec{}, 1, 0, {{{7.0, -15.5}, {3.5, 6.5}, 0.1}, {{0.0, 0.0}, {-4.5, 7.5}, 0.1}});
  else
    problem.truth = mixture(GateSpec{}, ExpertSpec{.kind = ExpertKind::sigmoid}, 1, 0,
                            {{{7.0, -16.0}, {-2.0, 14.5}, 0.1}, {{0.0, 0.0}, {-5.5, 6.5}, 0.1}});
  problem.truth.form = ModelForm::regression;
  problem.exponents = strongly_identifiable_exponents();
  problem.over_rates = !linear;
  problem.theory =
      linear ? "Linear experts are not strongly identifiable: whatever the power, shared experts can converge "
               "slower (minimax); the loss is shown with exponent 2."
             : kStrongTheory;
  problem.remarks = {
      "The slopes of the paper's own figures are not recoverable from what is public; its model and inputs are kept, "
      "the "
      "truth is ours, chosen for a large Fisher information."};
  return problem;
}

struct Maker {
  const char* name;
  RateProblem (*make)();
};
constexpr std::array kMakers{
    Maker{"softmax-gauss", softmax_gauss},
    Maker{"softmax-tanh", softmax_tanh},
    Maker{"temperature", temperature},
    Maker{"laplace-gauss", laplace_gauss},
    Maker{"quadratic", +[] { return quadratic(true); }},
    Maker{"monomial", +[] { return quadratic(false); }},
    Maker{"multinomial", +[] { return multinomial(false); }},
    Maker{"least-squares-sigmoid", +[] { return least_squares(false); }},
    Maker{"least-squares-linear", +[] { return least_squares(true); }},
    Maker{"multinomial-vanishing", +[] { return multinomial(true); }},
    Maker{"modified-inputs", modified_inputs_problem},
    Maker{"top-k", top_k_problem},
    Maker{"activated", activated_problem},
    Maker{"perturbed-cosine", perturbed_cosine_problem},
    Maker{"hierarchical-softmax", +[] { return hierarchical_problem(LevelKind::softmax, LevelKind::softmax); }},
    Maker{"hierarchical-mixed", +[] { return hierarchical_problem(LevelKind::softmax, LevelKind::laplace); }},
    Maker{"hierarchical-laplace", +[] { return hierarchical_problem(LevelKind::laplace, LevelKind::laplace); }},
    Maker{"sigmoid-sparse", +[] { return sigmoid_problem(false); }},
    Maker{"sigmoid-dense", +[] { return sigmoid_problem(true); }},
};

RateProblem made(const Maker& maker) {
  RateProblem problem = maker.make();
  problem.name = maker.name;
  const int k = problem.truth.expert_count();
  problem.fitted = {k, k + 1};
  return problem;
}

}  // namespace

RateProblem preset_problem(const std::string& name) {
  std::vector<std::string> known;
  for (const Maker& maker : kMakers) {
    if (name == maker.name) return made(maker);
    known.emplace_back(maker.name);
  }
  user_error("preset must be one of {}, not {}{}", fmt::join(known, ", "), quoted_for_message(name),
             did_you_mean(name, known));
}

}  // namespace detail

std::vector<RatePreset> rate_presets() {
  std::vector<RatePreset> presets;
  for (const detail::Maker& maker : detail::kMakers) {
    const RateProblem problem = maker.make();
    presets.push_back({maker.name, problem.title});
  }
  return presets;
}

}  // namespace clearway
