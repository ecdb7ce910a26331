// Which specification contains which, and where Wilks' theorem holds.
#include <array>
#include <string_view>

#include "clearway/stat/likelihood_ratio.hpp"

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
constexpr std::array<NestedKinds, 13> kNestedKinds{{
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

bool columns_among(const Matrix& some, const Matrix& all) {
  for (Index i = 0; i < some.cols(); ++i) {
    bool found = false;
    for (Index j = 0; j < all.cols() && !found; ++j) found = some.col(i) == all.col(j);
    if (!found) return false;
  }
  return true;
}

}  // namespace

Nesting nesting_of(const TestedModel& null, const TestedModel& alternative) {
  const FitOptions& small = null.options;
  const FitOptions& large = alternative.options;
  Nesting result;
  result.nested = result.regular = true;
  const auto add = [&](std::string difference, const Step& step) {
    result.differences.push_back(std::move(difference));
    result.nested = result.nested && step.nested;
    result.regular = result.regular && step.nested && step.regular;
    if (*step.reason != '\0') result.reasons.emplace_back(step.reason);
  };
  if (small.experts != large.experts)
    add(fmt::format("{} against {} experts", small.experts, large.experts),
        small.experts < large.experts ? Step{true, false, kUnidentified}
                                      : Step{false, false, "The null has more experts than the alternative."});
  // With one expert the gate has nothing to do.
  if (small.experts > 1 && !same_gate(small.gate, large.gate))
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
  const auto inputs = [&](const Matrix& few, const Matrix& many, const char* whose) {
    if (few.cols() == many.cols() && few == many) return;
    add(fmt::format("{} against {} inputs of {}", few.cols(), many.cols(), whose),
        columns_among(few, many) ? Step{true}
                                 : Step{false, false, "An input of the null is not among those of the alternative."});
  };
  if (small.expert.kind != ExpertKind::constant)
    inputs(null.data->expert_inputs, alternative.data->expert_inputs, "the experts");
  const bool no_gate_inputs = small.gate.kind == GateKind::constant || small.gate.kind == GateKind::equal;
  if (!no_gate_inputs && small.experts > 1) inputs(null.data->gate_inputs, alternative.data->gate_inputs, "the gate");
  if (result.differences.empty()) {
    result.nested = result.regular = false;
    result.reasons.emplace_back("The two models are the same: there is nothing to test.");
  }
  return result;
}

}  // namespace clearway
