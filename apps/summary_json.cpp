#include "summary_json.hpp"

#include <cmath>

namespace clearway::cli {

namespace {

Json by_name(const std::vector<NamedValue>& values) {
  Json object = Json::object();
  for (const NamedValue& value : values) object[value.name] = json_number_or_null(value.value);
  return object;
}

Json expert_json(const FitResult& result, int k, const ModelNames& names, const Allocation& counts) {
  const Expert& expert = result.model.experts[static_cast<std::size_t>(k)];
  const ExpertReport report = expert_report(expert, names);
  Json object = Json::object();
  object["share"] = json_number_or_null(result.shares[k]);
  object["prior"] = json_number_or_null(counts.prior[k]);
  object["size"] = json_number_or_null(counts.size[k]);
  object["ratio"] = json_number_or_null(counts.ratio[k]);
  object["coefficients"] = by_name(report.coefficients);
  object["sigma"] = json_number_or_null(expert.has_sigma() ? expert.sigma() : std::nan(""));
  object["noise"] = by_name(report.noise);
  return object;
}

Json gate_json(const FitResult& result, const ModelNames& names) {
  const Gate& gate = result.model.gate;
  const int reference = gate_reference(gate);
  Json object = Json::object();
  object["kind"] = std::string(enum_name(gate.spec().kind));
  object["temperature"] = gate.temperature();
  object["reference"] = reference >= 0 ? Json(reference + 1) : Json(nullptr);
  Json experts = Json::array();
  for (int k = 0; k < gate.experts(); ++k) experts.push_back(by_name(gate_report(gate, k, names)));
  object["coefficients"] = std::move(experts);
  if (gate.spec().kind == GateKind::hierarchical) {
    Json groups = Json::array();
    for (const int group : gate.group_of()) groups.push_back(group + 1);
    object["groups"] = std::move(groups);
  }
  if (gate.shared_size() > 0) object["shared"] = by_name(shared_gate_report(gate, names));
  if (!gate.is_smooth()) object["top_k"] = gate.spec().top_k;
  object["separated"] = result.gate_separated;
  object["supremum_log_likelihood"] = json_number_or_null(result.supremum_log_likelihood);
  return object;
}

Json tournament_json(const FitResult& result) {
  Json starts = Json::array();
  for (const StartRecord& record : result.start_records) {
    Json object = Json::object();
    object["start"] = std::string(enum_name(record.kind));
    object["short_log_likelihood"] = json_number_or_null(record.short_log_likelihood);
    object["log_likelihood"] = json_number_or_null(record.log_likelihood);
    object["iterations"] = record.iterations;
    object["degenerate"] = record.degenerate;
    object["failure"] = record.failure;
    starts.push_back(std::move(object));
  }
  return starts;
}

}  // namespace

Json summary_json(const FitResult& result, const ModelNames& names, const Allocation& counts) {
  const MixtureModel& model = result.model;
  Json object = Json::object();
  object["formula"] = formula_line(model, names);
  object["response"] = names.responses;
  object["n"] = result.rows;
  object["total_weight"] = json_number_or_null(result.effective_rows);
  object["log_likelihood"] = json_number_or_null(result.log_likelihood);
  object["df"] = result.degrees_of_freedom;
  object["aic"] = json_number_or_null(result.aic);
  object["bic"] = json_number_or_null(result.bic);
  object["icl"] = json_number_or_null(result.icl);
  object["entropy"] = json_number_or_null(result.entropy);
  object["convention"] = kCriteriaConvention;
  object["converged"] = result.converged;
  object["reason"] = std::string(enum_name(result.reason));
  object["iterations"] = result.iterations;
  object["score"] = json_number_or_null(result.score);
  object["start"] = std::string(enum_name(result.start));
  object["starts"] = result.starts;
  object["starts_polished"] = result.starts_polished;
  object["starts_agreed"] = result.starts_agreed;
  object["degenerate_log_likelihood"] = json_number_or_null(result.degenerate_log_likelihood);
  object["warnings"] = result.warnings;
  Json experts = Json::array();
  for (int k = 0; k < model.expert_count(); ++k) experts.push_back(expert_json(result, k, names, counts));
  object["experts"] = std::move(experts);
  object["gate"] = gate_json(result, names);
  object["outliers"] = nullptr;
  if (model.has_noise) {
    object["outliers"] = Json{{"weight", json_number_or_null(model.noise_weight)},
                              {"share", json_number_or_null(result.shares[result.shares.size() - 1])}};
  }
  object["tournament"] = tournament_json(result);
  object["seconds"] = json_number_or_null(result.seconds);
  return object;
}

std::string history_lines(const FitResult& result) {
  std::string lines;
  for (const IterationRecord& record : result.history) {
    Json object = Json::object();
    object["start"] = record.start;
    object["iteration"] = record.iteration;
    object["phase"] = record.phase;
    object["log_likelihood"] = json_number_or_null(record.log_likelihood);
    if (std::isfinite(record.score)) object["score"] = record.score;
    lines += json_text(object, -1);
  }
  return lines;
}

}  // namespace clearway::cli
