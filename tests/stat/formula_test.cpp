// Formulas: what R's grammar says they mean, reading back what is printed, and errors that point at the character.
#include "clearway/stat/formula.hpp"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

namespace clearway {
namespace {

std::vector<std::string> terms_of(const std::vector<FormulaTerm>& terms) {
  std::vector<std::string> out;
  for (const FormulaTerm& term : terms) {
    std::string text = term.removed ? "-" : "";
    for (const std::string& factor : term.factors) text += (text.size() > (term.removed ? 1U : 0U) ? ":" : "") + factor;
    out.push_back(text);
  }
  return out;
}

using Terms = std::vector<std::string>;

// attr(terms(y ~ ...), "term.labels") of R 4.2 gives the same lists, but sorted by order across the whole formula.
TEST(Formula, CrossingIsMainEffectsThenProducts) {
  EXPECT_EQ(terms_of(Formula::parse("y ~ a*b").experts), (Terms{"a", "b", "a:b"}));
  EXPECT_EQ(terms_of(Formula::parse("y~a*b*c").experts), (Terms{"a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"}));
  EXPECT_EQ(terms_of(Formula::parse("y ~ a:b + a").experts), (Terms{"a:b", "a"}));
}

TEST(Formula, SidesAndCalls) {
  const Formula formula = Formula::parse(" y ~ x1 + poly(x2, 2) + I(x3^2) + `odd name` | log(z) - w ");
  EXPECT_EQ(formula.response, (Terms{"y"}));
  EXPECT_EQ(terms_of(formula.experts), (Terms{"x1", "poly(x2,2)", "x3^2", "odd name"}));
  EXPECT_TRUE(formula.has_gate);
  EXPECT_EQ(terms_of(formula.gate), (Terms{"log(z)", "-w"}));
  EXPECT_FALSE(Formula::parse("y ~ 1").has_gate);
  EXPECT_TRUE(Formula::parse("y ~ 1").experts.empty());
  EXPECT_EQ(Formula::parse("cbind(u, v) ~ x").response, (Terms{"u", "v"}));
  EXPECT_EQ(Formula::parse("y ~ 1 + x").experts, Formula::parse("y ~ x").experts);
}

struct WrongFormula {
  std::string text;
  int character;
  std::string rule;
};

class WrongFormulas : public testing::TestWithParam<WrongFormula> {};

TEST_P(WrongFormulas, NameTheCharacter) {
  const WrongFormula& wrong = GetParam();
  try {
    Formula::parse(wrong.text);
    FAIL() << wrong.text << " was read";
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(fmt::format("character {} ", wrong.character)), std::string::npos) << message;
    EXPECT_NE(message.find(wrong.rule), std::string::npos) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongFormulas,
    testing::Values(WrongFormula{"y x", 3, "'~' is expected"},
                    WrongFormula{"y ~ x1 + + x2", 10, "a column is expected"},
                    WrongFormula{"y ~ log(x", 8, "never closed"}, WrongFormula{"y ~ x | z | id", 11, "second '|'"},
                    WrongFormula{"y ~ x ~ z", 7, "second '~'"}, WrongFormula{"y ~ a:.", 5, "'.' cannot be part"},
                    WrongFormula{"y ~ x - 1", 9, "the intercept is always there"},
                    WrongFormula{"y ~ x^b", 7, "a power must be"}, WrongFormula{"~ x", 1, "a column"},
                    WrongFormula{"y ~", 4, "a column is expected"}, WrongFormula{"y ~ `x", 5, "never closed"},
                    WrongFormula{"y ~ f()", 7, "needs an argument"}, WrongFormula{"y ~ x1 x2", 8, "is expected"}));

// What text() prints is read back to the same formula.
RC_GTEST_PROP(FormulaLaws, PrintingAndReadingAreInverse, ()) {
  const auto name = rc::gen::elementOf(Terms{"x1", "y.2", "_z", "log(x)", "poly(x,3)", "x^2", "sqrt(x1)", "a b", "1st",
                                             "f(x,g(y))", "log(x)^2", "weird^name"});
  const auto product = rc::gen::container<Terms>(name);
  const auto side = [&] {
    std::vector<FormulaTerm> terms;
    const int count = *rc::gen::inRange(0, 5);
    for (int i = 0; i < count; ++i) {
      FormulaTerm term{*rc::gen::arbitrary<bool>(), *rc::gen::nonEmpty(product)};
      if (*rc::gen::inRange(0, 6) == 0) term.factors = {"."};
      if (std::find(terms.begin(), terms.end(), term) == terms.end()) terms.push_back(term);
    }
    return terms;
  };
  Formula formula;
  formula.response = *rc::gen::elementOf(std::vector<Terms>{{"y"}, {"y", "my column"}, {"1y"}});
  formula.experts = side();
  formula.has_gate = *rc::gen::arbitrary<bool>();
  if (formula.has_gate) formula.gate = side();
  RC_LOG() << formula.text();
  RC_ASSERT(Formula::parse(formula.text()) == formula);
}

Table table_of(const Terms& names) {
  Table table;
  table.rows = 4;
  double start = 1;
  for (const std::string& name : names) {
    Column column;
    column.name = name;
    column.numbers = {start, start * 2, start + 3, start * start + 7};
    table.columns.push_back(column);
    start += 1;
  }
  return table;
}

TEST(FormulaChoice, DotsRemovalsOffsetsAndFactors) {
  const Table table = table_of({"y", "a", "b", "g", "e"});
  ColumnChoice choice;
  apply_formula(Formula::parse("y ~ . - b + a:b + offset(e) + factor(g) | b"), table, choice);
  EXPECT_EQ(choice.target, (Terms{"y"}));
  EXPECT_EQ(choice.experts_on, (Terms{"a", "g", "a*b"}));
  EXPECT_EQ(choice.gate_on, (Terms{"b"}));
  EXPECT_EQ(choice.offset, "e");
  EXPECT_EQ(choice.as_category, (Terms{"g"}));
  ColumnChoice censored;
  censored.event = "e";
  apply_formula(Formula::parse("y ~ ."), table, censored);
  EXPECT_EQ(censored.experts_on, (Terms{"a", "b", "g"}));
  ColumnChoice none;
  apply_formula(Formula::parse("y ~ a | 1"), table, none);
  EXPECT_EQ(none.gate_on, (Terms{"1"}));
}

TEST(FormulaChoice, Mistakes) {
  const Table table = table_of({"y", "a"});
  ColumnChoice twice;
  twice.target = {"y"};
  EXPECT_THROW(apply_formula(Formula::parse("y ~ a"), table, twice), std::invalid_argument);
  ColumnChoice choice;
  EXPECT_THROW(apply_formula(Formula::parse("y ~ a - b"), table, choice), std::invalid_argument);
  ColumnChoice gate;
  EXPECT_THROW(apply_formula(Formula::parse("y ~ a | offset(a)"), table, gate), std::invalid_argument);
}

TEST(FormulaChoice, TheDesignIsThatOfTheTerms) {
  const Table table = table_of({"y", "a", "b"});
  ColumnChoice formula, terms;
  apply_formula(Formula::parse("y ~ a*b | a^2"), table, formula);
  terms.target = {"y"};
  terms.experts_on = {"a", "b", "a*b"};
  terms.gate_on = {"a^2"};
  const Design one = make_design(table, formula, ExpertKind::linear);
  const Design other = make_design(table, terms, ExpertKind::linear);
  EXPECT_EQ(one.recipe, other.recipe);
  EXPECT_EQ(one.data.expert_inputs, other.data.expert_inputs);
}

}  // namespace
}  // namespace clearway
