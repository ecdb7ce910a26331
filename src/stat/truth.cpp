#include "clearway/stat/truth.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway {
namespace {

using Json = nlohmann::ordered_json;

std::vector<double> to_list(const Vector& values) {
  return {values.data(), values.data() + values.size()};
}

Vector to_vector(const Json& list) {
  Vector values(static_cast<Eigen::Index>(list.size()));
  for (std::size_t i = 0; i < list.size(); ++i) values(static_cast<Eigen::Index>(i)) = list.at(i).get<double>();
  return values;
}

template <class Options>
Json options_json(const Options& options) {
  Json json;
  Options::visit(options, [&](std::string_view name, const auto& value, const OptionInfo&) {
    if constexpr (NamedEnum<std::remove_cvref_t<decltype(value)>>) {
      json[snake_case(name)] = std::string(enum_name(value));
    } else {
      json[snake_case(name)] = value;
    }
  });
  return json;
}

Json gate_json(const Gate& gate) {
  Json json;
  json["kind"] = std::string(enum_name(gate.spec().kind));
  json["temperature"] = gate.spec().temperature;
  json["inputs"] = gate.inputs();
  Json blocks = Json::array();
  for (int i = 0; i < gate.experts(); ++i) blocks.push_back(to_list(gate.block(i)));
  json["parameters"] = blocks;
  return json;
}

Json expert_json(const Expert& expert) {
  const ExpertSpec& spec = expert.spec();
  Json json;
  json["kind"] = std::string(enum_name(spec.kind));
  json["degree"] = spec.degree;
  json["leak"] = spec.leak;
  json["hidden"] = spec.hidden;
  json["inputs"] = expert.inputs();
  json["responses"] = expert.responses();
  json["classes"] = expert.classes();
  if (expert.attributes() > 0) json["attributes"] = expert.attributes();
  if (expert.responses() == 1 && spec.kind != ExpertKind::network && !has_class_logits(spec.kind)) {
    json["intercept"] = expert.parameters()(0);
    if (spec.kind != ExpertKind::constant) json["slopes"] = to_list(expert.parameters().segment(1, expert.inputs()));
    if (expert.has_sigma()) json["sigma"] = expert.sigma();
  }
  json["parameters"] = to_list(expert.parameters());
  return json;
}

Gate read_gate(const Json& json, int experts) {
  GateSpec spec;
  spec.kind = enum_value<GateKind>("gate", json.at("kind").get<std::string>());
  spec.temperature = json.value("temperature", 1.0);
  Gate gate(spec, json.at("inputs").get<int>(), experts);
  const Json& blocks = json.at("parameters");
  if (static_cast<int>(blocks.size()) != experts)
    user_error("gate.parameters has {} rows for {} experts", blocks.size(), experts);
  for (int i = 0; i < experts; ++i) {
    const Vector block = to_vector(blocks.at(static_cast<std::size_t>(i)));
    if (block.size() != gate.block_size())
      user_error("row {} of gate.parameters has {} numbers, not {}", i + 1, block.size(), gate.block_size());
    gate.block(i) = block;
  }
  return gate;
}

Expert read_expert(const Json& json) {
  ExpertSpec spec;
  spec.kind = enum_value<ExpertKind>("expert", json.at("kind").get<std::string>());
  spec.degree = json.value("degree", spec.degree);
  spec.leak = json.value("leak", spec.leak);
  spec.hidden = json.value("hidden", spec.hidden);
  Expert expert(spec, json.at("inputs").get<int>(), json.value("responses", 1), json.value("classes", 0),
                json.value("attributes", 0));
  const Vector parameters = to_vector(json.at("parameters"));
  if (parameters.size() != expert.parameters().size())
    user_error("an expert of kind {} has {} parameters, not {}", enum_name(spec.kind), expert.parameters().size(),
               parameters.size());
  expert.parameters() = parameters;
  return expert;
}

Truth read_own(const Json& json) {
  if (const int version = json.at("version").get<int>(); version != 1)
    user_error("version {} of the format is newer than this program knows (1)", version);
  Truth truth;
  truth.scenario = json.at("scenario").at("scenario").get<std::string>();
  for (const Json& expert : json.at("experts")) truth.model.experts.push_back(read_expert(expert));
  if (truth.model.experts.empty()) user_error("experts must have at least 1 entry, not 0");
  truth.model.gate = read_gate(json.at("gate"), truth.model.expert_count());
  truth.shares = to_vector(json.at("shares"));
  if (const Json& noise = json.at("noise"); !noise.is_null()) {
    truth.noise_box = {to_vector(noise.at("low")), to_vector(noise.at("high"))};
    truth.model.has_noise = true;
    truth.model.noise_weight = noise.at("weight").get<double>();
    truth.model.noise_log_density = -(truth.noise_box.high - truth.noise_box.low).array().log().sum();
  }
  return truth;
}

ExpertKind plain_expert_kind(const std::string& kind) {
  if (kind == "pois") return ExpertKind::poisson;
  if (kind == "binom") return ExpertKind::binomial;
  if (kind == "gamma") return ExpertKind::gamma;
  return ExpertKind::linear;
}

Truth read_plain(const Json& json) {
  Truth truth;
  truth.scenario = json.at("kind").get<std::string>();
  const int experts = json.at("K").get<int>();
  const int dim = json.at("D").get<int>();
  truth.shares = to_vector(json.at("weights"));
  const ExpertSpec spec{.kind = plain_expert_kind(truth.scenario)};
  for (int i = 0; i < experts; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const Vector coefficients = to_vector(json.at("expert").at(row));
    if (coefficients.size() != dim + 1) user_error("row {} of expert must have {} numbers", i + 1, dim + 1);
    Expert expert(spec, dim);
    expert.parameters().head(dim + 1) = coefficients;
    if (spec.kind == ExpertKind::gamma) expert.parameters()(dim + 1) = std::log(json.at("shape").get<double>());
    if (expert.has_sigma()) expert.set_sigma(json.at("sigma").at(row).get<double>());
    truth.model.experts.push_back(expert);
  }
  if (json.at("gate").is_null()) {
    truth.model.gate = Gate(GateSpec{.kind = GateKind::constant}, 0, experts);
    for (int i = 0; i < experts; ++i)
      truth.model.gate.block(i)(0) = std::log(truth.shares(i) / truth.shares(experts - 1));
  } else {
    truth.model.gate = Gate(GateSpec{}, dim, experts);
    for (int i = 0; i < experts; ++i) {
      const Vector row = to_vector(json.at("gate").at(static_cast<std::size_t>(i)));
      if (row.size() != dim + 1) user_error("row {} of gate must have {} numbers", i + 1, dim + 1);
      truth.model.gate.block(i) = row;
    }
    truth.model.gate.pin();
  }
  return truth;
}

}  // namespace

std::string truth_json(const Problem& problem) {
  Json json;
  json["format"] = "clearway-truth";
  json["version"] = 1;
  json["scenario"] = options_json(problem.options);
  json["seed"] = problem.options.seed;
  json["gate"] = gate_json(problem.truth.gate);
  Json sigmas = Json::array();
  json["experts"] = Json::array();
  for (const Expert& expert : problem.truth.experts) {
    json["experts"].push_back(expert_json(expert));
    sigmas.push_back(expert.has_sigma() ? Json(expert.sigma()) : Json(nullptr));
  }
  json["noise"] = nullptr;
  if (problem.truth.has_noise)
    json["noise"] = {{"weight", problem.truth.noise_weight},
                     {"low", to_list(problem.noise_box.low)},
                     {"high", to_list(problem.noise_box.high)}};
  json["sigma"] = sigmas;
  json["shares"] = to_list(problem.shares);
  return json.dump(2) + "\n";
}

Truth parse_truth(std::string_view text, std::string_view source) {
  try {
    const Json json = Json::parse(text);
    if (!json.is_object()) user_error("it is no JSON object");
    if (json.contains("format")) {
      if (json.at("format") != "clearway-truth")
        user_error("its format is {}, not \"clearway-truth\"", json.at("format").dump());
      return read_own(json);
    }
    if (json.contains("kind") && json.contains("K")) return read_plain(json);
    user_error("it has neither \"format\" nor \"kind\" and \"K\"");
  } catch (const nlohmann::json::exception& error) {
    user_error("{} is no truth file: {}", source, error.what());
  } catch (const std::invalid_argument& error) {
    user_error("{} is no truth file: {}", source, error.what());
  }
}

}  // namespace clearway
