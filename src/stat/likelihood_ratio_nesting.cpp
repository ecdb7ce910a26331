// Which specification contains which, and where Wilks' theorem holds.
#include <Eigen/QR>
#include <algorithm>
#include <array>
#include <string_view>

#include "clearway/stat/likelihood_ratio.hpp"
#include "nesting.hpp"

namespace clearway {
namespace {

using Eigen::Index;

struct Step {
  bool nested = false;
  bool regular = true;
  const char* reason = "";
};

constexpr const char* kBoundary = "The null lies on the boundary of the alternative: chi-square is not its law.";
constexpr const char* kUnidentified =
    "Under the null the parameters of the further experts are not identified: chi-square is not the law of the "
    "statistic.";

Step gate_step(const GateSpec& null, const GateSpec& alternative) {
  if (null.top_k != alternative.top_k)
    return {false, false, "A top-k gate contains no gate with another number of experts and is contained in none."};
  if (gate_reads_inputs(null.kind) && null.transform != alternative.transform)
    return {false, false, "The gates see different functions of their inputs."};
  if (alternative.kind == GateKind::cosine && alternative.perturbation == 0)
    return {false, false, "A plain cosine gate contains no other gate."};
  if (null.kind == GateKind::equal && alternative.kind == GateKind::constant) return {true};
  const bool constant = null.kind == GateKind::equal || null.kind == GateKind::constant;
  if (constant && (alternative.kind == GateKind::softmax || alternative.kind == GateKind::quadratic)) {
    if (alternative.kind == GateKind::quadratic && alternative.shape == QuadraticShape::low_rank)
      return {true, false, "A low-rank form is not identified when it is zero: chi-square is not its law."};
    return {true};
  }
  if (constant)
    return {true, false,
            "A constant gate is a limit of the alternative's gate, at which its parameters are not identified: "
            "chi-square is not its law."};
  if (null.kind == GateKind::softmax && alternative.kind == GateKind::quadratic && alternative.linear_term)
    return alternative.shape == QuadraticShape::low_rank
               ? Step{true, false, "A low-rank form is not identified when it is zero: chi-square is not its law."}
               : Step{true};
  if (null.kind == GateKind::quadratic && alternative.kind == GateKind::quadratic &&
      null.shape == QuadraticShape::diagonal && alternative.shape == QuadraticShape::full &&
      (alternative.linear_term || !null.linear_term))
    return {true};
  return {false, false, "The null's gate is no special case of the alternative's."};
}

// Kinds of experts by name: one line is all that a further pair needs.
struct NestedKinds {
  std::string_view null, alternative;
  bool regular;  // the null lies inside the alternative, not on its boundary
};
constexpr std::array<NestedKinds, 15> kNestedKinds{{
    {"constant", "linear", true},
    {"constant", "student-t", false},
    {"linear", "student-t", false},
    {"constant", "skew-t", false},
    {"linear", "skew-t", false},
    {"skew-normal", "skew-t", false},
    {"student-t", "skew-t", true},
    {"constant", "heteroscedastic", true},
    {"linear", "heteroscedastic", true},
    {"poisson", "negative-binomial", false},
    {"poisson", "zero-inflated-poisson", false},
    {"exponential", "weibull", true},
    {"exponential", "gamma", true},
    {"conditional-logit", "multinomial", true},
    {"multinomial", "conditional-logit", true},
}};

// Volume, shape and orientation each at least as free: I within E within V.
bool covariance_within(CovarianceKind null, CovarianceKind alternative) {
  const auto letters = [](CovarianceKind kind) -> std::string_view {
    if (kind == CovarianceKind::full) return "VVV";
    return kind == CovarianceKind::diagonal ? "VVI" : enum_name(kind);
  };
  const auto freedom = [](char c) { return c == 'I' ? 0 : c == 'E' ? 1 : 2; };
  for (std::size_t i = 0; i < 3; ++i)
    if (freedom(letters(null)[i]) > freedom(letters(alternative)[i])) return false;
  return true;
}

Step expert_step(const ExpertSpec& null, const ExpertSpec& alternative) {
  if (null.kind == alternative.kind) {
    if (null.variance == VarianceKind::shared && alternative.variance == VarianceKind::separate) return {true};
    if (null.covariance != alternative.covariance && covariance_within(null.covariance, alternative.covariance))
      return {true};
    return {false, false, "The null's experts are no special case of the alternative's."};
  }
  for (const NestedKinds& pair : kNestedKinds)
    if (enum_name(null.kind) == pair.null && enum_name(alternative.kind) == pair.alternative)
      return {true, pair.regular, pair.regular ? "" : kBoundary};
  return {false, false, "The null's experts are no special case of the alternative's."};
}

bool same_gate(const GateSpec& a, const GateSpec& b) {
  if (a.kind != b.kind || a.top_k != b.top_k || a.transform != b.transform) return false;
  if (a.top_k > 0 && a.top_k_rule != b.top_k_rule) return false;
  if (a.kind == GateKind::hierarchical) return a.groups == b.groups && a.outer == b.outer && a.inner == b.inner;
  if (a.kind == GateKind::activated) return a.activation == b.activation;
  if (a.kind == GateKind::cosine) return a.perturbation == b.perturbation;
  if (a.kind == GateKind::fixed) return a.weights == b.weights;
  return a.kind != GateKind::quadratic || (a.shape == b.shape && a.rank == b.rank && a.linear_term == b.linear_term);
}

bool same_expert(const ExpertSpec& a, const ExpertSpec& b) {
  return a.kind == b.kind && a.variance == b.variance && a.covariance == b.covariance && a.degree == b.degree &&
         a.hidden == b.hidden;
}

// Whether a gate reads its inputs through linear predictors only, so that any linear combination of inputs will do.
bool reads_linear_predictors(const GateSpec& gate) {
  if (gate.transform != GateTransform::none) return false;
  switch (gate.kind) {
    case GateKind::softmax:
    case GateKind::sigmoid:
    case GateKind::activated:
      return true;
    case GateKind::hierarchical:
      return gate.outer != LevelKind::laplace && gate.inner != LevelKind::laplace;
    case GateKind::quadratic:
      return gate.shape == QuadraticShape::full;
    default:
      return false;
  }
}

// Further inputs in a gate: distances and angles between more inputs are no special case of those between fewer.
Step gate_input_step(const GateSpec& gate) {
  const bool laplace =
      gate.kind == GateKind::laplace ||
      (gate.kind == GateKind::hierarchical && (gate.outer == LevelKind::laplace || gate.inner == LevelKind::laplace));
  if (laplace || gate.kind == GateKind::cosine)
    return {false, false, "Distances and angles between more inputs contain no gate on fewer of them."};
  if (gate.kind == GateKind::gaussian)
    return {true, false, "Centres of inputs that play no part are not identified: chi-square is not its law."};
  if (gate.kind == GateKind::quadratic && gate.shape == QuadraticShape::low_rank)
    return {true, false, "A low-rank form is not identified when it is zero: chi-square is not its law."};
  return {true};
}

enum class Inputs { same, among, other };

Inputs compare_inputs(const Matrix& few, const Matrix& many, bool combinations) {
  if (few.cols() == many.cols() && few == many) return Inputs::same;
  const auto within = [&](const Matrix& some, const Matrix& all) {
    const std::optional<Matrix> found = detail::coefficients_in(some, all);
    return found && (combinations || detail::selects_columns(*found));
  };
  if (!within(few, many)) return Inputs::other;
  return within(many, few) ? Inputs::same : Inputs::among;
}

// --- fixed and shared parameters ---

bool fixes(const Constraints& constraints, const FixedParameter& wanted) {
  return std::any_of(constraints.fixed.begin(), constraints.fixed.end(), [&](const FixedParameter& f) {
    return f.in_gate == wanted.in_gate && f.expert == wanted.expert && f.parameter == wanted.parameter &&
           f.value == wanted.value;
  });
}

// Whether a parameter has one value in all experts: shared, or fixed alike.
bool equal_everywhere(const Constraints& constraints, int parameter, int experts) {
  if (constraints.is_shared(parameter)) return true;
  for (const FixedParameter& f : constraints.fixed) {
    if (f.in_gate || f.expert != 0 || f.parameter != parameter) continue;
    bool all = true;
    for (int k = 1; k < experts; ++k) all = all && fixes(constraints, {false, k, parameter, f.value});
    return all;
  }
  return false;
}

// Every model that satisfies `null` satisfies `alternative`.
bool implies(const Constraints& null, const Constraints& alternative, int experts) {
  return std::all_of(alternative.fixed.begin(), alternative.fixed.end(),
                     [&](const FixedParameter& f) { return fixes(null, f); }) &&
         std::all_of(alternative.shared.begin(), alternative.shared.end(),
                     [&](int parameter) { return equal_everywhere(null, parameter, experts); });
}

bool constrains_experts(const Constraints& c) {
  return !c.shared.empty() ||
         std::any_of(c.fixed.begin(), c.fixed.end(), [](const FixedParameter& f) { return !f.in_gate; });
}

bool constrains_gate(const Constraints& c) {
  return std::any_of(c.fixed.begin(), c.fixed.end(), [](const FixedParameter& f) { return f.in_gate; });
}

// Whether the alternative's constraints speak of the same parameters as the null's: else nothing is decided.
bool comparable(const TestedModel& null, const TestedModel& alternative, Inputs expert_inputs, Inputs gate_inputs) {
  const FitOptions& small = null.options;
  const FitOptions& large = alternative.options;
  const Constraints& c = large.constraints;
  // A position within an expert or a block of the gate means the same when the columns stand at the same places.
  const bool same_columns = null.data->expert_inputs.cols() == alternative.data->expert_inputs.cols() &&
                            null.data->expert_inputs == alternative.data->expert_inputs;
  const bool same_gate_columns = null.data->gate_inputs.cols() == alternative.data->gate_inputs.cols() &&
                                 null.data->gate_inputs == alternative.data->gate_inputs;
  if (constrains_experts(c) &&
      (expert_inputs != Inputs::same || !same_columns || small.expert.kind != large.expert.kind ||
       small.expert.degree != large.expert.degree || small.expert.hidden != large.expert.hidden))
    return false;
  if (constrains_gate(c) && (gate_inputs != Inputs::same || !same_gate_columns || !same_gate(small.gate, large.gate)))
    return false;
  if (small.experts == large.experts) return true;
  // Another number of experts: what is said of all experts alike, and of gate slopes (a copy of an expert differs from
  // it in the intercept of its gate only).
  const bool intercepts = std::any_of(c.fixed.begin(), c.fixed.end(),
                                      [](const FixedParameter& f) { return f.in_gate && f.parameter == 0; });
  return c.symmetric(large.experts) && small.constraints.symmetric(small.experts) && !intercepts &&
         (!constrains_gate(c) || large.gate.kind == GateKind::softmax);
}

// The same constraints for the first experts of a model with fewer of them.
Constraints for_fewer_experts(Constraints constraints, int experts) {
  std::erase_if(constraints.fixed, [&](const FixedParameter& f) {
    return f.expert >= experts - (f.in_gate ? 1 : 0);  // the last block of a gate is the reference
  });
  return constraints;
}

Step constraint_step(const TestedModel& null, const TestedModel& alternative, Inputs expert_inputs,
                     Inputs gate_inputs) {
  const FitOptions& small = null.options;
  const Constraints& of_alternative = alternative.options.constraints;
  if (!of_alternative.empty() && !comparable(null, alternative, expert_inputs, gate_inputs))
    return {false, false,
            "The alternative fixes or shares parameters that do not correspond to parameters of the null one by one: "
            "whether it contains the null cannot be decided."};
  if (!implies(small.constraints, for_fewer_experts(of_alternative, small.experts), small.experts))
    return {false, false,
            "The alternative fixes or shares a parameter that is free, or has another value, in the null."};
  // Experts that agree in everything make the weights between them meaningless.
  const auto parameters =
      Expert(small.expert, static_cast<int>(null.data->expert_inputs.cols()),
             static_cast<int>(null.data->response.cols()), null.data->classes, null.data->attributes)
          .parameters()
          .size();
  bool alike = small.experts > 1 && small.expert_kinds.size() < 2;
  for (int p = 0; p < parameters; ++p) alike = alike && equal_everywhere(small.constraints, p, small.experts);
  if (alike) return {true, false, "Under the null all experts are the same: chi-square is not its law."};
  return {true};
}

std::string constraint_words(const Constraints& c) {
  if (c.empty()) return "no";
  std::string words;
  if (!c.fixed.empty()) words += fmt::format("{} fixed", c.fixed.size());
  if (!c.shared.empty()) words += fmt::format("{}{} shared", words.empty() ? "" : " and ", c.shared.size());
  return words;
}

}  // namespace

namespace detail {

std::optional<Matrix> coefficients_in(const Matrix& few, const Matrix& many) {
  Matrix coefficients = Matrix::Zero(1 + many.cols(), 1 + few.cols());
  coefficients(0, 0) = 1;
  std::vector<Index> combinations;
  for (Index i = 0; i < few.cols(); ++i) {
    Index j = 0;
    while (j < many.cols() && few.col(i) != many.col(j)) ++j;
    if (j < many.cols())
      coefficients(1 + j, 1 + i) = 1;
    else
      combinations.push_back(i);
  }
  if (combinations.empty()) return coefficients;
  if (many.cols() == 0) return std::nullopt;
  // Centred, so that the tolerance is one on what varies: 1e-8 is far above the rounding of bases (1e-12) and far below
  // a deviation that a likelihood could see.
  const Matrix centred = many.rowwise() - many.colwise().mean();
  const Eigen::ColPivHouseholderQR<Matrix> solver(centred);
  for (const Index i : combinations) {
    const Vector wanted = few.col(i).array() - few.col(i).mean();
    const Vector slopes = solver.solve(wanted);
    if (!((wanted - centred * slopes).norm() <= 1e-8 * wanted.norm())) return std::nullopt;
    coefficients.col(1 + i).tail(many.cols()) = slopes;
    coefficients(0, 1 + i) = few.col(i).mean() - many.colwise().mean() * slopes;
  }
  return coefficients;
}

bool selects_columns(const Matrix& coefficients) {
  for (Index j = 1; j < coefficients.cols(); ++j)
    if (coefficients.col(j).cwiseAbs().sum() != 1 || coefficients.col(j).maxCoeff() != 1) return false;
  return true;
}

}  // namespace detail

Nesting nesting_of(const TestedModel& null, const TestedModel& alternative) {
  const FitOptions& small = null.options;
  const FitOptions& large = alternative.options;
  Nesting result;
  result.nested = result.regular = true;
  const auto add = [&](std::string difference, const Step& step) {
    result.differences.push_back(std::move(difference));
    result.nested = result.nested && step.nested;
    result.regular = result.regular && step.nested && step.regular;
    if (*step.reason != '\0')  // what forbids the test comes first
      result.reasons.emplace(step.nested ? result.reasons.end() : result.reasons.begin(), step.reason);
  };
  if (small.experts != large.experts)
    add(fmt::format("{} against {} experts", small.experts, large.experts),
        small.experts < large.experts ? Step{true, false, kUnidentified}
                                      : Step{false, false, "The null has more experts than the alternative."});
  // With one expert the gate has nothing to do.
  const bool constant_by_inputs = small.gate.kind == GateKind::constant && large.gate.kind == GateKind::softmax &&
                                  alternative.data->gate_inputs.cols() == 0;
  if (small.experts > 1 && !same_gate(small.gate, large.gate) && !constant_by_inputs)
    add(fmt::format("{} against {} gate", enum_name(small.gate.kind), enum_name(large.gate.kind)),
        gate_step(small.gate, large.gate));
  if (!same_expert(small.expert, large.expert)) {
    const bool noise_only = small.expert.kind == large.expert.kind && small.expert.variance != large.expert.variance;
    add(noise_only ? fmt::format("{} against {} noise level", enum_name(small.expert.variance),
                                 enum_name(large.expert.variance))
                   : fmt::format("{} against {} experts", enum_name(small.expert.kind), enum_name(large.expert.kind)),
        noise_only && small.experts == 1 ? Step{true} : expert_step(small.expert, large.expert));
  }
  if (small.noise != large.noise)
    add(fmt::format("{} against {} noise component", enum_name(small.noise), enum_name(large.noise)),
        small.noise == NoiseKind::none ? Step{true, false, kBoundary}
                                       : Step{false, false, "Only the null has a noise component."});
  Inputs expert_inputs = Inputs::same, gate_inputs = Inputs::same;
  const auto inputs = [&](const Matrix& few, const Matrix& many, bool combinations, const Step& further,
                          const char* whose) {
    const Inputs found = compare_inputs(few, many, combinations);
    if (found != Inputs::same)
      add(fmt::format("{} against {} inputs of {}", few.cols(), many.cols(), whose),
          found == Inputs::among
              ? further
              : Step{false, false,
                     "An input of the null is neither among those of the alternative nor a combination of them."});
    return found;
  };
  if (small.expert.kind != ExpertKind::constant)
    expert_inputs = inputs(null.data->expert_inputs, alternative.data->expert_inputs, true, Step{true}, "the experts");
  // An attribute has one coefficient, an input that is none has one for every class.
  const auto plain = [](const Data& data) -> Matrix {
    return data.expert_inputs.leftCols(data.expert_inputs.cols() - Index{data.attributes} * data.classes);
  };
  if (alternative.data->attributes > 0 &&
      compare_inputs(plain(*null.data), plain(*alternative.data), true) == Inputs::other)
    add("coefficients by class against attributes",
        Step{false, false,
             "An input with a coefficient for every class is an attribute, or none, in the alternative."});
  const bool no_gate_inputs = small.gate.kind == GateKind::constant || small.gate.kind == GateKind::equal;
  if (!no_gate_inputs && small.experts > 1)
    gate_inputs = inputs(null.data->gate_inputs, alternative.data->gate_inputs, reads_linear_predictors(large.gate),
                         gate_input_step(large.gate), "the gate");
  const bool same_constraints = small.experts == large.experts &&
                                implies(small.constraints, large.constraints, small.experts) &&
                                implies(large.constraints, small.constraints, small.experts);
  if (!same_constraints || (!large.constraints.empty() && !comparable(null, alternative, expert_inputs, gate_inputs)))
    if (!small.constraints.empty() || !large.constraints.empty())
      add(fmt::format("{} against {} parameters", constraint_words(small.constraints),
                      constraint_words(large.constraints)),
          constraint_step(null, alternative, expert_inputs, gate_inputs));
  if (result.differences.empty()) {
    result.nested = result.regular = false;
    result.reasons.emplace_back("The two models are the same: there is nothing to test.");
  }
  return result;
}

}  // namespace clearway
