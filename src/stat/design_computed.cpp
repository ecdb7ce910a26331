#include "design_computed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <stdexcept>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_terms.hpp"
#include "expression.hpp"

namespace clearway::detail {

namespace {

/// A double with the functions that expressions are evaluated with.
struct Real {
  double value = 0;
  Real() = default;
  explicit Real(double number) : value(number) {}
  friend Real operator+(Real a, Real b) { return Real(a.value + b.value); }
  friend Real operator-(Real a, Real b) { return Real(a.value - b.value); }
  friend Real operator*(Real a, Real b) { return Real(a.value * b.value); }
  friend Real operator/(Real a, Real b) { return Real(a.value / b.value); }
  friend Real exp(Real z) { return Real(std::exp(z.value)); }
  friend Real log(Real z) { return Real(std::log(z.value)); }
  friend Real sqrt(Real z) { return Real(std::sqrt(z.value)); }
  friend Real sin(Real z) { return Real(std::sin(z.value)); }
  friend Real cos(Real z) { return Real(std::cos(z.value)); }
  friend Real tanh(Real z) { return Real(std::tanh(z.value)); }
  friend Real sigmoid(Real z) { return Real(1 / (1 + std::exp(-z.value))); }
  friend Real softplus(Real z) { return Real(std::max(z.value, 0.0) + std::log1p(std::exp(-std::abs(z.value)))); }
  friend Real relu(Real z) { return Real(std::max(z.value, 0.0)); }
  friend Real normal_cdf(Real z) { return Real(0.5 * std::erfc(-z.value / std::sqrt(2.0))); }
};

const std::string kPi = "pi";  // the constant, where no column is called so

bool mentions_pi(const std::string& expression) {
  try {
    const Expression parsed(expression, ExpressionNames::columns);
    return std::find(parsed.parameters().begin(), parsed.parameters().end(), kPi) != parsed.parameters().end();
  } catch (const std::invalid_argument&) {
    return false;
  }
}

bool is_word(std::string_view name) {
  const auto continues = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c >= 0x80; };
  const auto first = name.empty() ? '1' : name.front();
  return (first < '0' || first > '9') && std::all_of(name.begin(), name.end(), continues);
}

}  // namespace

std::string computed_name(std::string_view expression) {
  std::string name;
  bool quoted = false;
  for (const char c : expression) {
    if (c == '`') quoted = !quoted;
    if (quoted || (c != ' ' && c != '\t')) name += c;
  }
  return name;
}

std::vector<std::string> names_in_expression(const std::string& expression) {
  try {
    std::vector<std::string> names = Expression(expression, ExpressionNames::columns).parameters();
    if (names.size() > 1) std::erase(names, kPi);  // alone it can only be a column
    return names;
  } catch (const std::invalid_argument&) {
    return {};
  }
}

std::vector<std::string> sources_of(const Table& table, const std::string& expression) {
  if (table.has_column(expression)) return {};
  std::vector<std::string> names = names_in_expression(expression);
  if (!names.empty() && names.front() != kPi && table.has_column(kPi) && mentions_pi(expression))
    names.emplace_back(kPi);
  const bool known = std::all_of(names.begin(), names.end(), [&](const auto& name) { return table.has_column(name); });
  return known ? names : std::vector<std::string>();
}

std::string why_no_expression(const Table& table, const std::string& text) {
  if (text.find_first_of("()+-*/^") == std::string::npos) return {};
  try {
    const Expression parsed(text, ExpressionNames::columns);
    std::vector<std::string> columns;
    for (const Column& column : table.columns) columns.push_back(column.name);
    for (const std::string& name : parsed.parameters())
      if (!table.has_column(name) && name != kPi)
        return fmt::format("; as an expression it lacks '{}'{}", name, did_you_mean(name, columns));
  } catch (const std::invalid_argument& error) {
    return fmt::format("; {}", error.what());
  }
  return {};
}

std::string add_computed_column(const std::string& expression, Table& table) {
  const Expression parsed(expression, ExpressionNames::columns);
  Column made;
  made.name = computed_name(expression);
  if (table.has_column(made.name)) return made.name;  // written with other blanks before
  made.numbers.resize(table.rows, std::numeric_limits<double>::quiet_NaN());
  std::vector<const std::vector<double>*> sources;
  std::set<std::size_t> missing;
  std::vector<double> pi;
  const Column* first = nullptr;
  for (const std::string& name : parsed.parameters()) {
    if (name == kPi && !table.has_column(kPi)) {
      pi.assign(table.rows, M_PI);
      sources.push_back(&pi);
      continue;
    }
    const Column& source = table.column(name);
    if (first == nullptr) first = &source;
    sources.push_back(&numbers_of(table, source));
    missing.insert(source.missing.begin(), source.missing.end());
  }
  made.missing.assign(missing.begin(), missing.end());
  std::vector<Real> cells(sources.size());
  auto next_missing = made.missing.begin();
  for (std::size_t row = 0; row < table.rows; ++row) {
    if (next_missing != made.missing.end() && *next_missing == row) {
      ++next_missing;
      continue;
    }
    for (std::size_t i = 0; i < sources.size(); ++i) cells[i] = Real((*sources[i])[row]);
    const double value = parsed.evaluate<Real>({}, std::span<const Real>(cells)).value;
    if (!std::isfinite(value)) {
      std::vector<std::string> found;
      for (std::size_t i = 0; i < sources.size(); ++i)
        found.push_back(fmt::format("{} = {}", parsed.parameters()[i], cells[i].value));
      user_error("{}: {} is {} where {}", first ? table.place(row, *first) : table.source, made.name,
                 std::isnan(value) ? "not a number" : "infinite", fmt::join(found, ", "));
    }
    made.numbers[row] = value;
  }
  table.columns.push_back(std::move(made));
  return table.columns.back().name;
}

std::vector<std::string> columns_with_a_part(const Table& table, const ColumnChoice& choice) {
  std::vector<std::string> names = choice.target;
  for (const auto* name : {&choice.offset, &choice.trials})
    if (!name->empty()) names.push_back(*name);
  const std::size_t written = names.size();
  for (std::size_t i = 0; i < written; ++i)
    for (auto& source : sources_of(table, names[i])) names.push_back(std::move(source));
  return names;
}

ColumnChoice with_binomial_pair(const Table& table, ColumnChoice choice, ExpertKind expert) {
  if (expert != ExpertKind::binomial || choice.target.size() != 2 || !choice.trials.empty()) return choice;
  const auto operand = [&](const std::string& name) {
    if (is_word(name)) return name;
    return table.has_column(name) ? "`" + name + "`" : "(" + name + ")";
  };
  // cbind(s, n - s): n trials, which a table without successes has too.
  const std::string first = operand(choice.target[0]), second = computed_name(choice.target[1]);
  const std::string rest = second.ends_with("-" + first) ? second.substr(0, second.size() - first.size() - 1) : "";
  const bool plain = !has_open_operator(rest) && (table.has_column(rest) || !sources_of(table, rest).empty());
  choice.trials = plain ? rest : first + "+" + operand(choice.target[1]);
  choice.target.pop_back();
  return choice;
}

void compute_parts(ColumnChoice& choice, Table& table) {
  const auto compute = [&](std::string& name) {
    if (!sources_of(table, name).empty()) name = add_computed_column(name, table);
  };
  for (std::string& name : choice.target) compute(name);
  compute(choice.offset);
  compute(choice.trials);
}

void compute_columns(const DesignRecipe& recipe, Table& table) {
  const auto is_target = [&](const std::string& name) {
    return std::find(recipe.target.begin(), recipe.target.end(), name) != recipe.target.end();
  };
  for (const std::string& name : recipe.computed) {
    if (table.has_column(name)) continue;
    const std::vector<std::string> sources = names_in_expression(name);
    const bool there = std::all_of(sources.begin(), sources.end(), [&](const auto& s) { return table.has_column(s); });
    if (there || !is_target(name)) (void)add_computed_column(name, table);
  }
}

}  // namespace clearway::detail
