// Which candidate each criterion chooses, and one recommendation with its reasons in words.
#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/stat/predictive_scores.hpp"
#include "clearway/stat/selection.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr double kNearTie = 2.0;  // units of BIC not worth more than a bare mention (Kass and Raftery 1995)

bool is_validated(SelectionCriterion criterion) {
  return criterion == SelectionCriterion::log_score || criterion == SelectionCriterion::rmse ||
         criterion == SelectionCriterion::crps;
}

std::string label(SelectionCriterion criterion, const SelectionResult& result) {
  switch (criterion) {
    case SelectionCriterion::log_score:
      return "the cross-validated log-likelihood";
    case SelectionCriterion::rmse:
      return "the cross-validated RMSE";
    case SelectionCriterion::crps:
      for (const Candidate& candidate : result.candidates)
        if (!candidate.fit.model.experts.empty()) return "the cross-validated " + crps_name(candidate.fit.model);
      return "the cross-validated CRPS";
    case SelectionCriterion::slope:
      return "the slope heuristics";
    case SelectionCriterion::dendrogram:
      return "the dendrogram";
    case SelectionCriterion::aicc:
      return "AICc";
    default: {
      std::string name(enum_name(criterion));
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
      return name;
    }
  }
}

/// Losses per row under cross-validation, smaller is better.
Vector losses(const Candidate& candidate, SelectionCriterion criterion) {
  if (criterion == SelectionCriterion::log_score) return -candidate.validation.log_scores;
  return criterion == SelectionCriterion::rmse ? candidate.validation.squared_errors : candidate.validation.crps_scores;
}

// The smallest model whose loss is above the best by at most one standard error of the paired difference (Breiman et al.
// 1984 with the standard error of what is compared).
std::size_t one_standard_error(const SelectionResult& result, SelectionCriterion criterion, std::size_t best) {
  const Vector reference = losses(result.candidates[best], criterion);
  std::size_t chosen = best;
  for (std::size_t i = 0; i < result.candidates.size(); ++i) {
    const Candidate& candidate = result.candidates[i];
    if (!candidate.excluded.empty() || std::isnan(candidate.value(criterion))) continue;
    if (candidate.fit.degrees_of_freedom >= result.candidates[chosen].fit.degrees_of_freedom) continue;
    const ScoreEstimate difference =
        mean_score(losses(candidate, criterion) - reference, *result.families[candidate.family].data);
    if (difference.value <= difference.error) chosen = i;
  }
  return chosen;
}

std::string strength(double units) {
  if (units < kNearTie) return "not worth more than a bare mention";
  if (units < 6) return "positive evidence";
  return units < 10 ? "strong evidence" : "very strong evidence";
}

std::string listed(const std::vector<std::string>& words) {
  if (words.size() < 2) return words.empty() ? std::string() : words.front();
  const std::vector<std::string> head(words.begin(), words.end() - 1);
  return fmt::format("{} and {}", fmt::join(head, ", "), words.back());
}

/// What recommends a candidate: the choice of the criterion asked for, or of BIC where that criterion has none.
const CriterionChoice* leading_choice(SelectionResult& result, SelectionCriterion criterion) {
  const auto find = [&](SelectionCriterion wanted) {
    return std::find_if(result.choices.begin(), result.choices.end(),
                        [&](const CriterionChoice& choice) { return choice.criterion == wanted; });
  };
  auto found = find(criterion);
  if (found == result.choices.end()) {
    std::string why = "no candidate has a value";
    if (is_validated(criterion)) why = "there was no cross-validation, see --folds";
    if (criterion == SelectionCriterion::slope)
      why = "it needs six models and a log-likelihood that grows with their size";
    if (criterion == SelectionCriterion::dendrogram) why = result.no_dendrogram;
    found = find(SelectionCriterion::bic);
    if (found == result.choices.end()) return nullptr;
    result.reasons.push_back(fmt::format("{} cannot choose here ({}); BIC does.", label(criterion, result), why));
    result.reasons.back().front() = static_cast<char>(std::toupper(result.reasons.back().front()));
  }
  return &*found;
}

void explain_choice(SelectionResult& result, const CriterionChoice& choice) {
  const std::size_t winner = *result.recommended;
  const auto value = [&](std::size_t i) { return result.candidates[i].value(choice.criterion); };
  if (is_validated(choice.criterion)) {
    std::string sentence = fmt::format("Recommended is {}: {} is best for {}", candidate_name(result, winner),
                                       label(choice.criterion, result), candidate_name(result, choice.candidate));
    sentence += winner == choice.candidate
                    ? std::string(", and no smaller model is within one standard error of it.")
                    : std::string(", and this is the smallest model within one standard error of it.");
    result.reasons.push_back(sentence);
    return;
  }
  std::optional<std::size_t> second;
  for (std::size_t i = 0; i < result.candidates.size(); ++i)
    if (i != winner && result.candidates[i].excluded.empty() && !std::isnan(value(i)) &&
        (!second || value(i) < value(*second)))
      second = i;
  std::string sentence = fmt::format("Recommended is {}: it has the smallest {} ({:.2f})",
                                     candidate_name(result, winner), label(choice.criterion, result), value(winner));
  if (choice.criterion == SelectionCriterion::dendrogram)
    sentence =
        fmt::format("Recommended is {}: the dendrogram's criterion is smallest there", candidate_name(result, winner));
  if (!second) {
    result.reasons.push_back(sentence + "; there is nothing to compare it with.");
    return;
  }
  const double gap = value(*second) - value(winner);
  sentence += fmt::format(", {:.2f} below {}", gap, candidate_name(result, *second));
  if (choice.criterion == SelectionCriterion::bic) sentence += fmt::format(" ({})", strength(gap));
  result.reasons.push_back(sentence + ".");
  if (choice.criterion != SelectionCriterion::bic) return;
  std::vector<std::string> ties;
  for (std::size_t i = 0; i < result.candidates.size(); ++i)
    if (i != winner && result.candidates[i].excluded.empty() && value(i) - value(winner) < kNearTie)
      ties.push_back(candidate_name(result, i));
  if (!ties.empty())
    result.reasons.push_back(
        fmt::format("Near tie: {} cannot be told from it by BIC (less than {:g} units).", listed(ties), kNearTie));
}

// Who agrees, and by how much the others' choices are behind in BIC.
void explain_disagreement(SelectionResult& result, const CriterionChoice& leading) {
  const std::size_t winner = *result.recommended;
  std::map<std::size_t, std::vector<std::string>> supporters;
  for (const CriterionChoice& choice : result.choices)
    if (choice.criterion != leading.criterion)
      supporters[choice.one_standard_error.value_or(choice.candidate)].push_back(
          label(choice.criterion, result) + (choice.one_standard_error ? " (one-standard-error rule)" : ""));
  if (supporters.contains(winner)) {
    const std::vector<std::string>& names = supporters[winner];
    result.reasons.push_back(fmt::format("{} {}.", listed(names), names.size() == 1 ? "agrees" : "agree"));
  }
  for (const auto& [candidate, names] : supporters) {
    if (candidate == winner) continue;
    const double gap = result.candidates[candidate].criteria.bic - result.candidates[winner].criteria.bic;
    result.reasons.push_back(fmt::format("{} {} {}, whose BIC is {:.2f} {}.", listed(names),
                                         names.size() == 1 ? "chooses" : "choose", candidate_name(result, candidate),
                                         std::abs(gap), gap >= 0 ? "larger" : "smaller"));
  }
  for (std::string& reason : result.reasons)
    reason.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(reason.front())));
}

void add_cautions(SelectionResult& result) {
  const std::size_t winner = *result.recommended;
  const Candidate& candidate = result.candidates[winner];
  int most = 0;
  for (const Candidate& other : result.candidates)
    if (other.family == candidate.family) most = std::max(most, other.experts);
  if (candidate.experts == most && most > 1)
    result.reasons.push_back(
        fmt::format("{} is the largest number of experts tried; look at more with --experts.", most));
  if (candidate.fit.gate_separated)
    result.reasons.push_back(
        "Its gate separates the data: coefficients run to infinity and are held by a weak penalty, so that criteria "
        "count parameters the data do not determine.");
  const bool dendrogram_chose =
      std::any_of(result.choices.begin(), result.choices.end(), [&](const CriterionChoice& choice) {
        return choice.criterion == SelectionCriterion::dendrogram &&
               result.candidates[choice.candidate].experts < candidate.experts;
      });
  if (dendrogram_chose)
    result.reasons.push_back(
        "The dendrogram is conservative: it chooses fewer experts when one is weak or close to another.");
}

}  // namespace

namespace detail {

void recommend(SelectionResult& result, SelectionCriterion criterion) {
  for (const auto& entry : enum_names(SelectionCriterion{})) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < result.candidates.size(); ++i) {
      const Candidate& candidate = result.candidates[i];
      if (!candidate.excluded.empty() || !std::isfinite(candidate.value(entry.value))) continue;
      if (!best || candidate.value(entry.value) < result.candidates[*best].value(entry.value)) best = i;
    }
    if (!best) continue;
    CriterionChoice choice{entry.value, *best, std::nullopt};
    if (is_validated(entry.value)) choice.one_standard_error = one_standard_error(result, entry.value, *best);
    result.choices.push_back(choice);
  }
  const CriterionChoice* leading = leading_choice(result, criterion);
  if (leading) {
    result.recommended = leading->one_standard_error.value_or(leading->candidate);
    explain_choice(result, *leading);
    explain_disagreement(result, *leading);
    add_cautions(result);
  } else {
    result.reasons.push_back("No candidate can be recommended.");
  }
  for (std::size_t i = 0; i < result.candidates.size(); ++i)
    if (!result.candidates[i].excluded.empty())
      result.reasons.push_back(
          fmt::format("Set aside: {} ({}).", candidate_name(result, i), result.candidates[i].excluded));
}

}  // namespace detail

std::string kinds_name(const CandidateFamily& family) {
  if (family.kinds.size() < 2) return std::string(enum_name(family.expert.kind));
  std::string name;
  for (const ExpertKind kind : family.kinds) name += (name.empty() ? "" : "+") + std::string(enum_name(kind));
  return name;
}

std::string family_name(const CandidateFamily& family) {
  return fmt::format("{} experts behind a {} gate", kinds_name(family), enum_name(family.gate.kind));
}

std::string candidate_name(const SelectionResult& result, std::size_t candidate) {
  const Candidate& one = result.candidates[candidate];
  const CandidateFamily& family = result.families[one.family];
  if (one.experts == 1) return fmt::format("1 {} expert", enum_name(family.expert.kind));
  return fmt::format("{} {}", one.experts, family_name(family));
}

}  // namespace clearway
