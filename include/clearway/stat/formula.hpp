// Model formulas as R users write them: "y ~ x1 + poly(x2, 2) + g | z".
//
//   response ~ terms of the experts | terms of the gate
//
// Left of ~: the response, a column or an expression of columns such as log(y); cbind(y1, y2) for a vector; cbind(successes,
// failures) or cbind(y, n - y) for binomial experts. Terms are joined by + and taken away by -:
//   x, log(x), sqrt(x), x^2, I(x^2), poly(x, 2)     a term of one column; any call is passed on as it is written
//   log(x + 1), I(x1/x2)     an expression of columns
//   a:b           the product of two terms            a*b    a + b + a:b
//   .             every other column                  1      nothing but the intercept, which is always there
//   factor(g)     the category g, also when its levels are numbers
//   offset(e)     the column or expression e with coefficient 1 (experts only)
//   `a name`      a column whose name is no word
// Without | the gate has the terms of the experts. Nothing is fitted here: a formula becomes a ColumnChoice.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clearway/stat/design.hpp"

namespace clearway {

/// One term of a formula: a product of factors, added or taken away. A factor is the text of a column or call; "." alone
/// stands for every other column.
struct FormulaTerm {
  bool removed = false;
  std::vector<std::string> factors;
  bool operator==(const FormulaTerm&) const = default;
};

struct Formula {
  std::vector<std::string> response;
  std::vector<FormulaTerm> experts;  ///< empty: the intercept only
  std::vector<FormulaTerm> gate;     ///< when has_gate
  bool has_gate = false;

  /// Reads a formula. Throws std::invalid_argument that names the character (from 1) at which it ends to make sense.
  static Formula parse(std::string_view text);
  /// Text that parse() reads back to an equal formula, products written out.
  std::string text() const;
  bool operator==(const Formula&) const = default;
};

/// Sets target, experts_on, gate_on, and where the formula says so offset and as_category. Throws
/// std::invalid_argument when the choice names these already, or the formula takes a term away that is not there.
void apply_formula(const Formula& formula, const Table& table, ColumnChoice& choice);

/// The option of commands that fit.
struct FormulaOption {
  std::string formula;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("formula", self.formula,
          OptionInfo{.help = "in place of target, experts-on and gate-on: y ~ x1 + log(x2) + a:b | z; '.' is every "
                             "other column, 1 none",
                     .metavar = "FORMULA"});
  }
  /// apply_formula() where a formula was given, which is then used up: the choice says all, and a run's config.json can
  /// be read back.
  void apply(const Table& table, ColumnChoice& choice) {
    if (!formula.empty()) apply_formula(Formula::parse(formula), table, choice);
    formula.clear();
  }
};

}  // namespace clearway
