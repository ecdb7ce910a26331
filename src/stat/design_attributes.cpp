#include "design_attributes.hpp"

#include <Eigen/QR>
#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_checks.hpp"
#include "design_terms.hpp"

namespace clearway::detail {

namespace {

constexpr double kUnexplained = 1e-10;  // of the variance of a difference between classes
constexpr double kRounding = 1e-20;     // of its square

/// A factor of an attribute as it was written, apart: "log(" "price" ")", "" "price" "^2".
struct Written {
  std::string before, name, after;
};

Written taken_apart(std::string_view text) {
  for (const std::string_view function : {"log(", "sqrt("})
    if (text.starts_with(function) && text.ends_with(')'))
      return {std::string(function),
              std::string(trimmed_term(text.substr(function.size(), text.size() - function.size() - 1))), ")"};
  const std::size_t hat = text.rfind('^');
  if (hat == std::string_view::npos) return {"", std::string(text), ""};
  return {"", std::string(trimmed_term(text.substr(0, hat))), std::string(text.substr(hat))};
}

std::vector<std::string> factors_of(std::string_view text) {
  std::vector<std::string> factors;
  for (;;) {
    const std::size_t star = text.find('*');
    factors.emplace_back(trimmed_term(text.substr(0, star)));
    if (star == std::string_view::npos) return factors;
    text.remove_prefix(star + 1);
  }
}

std::string column_of(const std::string& attribute, const std::string& label) {
  return attribute + "_" + label;
}

/// The text of an attribute for one class. A factor without columns of classes belongs to the chooser.
std::string for_class(const Table& table, const std::string& attribute, const std::vector<std::string>& classes,
                      const std::string& label) {
  std::vector<std::string> factors;
  bool varies = false;
  for (const std::string& factor : factors_of(attribute)) {
    Written written = taken_apart(factor);
    const bool any = std::any_of(classes.begin(), classes.end(),
                                 [&](const std::string& c) { return table.has_column(column_of(written.name, c)); });
    if (any || !table.has_column(written.name)) {
      const std::string column = column_of(written.name, label);
      if (!table.has_column(column)) {
        std::vector<std::string> names;
        for (const Column& other : table.columns) names.push_back(other.name);
        user_error(
            "attributes: '{}' needs a column for every class, but there is no '{}'{}; the classes are {}, the columns "
            "are {}",
            attribute, column, did_you_mean(column, names), short_list(classes), short_list(names));
      }
      written.name = column;
      varies = true;
    }
    factors.push_back(written.before + written.name + written.after);
  }
  if (!varies)
    user_error("attributes: '{}' has no column for a class ('{}'); inputs that belong to no class go to --experts-on",
               attribute, column_of(attribute, label));
  return fmt::format("{}", fmt::join(factors, "*"));
}

}  // namespace

std::vector<std::string> attribute_columns(const Table& table, const ColumnChoice& choice) {
  std::vector<std::string> columns;
  if (choice.attributes.empty() || choice.target.size() != 1 || !table.has_column(choice.target.front()))
    return columns;
  for (const std::string& label : levels_of(table.column(choice.target.front()), RowSelection(table.rows)))
    for (const std::string& attribute : choice.attributes)
      for (const std::string& factor : factors_of(attribute))
        columns.push_back(column_of(taken_apart(factor).name, label));
  return columns;
}

std::vector<Term> attribute_terms(Table& table, const ColumnChoice& choice, const std::vector<std::string>& classes) {
  std::vector<Term> terms;
  for (const std::string& attribute : choice.attributes)
    for (const std::string& label : classes) {
      const std::string text = for_class(table, attribute, classes, label);
      terms.push_back(parse_term(text, table, choice.as_category, "attributes"));
      for (const Factor& factor : terms.back().factors)
        if (factor.is_basis() || factor.transform == Transform::category)
          user_error("attributes: '{}' must be a number for every class, but '{}' {}", attribute, factor.column,
                     factor.is_basis() ? "makes several" : "is a category");
    }
  return terms;
}

std::vector<std::string> check_attributes(const Design& design) {
  const Matrix& x = design.data.expert_inputs;
  const Eigen::Index n = x.rows(), c = design.data.classes, v = design.data.attributes, plain = x.cols() - v * c;
  if (v == 0) return {};
  // What the constants and the coefficients by class leave of the differences to the last class, classes one below the
  // other: the attributes are determined when no combination of what is left vanishes.
  Matrix others(n, 1 + plain);
  others.col(0).setOnes();
  others.rightCols(plain) = x.leftCols(plain);
  const Eigen::ColPivHouseholderQR<Matrix> taken(others);
  Matrix left((c - 1) * n, v);
  Vector squares = Vector::Zero(v), spread = Vector::Zero(v);
  for (Eigen::Index s = 0; s + 1 < c; ++s)
    for (Eigen::Index j = 0; j < v; ++j) {
      const Eigen::Index first = plain + j * c;
      const Vector difference = x.col(first + s) - x.col(first + c - 1);
      squares(j) += difference.squaredNorm();
      spread(j) += (difference.array() - difference.mean()).matrix().squaredNorm();
      left.col(j).segment(s * n, n) = difference - others * taken.solve(difference);
    }
  for (Eigen::Index j = 0; j < v; ++j)
    if (left.col(j).squaredNorm() <= kUnexplained * spread(j) || spread(j) <= kRounding * squares(j))
      user_error(
          "attributes: '{}' differs between the classes by {} in the rows used, so its coefficient is not determined",
          design.recipe.attributes[static_cast<std::size_t>(j)],
          squares(j) > 0 ? "what the constants of the classes and the other inputs explain" : "nothing");
  return collinear_columns(left, design.recipe.attributes, "attributes");
}

}  // namespace clearway::detail
