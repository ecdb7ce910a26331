#include "clearway/stat/design.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "basis.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_attributes.hpp"
#include "design_checks.hpp"
#include "design_computed.hpp"
#include "design_groups.hpp"
#include "design_response.hpp"
#include "design_terms.hpp"

namespace clearway {

namespace {

using detail::RowSelection;

/// More levels than this in a category are surely a name or a number of a case.
constexpr std::size_t kMostLevels = 1000;
/// More inputs than this come from a product of categories that nobody meant.
constexpr std::size_t kMostColumns = 20000;

std::vector<std::string> names_of(const std::vector<Term>& terms) {
  std::vector<std::string> names;
  for (const Term& term : terms)
    for (auto& name : term.names()) names.push_back(std::move(name));
  return names;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_none(const std::vector<std::string>& terms) {
  return terms.size() == 1 && terms.front() == "1";
}

void require_column(const Table& table, const std::string& name, std::string_view option) {
  if (table.has_column(name)) return;
  std::vector<std::string> names;
  for (const auto& column : table.columns) names.push_back(column.name);
  user_error("{}: there is no column '{}'{}; the columns are {}{}", option, name, did_you_mean(name, names),
             short_list(names), detail::why_no_expression(table, name));
}

bool allows_vector_response(ExpertKind kind) {
  return kind == ExpertKind::linear || kind == ExpertKind::constant;
}

/// Names that exist, parts that the kind of expert has, and no column in two parts.
void check_choice(const Table& table, const ColumnChoice& choice, ExpertKind expert) {
  if (choice.target.empty()) user_error("target must name the response: a column of the table");
  std::set<std::string> seen;
  for (const auto& name : choice.target) {
    require_column(table, name, "target");
    if (!seen.insert(name).second) user_error("target: '{}' is listed twice", name);
  }
  const bool vector_response = choice.target.size() > 1;
  if (expert == ExpertKind::binomial && vector_response)
    user_error(
        "target must be one column with --trials, or a pair of successes and failures without, for binomial experts; "
        "there are {}{}",
        plural(choice.target.size(), "column"), choice.trials.empty() ? "" : " and --trials");
  if (vector_response && !allows_vector_response(expert))
    user_error("target must be one column for {} experts, not {}; only linear and constant experts take a vector",
               enum_name(expert), choice.target.size());
  const auto part = [&](const std::string& name, std::string_view option) {
    if (name.empty()) return;
    require_column(table, name, option);
    if (!seen.insert(name).second) user_error("{}: '{}' already has another part", option, name);
  };
  part(choice.weights, "weights");
  part(choice.trials, "trials");
  part(choice.offset, "offset");
  part(choice.id, "id");
  part(choice.labels, "labels");
  part(choice.event, "event");
  for (const auto& name : choice.exclude) require_column(table, name, "exclude");
  for (const auto& name : choice.as_category) require_column(table, name, "as-category");
  if (expert == ExpertKind::binomial && choice.trials.empty())
    user_error(
        "trials must name the column with the number of trials for binomial experts; or let target be the columns of "
        "successes and failures");
  if (expert != ExpertKind::binomial && !choice.trials.empty())
    user_error("trials is only for binomial experts, not for {}", enum_name(expert));
  if (!choice.event.empty() && !allows_censoring(expert))
    user_error("event is for tobit, weibull and exponential experts, not for {}", enum_name(expert));
  for (const auto& [limits, option] :
       {std::pair{&choice.censored_below, "censored-below"}, std::pair{&choice.censored_above, "censored-above"}}) {
    if (limits->size() > 1) user_error("{} must be one number, not {}", option, limits->size());
    if (!limits->empty() && expert != ExpertKind::tobit)
      user_error("{} is for tobit experts, not for {}", option, enum_name(expert));
  }
  if (!choice.censored_below.empty() && !choice.censored_above.empty() &&
      !(choice.censored_below.front() < choice.censored_above.front()))
    user_error("censored-below must be less than censored-above: {} is not less than {}", choice.censored_below.front(),
               choice.censored_above.front());
  if (!choice.class_order.empty() && expert != ExpertKind::ordinal)
    user_error("class-order is for ordinal experts, not for {}", enum_name(expert));
  if (!choice.attributes.empty() && expert != ExpertKind::conditional_logit)
    user_error("attributes is for conditional-logit experts, not for {}", enum_name(expert));
  if (choice.attributes.empty() && expert == ExpertKind::conditional_logit)
    user_error(
        "attributes must name what differs between the alternatives for conditional-logit experts: NAME for columns "
        "NAME_<class>");
  if (!choice.offset.empty() && (vector_response || has_classes(expert) || expert == ExpertKind::network))
    user_error("offset needs experts with one linear predictor, not {} experts{}", enum_name(expert),
               vector_response ? " of a vector response" : "");
}

/// Every column that came with the table and has no part of its own; `with_part` are those that the response, the offset
/// and the trials are made of.
std::vector<std::string> default_terms(const Table& table, std::size_t given, const ColumnChoice& choice,
                                       const std::vector<std::string>& with_part) {
  std::vector<std::string> terms;
  const std::vector<std::string> of_attributes = detail::attribute_columns(table, choice);
  for (std::size_t i = 0; i < given; ++i) {
    const std::string& name = table.columns[i].name;
    const bool taken = contains(with_part, name) || contains(choice.exclude, name) || name == choice.weights ||
                       name == choice.id || name == choice.labels || name == choice.event ||
                       contains(of_attributes, name);
    if (!taken) terms.push_back(name);
  }
  return terms;
}

/// Columns that are not among the first `given`, which came with the table: they were computed.
std::vector<std::string> computed_columns(const Table& table, std::size_t given) {
  std::vector<std::string> names;
  for (std::size_t i = given; i < table.columns.size(); ++i) names.push_back(table.columns[i].name);
  return names;
}

/// Adds a column to a list without it; a computed one by the columns it is made of.
void add_made_of(const std::string& column, const std::vector<std::string>& computed, std::vector<std::string>& names) {
  for (const std::string& name : contains(computed, column) ? detail::names_in_expression(column) : std::vector{column})
    if (!contains(names, name)) names.push_back(name);
}

std::vector<Term> parse_terms(Table& table, std::size_t given, const ColumnChoice& choice,
                              const std::vector<std::string>& texts, std::string_view option) {
  std::vector<Term> terms;
  if (is_none(texts) && !table.has_column("1")) return terms;
  std::vector<std::string> of_target;
  for (const std::string& name : choice.target) add_made_of(name, computed_columns(table, given), of_target);
  for (const auto& text : texts) {
    terms.push_back(detail::parse_term(text, table, choice.as_category, option));
    std::vector<std::string> columns;
    for (const Factor& factor : terms.back().factors)
      add_made_of(factor.column, computed_columns(table, given), columns);
    for (const std::string& name : columns)
      if (contains(of_target, name)) user_error("{}: '{}' is the target; it cannot be an input too", option, name);
  }
  return terms;
}

/// A category in a product is coded against its first level. Where the rest of the product is no term of its own that level
/// has slope 0, while R would give every level one: said, because the model is another one.
void warn_of_missing_margins(const std::vector<Term>& terms, std::string_view option,
                             std::vector<std::string>& warnings) {
  const auto key = [](const Term& term, std::size_t without) {
    std::multiset<std::string> names;
    for (std::size_t i = 0; i < term.factors.size(); ++i)
      if (i != without) names.insert(term.factors[i].names().front());
    return names;
  };
  for (const Term& term : terms)
    for (std::size_t i = 0; term.factors.size() > 1 && i < term.factors.size(); ++i) {
      const Factor& factor = term.factors[i];
      if (factor.transform != Transform::category || factor.levels.empty()) continue;
      const auto margin = key(term, i);
      if (std::any_of(terms.begin(), terms.end(),
                      [&](const Term& other) { return key(other, other.factors.size()) == margin; }))
        continue;
      std::vector<std::string> rest;
      for (std::size_t j = 0; j < term.factors.size(); ++j)
        if (j != i) rest.push_back(term.factors[j].column);
      const std::string product = fmt::format("{}", fmt::join(rest, "*"));
      warnings.push_back(fmt::format(
          "{}: '{}*{}' stands without '{}' itself, so that the level '{}' of '{}' has slope 0 in it (R gives "
          "every level a slope of its own); add the term '{}' to estimate it.",
          option, product, factor.column, product, factor.levels.front(), factor.column, product));
    }
}

/// Columns whose cells are needed, in the order of the table.
std::vector<const Column*> used_columns(const Table& table, const DesignRecipe& recipe, bool with_target) {
  std::set<std::string, std::less<>> names;
  for (const auto* terms : {&recipe.expert_terms, &recipe.gate_terms})
    for (const Term& term : *terms)
      for (const Factor& factor : term.factors) names.insert(factor.column);
  for (const auto* name : {&recipe.weights, &recipe.trials, &recipe.offset, &recipe.id, &recipe.event})
    if (!name->empty()) names.insert(*name);
  if (with_target) names.insert(recipe.target.begin(), recipe.target.end());
  std::vector<const Column*> columns;
  for (const auto& column : table.columns)
    if (names.contains(column.name)) columns.push_back(&column);
  return columns;
}

/// The rows that have every cell, or an error that names the first missing one and ends with the advice.
RowSelection select_rows(const Table& table, const std::vector<const Column*>& columns, MissingPolicy policy,
                         std::string_view advice, Design& design) {
  std::size_t cells = 0;
  const Column* first = nullptr;
  for (const Column* column : columns) {
    cells += column->missing.size();
    if (!column->missing.empty() && (first == nullptr || column->missing.front() < first->missing.front()))
      first = column;
  }
  if (first == nullptr) return RowSelection(table.rows);
  std::vector<bool> incomplete(table.rows);
  for (const Column* column : columns)
    for (const std::size_t row : column->missing) incomplete[row] = true;
  std::vector<std::size_t> kept;
  for (std::size_t row = 0; row < table.rows; ++row) (incomplete[row] ? design.dropped : kept).push_back(row);
  const std::string missing = fmt::format("{} in {} {} missing in the columns used, the first in {}",
                                          plural(cells, "cell"), plural(design.dropped.size(), "row"),
                                          cells == 1 ? "is" : "are", table.place(first->missing.front(), *first));
  if (policy == MissingPolicy::error) user_error("{}; {}", missing, advice);
  if (kept.empty()) user_error("{}; no row is complete", missing);
  design.notes.push_back(
      fmt::format("{} of {} left out, because {}.", plural(design.dropped.size(), "row"), table.rows, missing));
  return RowSelection(std::move(kept));
}

/// Finds the levels of all categories.
void find_levels(const Table& table, const RowSelection& rows, std::string_view option, std::vector<Term>& terms) {
  for (Term& term : terms)
    for (Factor& factor : term.factors) {
      if (factor.transform != Transform::category) continue;
      factor.levels = detail::levels_of(table.column(factor.column), rows);
      if (factor.levels.size() < 2)
        user_error("{}: the category '{}' has a single level ('{}') in the rows used; leave it out (--exclude)", option,
                   factor.column, factor.levels.empty() ? "" : factor.levels.front());
      if (factor.levels.size() > std::min(kMostLevels, std::max<std::size_t>(2, rows.size() / 2)))
        user_error("{}: the category '{}' has {} levels in {} rows, too many to learn from; leave it out (--exclude)",
                   option, factor.column, factor.levels.size(), rows.size());
    }
}

/// Finds the constants of all bases.
void find_bases(const Table& table, const RowSelection& rows, std::string_view option, std::vector<Term>& terms) {
  for (Term& term : terms)
    for (Factor& factor : term.factors) {
      if (!factor.is_basis()) continue;
      const auto& numbers = detail::numbers_of(table, table.column(factor.column));
      Vector x(static_cast<Eigen::Index>(rows.size()));
      for (std::size_t i = 0; i < rows.size(); ++i) x[static_cast<Eigen::Index>(i)] = numbers[rows[i]];
      const std::string what =
          fmt::format("{}: {}({},{})", option, enum_name(factor.transform), factor.column, factor.power);
      factor.constants = detail::basis_constants(factor.transform, factor.power, x, what);
    }
}

void refuse_too_many_columns(const std::vector<Term>& terms, std::string_view option) {
  std::size_t columns = 0;
  for (const Term& term : terms) {
    columns += term.width(kMostColumns);
    if (columns > kMostColumns) user_error("{}: the terms give more than {} columns", option, kMostColumns);
  }
}

void refuse_repeated_names(const std::vector<std::string>& names, std::string_view option) {
  std::set<std::string_view> seen;
  for (const auto& name : names)
    if (!seen.insert(name).second) user_error("{}: '{}' is listed twice", option, name);
}

void free_column(Table& table, std::string_view name) {
  for (auto& column : table.columns)
    if (column.name == name) {
      std::vector<double>().swap(column.numbers);
      std::vector<int>().swap(column.codes);
    }
}

/// Fills a matrix with terms; columns of the table that no later term needs are freed on the way.
Matrix fill_terms(Table& table, const RowSelection& rows, const std::vector<Term>& terms,
                  const std::vector<Term>& needed_later, bool may_free) {
  Matrix out(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(names_of(terms).size()));
  detail::TermFiller filler(table, rows);
  const auto uses = [](const Term& term, const std::string& name) {
    return std::any_of(term.factors.begin(), term.factors.end(), [&](const Factor& f) { return f.column == name; });
  };
  Eigen::Index at = 0;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    at += filler.fill(terms[t], out, at);
    for (const Factor& factor : terms[t].factors) {
      const auto is_user = [&](const Term& term) { return uses(term, factor.column); };
      const auto next = terms.begin() + static_cast<std::ptrdiff_t>(t) + 1;
      if (may_free && std::none_of(next, terms.end(), is_user) &&
          std::none_of(needed_later.begin(), needed_later.end(), is_user))
        free_column(table, factor.column);
    }
  }
  return out;
}

Vector fill_numbers(const Table& table, const Column& column, const RowSelection& rows) {
  const auto& numbers = detail::numbers_of(table, column);
  Vector out(static_cast<Eigen::Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) out[static_cast<Eigen::Index>(i)] = numbers[rows[i]];
  return out;
}

/// Everything but the response.
void fill_inputs(Table& table, const RowSelection& rows, const DesignRecipe& recipe, Design& design) {
  if (!recipe.weights.empty() && table.has_column(recipe.weights)) {
    const Column& column = table.column(recipe.weights);
    design.data.weights = fill_numbers(table, column, rows);
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (const double w = design.data.weights[static_cast<Eigen::Index>(i)]; w < 0.0)
        user_error("{}: a weight must be at least 0, not {}", table.place(rows[i], column), w);
    if (!(design.data.weights.sum() > 0.0)) user_error("weights: all weights in '{}' are 0", recipe.weights);
  }
  if (!recipe.offset.empty()) design.data.offset = fill_numbers(table, table.column(recipe.offset), rows);
  design.data.attributes = static_cast<int>(recipe.attributes.size());
  design.expert_names = recipe.expert_names();
  design.gate_names = recipe.gate_names();
  const bool same = recipe.expert_terms == recipe.gate_terms;
  design.data.expert_inputs =
      fill_terms(table, rows, recipe.expert_terms, same ? std::vector<Term>() : recipe.gate_terms, true);
  design.data.gate_inputs = same ? design.data.expert_inputs : fill_terms(table, rows, recipe.gate_terms, {}, true);
}

/// Repeated measures. A gate that was not told what to look at takes what does not vary within groups.
void fill_groups(const Table& table, const RowSelection& rows, bool default_gate, Design& design) {
  DesignRecipe& recipe = design.recipe;
  if (recipe.id.empty()) return;
  const Column& id = table.column(recipe.id);
  design.data.groups = detail::group_numbers(id, rows);
  if (!default_gate) return detail::refuse_varying_within_groups(table, rows, id, recipe.gate_terms);
  const std::size_t before = recipe.gate_terms.size();
  recipe.gate_terms = detail::constant_within_groups(table, rows, id, recipe.gate_terms);
  if (recipe.gate_terms.size() == before) return;
  const std::vector<std::string> kept = names_of(recipe.gate_terms);
  design.notes.push_back(fmt::format(
      "The gate weighs whole groups ('{}'), so it looks only at inputs that do not vary within one: {}.", recipe.id,
      kept.empty() ? "none, its weights are constant" : fmt::format("{}", fmt::join(kept, ", "))));
}

/// Known experts. Missing cells are unknown experts, not missing data.
void fill_labels(const Table& table, const RowSelection& rows, Design& design) {
  DesignRecipe& recipe = design.recipe;
  if (recipe.labels.empty()) return;
  const Column& column = table.column(recipe.labels);
  recipe.label_levels = detail::levels_of(column, rows);
  if (recipe.label_levels.empty()) user_error("labels: every cell of '{}' is missing in the rows used", recipe.labels);
  design.data.labels = detail::codes_of(table, column, recipe.label_levels, rows);
  std::vector<std::string> words;
  for (std::size_t k = 0; k < recipe.label_levels.size(); ++k)
    words.push_back(fmt::format("expert {} is '{}'", k + 1, recipe.label_levels[k]));
  const auto known =
      std::count_if(design.data.labels.begin(), design.data.labels.end(), [](int label) { return label >= 0; });
  design.notes.push_back(fmt::format("The experts of {} of {} are known ('{}'): {}.", known, plural(rows.size(), "row"),
                                     recipe.labels, fmt::join(words, ", ")));
}

}  // namespace

std::vector<ExpertKind> DesignRecipe::kinds() const {
  std::vector<ExpertKind> all{expert};
  all.insert(all.end(), more_experts.begin(), more_experts.end());
  return all;
}

void check_computed(const std::vector<std::string>& computed, std::string_view where) {
  for (const std::string& name : computed)
    if (detail::names_in_expression(name).empty())
      user_error("{}: {} is no expression of columns", where, quoted_for_message(name));
}

std::vector<std::string> DesignRecipe::input_columns(bool with_offset) const {
  std::vector<std::string> names;
  for (const auto* terms : {&expert_terms, &gate_terms})
    for (const Term& term : *terms)
      for (const Factor& factor : term.factors) add_made_of(factor.column, computed, names);
  if (with_offset && !offset.empty()) add_made_of(offset, computed, names);
  return names;
}
std::vector<std::string> DesignRecipe::response_columns() const {
  std::vector<std::string> names;
  for (const std::string& name : target) add_made_of(name, computed, names);
  return names;
}
std::vector<std::string> DesignRecipe::expert_names() const {
  return names_of(expert_terms);
}
std::vector<std::string> DesignRecipe::coefficient_names() const {
  std::vector<std::string> names = expert_names();
  names.resize(names.size() - attributes.size() * classes.size());
  names.insert(names.end(), attributes.begin(), attributes.end());
  return names;
}
std::vector<std::string> DesignRecipe::gate_names() const {
  return names_of(gate_terms);
}
std::vector<std::string> DesignRecipe::response_names() const {
  return has_classes(expert) ? classes : target;
}

std::vector<std::size_t> Design::kept_rows() const {
  std::vector<std::size_t> kept;
  kept.reserve(table_rows - dropped.size());
  auto next = dropped.begin();
  for (std::size_t row = 0; row < table_rows; ++row) {
    if (next != dropped.end() && *next == row)
      ++next;
    else
      kept.push_back(row);
  }
  return kept;
}

namespace {

/// Densities and probabilities in one likelihood: said aloud.
void note_measures(const DesignRecipe& recipe, Design& design) {
  bool counts = false, densities = false;
  for (const ExpertKind kind : recipe.kinds()) (is_count(kind) ? counts : densities) = true;
  if (counts && densities)
    design.notes.push_back(
        "Some experts give whole numbers a probability, others a density; both are compared as they are, a density as "
        "the "
        "probability of an interval of length 1.");
}

}  // namespace

Design make_design(Table table, const ColumnChoice& choice, ExpertKind expert, GateKind gate) {
  return make_design(std::move(table), choice, std::vector<ExpertKind>{expert}, gate);
}

Design make_design(Table table, const ColumnChoice& wanted, const std::vector<ExpertKind>& experts, GateKind gate) {
  if (experts.empty()) user_error("a design needs at least one kind of expert");
  check_mixture(experts);
  const ExpertKind expert = experts.front();
  const std::size_t given = table.columns.size();
  ColumnChoice choice = detail::with_binomial_pair(table, wanted, expert);
  const std::vector<std::string> with_part = detail::columns_with_a_part(table, choice);
  detail::compute_parts(choice, table);
  for (const ExpertKind kind : experts) check_choice(table, choice, kind);
  const bool experts_use_inputs =
      std::any_of(experts.begin(), experts.end(), [](ExpertKind kind) { return kind != ExpertKind::constant; });
  const bool gate_uses_inputs = gate_reads_inputs(gate);
  if (!experts_use_inputs && !choice.experts_on.empty() && !is_none(choice.experts_on))
    user_error("experts-on: constant experts use no inputs");
  if (!gate_uses_inputs && !choice.gate_on.empty() && !is_none(choice.gate_on))
    user_error("gate-on: the {} gate uses no inputs", enum_name(gate));

  Design design;
  DesignRecipe& recipe = design.recipe;
  design.table_rows = table.rows;
  recipe.expert = expert;
  recipe.more_experts.assign(experts.begin() + 1, experts.end());
  recipe.target = choice.target;
  recipe.weights = choice.weights;
  recipe.trials = choice.trials;
  recipe.offset = choice.offset;
  recipe.id = choice.id;
  recipe.labels = choice.labels;
  recipe.event = choice.event;
  if (!choice.censored_below.empty()) recipe.censored_below = choice.censored_below.front();
  if (!choice.censored_above.empty()) recipe.censored_above = choice.censored_above.front();
  recipe.classes = choice.class_order;
  const auto inputs = choice.experts_on.empty() ? default_terms(table, given, choice, with_part) : choice.experts_on;
  if (experts_use_inputs) recipe.expert_terms = parse_terms(table, given, choice, inputs, "experts-on");
  if (gate_uses_inputs)
    recipe.gate_terms = parse_terms(table, given, choice, choice.gate_on.empty() ? inputs : choice.gate_on, "gate-on");
  recipe.attributes = choice.attributes;
  std::vector<std::string> alternatives;
  if (!recipe.attributes.empty()) {
    alternatives =
        detail::classes_of(table, table.column(recipe.target.front()), RowSelection(table.rows), recipe.expert);
    for (Term& term : detail::attribute_terms(table, choice, alternatives))
      recipe.expert_terms.push_back(std::move(term));
  }
  recipe.computed = computed_columns(table, given);
  for (const std::string& name : recipe.target)
    if (contains(recipe.computed, name))
      design.notes.push_back(
          fmt::format("The response is {}: likelihoods, errors and predictions are on its scale.", name));

  const RowSelection rows =
      select_rows(table, used_columns(table, recipe, true), choice.missing,
                  "leave such rows out with --missing drop, or the column out with --exclude", design);
  fill_groups(table, rows, choice.gate_on.empty(), design);
  fill_labels(table, rows, design);
  find_levels(table, rows, "experts-on", recipe.expert_terms);
  find_levels(table, rows, "gate-on", recipe.gate_terms);
  find_bases(table, rows, "experts-on", recipe.expert_terms);
  find_bases(table, rows, "gate-on", recipe.gate_terms);
  refuse_too_many_columns(recipe.expert_terms, "experts-on");
  refuse_too_many_columns(recipe.gate_terms, "gate-on");
  refuse_repeated_names(recipe.attributes, "attributes");
  refuse_repeated_names(recipe.expert_names(), "experts-on");
  refuse_repeated_names(recipe.gate_names(), "gate-on");

  detail::fill_response(table, rows, false, recipe, design);
  if (!alternatives.empty() && recipe.classes != alternatives)
    user_error(
        "target: of the classes of '{}' ({}) only {} are in the rows used, which leaves attributes without class",
        recipe.target.front(), short_list(alternatives), short_list(recipe.classes));
  detail::fill_event(table, rows, recipe, design);
  note_measures(recipe, design);
  for (const auto& name : recipe.target) free_column(table, name);
  fill_inputs(table, rows, recipe, design);

  // The columns of attributes are no inputs of their own: theirs may be constant, or sums of each other.
  const Eigen::Index of_attributes = Eigen::Index{design.data.attributes} * design.data.classes;
  const auto plain = design.data.expert_inputs.leftCols(design.data.expert_inputs.cols() - of_attributes);
  detail::refuse_constant_columns(plain, design.expert_names, "experts-on");
  design.warnings = detail::collinear_columns(plain, design.expert_names, "experts-on");
  for (auto& sentence : detail::check_attributes(design)) design.warnings.push_back(std::move(sentence));
  warn_of_missing_margins(recipe.expert_terms, "experts-on", design.warnings);
  if (recipe.gate_terms != recipe.expert_terms) {
    warn_of_missing_margins(recipe.gate_terms, "gate-on", design.warnings);
    detail::refuse_constant_columns(design.data.gate_inputs, design.gate_names, "gate-on");
    for (auto& sentence : detail::collinear_columns(design.data.gate_inputs, design.gate_names, "gate-on"))
      design.warnings.push_back(std::move(sentence));
  }
  return design;
}

bool keep_levels_and_knots(const DesignRecipe& fitted, DesignRecipe& recipe) {
  bool changed = false;
  const auto same_term = [](const Factor& a, const Factor& b) {
    const bool powers = a.transform == Transform::category || a.power == b.power;
    return a.column == b.column && a.transform == b.transform && powers;
  };
  for (auto* terms : {&recipe.expert_terms, &recipe.gate_terms})
    for (Term& term : *terms)
      for (Factor& factor : term.factors)
        for (const auto* known : {&fitted.expert_terms, &fitted.gate_terms})
          for (const Term& other : *known)
            for (const Factor& there : other.factors)
              if (same_term(factor, there) && factor != there) {
                factor = there;
                changed = true;
              }
  return changed;
}

Design apply_recipe(const DesignRecipe& recipe, Table table, MissingPolicy missing) {
  Design design;
  design.recipe = recipe;
  design.table_rows = table.rows;
  DesignRecipe needed = recipe;
  if (!table.has_column(recipe.weights)) needed.weights.clear();  // weights and events are not needed to predict
  if (!table.has_column(recipe.event)) needed.event.clear();
  if (!table.has_column(recipe.id)) needed.id.clear();  // without it every row stands alone
  detail::compute_columns(recipe, table);
  for (const auto* terms : {&recipe.expert_terms, &recipe.gate_terms})
    for (const Term& term : *terms)
      for (const Factor& factor : term.factors) (void)table.column(factor.column);
  for (const auto* name : {&recipe.trials, &recipe.offset})
    if (!name->empty()) (void)table.column(*name);
  const RowSelection rows =
      select_rows(table, used_columns(table, needed, false), missing,
                  "leave such rows out with --missing drop (predict answers them with NA by --missing na)", design);
  if (!needed.id.empty()) {
    const Column& id = table.column(needed.id);
    detail::refuse_varying_within_groups(table, rows, id, recipe.gate_terms);
    design.data.groups = detail::group_numbers(id, rows);
  }
  detail::fill_response(table, rows, true, design.recipe, design);
  detail::fill_event(table, rows, design.recipe, design);
  fill_inputs(table, rows, needed, design);
  return design;
}

}  // namespace clearway
