#include "design_response.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway::detail {

namespace {

/// Counts up to here are whole numbers in double arithmetic.
constexpr double kLargestCount = 9007199254740992.0;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_whole(double value) {
  return value == std::floor(value) && std::fabs(value) <= kLargestCount;
}

[[noreturn]] void refuse(const Table& table, const Column& column, std::size_t row, ExpertKind kind,
                         std::string_view rule, double value) {
  user_error("{}: {} experts need {}, not {}", table.place(row, column), enum_name(kind), rule, value);
}

/// The numbers of a column for the rows, NaN where missing.
Vector numbers_in(const Table& table, const Column& column, const RowSelection& rows) {
  const std::vector<double>& numbers = numbers_of(table, column);
  Vector out(static_cast<Eigen::Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) out[static_cast<Eigen::Index>(i)] = numbers[rows[i]];
  return out;
}

/// Numbers of classes per row, NaN where missing.
Vector class_numbers(const Table& table, const Column& column, const std::vector<std::string>& classes,
                     const RowSelection& rows) {
  const std::vector<int> codes = codes_of(table, column, classes, rows);
  Vector out(static_cast<Eigen::Index>(rows.size()));
  for (std::size_t i = 0; i < codes.size(); ++i) out[static_cast<Eigen::Index>(i)] = codes[i] < 0 ? kNaN : codes[i];
  return out;
}

/// Brings the classes found into the order given, which must name each of them once.
void put_in_order(const Column& column, const std::vector<std::string>& order, std::vector<std::string>& classes) {
  std::vector<std::string> sorted = order, found = classes;
  std::sort(sorted.begin(), sorted.end());
  std::sort(found.begin(), found.end());
  if (sorted != found)
    user_error("class-order must name each class of '{}' once ({}), not {}", column.name, short_list(classes),
               short_list(order));
  classes = order;
}

void fill_classes(const Table& table, const Column& column, const RowSelection& rows, bool fitted, DesignRecipe& recipe,
                  Design& design) {
  if (!fitted) {
    const std::vector<std::string> order = std::move(recipe.classes);  // ordinal: as the user wants it
    recipe.classes = classes_of(table, column, rows, recipe.expert);
    if (!order.empty()) put_in_order(column, order, recipe.classes);
    if (recipe.classes.size() > std::max<std::size_t>(2, rows.size() / 2))
      user_error("target: '{}' holds {} classes in {}, fewer than two rows a class", column.name, recipe.classes.size(),
                 plural(rows.size(), "row"));
    design.notes.push_back(
        recipe.expert == ExpertKind::ordinal
            ? fmt::format("The classes of '{}' from low to high are {}{}.", column.name, short_list(recipe.classes),
                          column.is_text && order.empty() ? " (by alphabet; --class-order says otherwise)" : "")
            : fmt::format("The classes of '{}' are {}; the last is the reference.", column.name,
                          short_list(recipe.classes)));
  }
  design.data.classes = static_cast<int>(recipe.classes.size());
  design.data.response = class_numbers(table, column, recipe.classes, rows);
}

void fill_bernoulli(const Table& table, const Column& column, const RowSelection& rows, bool fitted,
                    DesignRecipe& recipe, Design& design) {
  if (!fitted && column.is_text) {
    const auto levels = levels_of(column, rows);
    if (levels.size() != 2)
      user_error("target: '{}' holds {} ({}); bernoulli experts need two levels, or the numbers 0 and 1", column.name,
                 plural(levels.size(), "level"), short_list(levels));
    recipe.classes = levels;
    design.notes.push_back(
        fmt::format("In the target '{}', '{}' counts as 1 and '{}' as 0.", column.name, levels[1], levels[0]));
  }
  if (!recipe.classes.empty()) {
    design.data.response = class_numbers(table, column, recipe.classes, rows);
    return;
  }
  const Vector y = numbers_in(table, column, rows);
  for (Eigen::Index i = 0; i < y.size(); ++i)
    if (!std::isnan(y[i]) && y[i] != 0.0 && y[i] != 1.0)
      refuse(table, column, rows[static_cast<std::size_t>(i)], recipe.expert, "0 or 1", y[i]);
  design.data.response = y;
}

void fill_trials(const Table& table, const RowSelection& rows, const DesignRecipe& recipe, Design& design) {
  const Column& column = table.column(recipe.trials);
  const Vector trials = numbers_in(table, column, rows);
  for (Eigen::Index i = 0; i < trials.size(); ++i)
    if (!is_whole(trials[i]) || trials[i] < 1.0)
      refuse(table, column, rows[static_cast<std::size_t>(i)], recipe.expert, "a whole number of at least 1 as trials",
             trials[i]);
  design.data.trials = trials;
}

/// Refuses values that the kind cannot have; NaN is a missing cell and passes.
void check_values(const Table& table, const Column& column, const RowSelection& rows, const DesignRecipe& recipe,
                  const Vector& y, const Vector& trials) {
  for (Eigen::Index i = 0; i < y.size(); ++i) {
    const std::size_t row = rows[static_cast<std::size_t>(i)];
    const double value = y[i];
    if (std::isnan(value)) continue;
    for (const ExpertKind expert : recipe.kinds()) {
      const ResponseKind kind = response_kind(expert);
      if (kind == ResponseKind::positive && !(value > 0.0))
        refuse(table, column, row, expert, "a response above 0", value);
      if (kind == ResponseKind::unit && !(value > 0.0 && value < 1.0))
        refuse(table, column, row, expert, "a response between 0 and 1, both left out", value);
      if (kind == ResponseKind::counts && (value < 0.0 || !is_whole(value)))
        refuse(table, column, row, expert, "a whole number of at least 0", value);
    }
    if (recipe.expert == ExpertKind::binomial) {
      if (value < 0.0 || !is_whole(value))
        refuse(table, column, row, recipe.expert, "a whole number of successes of at least 0", value);
      if (value > trials[i])
        refuse(table, column, row, recipe.expert,
               fmt::format("no more successes than trials ('{}' is {})", recipe.trials, trials[i]), value);
    }
  }
}

void refuse_constant_response(const Table& table, const DesignRecipe& recipe, const Matrix& response) {
  for (Eigen::Index j = 0; j < response.cols(); ++j)
    if ((response.col(j).array() == response(0, j)).all())
      user_error("{}: the target '{}' is the same in all {} rows used: there is nothing to explain", table.source,
                 recipe.target[static_cast<std::size_t>(j)], response.rows());
}

}  // namespace

std::vector<std::string> classes_of(const Table& table, const Column& column, const RowSelection& rows,
                                    ExpertKind kind) {
  if (!column.is_text)
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (const double value = column.numbers[rows[i]]; !std::isnan(value) && !is_whole(value))
        refuse(table, column, rows[i], kind, "classes: words or whole numbers", value);
  std::vector<std::string> classes = levels_of(column, rows);
  if (classes.size() < 2)
    user_error("target: '{}' holds a single class ('{}') in the rows used; {} experts need at least 2", column.name,
               classes.empty() ? "" : classes.front(), enum_name(kind));
  return classes;
}

void fill_response(const Table& table, const RowSelection& rows, bool fitted, DesignRecipe& recipe, Design& design) {
  const auto n = static_cast<Eigen::Index>(rows.size());
  if (recipe.expert == ExpertKind::binomial) fill_trials(table, rows, recipe, design);
  design.response_names = recipe.response_names();
  const bool present = std::all_of(recipe.target.begin(), recipe.target.end(),
                                   [&](const std::string& name) { return table.has_column(name); });
  if (fitted && !present) {
    design.has_response = false;
    design.data.classes = has_classes(recipe.expert) ? static_cast<int>(recipe.classes.size()) : 0;
    design.data.response = Matrix::Constant(n, static_cast<Eigen::Index>(recipe.target.size()), kNaN);
    return;
  }
  const Column& first = table.column(recipe.target.front());
  if (has_classes(recipe.expert)) {
    fill_classes(table, first, rows, fitted, recipe, design);
  } else if (recipe.expert == ExpertKind::bernoulli) {
    fill_bernoulli(table, first, rows, fitted, recipe, design);
  } else {
    design.data.response.resize(n, static_cast<Eigen::Index>(recipe.target.size()));
    for (std::size_t j = 0; j < recipe.target.size(); ++j) {
      const Column& column = table.column(recipe.target[j]);
      const Vector y = numbers_in(table, column, rows);
      check_values(table, column, rows, recipe, y, design.data.trials);
      design.data.response.col(static_cast<Eigen::Index>(j)) = y;
    }
  }
  if (!fitted) refuse_constant_response(table, recipe, design.data.response);
  design.response_names = recipe.response_names();
}

void fill_event(const Table& table, const RowSelection& rows, const DesignRecipe& recipe, Design& design) {
  const bool by_column = !recipe.event.empty() && table.has_column(recipe.event);
  if (!by_column && !recipe.censored_below && !recipe.censored_above) return;
  Vector event = Vector::Ones(static_cast<Eigen::Index>(rows.size()));
  if (by_column) {
    const Column& column = table.column(recipe.event);
    event = numbers_in(table, column, rows);
    for (Eigen::Index i = 0; i < event.size(); ++i)
      if (event[i] != 0.0 && event[i] != 1.0)
        user_error("{}: an event must be 1 (observed) or 0 (censored), not {}",
                   table.place(rows[static_cast<std::size_t>(i)], column), event[i]);
  }
  for (Eigen::Index i = 0; i < event.size(); ++i) {  // a missing response (NaN) is on no side of a limit
    double& y = design.data.response(i, 0);
    if (recipe.censored_below && y <= *recipe.censored_below) {
      if (event[i] == 0.0)
        user_error("{}: the response cannot be censored from above (event 0) and from below (at most {}) at once",
                   table.place(rows[static_cast<std::size_t>(i)], table.column(recipe.event)), *recipe.censored_below);
      y = *recipe.censored_below;
      event[i] = -1.0;
    } else if (recipe.censored_above && y >= *recipe.censored_above) {
      y = *recipe.censored_above;
      event[i] = 0.0;
    }
  }
  if (design.has_response) {
    const auto censored = static_cast<std::size_t>((event.array() != 1.0).count());
    design.notes.push_back(
        fmt::format("{} of {} {} censored.", plural(censored, "response"), rows.size(), censored == 1 ? "is" : "are"));
  }
  design.data.event = std::move(event);
}

}  // namespace clearway::detail
