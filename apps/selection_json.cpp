#include "selection_json.hpp"

namespace clearway::cli {

namespace {

Json estimate(const ScoreEstimate& score) {
  return {{"value", json_number_or_null(score.value)}, {"error", json_number_or_null(score.error)}};
}

Json candidate_json(const SelectionResult& result, std::size_t i) {
  const Candidate& one = result.candidates[i];
  const CandidateFamily& family = result.families[one.family];
  Json json = {{"experts", one.experts},
               {"gate", std::string(enum_name(family.gate.kind))},
               {"expert", kinds_name(family)},
               {"log_likelihood", json_number_or_null(one.fit.log_likelihood)},
               {"supremum_log_likelihood", json_number_or_null(one.fit.supremum_log_likelihood)},
               {"degrees_of_freedom", one.fit.degrees_of_freedom},
               {"converged", one.fit.converged},
               {"gate_separated", one.fit.gate_separated},
               {"start", std::string(enum_name(one.start))},
               {"starts_polished", one.fit.starts_polished},
               {"starts_agreed", one.fit.starts_agreed}};
  Json criteria;
  for (const auto& entry : enum_names(SelectionCriterion{})) {
    const std::string name(entry.name);
    if (entry.value == SelectionCriterion::log_score || entry.value == SelectionCriterion::rmse ||
        entry.value == SelectionCriterion::crps)
      continue;
    criteria[name] = json_number_or_null(one.value(entry.value));
  }
  json["criteria"] = criteria;
  json["cross_validation"] = one.validation.folds == 0 ? Json(nullptr)
                                                       : Json{{"folds", one.validation.folds},
                                                              {"log_score", estimate(one.validation.log_score)},
                                                              {"rmse", estimate(one.validation.rmse)},
                                                              {"crps", estimate(one.validation.crps)}};
  json["excluded"] = one.excluded.empty() ? Json(nullptr) : Json(one.excluded);
  return json;
}

}  // namespace

Json selection_json(const SelectionResult& result) {
  Json json = {{"rows", result.rows}, {"convention", "smaller is better; log_score: larger is better"}};
  json["candidates"] = Json::array();
  for (std::size_t i = 0; i < result.candidates.size(); ++i) json["candidates"].push_back(candidate_json(result, i));
  json["choices"] = Json::object();
  for (const CriterionChoice& choice : result.choices) {
    Json chosen = {{"candidate", choice.candidate}};
    if (choice.one_standard_error) chosen["one_standard_error"] = *choice.one_standard_error;
    json["choices"][std::string(enum_name(choice.criterion))] = chosen;
  }
  json["recommended"] = result.recommended ? Json(*result.recommended) : Json(nullptr);
  json["reasons"] = result.reasons;
  json["warnings"] = result.warnings;
  json["slope"] = json_number_or_null(result.kappa);
  if (result.dendrogram) {
    const ModelDendrogram& tree = *result.dendrogram;
    Json merges = Json::array();
    for (std::size_t s = 0; s < tree.heights.size(); ++s)
      merges.push_back({{"experts", tree.levels[s].expert_count()},
                        {"merges", {tree.pairs[s].first + 1, tree.pairs[s].second + 1}},
                        {"height", tree.heights[s]},
                        {"mean_log_likelihood", tree.mean_log_likelihoods[s]},
                        {"criterion", tree.criterion[s]}});
    json["dendrogram"] = {{"chosen", tree.chosen}, {"merges", merges}};
  } else {
    json["dendrogram"] = nullptr;
  }
  return json;
}

Json penalised_json(const PenalisedPath& path) {
  Json json = {{"experts", path.experts},        {"penalty", std::string(enum_name(path.penalty.kind))},
               {"refitted", path.penalty.relax}, {"unpenalised_bic", json_number_or_null(path.unpenalised.bic)},
               {"chosen", path.chosen},          {"points", Json::array()}};
  for (const PenalisedPoint& point : path.points)
    json["points"].push_back({{"strength", point.strength},
                              {"log_likelihood", json_number_or_null(point.log_likelihood)},
                              {"degrees_of_freedom", point.degrees_of_freedom},
                              {"bic", json_number_or_null(point.criteria.bic)},
                              {"log_score", estimate(point.log_score)},
                              {"expert_support", point.expert_support},
                              {"gate_support", point.gate_support},
                              {"converged", point.converged}});
  return json;
}

Json stepwise_json(const StepwiseResult& result) {
  Json json = {{"experts", result.fit.model.expert_count()}, {"fits", result.fits}, {"steps", Json::array()}};
  for (const StepwiseStep& step : result.steps)
    json["steps"].push_back({{"step", step.what}, {"bic", step.bic}, {"degrees_of_freedom", step.degrees_of_freedom}});
  return json;
}

}  // namespace clearway::cli
