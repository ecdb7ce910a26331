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

Json least_squares_json(const LeastSquaresReport& report) {
  const auto list = [](const Vector& values) {
    Json array = Json::array();
    for (const double value : values) array.push_back(json_number_or_null(value));
    return array;
  };
  return Json{{"sum_of_squares", list(report.sum_of_squares)},
              {"r_squared", list(report.r_squared)},
              {"residual_deviation", list(report.residual_deviation)},
              {"parameters", report.parameters},
              {"rank", report.rank},
              {"smallest_singular_value", json_number_or_null(report.smallest_singular_value)},
              {"condition", json_number_or_null(report.condition)},
              {"flat_directions", report.flat_directions}};
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
  object["form"] = std::string(enum_name(model.form));
  object["least_squares"] = result.least_squares ? least_squares_json(*result.least_squares) : Json(nullptr);
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

Json inference_json(const Inference& inference) {
  if (inference.kind == StandardErrorKind::none) return nullptr;
  Json object = Json::object();
  object["standard_errors"] = std::string(enum_name(inference.kind));
  object["level"] = inference.level;
  object["condition_number"] = json_number_or_null(inference.condition_number);
  object["flat_direction"] = inference.flat_direction;
  Json parameters = Json::array();
  for (int i = 0; i < inference.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    Json row = Json::object();
    row["name"] = inference.names[at];
    row["part"] = std::string(enum_name(inference.parts[at]));
    row["expert"] = inference.experts[at] >= 0 ? Json(inference.experts[at] + 1) : Json(nullptr);
    row["label"] = inference.labels[at];
    row["estimate"] = json_number_or_null(inference.estimates(i));
    row["standard_error"] = json_number_or_null(inference.standard_errors(i));
    row["z"] = json_number_or_null(inference.z(i));
    row["p"] = json_number_or_null(inference.p(i));
    row["lower"] = json_number_or_null(inference.lower(i));
    row["upper"] = json_number_or_null(inference.upper(i));
    row["fixed"] = static_cast<bool>(inference.fixed[at]);
    const int finding = inference.finding_of[at];
    row["not_valid"] =
        finding < 0 ? Json(nullptr)
                    : Json(std::string(enum_name(inference.findings[static_cast<std::size_t>(finding)].problem)));
    parameters.push_back(std::move(row));
  }
  object["parameters"] = std::move(parameters);
  Json findings = Json::array();
  for (const ValidityFinding& finding : inference.findings) {
    Json names = Json::array();
    for (const int i : finding.parameters) names.push_back(inference.names[static_cast<std::size_t>(i)]);
    findings.push_back(Json{{"problem", std::string(enum_name(finding.problem))},
                            {"sentence", finding.sentence},
                            {"withheld", std::move(names)}});
  }
  object["findings"] = std::move(findings);
  return object;
}

Json profile_json(const std::vector<ProfileInterval>& intervals) {
  Json list = Json::array();
  for (const ProfileInterval& interval : intervals) {
    Json points = Json::array();
    for (const auto& [value, deviance] : interval.profile)
      points.push_back(Json{{"value", json_number_or_null(value)}, {"deviance", json_number_or_null(deviance)}});
    list.push_back(Json{{"name", interval.name},
                        {"level", interval.level},
                        {"estimate", json_number_or_null(interval.estimate)},
                        {"lower", json_number_or_null(interval.lower)},
                        {"upper", json_number_or_null(interval.upper)},
                        {"note", interval.note},
                        {"profile", std::move(points)}});
  }
  return list;
}

Json wald_json(const std::vector<WaldTest>& tests) {
  Json list = Json::array();
  for (const WaldTest& test : tests)
    list.push_back(Json{{"hypothesis", test.hypothesis},
                        {"statistic", json_number_or_null(test.statistic)},
                        {"df", test.degrees},
                        {"p", json_number_or_null(test.p)},
                        {"not_valid", test.not_valid.empty() ? Json(nullptr) : Json(test.not_valid)}});
  return list;
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
