// The model file: any model comes back bit for bit, and every structural error is named.
#include "model_json.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>

namespace clearway {
namespace {

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no exception";
}

double any_number() {
  const auto value = std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>());
  return std::isfinite(value) ? value : 0.1;
}

void fill(Vector& parameters) {
  for (auto& p : parameters) p = any_number();
}

template <NamedEnum E>
E any_of() {
  const std::span<const EnumName<E>> names = enum_names(E{});
  return names[*rc::gen::inRange<std::size_t>(0, names.size())].value;
}

std::string any_word() {
  const auto letters = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6));
  std::string word = "w";
  for (const int l : letters) word += std::string_view("ab\"\\\n ")[static_cast<std::size_t>(l)];
  return word;
}

Factor any_factor() {
  Factor factor{.column = any_word(), .transform = any_of<Transform>()};
  if (factor.transform == Transform::power) factor.power = *rc::gen::inRange(2, 10);
  if (factor.transform == Transform::category)
    for (const auto& level :
         *rc::gen::inRange(0, 2) == 0 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"", "é", "z"})
      factor.levels.push_back(level);
  if (factor.is_basis()) {
    factor.power = *rc::gen::inRange(3, 6);
    for (std::size_t i = 0; i < basis_constant_count(factor); ++i)
      factor.constants.push_back(static_cast<double>(i) + 0.5);
    if (factor.transform == Transform::b_spline)  // the ends come first
      std::rotate(factor.constants.begin() + 1, factor.constants.end() - 1, factor.constants.end());
  }
  return factor;
}

std::vector<Term> any_terms() {
  std::vector<Term> terms(*rc::gen::inRange<std::size_t>(0, 4));
  for (auto& term : terms) {
    term.factors.resize(*rc::gen::inRange<std::size_t>(1, 3));
    for (auto& factor : term.factors) factor = any_factor();
  }
  return terms;
}

SavedModel any_model() {
  SavedModel saved;
  DesignRecipe& recipe = saved.recipe;
  recipe.expert = any_of<ExpertKind>();
  recipe.target = {any_word()};
  if (recipe.expert == ExpertKind::linear && *rc::gen::arbitrary<bool>()) recipe.target.push_back("second");
  if (has_classes(recipe.expert)) recipe.classes = {"a", "b", "c"};
  if (recipe.expert == ExpertKind::bernoulli && *rc::gen::arbitrary<bool>()) recipe.classes = {"no", "yes"};
  if (recipe.expert == ExpertKind::binomial) recipe.trials = "n";
  if (allows_censoring(recipe.expert)) recipe.event = *rc::gen::element<std::string>("", "e");
  if (recipe.expert == ExpertKind::tobit && *rc::gen::arbitrary<bool>()) recipe.censored_below = any_number();
  recipe.weights = *rc::gen::element<std::string>("", "w");
  recipe.expert_terms = any_terms();
  recipe.gate_terms = any_terms();
  if (recipe.expert == ExpertKind::conditional_logit) {
    recipe.attributes = {any_word()};
    for (int s = 0; s < 3; ++s) recipe.expert_terms.push_back(Term{{Factor{.column = any_word()}}});
  }

  const auto d = static_cast<int>(recipe.expert_names().size());
  const auto q = static_cast<int>(recipe.gate_names().size());
  const int k = *rc::gen::inRange(1, 4);
  GateSpec gate{.kind = any_of<GateKind>(), .temperature = 0.7, .shape = any_of<QuadraticShape>(), .rank = 2};
  gate.linear_term = *rc::gen::arbitrary<bool>();
  if (gate_reads_inputs(gate.kind)) gate.top_k = *rc::gen::inRange(0, k + 1);
  if (gate.kind != GateKind::hierarchical) gate.top_k_rule = any_of<TopKRule>();
  gate.groups = *rc::gen::inRange(1, k + 1);
  gate.outer = any_of<LevelKind>();
  gate.inner = any_of<LevelKind>();
  gate.transform = any_of<GateTransform>();
  gate.units = any_of<GateUnits>();
  gate.activation = any_of<GateActivation>();
  gate.estimate_temperature = *rc::gen::arbitrary<bool>();
  gate.perturbation = *rc::gen::element(0.0, 0.1);
  if (gate.kind == GateKind::fixed) gate.weights.assign(static_cast<std::size_t>(k), 0.3);
  saved.model.gate = Gate(gate, q, k);
  fill(saved.model.gate.parameters());
  saved.model.gate.set_units(Vector::LinSpaced(q, -1.0, 2.0), Vector::LinSpaced(q, 0.1, 3.0));
  ExpertSpec expert{.kind = recipe.expert, .degree = 3, .leak = 0.2, .hidden = 2};
  expert.variance = any_of<VarianceKind>();
  expert.covariance = any_of<CovarianceKind>();
  expert.divisor = any_of<VarianceDivisor>();
  if (has_link(expert.kind)) expert.link = any_of<LinkKind>();
  for (int i = 0; i < k; ++i) {
    saved.model.experts.emplace_back(expert, d, static_cast<int>(recipe.target.size()),
                                     has_classes(recipe.expert) ? 3 : 0, static_cast<int>(recipe.attributes.size()));
    fill(saved.model.experts.back().parameters());
  }
  saved.model.has_noise = *rc::gen::arbitrary<bool>();
  if (saved.model.has_noise) {
    saved.model.noise_weight = 0.05;
    saved.model.noise_log_density = any_number();
  }
  return saved;
}

bool same_bits(const Vector& a, const Vector& b) {
  if (a.size() != b.size()) return false;
  for (Eigen::Index i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint64_t>(a[i]) != std::bit_cast<std::uint64_t>(b[i])) return false;
  return true;
}

RC_GTEST_PROP(ModelJson, AnyModelComesBackBitForBit, ()) {
  const SavedModel saved = any_model();
  const std::string text = json_text(model_to_json(saved.model, saved.recipe));
  const SavedModel back = model_from_json(parse_json(text, "m"), "m");
  RC_ASSERT(back.recipe == saved.recipe);
  RC_ASSERT(same_bits(back.model.gate.parameters(), saved.model.gate.parameters()));
  RC_ASSERT(same_bits(back.model.gate.input_scale(), saved.model.gate.input_scale()));
  RC_ASSERT(same_bits(back.model.gate.input_centre(), saved.model.gate.input_centre()));
  RC_ASSERT(back.model.gate.group_of() == saved.model.gate.group_of());
  RC_ASSERT(back.model.experts.size() == saved.model.experts.size());
  for (std::size_t i = 0; i < saved.model.experts.size(); ++i)
    RC_ASSERT(same_bits(back.model.experts[i].parameters(), saved.model.experts[i].parameters()));
  RC_ASSERT(back.model.has_noise == saved.model.has_noise);
  RC_ASSERT(back.model.noise_weight == saved.model.noise_weight);
  RC_ASSERT(back.model.noise_log_density == saved.model.noise_log_density);
  RC_ASSERT(json_text(model_to_json(back.model, back.recipe)) == text);  // specifications included
}

/// Two linear experts on x and a category, a softmax gate on log(x), noise.
SavedModel small_model() {
  SavedModel saved;
  saved.recipe.target = {"y"};
  saved.recipe.expert_terms = {Term{{Factor{.column = "x"}}},
                               Term{{Factor{.column = "s", .transform = Transform::category, .levels = {"a", "b"}}}}};
  saved.recipe.gate_terms = {Term{{Factor{.column = "x", .transform = Transform::power, .power = 2}}}};
  saved.model.gate = Gate(GateSpec{}, 1, 2);
  saved.model.gate.parameters() << 0.5, -1.5, 0, 0;
  for (int k = 0; k < 2; ++k) {
    saved.model.experts.emplace_back(ExpertSpec{}, 2);
    saved.model.experts.back().parameters() << k, 2, 3, -0.25;
  }
  saved.model.has_noise = true;
  saved.model.noise_weight = 0.1;
  saved.model.noise_log_density = -3;
  return saved;
}

// A regression function keeps its form; its experts share one noise level, and there is no noise component.
TEST(ModelJson, RegressionFormComesBackAndIsChecked) {
  SavedModel saved = small_model();
  saved.model.form = ModelForm::regression;
  saved.model.has_noise = false;
  const Json json = model_to_json(saved.model, saved.recipe);
  EXPECT_EQ(model_from_json(json, "m").model.form, ModelForm::regression);
  saved.model.experts[1].set_sigma(0.5);
  const Json unequal = model_to_json(saved.model, saved.recipe);
  EXPECT_NE(error_of([&] { (void)model_from_json(unequal, "m"); }).find("m: form is regression"), std::string::npos);
}

Json small_json() {
  const SavedModel saved = small_model();
  return model_to_json(saved.model, saved.recipe);
}

std::string read_error(const Json& json) {
  return error_of([&] { (void)model_from_json(json, "m.json"); });
}

/// Calls visit(pointer) for every object in a document.
void for_each_object(const Json& json, const Json::json_pointer& at,
                     const std::function<void(const Json::json_pointer&)>& visit) {
  if (json.is_object()) {
    visit(at);
    for (const auto& [key, value] : json.items()) for_each_object(value, at / key, visit);
  }
  if (json.is_array())
    for (std::size_t i = 0; i < json.size(); ++i) for_each_object(json[i], at / i, visit);
}

// Keys that came after the first models: their absence means what it meant then.
const std::set<std::string> kLaterKeys{
    "id",           "labels",        "label_levels", "computed",     "top_k",      "top_k_rule",
    "outer",        "inner",         "transform",    "units",        "activation", "estimate_temperature",
    "perturbation", "fixed_weights", "groups",       "input_centre", "shared"};

TEST(ModelJson, EveryKeyIsNeededAndNoOtherIsAllowed) {
  const Json good = small_json();
  EXPECT_EQ(read_error(good), "no exception");
  int keys = 0;
  for_each_object(good, Json::json_pointer(), [&](const Json::json_pointer& at) {
    for (const auto& [key, value] : good[at].items()) {
      Json without = good;
      without[at].erase(key);
      const std::string message = read_error(without);
      // (The transform of a term was there from the first; that of a gate came later.)
      if (kLaterKeys.contains(key) && !(key == "transform" && at.to_string().starts_with("/design"))) {
        EXPECT_EQ(message, "no exception") << at.to_string() << " " << key;
      } else {
        EXPECT_NE(message.find(key + " is missing"), std::string::npos)
            << at.to_string() << " " << key << ": " << message;
        EXPECT_TRUE(message.starts_with("m.json")) << message;
        ++keys;
      }
      // A value of another type is named too.
      for (const Json& other :
           {Json(nullptr), Json(true), Json("text"), Json(-7.5), Json::array({Json::object()}), Json::object()}) {
        if (key == "noise" && other.is_null()) continue;
        if (other.type() == value.type() && value.is_boolean()) continue;
        if (other.is_string() &&
            (key == "column" || key == "weights" || key == "offset" || key == "id" || key == "labels"))
          continue;
        if (other.is_number() && value.is_number_float() && key == "log_density") continue;
        Json wrong = good;
        wrong[at][key] = other;
        const std::string complaint = read_error(wrong);
        EXPECT_TRUE(complaint.starts_with("m.json"))
            << at.to_string() << " " << key << " = " << other << ": " << complaint;
      }
    }
    Json more = good;
    more[at]["paramters"] = 1;
    EXPECT_NE(read_error(more).find("there is no key 'paramters'"), std::string::npos) << read_error(more);
  });
  EXPECT_EQ(keys, 47);  // 6 + design 8 and factors 8 + gate 7 + experts 2 x 8 + noise 2
}

TEST(ModelJson, WrongValuesAreNamed) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json json = small_json();
    json[Json::json_pointer(pointer)] = value;
    return read_error(json);
  };
  EXPECT_EQ(changed("/format", "other"),
            "m.json: format must be 'clearway-model', not 'other': this is no model of Clearway");
  EXPECT_EQ(changed("/version", 2), "m.json: version is 2, from a newer Clearway; this one reads version 1");
  EXPECT_EQ(changed("/gate/kind", "sofmax"),
            "m.json: gate: kind must be one of softmax, constant, equal, sigmoid, laplace, gaussian, quadratic, fixed, "
            "activated, cosine, hierarchical, unnormalised-sigmoid, not 'sofmax' (did you mean 'softmax'?)");
  EXPECT_EQ(changed("/gate/top_k", 3), "m.json: gate: top_k must be at most 2, not 3");
  EXPECT_EQ(changed("/gate/kind", "fixed"),
            "m.json: gate: gate-weights must hold one number per expert: 0 for 2 experts");
  EXPECT_EQ(changed("/gate/kind", "hierarchical"),
            "m.json: gate: the groups of a gate need 2 numbers, one for each expert, not 0");
  EXPECT_EQ(changed("/gate/shared", {1.0}), "m.json: gate: shared must hold 0 numbers, not 1");
  EXPECT_EQ(changed("/gate/temperature", 0), "m.json: gate: temperature must be above 0, not 0");
  EXPECT_EQ(changed("/gate/rank", 0), "m.json: gate: rank must be at least 1, not 0");
  EXPECT_EQ(changed("/gate/parameters", Json::array()),
            "m.json: gate: parameters must be a list of 2 lists, one for each expert");
  EXPECT_EQ(changed("/gate/parameters/1", {1.0}), "m.json: gate: parameters[1] must hold 2 numbers, not 1");
  EXPECT_EQ(changed("/gate/parameters/1/0", nullptr), "m.json: gate: parameters[1][0] must be a number, not null");
  EXPECT_EQ(changed("/gate/input_scale", {0.0}), "m.json: gate: input_scale must hold numbers above 0, not 0");
  EXPECT_EQ(changed("/experts/1/parameters", {1.0, 2.0}), "m.json: experts[1]: parameters must hold 4 numbers, not 2");
  EXPECT_EQ(changed("/experts/0/kind", "poisson"),
            "m.json: experts[0]: kind must be that of the design (linear), not poisson");
  EXPECT_EQ(changed("/experts/0/leak", 2), "m.json: experts[0]: leak must lie in [0, 1], not 2");
  EXPECT_EQ(changed("/experts/0/hidden", 201), "m.json: experts[0]: hidden must be at most 200, not 201");
  EXPECT_EQ(changed("/experts", Json::array()), "m.json: experts must hold 1 to 1000 experts, not 0");
  EXPECT_EQ(changed("/noise/weight", 1), "m.json: noise: weight must lie in [0, 1), not 1");
  EXPECT_EQ(changed("/design/target", Json::array()), "m.json: design: target must name at least one column");
  EXPECT_EQ(changed("/design/classes", {"a", "b"}), "m.json: design: classes does not fit linear experts: it holds 2");
  EXPECT_EQ(changed("/design/trials", "n"),
            "m.json: design: trials must name a column for binomial experts and only for them");
  EXPECT_EQ(changed("/design/gate_on/0/0/power", 10), "m.json: design: gate_on[0][0]: power must be at most 9, not 10");
  EXPECT_EQ(changed("/design/experts_on/1/0/levels", {"a"}),
            "m.json: design: experts_on[1][0]: levels must hold at least 2 levels, not 1");
  EXPECT_EQ(changed("/design/experts_on/1/0/levels", {"a", "a"}),
            "m.json: design: experts_on[1][0]: levels holds a level twice");
  EXPECT_EQ(changed("/design/experts_on/1", Json::array()), "m.json: design: experts_on[1] must be a list of factors");
  EXPECT_EQ(changed("/design/gate_on", Json::array()), "m.json: gate: input_scale must hold 0 numbers, not 1");
}

TEST(ModelJson, HugeShapesAreRefusedBeforeTheyAreAllocated) {
  Json json = small_json();
  Json levels = Json::array();
  for (int i = 0; i < 100; ++i) levels.push_back(std::to_string(i));
  const Json category{{"column", "s"}, {"transform", "category"}, {"levels", levels}};
  json["design"]["gate_on"] = Json::array({Json::array({category, category, category})});
  EXPECT_EQ(read_error(json), "m.json: design: gate_on gives more than 20000 columns");
  json["design"]["gate_on"] = Json::array({Json::array({category, category})});
  json["gate"]["kind"] = "gaussian";
  EXPECT_EQ(read_error(json), "m.json: gate: a model of that many parameters cannot be right");
}

TEST(ModelJson, ModelsThatDoNotFitAreNotWritten) {
  const auto error = [](const std::function<void(SavedModel&)>& change) {
    SavedModel saved = small_model();
    change(saved);
    return error_of([&] { (void)model_to_json(saved.model, saved.recipe); });
  };
  EXPECT_EQ(error([](SavedModel&) {}), "no exception");
  EXPECT_EQ(error([](SavedModel& s) { s.model.experts.clear(); }), "a model to save needs at least one expert");
  EXPECT_EQ(error([](SavedModel& s) { s.model.experts.pop_back(); }), "the gate is for 2 experts, the model has 1");
  EXPECT_EQ(error([](SavedModel& s) { s.recipe.gate_terms.clear(); }), "the gate has 1 inputs, the recipe 0");
  EXPECT_EQ(error([](SavedModel& s) { s.recipe.expert_terms.clear(); }),
            "the experts (linear, 2 inputs, 1 responses, 0 classes) do not fit the recipe (linear, 0, 1, 0)");
  EXPECT_EQ(error([](SavedModel& s) { s.model.experts[1].parameters()[3] = std::nan(""); }),
            "experts[1].parameters[3] is nan: JSON has no such number");
  EXPECT_EQ(error([](SavedModel& s) { s.model.gate.parameters()[1] = std::numeric_limits<double>::infinity(); }),
            "gate.parameters[0][1] is inf: JSON has no such number");
  EXPECT_EQ(error([](SavedModel& s) { s.model.noise_weight = std::nan(""); }),
            "noise.weight is nan: JSON has no such number");
}

}  // namespace
}  // namespace clearway
