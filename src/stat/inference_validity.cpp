#include "inference_validity.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/text.hpp"
#include "inference_parameters.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kAtBound = 1e-6;           // distance to a bound, in units of the free parameter
constexpr double kLeastInformation = 1e-9;  // per unit of weight
constexpr double kFlat = 1e-7;              // eigenvalue of the information with unit diagonal
constexpr double kLoading = 1e-3;           // share of a flat direction that taints a parameter
constexpr double kDecrement = 0.01;         // a tenth of a standard error
constexpr double kNearZero = 2.0;           // standard errors
constexpr double kLargeNu = 1000.0;
constexpr int kNoChart = -2;

// Free index -> index of the stacked parameters it stands for (the first).
std::vector<Index> first_stacked(const ParameterMap& map) {
  std::vector<Index> first(static_cast<std::size_t>(map.size), -1);
  Index at = 0;
  const auto visit = [&](const std::vector<int>& entries) {
    for (const int f : entries) {
      if (f >= 0 && first[static_cast<std::size_t>(f)] < 0) first[static_cast<std::size_t>(f)] = at;
      ++at;
    }
  };
  visit(map.gate);
  for (const auto& expert : map.experts) visit(expert);
  if (map.noise >= 0) first[static_cast<std::size_t>(map.noise)] = at;
  return first;
}

// Whether the gate gives weight to its top_k best experts only. Specifications without such a setting are dense.
template <class Spec>
bool selects_experts(const Spec& spec) {
  if constexpr (requires { spec.top_k; })
    return spec.top_k > 0;
  else
    return false;
}

class Finder {
 public:
  explicit Finder(const ValidityInputs& inputs) : in_(inputs) {}

  std::vector<ValidityFinding> run() {
    not_at_maximum();
    noise_floor();
    separated_gate();
    selecting_gate();
    bounds();
    flat_directions();
    same_experts();
    few_rows();
    conditions();
    return std::move(found_);
  }

 private:
  std::vector<int> table(const std::function<bool(std::size_t)>& which) const {
    std::vector<int> indices;
    for (std::size_t i = 0; i < in_.inference.names.size(); ++i)
      if (which(i)) indices.push_back(static_cast<int>(i));
    return indices;
  }
  std::vector<int> everything() const {
    return table([](std::size_t) { return true; });
  }
  std::vector<int> of_expert(int k) const {
    return table([&](std::size_t i) {
      const ParameterPart part = in_.inference.parts[i];
      return in_.inference.experts[i] == k && (part == ParameterPart::expert || part == ParameterPart::spread);
    });
  }
  std::vector<int> of_shares(const std::vector<int>& experts) const {
    return table([&](std::size_t i) {
      return in_.inference.parts[i] == ParameterPart::share &&
             std::find(experts.begin(), experts.end(), in_.inference.experts[i]) != experts.end();
    });
  }
  std::vector<int> of_gate() const {
    return table([&](std::size_t i) { return in_.inference.parts[i] == ParameterPart::gate; });
  }
  // The expert whose covariance a free parameter of the chart moves (-1: of all), kNoChart for other parameters.
  int chart_expert(int f) const {
    const int at = in_.chart ? f - (in_.map.size - in_.chart->size()) : -1;
    return at < 0 ? kNoChart : in_.chart->parameters()[static_cast<std::size_t>(at)].expert;
  }
  const std::string& name_of(int f) const { return in_.free_names[static_cast<std::size_t>(f)]; }
  // The parameters of the table that a free parameter moves most directly.
  std::vector<int> of_free(int f) const {
    const ParameterMap& map = in_.map;
    if (f == map.noise) return table([&](std::size_t i) { return in_.inference.parts[i] == ParameterPart::noise; });
    for (std::size_t i = 0; i < map.gate.size(); ++i)
      if (map.gate[i] == f) {
        const std::string& name = in_.stacked[i];
        return table([&](std::size_t j) {
          return in_.inference.parts[j] == ParameterPart::gate && in_.inference.names[j] == name;
        });
      }
    if (const int expert = chart_expert(f); expert != kNoChart)
      return table([&](std::size_t i) {
        return in_.inference.parts[i] == ParameterPart::spread && (expert < 0 || in_.inference.experts[i] == expert);
      });
    std::vector<int> indices;
    for (std::size_t k = 0; k < map.experts.size(); ++k)
      for (std::size_t c = 0; c < map.experts[k].size(); ++c) {
        if (map.experts[k][c] != f) continue;
        const std::string& name = in_.stacked[static_cast<std::size_t>(stacked_offset(in_.standard, k)) + c];
        const auto exact = table([&](std::size_t j) { return in_.inference.names[j] == name; });
        // "log(sigma)" is shown as "sigma", a covariance factor as deviations and correlations.
        const std::string inside = fmt::format("expert {}: ", k + 1);
        const auto spread = table([&](std::size_t j) {
          if (in_.inference.parts[j] != ParameterPart::spread || in_.inference.experts[j] != static_cast<int>(k))
            return false;
          return name == inside + "log(" + in_.inference.labels[j] + ")" ||
                 name.find("covariance factor") != std::string::npos;
        });
        indices.insert(indices.end(), exact.begin(), exact.end());
        indices.insert(indices.end(), spread.begin(), spread.end());
      }
    return indices;
  }
  void add(ValidityProblem problem, std::string sentence, std::vector<int> parameters = {}) {
    found_.push_back({problem, std::move(sentence), std::move(parameters)});
  }

  void not_at_maximum() {
    const ExpertSpec& spec = in_.result.model.experts.front().spec();
    if (std::any_of(in_.result.model.experts.begin(), in_.result.model.experts.end(),
                    [](const Expert& expert) { return expert.spec().kind == ExpertKind::laplace; }))
      return add(ValidityProblem::not_at_maximum,
                 "the likelihood of laplace experts is made of planes, whose curvature says nothing about how sure the "
                 "coefficients are; use the bootstrap.",
                 everything());
    const bool kinked = spec.kind == ExpertKind::relu || spec.kind == ExpertKind::leaky_relu;
    if (kinked || spec.divisor == VarianceDivisor::unbiased) return;
    if (in_.newton_decrement >= 0 && in_.newton_decrement < kDecrement) return;
    add(ValidityProblem::not_at_maximum,
        fmt::format("the fit is not at a maximum of the likelihood (squared distance {:.3g} in standard errors), and "
                    "standard errors have no meaning elsewhere; let it converge.",
                    in_.newton_decrement),
        everything());
  }

  void noise_floor() {
    const auto at_floor = [&](int k) {
      add(ValidityProblem::noise_floor,
          fmt::format("expert {} sits on the floor of its noise level, where the likelihood has a spike.", k + 1),
          of_expert(k));
    };
    for (const int k : in_.at_floor) at_floor(k);
    if (!in_.at_floor.empty())
      add(ValidityProblem::at_bound,
          "the covariances of the experts are tied to one at the floor of its noise level; the other numbers hold with "
          "all of them fixed.",
          table([&](std::size_t i) { return in_.inference.parts[i] == ParameterPart::spread; }));
    for (const int f : in_.inverted.at_bound) {
      const std::string& name = name_of(f);
      if (!name.ends_with("log(sigma)") && !name.ends_with("log(scale)") &&
          name.find("log covariance factor") == std::string::npos)
        continue;
      for (std::size_t k = 0; k < in_.map.experts.size(); ++k) {
        const auto& entries = in_.map.experts[k];
        if (std::find(entries.begin(), entries.end(), f) == entries.end()) continue;
        at_floor(static_cast<int>(k));
      }
    }
  }

  void separated_gate() {
    if (!in_.result.gate_separated) return;
    add(ValidityProblem::gate_separated,
        in_.result.gate_ridge > 0
            ? "the gate separates the data: its coefficients are what the ridge penalty makes of infinity, and an "
              "interval around them would only show the penalty. The other intervals are conditional on it."
            : "the gate separates the data: its coefficients run to infinity.",
        of_gate());
  }

  void selecting_gate() {
    if (!selects_experts(in_.result.model.gate.spec())) return;
    add(ValidityProblem::gate_not_smooth,
        "the gate selects experts, so the likelihood jumps where the selection changes and its curvature says little "
        "about the gate's coefficients; the other numbers hold for the selection as it is.",
        of_gate());
  }

  // One finding for all of them: there may be as many as there are coefficients.
  void no_information() {
    if (in_.inverted.without.empty()) return;
    std::vector<std::string> names;
    std::vector<int> affected;
    for (const int f : in_.inverted.without) {
      names.push_back(name_of(f));
      const std::vector<int> of_this = of_free(f);
      affected.insert(affected.end(), of_this.begin(), of_this.end());
    }
    const std::vector<Expert>& experts = in_.result.model.experts;
    if (std::any_of(experts.begin(), experts.end(),
                    [](const Expert& expert) { return expert.spec().kind == ExpertKind::laplace; }))
      return;  // made of planes: said already
    const bool classes = std::any_of(experts.begin(), experts.end(), [](const Expert& expert) {
      const ExpertKind kind = expert.spec().kind;
      return has_classes(kind) || kind == ExpertKind::bernoulli || kind == ExpertKind::binomial;
    });
    add(ValidityProblem::not_identified,
        fmt::format("the likelihood is flat at the estimate of {}, so the data carry no information on {}{}.",
                    short_list(names), names.size() == 1 ? "it" : "them",
                    classes
                        ? "; an expert that explains its classes without error (separation) has estimates that run to "
                          "infinity, where it is flat"
                        : ""),
        affected);
  }

  void bounds() {
    const auto at_bound = [&](int f) {
      add(ValidityProblem::at_bound,
          fmt::format("{} is at the edge of its range; the other numbers hold with it fixed there.", name_of(f)),
          of_free(f));
    };
    for (const int f : in_.inverted.at_bound) {
      if (chart_expert(f) != kNoChart) continue;  // said of all of them
      const std::vector<int> affected = of_free(f);
      const bool known = std::any_of(found_.begin(), found_.end(), [&](const ValidityFinding& d) {
        return d.problem == ValidityProblem::noise_floor && std::all_of(affected.begin(), affected.end(), [&](int i) {
                 return std::find(d.parameters.begin(), d.parameters.end(), i) != d.parameters.end();
               });
      });
      if (!known) at_bound(f);
    }
    no_information();
    const Inference& table_of = in_.inference;
    for (std::size_t i = 0; i < table_of.names.size(); ++i) {
      const auto at = static_cast<Index>(i);
      const double value = table_of.estimates(at), error = table_of.standard_errors(at);
      const bool nu = table_of.parts[i] == ParameterPart::spread && table_of.labels[i] == "nu";
      if (nu && value < 1e7 && (value > kLargeNu || error > value))
        add(ValidityProblem::at_bound,
            fmt::format("{} is large and flat: the expert is as good as Gaussian.", table_of.names[i]),
            {static_cast<int>(i)});
      if (table_of.parts[i] == ParameterPart::noise && error > 0 && value < kNearZero * error)
        add(ValidityProblem::at_bound, "the noise weight lies within two standard errors of 0, the edge of its range.",
            {static_cast<int>(i)});
    }
  }

  void flat_directions() {
    if (in_.inverted.flat.empty()) return;
    std::vector<bool> tainted(in_.inference.names.size(), false);
    for (const Vector& direction : in_.inverted.flat) {
      const double largest = direction.cwiseAbs().maxCoeff();
      for (int f = 0; f < in_.map.size; ++f)
        if (std::abs(direction(f)) > kLoading * largest)
          for (const int i : of_free(f)) tainted[static_cast<std::size_t>(i)] = true;
    }
    add(ValidityProblem::not_identified,
        fmt::format(
            "the information is not positive definite: the likelihood is flat along {} ({}); what does not "
            "move along it is shown.",
            in_.inverted.flat.size() == 1 ? "one direction" : fmt::format("{} directions", in_.inverted.flat.size()),
            direction_in_words(in_.inverted.flat.front(), in_.free_names)),
        table([&](std::size_t i) { return tainted[i]; }));
  }

  void same_experts() {
    for (const MergeLoss& merge : in_.merges) {
      if (!(merge.loss < merge.charge)) continue;
      std::vector<int> parameters = of_expert(merge.first);
      for (const auto& more : {of_expert(merge.second), of_gate(), of_shares({merge.first, merge.second})})
        parameters.insert(parameters.end(), more.begin(), more.end());
      add(ValidityProblem::same_experts,
          fmt::format(
              "experts {} and {} as one would lose only {:.3g} of log-likelihood, less than BIC charges for the "
              "second ({:.3g}): where there are more experts than the data show, estimates converge more slowly "
              "than standard errors say. Try fewer.",
              merge.first + 1, merge.second + 1, merge.loss, merge.charge),
          std::move(parameters));
    }
  }

  // What an expert has to itself.
  int own_parameters(int k) const {
    const Expert& expert = in_.standard.experts[static_cast<std::size_t>(k)];
    const auto all = static_cast<int>(expert.parameters().size());
    if (!in_.chart) return all;
    const int m = expert.responses();
    const auto& moves = in_.chart->parameters();
    return all - (is_diagonal(expert.spec().covariance) ? m : m * (m + 1) / 2) +
           static_cast<int>(std::count_if(moves.begin(), moves.end(), [&](const auto& p) { return p.expert == k; }));
  }

  void few_rows() {
    const Inference& t = in_.inference;
    for (int k = 0; k < in_.standard.expert_count(); ++k) {
      const double rows = in_.result.shares(k) * in_.result.effective_rows;
      const int own = own_parameters(k);
      bool vanishing = false;
      for (std::size_t i = 0; i < t.names.size(); ++i)
        vanishing =
            vanishing || (t.parts[i] == ParameterPart::share && t.experts[i] == k &&
                          t.estimates(static_cast<Index>(i)) < kNearZero * t.standard_errors(static_cast<Index>(i)));
      if (rows >= own + 2 && !vanishing) continue;
      std::vector<int> parameters = of_expert(k);
      const auto share = of_shares({k});
      parameters.insert(parameters.end(), share.begin(), share.end());
      add(ValidityProblem::few_rows,
          vanishing
              ? fmt::format("the share of expert {} lies within two standard errors of 0.", k + 1)
              : fmt::format("expert {} holds {:.3g} rows in all, too few for its {} parameters.", k + 1, rows, own),
          std::move(parameters));
    }
  }

  void conditions() {
    if (in_.result.gate_ridge > 0 && !in_.result.gate_separated)
      add(ValidityProblem::gate_penalised,
          "a ridge penalty on the gate takes part in the estimate: intervals are conditional on it and do not count "
          "its "
          "bias.");
    if (in_.result.model.experts.front().spec().divisor == VarianceDivisor::unbiased)
      add(ValidityProblem::noise_estimate,
          "the noise level is not the likelihood's estimate (--variance-divisor unbiased): its curvature is taken "
          "there "
          "all the same.");
  }

  const ValidityInputs& in_;
  std::vector<ValidityFinding> found_;
};

}  // namespace

InvertedInformation invert_information(const Matrix& information, const ParameterMap& map, const Vector& free,
                                       double total_weight, int surplus) {
  InvertedInformation result;
  for (int f = 0; f < map.size; ++f) {
    if (free(f) <= map.lower(f) + kAtBound || free(f) >= map.upper(f) - kAtBound)
      result.at_bound.push_back(f);
    else if (!(information(f, f) > kLeastInformation * total_weight))
      result.without.push_back(f);
    else
      result.active.push_back(f);
  }
  const auto m = static_cast<Index>(result.active.size());
  result.inverse = Matrix::Zero(map.size, map.size);
  result.flattest = Vector::Zero(map.size);
  if (m == 0) return result;
  Matrix part(m, m);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j)
      part(i, j) = information(result.active[static_cast<std::size_t>(i)], result.active[static_cast<std::size_t>(j)]);
  const Vector scale = part.diagonal().cwiseSqrt().cwiseInverse();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.asDiagonal() * part * scale.asDiagonal());
  const Vector& values = eigen.eigenvalues();
  Vector inverted = Vector::Zero(m);
  for (Index i = 0; i < m; ++i) {
    if (i >= surplus && values(i) > kFlat) {
      inverted(i) = 1 / values(i);
      continue;
    }
    Vector direction = Vector::Zero(map.size);
    for (Index j = 0; j < m; ++j) direction(result.active[static_cast<std::size_t>(j)]) = eigen.eigenvectors()(j, i);
    result.flat.push_back(std::move(direction));
  }
  const auto least = std::min<Index>(surplus, m - 1);  // beyond the symmetries
  for (Index j = 0; j < m; ++j)
    result.flattest(result.active[static_cast<std::size_t>(j)]) = eigen.eigenvectors()(j, least);
  result.condition_number = values(least) > 0 ? values(m - 1) / values(least) : std::numeric_limits<double>::infinity();
  const Matrix vectors = scale.asDiagonal() * eigen.eigenvectors();
  const Matrix inverse = vectors * inverted.asDiagonal() * vectors.transpose();
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j)
      result.inverse(result.active[static_cast<std::size_t>(i)], result.active[static_cast<std::size_t>(j)]) =
          inverse(i, j);
  return result;
}

std::vector<std::string> names_of_free(const ParameterMap& map, const std::vector<std::string>& stacked,
                                       const std::optional<CovarianceChart>& chart) {
  std::vector<std::string> names;
  for (const Index at : first_stacked(map)) names.push_back(at < 0 ? "?" : stacked[static_cast<std::size_t>(at)]);
  if (!chart) return names;
  names.resize(names.size() - chart->parameters().size());
  for (const auto& [name, expert] : chart->parameters())
    names.push_back(expert < 0 ? "experts: " + name : fmt::format("expert {}: {}", expert + 1, name));
  return names;
}

std::string direction_in_words(const Vector& direction, const std::vector<std::string>& free_names) {
  constexpr std::size_t kMost = 4;
  const double largest = direction.cwiseAbs().maxCoeff();
  std::vector<int> order(static_cast<std::size_t>(direction.size()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return std::abs(direction(a)) > std::abs(direction(b)); });
  std::vector<std::string> words;
  for (const int f : order) {
    if (words.size() == kMost || std::abs(direction(f)) < 0.25 * largest) break;
    words.push_back(fmt::format("{} {:.2f}", free_names[static_cast<std::size_t>(f)], direction(f)));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::vector<ValidityFinding> find_problems(const ValidityInputs& inputs) {
  return Finder(inputs).run();
}

}  // namespace clearway::detail
