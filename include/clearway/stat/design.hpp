// From a table to a regression problem: which columns are response, inputs of the experts, inputs of the gate, weights.
//
// Terms of a column choice: a column "x", a power "x^2" (2 to 9), "log(x)", "sqrt(x)", any other expression of columns
// ("log(x + 1)", "weight/height^2"; log, log1p, log2, log10, exp, sqrt, abs, sin, cos, tanh), and products of these "x1*x2"
// (the product only). The response, the offset and the number of trials may be such expressions too. A text column, or one named by as-category, becomes one 0/1 column per level but the first,
// named "column[level]". A basis "poly(x,3)", "ns(x,4)" or "bs(x,5)" gives that many columns: orthogonal polynomials,
// natural cubic splines (linear beyond the data), cubic B-splines; its knots are kept. "1" alone asks for no inputs at all: the intercept is always there.
//
// What was done is kept as a recipe, which turns another table into inputs for the same model (predict).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/base/table.hpp"
#include "clearway/stat/expert.hpp"

namespace clearway {

/// What to do with rows in which a used cell is missing. They are never dropped silently.
enum class MissingPolicy { error, drop };
inline std::span<const EnumName<MissingPolicy>> enum_names(MissingPolicy) {
  static constexpr std::array<EnumName<MissingPolicy>, 2> names{{
      {MissingPolicy::error, "error", "stop, naming the first missing cell"},
      {MissingPolicy::drop, "drop", "leave rows with a missing cell out and say how many"},
  }};
  return names;
}

/// Which columns of a table play which part.
struct ColumnChoice {
  std::vector<std::string> target = {};       ///< one column; several for a vector response (linear, constant experts)
  std::vector<std::string> experts_on = {};   ///< terms; empty: every column that has no other part
  std::vector<std::string> gate_on = {};      ///< terms; empty: those of the experts
  std::vector<std::string> exclude = {};      ///< columns that no default takes
  std::vector<std::string> as_category = {};  ///< numeric columns that name categories
  std::string weights = {};                   ///< case weights
  std::string trials = {};                    ///< binomial: number of trials
  std::string offset = {};                    ///< added to the linear predictor
  std::string id = {};                        ///< repeated measures: rows with the same cell share their expert
  std::string labels = {};                    ///< known experts: a level per expert, missing where unknown
  std::string event = {};                     ///< 1 observed, 0 right-censored: tobit, weibull, exponential
  std::vector<double> censored_below = {};  ///< tobit: at most one number; responses at or below it are censored there
  std::vector<double> censored_above = {};  ///< tobit: the same from above
  std::vector<std::string> class_order = {};  ///< ordinal: the classes from low to high; empty: numbers by size
  std::vector<std::string> attributes = {};   ///< conditional logit: NAME stands for the columns NAME_<class>
  MissingPolicy missing = MissingPolicy::error;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("target", self.target,
          OptionInfo{
              .help = "the response, a column or an expression such as log(y); several for a vector response of linear "
                      "experts; successes,failures for binomial ones",
              .metavar = "COLUMN"});
    field("experts-on", self.experts_on,
          OptionInfo{.help = "inputs of the experts: x, x^2, x1*x2, log(x), poly(x,3), ns(x,4), bs(x,5), any "
                             "expression of columns, or 1 for none; default: all other columns",
                     .metavar = "TERM"});
    field("gate-on", self.gate_on,
          OptionInfo{.help = "inputs of the gate, written like those of the experts; default: the same",
                     .metavar = "TERM"});
    field("exclude", self.exclude, OptionInfo{.help = "columns that are no inputs", .metavar = "COLUMN"});
    field("as-category", self.as_category,
          OptionInfo{.help = "numeric columns whose numbers name categories", .metavar = "COLUMN"});
    field("weights", self.weights, OptionInfo{.help = "column of case weights", .metavar = "COLUMN"});
    field("trials", self.trials,
          OptionInfo{.help = "number of trials, a column or an expression of columns; binomial experts",
                     .metavar = "COLUMN"});
    field("offset", self.offset,
          OptionInfo{.help = "column or expression, as log(exposure), added to the linear predictor with coefficient 1",
                     .metavar = "COLUMN"});
    field("id", self.id,
          OptionInfo{.help = "repeated measures: rows with the same value in this column come from one expert",
                     .metavar = "COLUMN",
                     .source = "as y ~ x | id of flexmix"});
    field("labels", self.labels,
          OptionInfo{.help = "column that names the expert of rows where it is known; empty cells: unknown",
                     .metavar = "COLUMN"});
    field("event", self.event,
          OptionInfo{.help = "column that is 1 where the response was observed, 0 where it is censored (lies above)",
                     .metavar = "COLUMN"});
    field("censored-below", self.censored_below,
          OptionInfo{.help = "tobit experts: responses at or below this number are censored there", .off = "none"});
    field("censored-above", self.censored_above,
          OptionInfo{.help = "tobit experts: responses at or above this number are censored there", .off = "none"});
    field(
        "class-order", self.class_order,
        OptionInfo{.help = "ordinal experts: the classes from low to high; default: numbers by size, words by alphabet",
                   .metavar = "CLASS"});
    field("attributes", self.attributes,
          OptionInfo{.help = "conditional-logit experts: what differs between the alternatives; price stands for one "
                             "column price_CLASS per class; also log(price), price^2, price*income",
                     .metavar = "NAME"});
    field("missing", self.missing, OptionInfo{.help = "what to do with rows in which a cell is missing"});
  }
};

/// What happens to the numbers of a column.
enum class Transform { identity, power, log, sqrt, category, polynomial, natural_spline, b_spline };
inline std::span<const EnumName<Transform>> enum_names(Transform) {
  static constexpr std::array<EnumName<Transform>, 8> names{{
      {Transform::identity, "identity", "as it is"},
      {Transform::power, "power", "a power"},
      {Transform::log, "log", "natural logarithm"},
      {Transform::sqrt, "sqrt", "square root"},
      {Transform::category, "category", "one 0/1 column per level but the first"},
      {Transform::polynomial, "poly", "orthogonal polynomials of degree 1, 2, ..."},
      {Transform::natural_spline, "ns", "natural cubic spline"},
      {Transform::b_spline, "bs", "cubic B-splines"},
  }};
  return names;
}

/// One column and what happens to it.
struct Factor {
  std::string column;
  Transform transform = Transform::identity;
  int power = 1;                         ///< of Transform::power; number of columns of a basis (poly, ns, bs)
  std::vector<std::string> levels = {};  ///< of Transform::category; the first is the reference
  std::vector<double> constants = {};    ///< of a basis: its knots, or the recursion of its polynomials

  /// Names of the columns it gives: one, or one per level but the first.
  std::vector<std::string> names() const;
  /// How many names.
  std::size_t width() const {
    if (transform == Transform::category) return levels.empty() ? 0 : levels.size() - 1;
    return is_basis() ? static_cast<std::size_t>(power) : 1;
  }
  bool is_basis() const { return transform >= Transform::polynomial; }
  bool operator==(const Factor&) const = default;
};

/// Number of constants that a basis must have.
std::size_t basis_constant_count(const Factor& factor);
/// Throws std::invalid_argument beginning with `where` when the constants of a basis cannot be right (knots that do not
/// increase, norms that are not positive).
void check_basis(const Factor& factor, std::string_view where);

/// Throws std::invalid_argument beginning with `where` when the name of a computed column is no expression of columns.
void check_computed(const std::vector<std::string>& computed, std::string_view where);

/// A product of factors, usually of one.
struct Term {
  std::vector<Factor> factors;

  /// Names of the columns it gives: every combination of the factors' columns, the last factor fastest.
  std::vector<std::string> names() const;
  /// How many names; any number above `limit` once there are more than that (products grow fast).
  std::size_t width(std::size_t limit = static_cast<std::size_t>(-1)) const;
  bool operator==(const Term&) const = default;
};

/// How a table became a regression problem.
struct DesignRecipe {
  ExpertKind expert = ExpertKind::linear;
  std::vector<ExpertKind> more_experts;  ///< further kinds, when the experts are of several
  std::vector<std::string> target;
  std::vector<std::string>
      classes;  ///< multinomial, conditional logit, ordinal: its classes; bernoulli with a text target: those for 0, 1
  /// Conditional logit: the attributes as the user wrote them. The last expert terms belong to them, attribute by
  /// attribute, one for each class.
  std::vector<std::string> attributes;
  std::vector<Term> expert_terms;
  std::vector<Term> gate_terms;
  std::string weights;
  std::string trials;
  std::string offset;
  std::string id;
  std::string labels;
  std::vector<std::string> label_levels;  ///< level i names expert i
  std::string event;
  std::optional<double> censored_below;
  std::optional<double> censored_above;
  /// Columns named above that no table needs to hold: they are computed, each by the expression that is its name.
  std::vector<std::string> computed;

  /// Columns of a table that inputs are made of, and the offset where asked for, each once; those of expressions in place of
  /// computed ones.
  std::vector<std::string> input_columns(bool with_offset = false) const;
  /// Columns of a table that the response is made of: the targets, or those of their expressions.
  std::vector<std::string> response_columns() const;
  std::vector<std::string> expert_names() const;
  /// The same with an attribute in place of its columns: what coefficients of the experts are called after.
  std::vector<std::string> coefficient_names() const;
  std::vector<std::string> gate_names() const;
  /// Every kind that must be able to explain the response.
  std::vector<ExpertKind> kinds() const;
  /// Multinomial, ordinal: the classes; else the targets.
  std::vector<std::string> response_names() const;
  bool operator==(const DesignRecipe&) const = default;
};

/// A regression problem made from a table.
struct Design {
  Data data;
  DesignRecipe recipe;
  std::vector<std::string> expert_names;    ///< of the columns of data.expert_inputs
  std::vector<std::string> gate_names;      ///< of the columns of data.gate_inputs
  std::vector<std::string> response_names;  ///< of the columns of data.response; or of the classes
  bool has_response = true;                 ///< false: a table for predict() without target; data.response is NaN
  std::size_t table_rows = 0;
  std::vector<std::size_t> dropped;   ///< rows of the table (from 0) that were left out, increasing
  std::vector<std::string> notes;     ///< what was decided, full sentences
  std::vector<std::string> warnings;  ///< what the user should look at, full sentences

  /// The rows of the table (from 0) that became rows of the data.
  std::vector<std::size_t> kept_rows() const;
};

/// Makes the regression problem. Pass the table by std::move() to have its columns freed as they are used: the peak is
/// then little more than the result. Throws std::invalid_argument, naming file, line and column, for anything that does
/// not fit: unknown columns, text where numbers are needed, missing cells, responses the kind of expert cannot have,
/// constant inputs. Collinear inputs are a warning.
Design make_design(Table table, const ColumnChoice& choice, ExpertKind expert, GateKind gate = GateKind::softmax);
/// The same for experts of several kinds, each of which the response must suit.
Design make_design(Table table, const ColumnChoice& choice, const std::vector<ExpertKind>& experts,
                   GateKind gate = GateKind::softmax);

/// Gives the terms of `recipe` the levels and knots that the same terms have in `fitted`, so that a model that contains
/// the fitted one is fitted to the same columns, whatever the table. Returns whether anything changed.
bool keep_levels_and_knots(const DesignRecipe& fitted, DesignRecipe& recipe);

/// Turns another table into data for a model with that recipe. Target columns may be absent, or missing in some rows
/// (then NaN in data.response); a level that the model has not seen is an error naming line, level and known levels.
Design apply_recipe(const DesignRecipe& recipe, Table table, MissingPolicy missing = MissingPolicy::error);

}  // namespace clearway
