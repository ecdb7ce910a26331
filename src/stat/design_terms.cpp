#include "design_terms.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <unordered_map>

#include "basis.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_computed.hpp"

namespace clearway {

std::vector<std::string> Factor::names() const {
  switch (transform) {
    case Transform::identity:
      return {column};
    case Transform::power:
      return {fmt::format("{}^{}", column, power)};
    case Transform::log:
      return {fmt::format("log({})", column)};
    case Transform::sqrt:
      return {fmt::format("sqrt({})", column)};
    case Transform::category:
      break;
    default: {
      std::vector<std::string> names;
      for (int i = 1; i <= power; ++i)
        names.push_back(fmt::format("{}({},{}){}", enum_name(transform), column, power, i));
      return names;
    }
  }
  std::vector<std::string> names;
  for (std::size_t i = 1; i < levels.size(); ++i) names.push_back(fmt::format("{}[{}]", column, levels[i]));
  return names;
}

std::vector<std::string> Term::names() const {
  std::vector<std::string> names{""};
  for (const Factor& factor : factors) {
    std::vector<std::string> longer;
    for (const auto& before : names)
      for (const auto& name : factor.names()) longer.push_back(before.empty() ? name : before + "*" + name);
    names = std::move(longer);
  }
  return names;
}

std::size_t Term::width(std::size_t limit) const {
  std::size_t width = 1;
  for (const Factor& factor : factors) {
    if (factor.width() == 0) return 0;
    if (width > limit / factor.width()) return limit + 1;
    width *= factor.width();
  }
  return width;
}

}  // namespace clearway

namespace clearway::detail {

namespace {

/// A text column is taken for a numeric one with slips when more than this share of its cells are numbers.
constexpr double kMostlyNumbers = 0.95;

std::vector<std::string> column_names(const Table& table) {
  std::vector<std::string> names;
  for (const auto& column : table.columns) names.push_back(column.name);
  return names;
}

[[noreturn]] void not_a_number(const Table& table, const Column& column, std::string_view remedy) {
  const int code = column.codes[column.first_text_row];
  const std::string cell = quoted_for_message(column.levels[static_cast<std::size_t>(code)]);
  user_error("{}: {} {}{}", table.place(column.first_text_row, column), cell,
             column.has_decimal_commas
                 ? "is a number with a comma: read the table with --decimal comma where it means 1.5, else leave it out"
                 : "is not a number",
             column.has_decimal_commas ? std::string_view() : remedy);
}

/// A column that is used as it is: numeric, or text that becomes a category.
Factor plain_factor(const Table& table, const Column& column, const std::vector<std::string>& as_category) {
  const bool asked = std::find(as_category.begin(), as_category.end(), column.name) != as_category.end();
  if (column.is_text && !asked) {
    const auto cells = static_cast<double>(column.rows() - column.missing.size());
    if (column.has_decimal_commas || static_cast<double>(column.number_cells) > kMostlyNumbers * cells)
      not_a_number(
          table, column,
          ", while most cells of the column are; mend it, declare what means missing with --missing-values, or "
          "take the column as text with --as-category");
  }
  return {.column = column.name, .transform = column.is_text || asked ? Transform::category : Transform::identity};
}

const Column* find_column(const Table& table, std::string_view name) {
  for (const auto& column : table.columns)
    if (column.name == name) return &column;
  return nullptr;
}

/// "log(x)" with the name log: x.
std::string_view argument_of(std::string_view text, std::string_view function) {
  if (!text.starts_with(function) || !text.ends_with(')')) return {};
  text.remove_prefix(function.size());
  if (!text.starts_with('(')) return {};
  return trimmed_term(text.substr(1, text.size() - 2));
}

/// "ns(x,4)": a basis and its number of columns; a plain factor when the text is none.
Factor parse_basis(std::string_view text, std::string_view option) {
  constexpr int kMostColumns = 50;
  Factor factor;
  for (const Transform transform : {Transform::polynomial, Transform::natural_spline, Transform::b_spline}) {
    const std::string_view inside = argument_of(text, enum_name(transform));
    const std::size_t comma = inside.rfind(',');
    if (inside.empty()) continue;
    const int fewest = transform == Transform::b_spline ? 3 : 1;
    const std::string_view count =
        comma == std::string_view::npos ? std::string_view() : trimmed_term(inside.substr(comma + 1));
    int columns = 0;
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), columns);
    if (count.empty() || error != std::errc{} || end != count.data() + count.size() || columns < fewest ||
        columns > kMostColumns)
      user_error("{}: '{}' needs a column and a number from {} to {}, as in {}(x,4)", option, text, fewest,
                 kMostColumns, enum_name(transform));
    factor.transform = transform;
    factor.power = columns;
    factor.column = std::string(trimmed_term(inside.substr(0, comma)));
    return factor;
  }
  return factor;
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

/// A column, or a transform of one; nothing when the text is neither.
std::optional<Factor> simple_factor(std::string_view text, const Table& table,
                                    const std::vector<std::string>& as_category, std::string_view option) {
  if (const Column* column = find_column(table, text)) return plain_factor(table, *column, as_category);
  Factor factor;
  if (const auto log = argument_of(text, "log"); !log.empty()) {
    factor.transform = Transform::log;
    factor.column = log;
  } else if (const auto sqrt = argument_of(text, "sqrt"); !sqrt.empty()) {
    factor.transform = Transform::sqrt;
    factor.column = sqrt;
  } else if (const auto basis = parse_basis(text, option); basis.is_basis()) {
    factor = basis;
  } else if (const auto hat = text.rfind('^'); hat != std::string_view::npos) {
    const std::string_view power = trimmed_term(text.substr(hat + 1));
    if (power.size() != 1 || power[0] < '2' || power[0] > '9') return {};
    factor.transform = Transform::power;
    factor.power = power[0] - '0';
    factor.column = trimmed_term(text.substr(0, hat));
  }
  const Column* column = find_column(table, factor.column);
  if (column == nullptr) return {};
  if (std::find(as_category.begin(), as_category.end(), factor.column) != as_category.end())
    user_error("{}: '{}' needs numbers, but as-category makes '{}' a category", option, text, factor.column);
  if (column->is_text) not_a_number(table, *column, fmt::format(", which '{}' needs", text));
  return factor;
}

/// What a transform that is no expression itself is taken of: "log(x)" in "poly(log(x),3)"; empty when there is none.
std::string inside_of(std::string_view text, std::string_view option) {
  for (const std::string_view function : {"log", "sqrt"})
    if (const auto inside = argument_of(text, function); !inside.empty()) return std::string(inside);
  return parse_basis(text, option).column;
}

Factor parse_factor(std::string_view text, Table& table, const std::vector<std::string>& as_category,
                    std::string_view option) {
  if (const auto factor = simple_factor(text, table, as_category, option)) return *factor;
  const std::string inside = inside_of(text, option);
  for (const std::string& expression : {inside, std::string(text)}) {
    if (sources_of(table, expression).empty()) continue;
    const std::string name = add_computed_column(expression, table);
    if (expression != inside) return {.column = name};
    std::string renamed(text);  // the column may be named without the blanks of the text
    renamed.replace(renamed.find(inside), inside.size(), name);
    return simple_factor(renamed, table, as_category, option).value();
  }
  const auto hat = text.rfind('^');
  if (hat != std::string_view::npos && find_column(table, trimmed_term(text.substr(0, hat))) != nullptr)
    user_error("{}: the power in '{}' must be a number", option, text);
  const auto names = column_names(table);
  const std::string& name = inside.empty() ? std::string(text) : inside;
  user_error(
      "{}: there is no column '{}'{}; the columns are {} (a term is a column x, x^2, x1*x2, log(x), sqrt(x), "
      "poly(x,3), ns(x,4), bs(x,5), or an expression of columns){}",
      option, name, did_you_mean(name, names), short_list(names), why_no_expression(table, name));
}

}  // namespace

std::string_view trimmed_term(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string category_name(double value) {
  return fmt::format("{}", value == 0.0 ? 0.0 : value);
}

std::vector<std::string_view> product_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '`') quoted = !quoted;
    if (quoted) continue;
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c != '*' || depth > 0) continue;
    parts.push_back(trimmed_term(text.substr(begin, at - begin)));
    begin = at + 1;
  }
  parts.push_back(trimmed_term(text.substr(begin)));
  return parts;
}

bool has_open_operator(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (const char c : text) {
    if (c == '`') quoted = !quoted;
    if (quoted) continue;
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (depth <= 0 && (c == '+' || c == '-' || c == '/')) return true;
  }
  return false;
}

Term parse_term(const std::string& text, Table& table, const std::vector<std::string>& as_category,
                std::string_view option) {
  const std::string_view whole = trimmed_term(text);
  if (whole.empty()) user_error("{}: a term is empty", option);
  Term term;
  if (find_column(table, whole) != nullptr) {  // a column whose name looks like a product is still a column
    term.factors.push_back(parse_factor(whole, table, as_category, option));
    return term;
  }
  // a*b+c is one expression, not the product of a and b+c, and so is 2*a; a*b-c is a product where a column is called "b-c".
  const std::vector<std::string_view> parts = product_parts(whole);
  const auto simple = [&](std::string_view part) {
    return simple_factor(part, table, as_category, option).has_value();
  };
  const bool one = has_open_operator(whole) || std::any_of(parts.begin(), parts.end(), is_number);
  if (one && !std::all_of(parts.begin(), parts.end(), simple) && !sources_of(table, std::string(whole)).empty()) {
    term.factors.push_back(parse_factor(whole, table, as_category, option));
    return term;
  }
  for (const std::string_view part : parts) {
    if (part.empty()) user_error("{}: '{}' lacks a factor beside '*'", option, text);
    term.factors.push_back(parse_factor(part, table, as_category, option));
  }
  return term;
}

const std::vector<double>& numbers_of(const Table& table, const Column& column) {
  if (column.is_text) not_a_number(table, column, "");
  return column.numbers;
}

std::vector<std::string> levels_of(const Column& column, const RowSelection& rows) {
  std::vector<std::string> levels;
  if (column.is_text) {
    std::vector<bool> seen(column.levels.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (const int code = column.codes[rows[i]]; code >= 0) seen[static_cast<std::size_t>(code)] = true;
    for (std::size_t level = 0; level < seen.size(); ++level)
      if (seen[level]) levels.push_back(column.levels[level]);
    return levels;
  }
  std::set<double> values;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (const double value = column.numbers[rows[i]]; !std::isnan(value)) values.insert(value);
  for (const double value : values) levels.push_back(category_name(value));
  return levels;
}

std::vector<int> codes_of(const Table& table, const Column& column, const std::vector<std::string>& levels,
                          const RowSelection& rows) {
  const auto unknown = [&](std::size_t row, const std::string& cell) {
    user_error("{}: {} is not a known level; the levels are {}", table.place(row, column), quoted_for_message(cell),
               short_list(levels));
  };
  std::vector<int> codes(rows.size(), -1);
  if (column.is_text) {
    std::vector<int> level_of(column.levels.size(), -1);
    for (std::size_t i = 0; i < level_of.size(); ++i) {
      const auto found = std::find(levels.begin(), levels.end(), column.levels[i]);
      if (found != levels.end()) level_of[i] = static_cast<int>(found - levels.begin());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const int code = column.codes[rows[i]];
      if (code < 0) continue;
      codes[i] = level_of[static_cast<std::size_t>(code)];
      if (codes[i] < 0) unknown(rows[i], column.levels[static_cast<std::size_t>(code)]);
    }
    return codes;
  }
  // Numbers that name categories: compared as numbers, so that 1, 1.0 and 01 are the same level.
  std::unordered_map<double, int> level_of;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    double value = 0;
    const char* end = levels[i].data() + levels[i].size();
    const auto [stop, error] = std::from_chars(levels[i].data(), end, value);
    if (error == std::errc() && stop == end) level_of.emplace(value, static_cast<int>(i));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double value = column.numbers[rows[i]];
    if (std::isnan(value)) continue;
    const auto found = level_of.find(value);
    if (found == level_of.end()) unknown(rows[i], category_name(value));
    codes[i] = found->second;
  }
  return codes;
}

void TermFiller::multiply_basis(const Factor& factor, std::size_t number, Eigen::Ref<Vector> out) {
  const Column& column = table_.column(factor.column);
  const std::string key = factor.names().front();
  auto found = bases_.find(key);
  if (found == bases_.end()) {
    const std::vector<double>& numbers = numbers_of(table_, column);
    Vector x(static_cast<Eigen::Index>(rows_.size()));
    for (std::size_t i = 0; i < rows_.size(); ++i) x[static_cast<Eigen::Index>(i)] = numbers[rows_[i]];
    found = bases_.emplace(key, basis_columns(factor.transform, factor.power, factor.constants, x)).first;
  }
  const auto values = found->second.col(static_cast<Eigen::Index>(number));
  for (std::size_t i = 0; i < rows_.size(); ++i)
    if (const auto row = static_cast<Eigen::Index>(i); !std::isfinite(values[row]))
      user_error("{}: the value becomes too large in the term '{}'", table_.place(rows_[i], column), key);
  out.array() *= values.array();
}

void TermFiller::multiply(const Factor& factor, std::size_t level, Eigen::Ref<Vector> out) {
  if (factor.is_basis()) return multiply_basis(factor, level, out);
  const Column& column = table_.column(factor.column);
  if (factor.transform == Transform::category) {
    auto found = codes_.find(factor.column);
    if (found == codes_.end())
      found = codes_.emplace(factor.column, codes_of(table_, column, factor.levels, rows_)).first;
    const auto wanted = static_cast<int>(level) + 1;  // level 0 of the factor's columns is its second level
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (found->second[i] != wanted) out[static_cast<Eigen::Index>(i)] = 0.0;
    return;
  }
  const std::vector<double>& numbers = numbers_of(table_, column);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const double x = numbers[rows_[i]];
    double& value = out[static_cast<Eigen::Index>(i)];
    switch (factor.transform) {
      case Transform::log:
        if (!(x > 0.0)) user_error("{}: log needs a number above 0, not {}", table_.place(rows_[i], column), x);
        value *= std::log(x);
        break;
      case Transform::sqrt:
        if (!(x >= 0.0)) user_error("{}: sqrt needs a number of at least 0, not {}", table_.place(rows_[i], column), x);
        value *= std::sqrt(x);
        break;
      case Transform::power: {
        double power = x;
        for (int p = 1; p < factor.power; ++p) power *= x;
        value *= power;
        break;
      }
      default:
        value *= x;
    }
    if (!std::isfinite(value))
      user_error("{}: {} becomes too large in the term '{}'", table_.place(rows_[i], column), x,
                 factor.names().front());
  }
}

Eigen::Index TermFiller::fill(const Term& term, Matrix& out, Eigen::Index first) {
  // Counts through the combinations of the factors' columns, the last factor fastest, as Term::names() does.
  std::vector<std::size_t> widths;
  std::size_t combinations = 1;
  for (const Factor& factor : term.factors) {
    widths.push_back(factor.width());
    combinations *= widths.back();
  }
  for (std::size_t c = 0; c < combinations; ++c) {
    auto column = out.col(first + static_cast<Eigen::Index>(c));
    column.setOnes();
    std::size_t stride = combinations;
    for (std::size_t f = 0; f < term.factors.size(); ++f) {
      stride /= widths[f];
      multiply(term.factors[f], c / stride % widths[f], column);
    }
  }
  return static_cast<Eigen::Index>(combinations);
}

}  // namespace clearway::detail
