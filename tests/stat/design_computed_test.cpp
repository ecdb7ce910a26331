// Responses, offsets, trials and terms that are expressions of columns: against the same columns computed by hand, what is
// no input by default, and messages.
#include <gtest/gtest.h>

#include <cmath>

#include "clearway/stat/formula.hpp"
#include "design_tables.hpp"

namespace clearway {
namespace {

constexpr const char* kTable =
    "y,x,z,g\n"
    "1,0.5,2,a\n"
    "3,-0.25,4,b\n"
    "2,4,0.5,a\n"
    "5,1.5,8,b\n"
    "4,-2,1,a\n"
    "7,3,3,b\n";

ColumnChoice formula(std::string_view text, const std::string& formula) {
  ColumnChoice choice;
  apply_formula(Formula::parse(formula), table_of(text), choice);
  return choice;
}

Design design_of(const std::string& text, ExpertKind expert = ExpertKind::linear) {
  return make_design(table_of(kTable), formula(kTable, text), expert);
}

double cell(const Design& design, Eigen::Index row) {
  EXPECT_EQ(design.data.expert_inputs.cols(), 1);
  return design.data.expert_inputs(row, 0);
}

TEST(DesignComputed, FollowsTheRulesOfArithmetic) {
  const auto third = [](const std::string& term) { return cell(design_of("y ~ " + term + " | x"), 2); };
  const double x = 4, z = 0.5;  // of the third row
  EXPECT_DOUBLE_EQ(third("log(z + 1)"), std::log(1.5));
  EXPECT_DOUBLE_EQ(third("exp(x)"), std::exp(4.0));
  EXPECT_DOUBLE_EQ(third("I(x/z)"), 8);
  EXPECT_DOUBLE_EQ(third("I(x/z^2)"), 16);
  EXPECT_DOUBLE_EQ(third("I(x*z + z)"), x * z + z);
  EXPECT_DOUBLE_EQ(third("I(x - z)"), 3.5);
  EXPECT_DOUBLE_EQ(third("I(2*x)"), 8);
  EXPECT_DOUBLE_EQ(third("I(-x^2 + z)"), -15.5);
  EXPECT_DOUBLE_EQ(third("log10(z)"), std::log10(0.5));
  EXPECT_DOUBLE_EQ(third("log2(z)"), -1);
  EXPECT_DOUBLE_EQ(third("log1p(z)"), std::log1p(0.5));
  EXPECT_DOUBLE_EQ(third("I(z^0.5)"), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(third("I(x + z):z"), 2.25);
  EXPECT_DOUBLE_EQ(cell(design_of("y ~ abs(x) | x"), 4), 2);
  EXPECT_DOUBLE_EQ(cell(design_of("y ~ abs(x) | x"), 0), 0.5);
  // As an option, without the brackets of I().
  ColumnChoice choice{.target = {"y"}, .experts_on = {"x*z + z"}, .gate_on = {"x"}};
  EXPECT_DOUBLE_EQ(cell(make_design(table_of(kTable), choice, ExpertKind::linear), 2), x * z + z);
}

TEST(DesignComputed, TransformsAndBasesTakeExpressions) {
  Table table = table_of(kTable);
  Column w;
  w.name = "w";
  for (const double z : table.column("z").numbers) w.numbers.push_back(std::log(z) + 1);
  table.columns.push_back(w);
  const ColumnChoice by_hand{.target = {"y"}, .experts_on = {"poly(w,2)", "w*g"}, .gate_on = {"x"}};
  const ColumnChoice written{.target = {"y"}, .experts_on = {"poly(log(z)+1,2)", "(log(z)+1)*g"}, .gate_on = {"x"}};
  const Matrix expected = make_design(table, by_hand, ExpertKind::linear).data.expert_inputs;
  EXPECT_TRUE(make_design(table_of(kTable), written, ExpertKind::linear).data.expert_inputs.isApprox(expected, 1e-14));
}

TEST(DesignComputed, ResponseOffsetAndTrials) {
  const Design design = design_of("log(y) ~ x");
  EXPECT_EQ(design.response_names, Names{"log(y)"});
  EXPECT_DOUBLE_EQ(design.data.response(3, 0), std::log(5.0));
  ASSERT_FALSE(design.notes.empty());
  EXPECT_NE(design.notes.front().find("log(y)"), std::string::npos);

  const Design offset = design_of("y ~ x + offset(log(z))", ExpertKind::poisson);
  EXPECT_DOUBLE_EQ(offset.data.offset(0), std::log(2.0));
  EXPECT_EQ(offset.expert_names, Names{"x"});

  constexpr const char* kTrials = "yes,no,n,x\n1,2,3,0.5\n0,4,4,1\n3,1,4,2\n2,2,4,-1\n1,1,2,0.25\n";
  for (const std::string text : {"cbind(yes, no) ~ x", "cbind(yes, n - yes) ~ x", "cbind(yes, I(n - yes)) ~ x"}) {
    const Design binomial =
        make_design(table_of(kTrials), formula(kTrials, text), ExpertKind::binomial, GateKind::softmax);
    if (text.find("yes, n -") != std::string::npos) {
      // No successes are needed to predict.
      EXPECT_EQ(apply_recipe(binomial.recipe, table_of("n,x\n7,1\n")).data.trials(0), 7) << text;
    }
    EXPECT_EQ(binomial.data.trials, matrix({{3}, {4}, {4}, {4}, {2}})) << text;
    EXPECT_EQ(binomial.data.response, matrix({{1}, {0}, {3}, {2}, {1}})) << text;
    EXPECT_EQ(binomial.response_names, Names{"yes"});
  }
  // For other experts cbind() is a vector.
  EXPECT_EQ(
      make_design(table_of(kTrials), formula(kTrials, "cbind(yes, no) ~ x"), ExpertKind::linear).data.response.cols(),
      2);
}

TEST(DesignComputed, AsROffsetsAddUpAndIIsTheIdentity) {
  EXPECT_DOUBLE_EQ(design_of("y ~ x + offset(log(z)) + offset(z)", ExpertKind::poisson).data.offset(0),
                   std::log(2.0) + 2);
  EXPECT_DOUBLE_EQ(design_of("I(y/2) ~ x").data.response(1, 0), 1.5);
  EXPECT_DOUBLE_EQ(design_of("2*y ~ x").data.response(1, 0), 6);
  const Names both{"x", "z"};
  EXPECT_EQ(design_of("y ~ x + offset(z)", ExpertKind::poisson).recipe.input_columns(true), both);
  EXPECT_EQ(design_of("log(y) ~ x").recipe.response_columns(), Names{"y"});
}

TEST(DesignComputed, PiIsTheConstantUnlessAColumnIsCalledSo) {
  EXPECT_DOUBLE_EQ(cell(design_of("y ~ sin(2*pi*z) | x"), 2), std::sin(M_PI));
  constexpr const char* kPiColumn = "y,pi\n1,2\n2,3\n3,5\n5,4\n";
  EXPECT_DOUBLE_EQ(cell(make_design(table_of(kPiColumn), formula(kPiColumn, "y ~ exp(pi/10)"), ExpertKind::linear), 0),
                   std::exp(0.2));
  const DesignRecipe recipe =
      make_design(table_of(kPiColumn), formula(kPiColumn, "y ~ exp(pi/10)"), ExpertKind::linear).recipe;
  EXPECT_NO_THROW(check_computed(recipe.computed, "computed"));
  EXPECT_EQ(recipe.input_columns(), Names{"pi"});
}

TEST(DesignComputed, WhatPartsAreMadeOfIsNoInputByDefault) {
  EXPECT_EQ(design_of("log(y + z) ~ .").expert_names, (Names{"x", "g[b]"}));
  EXPECT_EQ(design_of("y ~ . + offset(log(z))", ExpertKind::poisson).expert_names, (Names{"x", "g[b]"}));
  EXPECT_EQ(make_design(table_of(kTable), {.target = {"sqrt(y)"}}, ExpertKind::linear).expert_names,
            (Names{"x", "z", "g[b]"}));
  EXPECT_EQ(
      make_design(table_of("s,f,x\n1,2,0\n2,1,1\n0,3,2\n"), {.target = {"s", "f"}}, ExpertKind::binomial).expert_names,
      Names{"x"});
}

TEST(DesignComputed, IsComputedAgainForOtherTables) {
  const Design design = design_of("log(y) ~ log(z + 1) + I(x/z) | I(x + z)");
  const Design same = apply_recipe(design.recipe, table_of(kTable));
  EXPECT_EQ(same.data.response, design.data.response);
  EXPECT_EQ(same.data.expert_inputs, design.data.expert_inputs);
  EXPECT_EQ(same.data.gate_inputs, design.data.gate_inputs);
  const Design new_rows = apply_recipe(design.recipe, table_of("z,x\n3,6\n"));
  EXPECT_FALSE(new_rows.has_response);
  EXPECT_DOUBLE_EQ(new_rows.data.expert_inputs(0, 0), std::log(4.0));
  EXPECT_DOUBLE_EQ(new_rows.data.expert_inputs(0, 1), 2);
  EXPECT_DOUBLE_EQ(new_rows.data.gate_inputs(0, 0), 9);
  EXPECT_EQ(design.recipe.input_columns(), (Names{"z", "x"}));
  const ColumnChoice blanks{.target = {"y"}, .experts_on = {"log(x + 3)"}, .gate_on = {"log( x+3 )"}};
  EXPECT_EQ(make_design(table_of(kTable), blanks, ExpertKind::linear).recipe.computed, Names{"x+3"});
  EXPECT_NE(error_of([&] { (void)apply_recipe(design.recipe, table_of("x\n1\n")); }).find("'z'"), std::string::npos);
}

TEST(DesignComputed, IsMissingWhereASourceIs) {
  constexpr const char* kHoles = "y,x,z\n1,2,3\n2,NA,4\n3,1,NA\n4,5,6\n7,8,1\n2,2,2\n";
  ColumnChoice choice = formula(kHoles, "y ~ I(x/z) | 1");
  EXPECT_NE(design_error(kHoles, choice).find("line 3"), std::string::npos);
  choice.missing = MissingPolicy::drop;
  const Design design = make_design(table_of(kHoles), choice, ExpertKind::linear);
  EXPECT_EQ(design.dropped, (std::vector<std::size_t>{1, 2}));
  EXPECT_DOUBLE_EQ(cell(design, 1), 5.0 / 6);
}

TEST(DesignComputed, SaysWhatIsWrong) {
  const auto message = [](const std::string& text) { return error_of([&] { (void)design_of(text); }); };
  EXPECT_NE(message("log(x) ~ z").find("t.csv: line 3, column 2 ('x'): log(x) is not a number where x = -0.25"),
            std::string::npos)
      << message("log(x) ~ z");
  EXPECT_NE(message("y ~ I(x/(z - 2))").find("line 2"), std::string::npos);
  EXPECT_NE(message("y ~ I(x/(z - 2))").find("is infinite where x = 0.5, z = 2"), std::string::npos);
  EXPECT_NE(message("y ~ log(zz + 1)").find("lacks 'zz'"), std::string::npos) << message("y ~ log(zz + 1)");
  EXPECT_NE(message("y ~ s(x)").find("no function 's'"), std::string::npos) << message("y ~ s(x)");
  EXPECT_NE(message("y ~ log(g)").find("'a' is not a number"), std::string::npos) << message("y ~ log(g)");
  EXPECT_NE(message("y ~ I(x + g)").find("'a' is not a number"), std::string::npos) << message("y ~ I(x + g)");
  EXPECT_NE(message("log(y) ~ y + x").find("'y' is the target"), std::string::npos) << message("log(y) ~ y + x");
  EXPECT_NE(message("y ~ I(y + x)").find("'y' is the target"), std::string::npos) << message("y ~ I(y + x)");
  EXPECT_NE(message("y ~ x^g").find("power"), std::string::npos) << message("y ~ x^g");
}

// A column of that very name is the column, whatever its name would compute.
TEST(DesignComputed, ColumnsComeFirst) {
  constexpr const char* kOdd = "y,a,b,a-b,log(a)\n1,1,1,10,7\n2,3,1,20,8\n3,5,2,15,5\n4,2,9,30,1\n";
  const ColumnChoice choice{.target = {"y"}, .experts_on = {"a-b", "log(a)", "a-b*b"}, .gate_on = {"a"}};
  const Design design = make_design(table_of(kOdd), choice, ExpertKind::linear);
  EXPECT_EQ(design.data.expert_inputs.row(1), (matrix({{20, 8, 20}})));
  EXPECT_TRUE(design.recipe.computed.empty());
}

}  // namespace
}  // namespace clearway
