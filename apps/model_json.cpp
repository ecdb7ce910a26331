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
    if (factor.is_basis()) {
      json["columns"] = factor.power;
      json["constants"] =
          json_numbers(factor.constants.data(), factor.constants.size(), "constants of " + factor.column);
    }
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
  Json json{{"expert", std::string(enum_name(recipe.expert))},
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
  // Younger keys are there only where they say something: files without them stay as they were.
  if (!recipe.more_experts.empty()) {
    json["more_experts"] = Json::array();
    for (const ExpertKind kind : recipe.more_experts) json["more_experts"].push_back(std::string(enum_name(kind)));
  }
  if (!recipe.attributes.empty()) json["attributes"] = recipe.attributes;
  if (!recipe.event.empty()) json["event"] = recipe.event;
  if (!recipe.computed.empty()) json["computed"] = recipe.computed;
  if (recipe.censored_below) json["censored_below"] = json_number(*recipe.censored_below, "design.censored_below");
  if (recipe.censored_above) json["censored_above"] = json_number(*recipe.censored_above, "design.censored_above");
  return json;
}

Json vector_to_json(const Vector& values, const char* what) {
  return json_numbers(values.data(), static_cast<std::size_t>(values.size()), what);
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
              {"top_k", spec.top_k},
              {"top_k_rule", std::string(enum_name(spec.top_k_rule))},
              {"outer", std::string(enum_name(spec.outer))},
              {"inner", std::string(enum_name(spec.inner))},
              {"transform", std::string(enum_name(spec.transform))},
              {"units", std::string(enum_name(spec.units))},
              {"activation", std::string(enum_name(spec.activation))},
              {"estimate_temperature", spec.estimate_temperature},
              {"perturbation", json_number(spec.perturbation, "gate.perturbation")},
              {"fixed_weights", json_numbers(spec.weights.data(), spec.weights.size(), "gate.fixed_weights")},
              {"groups", gate.group_of()},
              {"input_centre", vector_to_json(gate.input_centre(), "gate.input_centre")},
              {"input_scale", vector_to_json(gate.input_scale(), "gate.input_scale")},
              {"parameters", std::move(blocks)},
              {"shared", vector_to_json(gate.shared(), "gate.shared")}};
}

Json expert_to_json(const Expert& expert, std::size_t number) {
  const ExpertSpec& spec = expert.spec();
  const std::string what = fmt::format("experts[{}]", number);
  Json json{{"kind", std::string(enum_name(spec.kind))},
            {"degree", spec.degree},
            {"leak", json_number(spec.leak, what + ".leak")},
            {"hidden", spec.hidden},
            {"variance", std::string(enum_name(spec.variance))},
            {"covariance", std::string(enum_name(spec.covariance))},
            {"divisor", std::string(enum_name(spec.divisor))},
            {"parameters", json_numbers(expert.parameters().data(),
                                        static_cast<std::size_t>(expert.parameters().size()), what + ".parameters")}};
  if (has_link(spec.kind)) json["link"] = std::string(enum_name(spec.link));
  return json;
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

bool contains(const std::vector<ExpertKind>& kinds, ExpertKind kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// Shapes that the recipe implies.
struct Shapes {
  int expert_inputs = 0;
  int gate_inputs = 0;
  int responses = 1;
  int classes = 0;
  int attributes = 0;
};

Shapes shapes_of(const DesignRecipe& recipe) {
  Shapes shapes;
  shapes.expert_inputs = static_cast<int>(recipe.expert_names().size());
  shapes.gate_inputs = static_cast<int>(recipe.gate_names().size());
  shapes.responses = static_cast<int>(recipe.target.size());
  shapes.classes = has_classes(recipe.expert) ? static_cast<int>(recipe.classes.size()) : 0;
  shapes.attributes = static_cast<int>(recipe.attributes.size());
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
    if (!contains(recipe.kinds(), expert.spec().kind) || expert.inputs() != shapes.expert_inputs ||
        expert.responses() != shapes.responses || expert.classes() != shapes.classes ||
        expert.attributes() != shapes.attributes)
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
  if (factor.is_basis()) {
    factor.power = static_cast<int>(json.integer("columns", factor.transform == Transform::b_spline ? 3 : 1, 50));
    factor.constants = json.numbers("constants", basis_constant_count(factor));
    check_basis(factor, json.where("constants"));
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

/// Attributes belong to conditional-logit experts, with a term of one column for every class at the end.
void check_attributes(const DesignRecipe& recipe, const std::string& where) {
  if ((recipe.expert == ExpertKind::conditional_logit) == recipe.attributes.empty())
    user_error("{} must name attributes for conditional-logit experts and only for them", where);
  const std::size_t needed = recipe.attributes.size() * recipe.classes.size(), terms = recipe.expert_terms.size();
  const bool fit =
      needed <= terms && std::all_of(recipe.expert_terms.end() - static_cast<std::ptrdiff_t>(std::min(needed, terms)),
                                     recipe.expert_terms.end(), [](const Term& term) { return term.width(1) == 1; });
  if (!fit) user_error("{} needs {} terms of one column at the end of experts_on, one for each class", where, needed);
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
  const bool classes_fit = has_classes(recipe.expert)               ? classes >= 2
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
  if (json.has("more_experts"))
    for (const std::string& name : json.texts("more_experts"))
      recipe.more_experts.push_back(enum_value<ExpertKind>(json.where("more_experts"), name));
  check_mixture(recipe.kinds());
  if (json.has("attributes")) recipe.attributes = json.texts("attributes");
  check_attributes(recipe, json.where("attributes"));
  if (json.has("event")) recipe.event = json.text("event");
  if (json.has("computed")) recipe.computed = json.texts("computed");
  check_computed(recipe.computed, json.where("computed"));
  if (json.has("censored_below")) recipe.censored_below = json.number("censored_below");
  if (json.has("censored_above")) recipe.censored_above = json.number("censored_above");
  if (!recipe.event.empty() && !allows_censoring(recipe.expert))
    user_error("{} is not for {} experts", json.where("event"), enum_name(recipe.expert));
  if ((recipe.censored_below || recipe.censored_above) && recipe.expert != ExpertKind::tobit)
    user_error("{}: limits of the response are not for {} experts", json.where(), enum_name(recipe.expert));
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

/// The settings of a gate. Those that the first releases did not write have their defaults where they are absent.
GateSpec gate_spec_from_json(JsonObject& json, int experts) {
  GateSpec spec;
  spec.kind = json.choice<GateKind>("kind");
  spec.temperature = json.number("temperature");
  if (!(spec.temperature > 0.0)) user_error("{} must be above 0, not {}", json.where("temperature"), spec.temperature);
  spec.shape = json.choice<QuadraticShape>("shape");
  spec.rank = static_cast<int>(json.integer("rank", 1, 1000));
  spec.linear_term = json.boolean("linear_term");
  if (json.has("top_k")) spec.top_k = static_cast<int>(json.integer("top_k", 0, experts));
  if (json.has("top_k_rule")) spec.top_k_rule = json.choice<TopKRule>("top_k_rule");
  if (json.has("outer")) spec.outer = json.choice<LevelKind>("outer");
  if (json.has("inner")) spec.inner = json.choice<LevelKind>("inner");
  if (json.has("transform")) spec.transform = json.choice<GateTransform>("transform");
  if (json.has("units")) spec.units = json.choice<GateUnits>("units");
  if (json.has("activation")) spec.activation = json.choice<GateActivation>("activation");
  if (json.has("estimate_temperature")) spec.estimate_temperature = json.boolean("estimate_temperature");
  if (json.has("perturbation")) spec.perturbation = json.number("perturbation");
  if (!(spec.perturbation >= 0.0))
    user_error("{} must be at least 0, not {}", json.where("perturbation"), spec.perturbation);
  if (json.has("fixed_weights")) spec.weights = json.numbers("fixed_weights");
  return spec;
}

/// The group of every expert; none for gates without groups.
std::vector<int> groups_from_json(JsonObject& json, int experts) {
  std::vector<int> groups;
  if (!json.has("groups")) return groups;
  detail::json_to(json.at("groups"), json.where("groups"), groups);
  for (const int group : groups)
    if (group < 0 || group >= experts)
      user_error("{} must hold numbers from 0 to {}, not {}", json.where("groups"), experts - 1, group);
  return groups;
}

Gate gate_from_json(JsonObject json, int inputs, int experts) {
  GateSpec spec = gate_spec_from_json(json, experts);
  const std::vector<int> groups = groups_from_json(json, experts);
  if (!groups.empty()) spec.groups = *std::max_element(groups.begin(), groups.end()) + 1;
  const std::int64_t q = inputs;
  refuse_excess((1 + q + std::max(q * (q + 1) / 2, 2 * spec.rank * q)) * experts, json.where());

  Gate gate;
  try {
    gate = Gate(spec, inputs, experts);
    if (spec.kind == GateKind::hierarchical) gate.set_group_of(groups);
  } catch (const std::invalid_argument& error) {
    user_error("{}: {}", json.where(), error.what());
  }
  const auto scale = json.numbers("input_scale", static_cast<std::size_t>(inputs));
  for (const double s : scale)
    if (!(s > 0.0)) user_error("{} must hold numbers above 0, not {}", json.where("input_scale"), s);
  Vector centre = Vector::Zero(inputs);
  if (json.has("input_centre")) centre = vector_of(json.numbers("input_centre", static_cast<std::size_t>(inputs)));
  gate.set_units(centre, vector_of(scale));
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
  if (json.has("shared") || gate.shared_size() > 0)
    gate.shared() = vector_of(json.numbers("shared", static_cast<std::size_t>(gate.shared_size())));
  json.finish();
  return gate;
}

Expert expert_from_json(JsonObject json, const std::vector<ExpertKind>& kinds, const Shapes& shapes) {
  ExpertSpec spec;
  spec.kind = json.choice<ExpertKind>("kind");
  if (!contains(kinds, spec.kind))
    user_error("{} must be that of the design ({}), not {}", json.where("kind"), enum_name(kinds.front()),
               enum_name(spec.kind));
  spec.degree = static_cast<int>(json.integer("degree", 1, 9));
  spec.leak = json.number("leak");
  if (spec.leak < 0.0 || spec.leak > 1.0) user_error("{} must lie in [0, 1], not {}", json.where("leak"), spec.leak);
  spec.hidden = static_cast<int>(json.integer("hidden", 1, 200));
  spec.variance = json.choice<VarianceKind>("variance");
  spec.covariance = json.choice<CovarianceKind>("covariance");
  spec.divisor = json.choice<VarianceDivisor>("divisor");
  if (json.has("link")) spec.link = json.choice<LinkKind>("link");  // files before there was a choice have none
  const std::int64_t d = shapes.expert_inputs, m = shapes.responses, c = shapes.classes;
  refuse_excess((2 + d) * std::max({std::int64_t{spec.hidden} + 2, m, c}) + m * (m + 1) / 2, json.where());

  Expert expert(spec, shapes.expert_inputs, shapes.responses, shapes.classes, shapes.attributes);
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

Json constraints_to_json(const Constraints& constraints) {
  Json fixed = Json::array();
  for (const FixedParameter& f : constraints.fixed)
    fixed.push_back(Json{{"in_gate", f.in_gate},
                         {"expert", f.expert},
                         {"parameter", f.parameter},
                         {"value", json_number(f.value, "constraints.fixed.value")}});
  return Json{{"fixed", std::move(fixed)}, {"shared", constraints.shared}};
}

void read_constraints(JsonObject json, MixtureModel& model) {
  const int experts = model.expert_count();
  const std::int64_t in_expert = model.experts.front().parameters().size();
  for (JsonObject& one : json.objects("fixed")) {
    FixedParameter f;
    f.in_gate = one.boolean("in_gate");
    f.expert = static_cast<int>(one.integer("expert", 0, experts - 1));
    const std::int64_t count = f.in_gate ? model.gate.block_size() : in_expert;
    if (count == 0) user_error("{}: the gate has no parameters to fix", one.where());
    f.parameter = static_cast<int>(one.integer("parameter", 0, count - 1));
    f.value = one.number("value");
    one.finish();
    model.constraints.fixed.push_back(f);
  }
  for (const double number : json.numbers("shared")) {
    if (number != std::floor(number) || number < 0 || number >= static_cast<double>(in_expert))
      user_error("{} must hold whole numbers from 0 to {}, not {}", json.where("shared"), in_expert - 1, number);
    model.constraints.shared.push_back(static_cast<int>(number));
  }
  json.finish();
}

// A regression function has one residual covariance, kept with every expert, and nothing else beside its mean.
void check_form(const MixtureModel& model, const std::string& where) {
  if (model.form == ModelForm::mixture) return;
  const Expert& first = model.experts.front();
  for (const Expert& expert : model.experts)
    if (model.has_noise || (first.responses() == 1 && !first.has_sigma()) ||
        !(expert.covariance().array() == first.covariance().array()).all())
      user_error("{} is regression: the experts must be Gaussian with one noise level, without a noise component",
                 where);
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
  Json document{{"format", kFormat},
                {"version", kVersion},
                {"design", recipe_to_json(recipe)},
                {"gate", gate_to_json(model.gate)},
                {"experts", std::move(experts)},
                {"noise", std::move(noise)}};
  if (!model.constraints.empty()) document["constraints"] = constraints_to_json(model.constraints);
  if (inference) document["inference"] = inference_to_json(*inference);
  if (model.form != ModelForm::mixture) document["form"] = std::string(enum_name(model.form));
  return document;
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
    saved.model.experts.push_back(expert_from_json(std::move(expert), saved.recipe.kinds(), shapes));
  read_noise(json, saved.model);
  if (json.has("constraints")) read_constraints(json.object("constraints"), saved.model);
  saved.inference = read_inference(json, saved.model);
  if (json.has("form")) saved.model.form = json.choice<ModelForm>("form");
  check_form(saved.model, json.where("form"));
  json.finish();
  return saved;
}

}  // namespace clearway
