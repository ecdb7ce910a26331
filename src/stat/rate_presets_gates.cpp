// Presets whose gates are more than a softmax of linear scores: top-k, activated, perturbed cosine, modified inputs,
// hierarchical, and sigmoids that need not sum to 1.
#include <cmath>

#include "rate_presets.hpp"

namespace clearway::detail {
namespace {

constexpr const char* kTopKPaper = "Nguyen, Akbarian, Yan, Ho, ICLR 2024, arXiv 2309.13850";
constexpr const char* kActivatedPaper = "Nguyen, Akbarian, Ho, ICML 2024, arXiv 2401.13875";
constexpr const char* kCosinePaper = "Nguyen et al., ICLR 2025, arXiv 2405.14131";
constexpr const char* kModifiedPaper = "Nguyen et al., ICML 2024, arXiv 2310.14188";
constexpr const char* kHierarchicalPaper = "Nguyen et al., 2024, arXiv 2410.02935";
constexpr const char* kSigmoidPaper = "Nguyen, Ho, Rinaldo, NeurIPS 2024, arXiv 2405.13997";

// Our notes on the paper say that rates are powers of n, or fast, but not which.
RateProblem without_exponents(std::string title, std::string paper, const std::string& what_is_said) {
  RateProblem problem;
  problem.title = std::move(title);
  problem.paper = std::move(paper);
  problem.exponents = strongly_identifiable_exponents();
  problem.over_rates = false;
  problem.theory = what_is_said +
                   " Our notes give no exponents of shared experts, so none is compared; the loss is shown with "
                   "exponent 2. With the true number of experts the model is regular: n^(-1/2).";
  problem.low = -1;
  return problem;
}

}  // namespace

RateProblem top_k_problem() {
  RateProblem problem;
  problem.title = "top-1 softmax gate, linear Gaussian experts, maximum likelihood";
  problem.paper = kTopKPaper;
  GateSpec gate;
  gate.top_k = 1;
  problem.truth =
      mixture(gate, ExpertSpec{}, 1, 0, {{{-8.0, 25.0}, {15.0, -20.0}, 0.3}, {{0.0, 0.0}, {-5.0, 20.0}, 0.4}});
  problem.inputs = RateInputs::grid;
  problem.gate_comparable = false;
  problem.exponents = softmax_linear_exponents();
  problem.known_cells = kSolvedCells;
  problem.theory =
      "Softmax gate, linear experts: r, r/2, r, r/2 for gate slope, expert slope, intercept, variance, where a fit "
      "with "
      "m experts too many selects m more of them, as it does here.";
  problem.remarks = {
      "With one selected expert the gate only cuts the inputs in two: the place of the cut is all that can be known of "
      "it, so gates are not compared.",
      "Derived here: a fit with two selected experts is equal to this truth only in the limit of ever steeper gates."};
  return problem;
}

RateProblem activated_problem() {
  RateProblem problem = without_exponents(
      "activated gate with an estimated temperature, linear Gaussian experts, maximum likelihood", kActivatedPaper,
      "With a bounded function between score and temperature the temperature is found at a power of n, which it is not "
      "beside linear scores.");
  GateSpec gate{.kind = GateKind::activated};
  gate.units = GateUnits::raw;
  problem.truth = mixture(gate, ExpertSpec{}, 1, 0, {{{0.5, 2.0}, {1.0, -2.0}, 0.3}, {{0.0, -1.5}, {-1.0, 2.0}, 0.4}});
  problem.truth.gate.shared()(0) = std::log(0.4);
  problem.gate_comparable = false;
  problem.remarks = {
      "tanh(a x) - tanh(b x) = tanh(-b x) - tanh(-a x): two gates with the same weights, so gates are not compared."};
  return problem;
}

RateProblem perturbed_cosine_problem() {
  RateProblem problem = without_exponents(
      "perturbed cosine gate, linear Gaussian experts, maximum likelihood", kCosinePaper,
      "A perturbation of the norms gives rates that are powers of n, which the plain cosine gate does not have.");
  GateSpec gate{.kind = GateKind::cosine};
  gate.units = GateUnits::raw;
  gate.temperature = 0.3;
  gate.perturbation = 0.5;
  problem.truth = mixture(gate, ExpertSpec{}, 2, 0,
                          {{{0.2, 1.0, 0.5}, {1.0, -2.0, 0.5}, 0.3}, {{0.0, -1.0, 0.5}, {-1.0, 2.0, 0.0}, 0.4}});
  problem.gate_comparable = false;
  problem.remarks = {
      "Derived here: the scores are linear in direction / (length + perturbation), and a common shift of those vectors "
      "changes no weight while they stay shorter than 1, so gates are not compared."};
  return problem;
}

RateProblem modified_inputs_problem() {
  RateProblem problem = without_exponents(
      "softmax gate over tanh of the inputs, three-class logit experts, the slopes of one expert vanish, maximum "
      "likelihood",
      kModifiedPaper,
      "Where all slopes of an expert are 0 a gate that sees a bounded function of the inputs has rates that are powers "
      "of n again.");
  GateSpec gate;
  gate.transform = GateTransform::tanh;
  gate.units = GateUnits::raw;
  problem.truth = mixture(gate, ExpertSpec{.kind = ExpertKind::multinomial}, 1, 3,
                          {{{0.0, -3.0}, {1.5, 2.0, -3.0, -2.5}, 0.0}, {{0.0, 0.0}, {-2.0, 0.0, -3.0, 0.0}, 0.0}});
  problem.low = -4;
  problem.high = 4;
  problem.remarks = {
      "The truth was chosen for a large Fisher information; still the standard errors at n rows are up to 19 / "
      "sqrt(n), so that only large samples show the rates."};
  return problem;
}

RateProblem hierarchical_problem(LevelKind outer, LevelKind inner) {
  RateProblem problem = without_exponents(
      fmt::format("two groups of two experts, {} gate between and {} gates within groups, linear Gaussian experts, "
                  "maximum likelihood",
                  enum_name(outer), enum_name(inner)),
      kHierarchicalPaper,
      "Laplace gates on both levels take away the interactions of gate and experts and find experts fastest.");
  GateSpec gate{.kind = GateKind::hierarchical};
  gate.outer = outer;
  gate.inner = inner;
  gate.units = GateUnits::raw;
  using Block = std::vector<double>;
  const bool distances = inner == LevelKind::laplace;
  const Block first = distances ? Block{0.2, -3.0} : Block{-4.0, -2.0};
  const Block second = distances ? Block{0.0, -1.0} : Block{0.0, 0.0};
  const Block third = distances ? Block{-0.2, 1.0} : Block{4.0, -2.0};
  const Block fourth = distances ? Block{0.0, 3.0} : Block{0.0, 0.0};
  problem.truth = mixture(
      gate, ExpertSpec{}, 1, 0,
      {{first, {4.0, 0.5}, 0.3}, {second, {0.0, -0.5}, 0.3}, {third, {-2.0, 0.75}, 0.3}, {fourth, {4.0, -0.25}, 0.3}});
  if (outer == LevelKind::laplace) {
    problem.truth.gate.group_block(0) << 0.3, -2.0;
    problem.truth.gate.group_block(1) << 0.0, 2.0;
  } else {
    problem.truth.gate.group_block(0) << 0.3, -1.5;
  }
  problem.low = -4;
  problem.high = 4;
  problem.gate_comparable = false;
  problem.remarks = {
      "Experts of one truth can be grouped in other ways with nearly the same weights; gates are not compared."};
  return problem;
}

RateProblem sigmoid_problem(bool dense) {
  RateProblem problem;
  problem.title = fmt::format("sigmoid gate that need not sum to 1, tanh experts, least squares, {} regime",
                              dense ? "dense" : "sparse");
  problem.paper = kSigmoidPaper;
  problem.method = FitMethod::least_squares;
  problem.low = -2;
  problem.high = 2;
  problem.atom_weight = AtomWeight::sigmoid;
  const GateSpec gate{.kind = GateKind::unnormalised_sigmoid};
  const ExpertSpec expert{.kind = ExpertKind::tanh};
  problem.truth = dense
                      ? mixture(gate, expert, 1, 0, {{{2.0, -2.0}, {-1.0, -3.5}, 0.1}, {{2.0, 2.0}, {-4.0, 3.5}, 0.1}})
                      : mixture(gate, expert, 1, 0, {{{3.0, -3.0}, {4.0, 3.0}, 0.1}, {{2.0, 0.0}, {1.5, 3.0}, 0.1}});
  problem.truth.form = ModelForm::regression;
  problem.exponents = strongly_identifiable_exponents();
  problem.over_misses_truth = dense;
  problem.theory =
      dense ? "All gates have slopes (regime 2): two fitted sigmoids do not add up to a true one, so with too many "
              "experts the fit goes to the nearest model of that size, not to the truth, and errors against the truth "
              "have no rate."
            : "Strongly identifiable experts, and the one that can be shared has no gate slope (regime 1): 2 for every "
              "parameter of a shared expert.";
  problem.remarks = {
      "The rates are those of data that follow a sigmoid gate; they do not say that such a gate is better where the "
      "truth is another.",
      "Experts are tanh, not sigmoids: of a sigmoid gate times a sigmoid expert nobody can tell which is which."};
  return problem;
}

}  // namespace clearway::detail
