#include "model_json.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {

constexpr std::string_view kFormat = "clearway-model";
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMostInputs = 20000;          ///< columns of the experts' or the gate's inputs
constexpr std::int64_t kMostParameters = 50000000;  ///< 400 MB of doubles: more is a broken file

// ---------------------------------------------------------------------------------------------------------- writing

Json term_to_json(const Term& term) {
  Json factors = Json::array();
  for (const Factor& factor : term.factors) {
    Json json{{"column", factor.column}, {"transform", std::string(enum_name(factor.transform))}};
    if (factor.transform == Transform::power) json["power"] = factor.power;
    if (factor.transform == Transform::category) json["levels"] = factor.levels;
    factors.push_back(std::move(json));
  }
  return factors;
}

Json terms_to_json(const std::vector<Term>& terms) {
  Json json = Json::array();
  for (const Term& term : terms) json.push_back(term_to_json(term));
  return json;
}

Json recipe_to_json(const DesignRecipe& recipe) {
  return Json{{"expert", std::string(enum_name(recipe.expert))},
              {"target", recipe.target},
              {"classes", recipe.classes},
              {"experts_on", terms_to_json(recipe.expert_terms)},
              {"gate_on", terms_to_json(recipe.gate_terms)},
              {"weights", recipe.weights},
              {"trials", recipe.trials},
              {"offset", recipe.offset},
              {"id", recipe.id},
              {"labels", recipe.labels},
              {"label_levels", recipe.label_levels}};
}

Json gate_to_json(const Gate& gate) {
  Json blocks = Json::array();
  for (int k = 0; k < gate.experts(); ++k)
    blocks.push_back(json_numbers(gate.block(k).data(), static_cast<std::size_t>(gate.block_size()),
                                  fmt::format("gate.parameters[{}]", k)));
  const GateSpec& spec = gate.spec();
  return Json{{"kind", std::string(enum_name(spec.kind))},
              {"temperature", json_number(spec.temperature, "gate.temperature")},
              {"shape", std::string(enum_name(spec.shape))},
              {"rank", spec.rank},
              {"linear_term", spec.linear_term},
              {"input_scale", json_numbers(gate.input_scale().data(),
                                           static_cast<std::size_t>(gate.input_scale().size()), "gate.input_scale")},
              {"parameters", std::move(blocks)}};
}

Json expert_to_json(const Expert& expert, std::size_t number) {
  const ExpertSpec& spec = expert.spec();
  const std::string what = fmt::format("experts[{}]", number);
  return Json{{"kind", std::string(enum_name(spec.kind))},
              {"degree", spec.degree},
              {"leak", json_number(spec.leak, what + ".leak")},
              {"hidden", spec.hidden},
              {"variance", std::string(enum_name(spec.variance))},
              {"covariance", std::string(enum_name(spec.covariance))},
              {"divisor", std::string(enum_name(spec.divisor))},
              {"parameters", json_numbers(expert.parameters().data(),
                                          static_cast<std::size_t>(expert.parameters().size()), what + ".parameters")}};
}

Json inference_to_json(const SavedInference& inference) {
  std::vector<double> triangle;
  triangle.reserve(static_cast<std::size_t>(inference.covariance.size()));
  for (Eigen::Index i = 0; i < inference.covariance.rows(); ++i)
    for (Eigen::Index j = 0; j <= i; ++j) triangle.push_back(inference.covariance(i, j));
  return Json{{"standard_errors", std::string(enum_name(inference.kind))},
              {"notes", inference.notes},
              {"covariance", json_numbers(triangle.data(), triangle.size(), "inference.covariance")}};
}

/// Shapes that the recipe implies.
struct Shapes {
  int expert_inputs = 0;
  int gate_inputs = 0;
  int responses = 1;
  int classes = 0;
};

Shapes shapes_of(const DesignRecipe& recipe) {
  Shapes shapes;
  shapes.expert_inputs = static_cast<int>(recipe.expert_names().size());
  shapes.gate_inputs = static_cast<int>(recipe.gate_names().size());
  shapes.responses = static_cast<int>(recipe.target.size());
  shapes.classes = recipe.expert == ExpertKind::multinomial ? static_cast<int>(recipe.classes.size()) : 0;
  return shapes;
}

void require_fit(const MixtureModel& model, const DesignRecipe& recipe) {
  const Shapes shapes = shapes_of(recipe);
  if (model.experts.empty()) user_error("a model to save needs at least one expert");
  if (model.gate.experts() != model.expert_count())
    user_error("the gate is for {} experts, the model has {}", model.gate.experts(), model.expert_count());
  if (model.gate.inputs() != shapes.gate_inputs)
    user_error("the gate has {} inputs, the recipe {}", model.gate.inputs(), shapes.gate_inputs);
  for (const Expert& expert : model.experts)
    if (expert.spec().kind != recipe.expert || expert.inputs() != shapes.expert_inputs ||
        expert.responses() != shapes.responses || expert.classes() != shapes.classes)
      user_error("the experts ({}, {} inputs, {} responses, {} classes) do not fit the recipe ({}, {}, {}, {})",
                 enum_name(expert.spec().kind), expert.inputs(), expert.responses(), expert.classes(),
                 enum_name(recipe.expert), shapes.expert_inputs, shapes.responses, shapes.classes);
}

// ---------------------------------------------------------------------------------------------------------- reading

Factor factor_from_json(JsonObject json) {
  Factor factor;
  factor.column = json.text("column");
  factor.transform = json.choice<Transform>("transform");
  if (factor.transform == Transform::power) factor.power = static_cast<int>(json.integer("power", 2, 9));
  if (factor.transform == Transform::category) {
    factor.levels = json.texts("levels");
    if (factor.levels.size() < 2)
      user_error("{} must hold at least 2 levels, not {}", json.where("levels"), factor.levels.size());
    auto sorted = factor.levels;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      user_error("{} holds a level twice", json.where("levels"));
  }
  json.finish();
  return factor;
}

std::vector<Term> terms_from_json(JsonObject& json, const char* key) {
  const Json& array = json.at(key);
  if (!array.is_array()) user_error("{} must be a list of terms", json.where(key));
  std::vector<Term> terms;
  std::size_t columns = 0;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", json.where(key), i);
    if (!array[i].is_array() || array[i].empty()) user_error("{} must be a list of factors", where);
    Term term;
    for (std::size_t j = 0; j < array[i].size(); ++j)
      term.factors.push_back(factor_from_json({array[i][j], fmt::format("{}[{}]", where, j)}));
    columns += term.width(kMostInputs);
    if (columns > kMostInputs) user_error("{} gives more than {} columns", json.where(key), kMostInputs);
    terms.push_back(std::move(term));
  }
  return terms;
}

DesignRecipe recipe_from_json(JsonObject json) {
  DesignRecipe recipe;
  recipe.expert = json.choice<ExpertKind>("expert");
  recipe.target = json.texts("target");
  if (recipe.target.empty()) user_error("{} must name at least one column", json.where("target"));
  const bool vector_allowed = recipe.expert == ExpertKind::linear || recipe.expert == ExpertKind::constant;
  if (recipe.target.size() > 1 && !vector_allowed)
    user_error("{} must name one column for {} experts, not {}", json.where("target"), enum_name(recipe.expert),
               recipe.target.size());
  recipe.classes = json.texts("classes");
  const std::size_t classes = recipe.classes.size();
  const bool classes_fit = recipe.expert == ExpertKind::multinomial ? classes >= 2
                           : recipe.expert == ExpertKind::bernoulli ? classes == 0 || classes == 2
                                                                    : classes == 0;
  if (!classes_fit)
    user_error("{} does not fit {} experts: it holds {}", json.where("classes"), enum_name(recipe.expert), classes);
  recipe.expert_terms = terms_from_json(json, "experts_on");
  recipe.gate_terms = terms_from_json(json, "gate_on");
  recipe.weights = json.text("weights");
  recipe.trials = json.text("trials");
  recipe.offset = json.text("offset");
  if (json.has("id")) recipe.id = json.text("id");  // these came later than the first models
  if (json.has("labels")) recipe.labels = json.text("labels");
  if (json.has("label_levels")) recipe.label_levels = json.texts("label_levels");
  if ((recipe.expert == ExpertKind::binomial) == recipe.trials.empty())
    user_error("{} must name a column for binomial experts and only for them", json.where("trials"));
  json.finish();
  return recipe;
}

Vector vector_of(const std::vector<double>& values) {
  return Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(values.size()));
}

/// An upper bound of the parameters of one gate block or one expert, before anything of that size is allocated.
void refuse_excess(std::int64_t parameters, const std::string& where) {
  if (parameters > kMostParameters) user_error("{}: a model of that many parameters cannot be right", where);
}

Gate gate_from_json(JsonObject json, int inputs, int experts) {
  GateSpec spec;
  spec.kind = json.choice<GateKind>("kind");
  spec.temperature = json.number("temperature");
  if (!(spec.temperature > 0.0)) user_error("{} must be above 0, not {}", json.where("temperature"), spec.temperature);
  spec.shape = json.choice<QuadraticShape>("shape");
  spec.rank = static_cast<int>(json.integer("rank", 1, 1000));
  spec.linear_term = json.boolean("linear_term");
  const std::int64_t q = inputs;
  refuse_excess((1 + q + std::max(q * (q + 1) / 2, 2 * spec.rank * q)) * experts, json.where());

  Gate gate(spec, inputs, experts);
  const auto scale = json.numbers("input_scale", static_cast<std::size_t>(inputs));
  for (const double s : scale)
    if (!(s > 0.0)) user_error("{} must hold numbers above 0, not {}", json.where("input_scale"), s);
  gate.set_input_scale(vector_of(scale));
  const Json& blocks = json.at("parameters");
  const std::string where = json.where("parameters");
  if (!blocks.is_array() || blocks.size() != static_cast<std::size_t>(experts))
    user_error("{} must be a list of {}, one for each expert", where,
               plural(static_cast<std::size_t>(experts), "list"));
  for (int k = 0; k < experts; ++k) {
    std::vector<double> block;
    const std::string what = fmt::format("{}[{}]", where, k);
    detail::json_to(blocks[static_cast<std::size_t>(k)], what, block);
    if (block.size() != static_cast<std::size_t>(gate.block_size()))
      user_error("{} must hold {}, not {}", what, plural(static_cast<std::size_t>(gate.block_size()), "number"),
                 block.size());
    gate.block(k) = vector_of(block);
  }
  json.finish();
  return gate;
}

Expert expert_from_json(JsonObject json, ExpertKind kind, const Shapes& shapes) {
  ExpertSpec spec;
  spec.kind = json.choice<ExpertKind>("kind");
  if (spec.kind != kind)
    user_error("{} must be that of the design ({}), not {}", json.where("kind"), enum_name(kind), enum_name(spec.kind));
  spec.degree = static_cast<int>(json.integer("degree", 1, 9));
  spec.leak = json.number("leak");
  if (spec.leak < 0.0 || spec.leak > 1.0) user_error("{} must lie in [0, 1], not {}", json.where("leak"), spec.leak);
  spec.hidden = static_cast<int>(json.integer("hidden", 1, 200));
  spec.variance = json.choice<VarianceKind>("variance");
  spec.covariance = json.choice<CovarianceKind>("covariance");
  spec.divisor = json.choice<VarianceDivisor>("divisor");
  const std::int64_t d = shapes.expert_inputs, m = shapes.responses, c = shapes.classes;
  refuse_excess((2 + d) * std::max({std::int64_t{spec.hidden} + 2, m, c}) + m * (m + 1) / 2, json.where());

  Expert expert(spec, shapes.expert_inputs, shapes.responses, shapes.classes);
  expert.parameters() = vector_of(json.numbers("parameters", static_cast<std::size_t>(expert.parameters().size())));
  json.finish();
  return expert;
}

std::optional<SavedInference> read_inference(JsonObject& json, const MixtureModel& model) {
  if (!json.has("inference")) return std::nullopt;
  JsonObject object = json.object("inference");
  SavedInference inference;
  inference.kind = object.choice<StandardErrorKind>("standard_errors");
  inference.notes = object.texts("notes");
  const std::vector<double> triangle = object.numbers("covariance");
  const auto size = model_parameters(model).size();
  if (!triangle.empty()) {
    if (static_cast<Eigen::Index>(triangle.size()) != size * (size + 1) / 2)
      user_error("{} must hold the lower triangle of a {} x {} matrix, not {}", object.where("covariance"), size, size,
                 plural(triangle.size(), "number"));
    inference.covariance.resize(size, size);
    std::size_t at = 0;
    for (Eigen::Index i = 0; i < size; ++i)
      for (Eigen::Index j = 0; j <= i; ++j) inference.covariance(i, j) = inference.covariance(j, i) = triangle[at++];
    if ((inference.covariance.diagonal().array() < 0).any())
      user_error("{} must not hold negative variances", object.where("covariance"));
  }
  object.finish();
  return inference;
}

void read_noise(JsonObject& json, MixtureModel& model) {
  if (json.at("noise").is_null()) return;
  JsonObject noise = json.object("noise");
  model.has_noise = true;
  model.noise_weight = noise.number("weight");
  if (model.noise_weight < 0.0 || model.noise_weight >= 1.0)
    user_error("{} must lie in [0, 1), not {}", noise.where("weight"), model.noise_weight);
  model.noise_log_density = noise.number("log_density");
  noise.finish();
}

}  // namespace

std::optional<SavedInference> saved_inference(const Inference& inference) {
  if (inference.kind == StandardErrorKind::none) return std::nullopt;
  SavedInference saved{inference.kind, inference.model_covariance, {}};
  for (const ValidityFinding& finding : inference.findings) saved.notes.push_back(finding.sentence);
  return saved;
}

Json model_to_json(const MixtureModel& model, const DesignRecipe& recipe,
                   const std::optional<SavedInference>& inference) {
  require_fit(model, recipe);
  Json experts = Json::array();
  for (std::size_t k = 0; k < model.experts.size(); ++k) experts.push_back(expert_to_json(model.experts[k], k));
  Json noise = nullptr;
  if (model.has_noise)
    noise = Json{{"weight", json_number(model.noise_weight, "noise.weight")},
                 {"log_density", json_number(model.noise_log_density, "noise.log_density")}};
  Json json{{"format", kFormat},
            {"version", kVersion},
            {"design", recipe_to_json(recipe)},
            {"gate", gate_to_json(model.gate)},
            {"experts", std::move(experts)},
            {"noise", std::move(noise)}};
  if (inference) json["inference"] = inference_to_json(*inference);
  return json;
}

SavedModel model_from_json(const Json& document, const std::string& source) {
  JsonObject json(document, source);
  if (const std::string format = json.text("format"); format != kFormat)
    user_error("{} must be '{}', not {}: this is no model of Clearway", json.where("format"), kFormat,
               quoted_for_message(format));
  if (const auto version = json.integer("version", 1, 1000000); version > kVersion)
    user_error("{} is {}, from a newer Clearway; this one reads version {}", json.where("version"), version, kVersion);

  SavedModel saved;
  saved.recipe = recipe_from_json(json.object("design"));
  const Shapes shapes = shapes_of(saved.recipe);
  auto experts = json.objects("experts");
  if (experts.empty() || experts.size() > 1000)
    user_error("{} must hold 1 to 1000 experts, not {}", json.where("experts"), experts.size());
  saved.model.gate = gate_from_json(json.object("gate"), shapes.gate_inputs, static_cast<int>(experts.size()));
  for (auto& expert : experts)
    saved.model.experts.push_back(expert_from_json(std::move(expert), saved.recipe.expert, shapes));
  read_noise(json, saved.model);
  saved.inference = read_inference(json, saved.model);
  json.finish();
  return saved;
}

}  // namespace clearway
