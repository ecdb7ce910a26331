// From tables to regression problems: what becomes of each kind of column, every message, and recipes for new tables.
#include "clearway/stat/design.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "design_tables.hpp"

namespace clearway {
namespace {

constexpr std::string_view kTable =
    "y,x1,x2,colour,w,n\n"
    "1,2,3,red,1,5\n"
    "2,4,1,blue,2,6\n"
    "4,1,5,green,0,7\n"
    "3,3,9,red,1,8\n"
    "5,7,2,blue,1,9\n"
    "0,6,4,green,3,9\n";

TEST(Design, DefaultsTakeEveryOtherColumn) {
  const Design d =
      make_design(table_of(kTable), {.target = {"y"}, .exclude = {"n"}, .weights = "w"}, ExpertKind::linear);
  EXPECT_EQ(d.expert_names, (Names{"x1", "x2", "colour[green]", "colour[red]"}));
  EXPECT_EQ(d.gate_names, d.expert_names);
  EXPECT_EQ(d.response_names, (Names{"y"}));
  EXPECT_EQ(d.data.expert_inputs,
            matrix({{2, 3, 0, 1}, {4, 1, 0, 0}, {1, 5, 1, 0}, {3, 9, 0, 1}, {7, 2, 0, 0}, {6, 4, 1, 0}}));
  EXPECT_EQ(d.data.gate_inputs, d.data.expert_inputs);
  EXPECT_EQ(d.data.response, matrix({{1}, {2}, {4}, {3}, {5}, {0}}));
  EXPECT_EQ(d.data.weights, matrix({{1}, {2}, {0}, {1}, {1}, {3}}));
  EXPECT_EQ(d.data.trials.size(), 0);
  EXPECT_EQ(d.data.offset.size(), 0);
  EXPECT_TRUE(d.dropped.empty());
  EXPECT_TRUE(d.notes.empty());
  EXPECT_TRUE(d.warnings.empty());
  EXPECT_EQ(d.kept_rows().size(), 6u);
}

constexpr std::string_view kVisits =
    "y,age,dose,person,regime\n"
    "1,40,1,ann,\n"
    "2,40,2,ann,\n"
    "0,55,1,bob,low\n"
    "3,40,2,cleo,high\n"
    "1,55,3,bob,low\n";

TEST(Design, RepeatedMeasuresGiveGroupsAndAGateOverThem) {
  const Design d =
      make_design(table_of(kVisits), {.target = {"y"}, .id = "person", .labels = "regime"}, ExpertKind::linear);
  EXPECT_EQ(d.data.groups, (std::vector<int>{0, 0, 1, 2, 1}));
  EXPECT_EQ(d.data.labels, (std::vector<int>{-1, -1, 1, 0, 1}));  // 'high' before 'low'; an empty cell is unknown
  EXPECT_EQ(d.expert_names, (Names{"age", "dose"}));
  EXPECT_EQ(d.gate_names, (Names{"age"}));  // the dose varies within a person
  EXPECT_EQ(d.notes,
            (Names{"The gate weighs whole groups ('person'), so it looks only at inputs that do not vary within one: "
                   "age.",
                   "The experts of 3 of 5 rows are known ('regime'): expert 1 is 'high', expert 2 is 'low'."}));
  EXPECT_EQ(design_error(kVisits, {.target = {"y"}, .gate_on = {"dose"}, .exclude = {"regime"}, .id = "person"}),
            "gate-on: 'dose' varies within a group (t.csv: line 2, column 3 ('dose') and t.csv: line 3, column 3 "
            "('dose') have the same 'person'); with --id the gate weighs groups, so its inputs must be the same for "
            "all rows of one");
  const Design again = apply_recipe(d.recipe, table_of("age,dose,person\n40,1,zoe\n40,2,zoe\n"));
  EXPECT_EQ(again.data.groups, (std::vector<int>{0, 0}));
  EXPECT_TRUE(apply_recipe(d.recipe, table_of("age,dose\n40,1\n40,2\n")).data.groups.empty());
}

TEST(Design, GateAndExpertsMayDiffer) {
  ColumnChoice choice{.target = {"y"}, .experts_on = {"x1"}};
  EXPECT_EQ(make_design(table_of(kTable), choice, ExpertKind::linear).gate_names, (Names{"x1"}));
  choice.gate_on = {"x2", "colour"};
  const Design d = make_design(table_of(kTable), choice, ExpertKind::linear);
  EXPECT_EQ(d.expert_names, (Names{"x1"}));
  EXPECT_EQ(d.gate_names, (Names{"x2", "colour[green]", "colour[red]"}));
  EXPECT_EQ(d.data.gate_inputs.col(0), matrix({{3}, {1}, {5}, {9}, {2}, {4}}));
  choice.experts_on = {"1"};
  EXPECT_EQ(make_design(table_of(kTable), choice, ExpertKind::linear).data.expert_inputs.cols(), 0);
  EXPECT_EQ(make_design(table_of(kTable), {.target = {"y"}, .experts_on = {"1"}}, ExpertKind::linear).gate_names,
            Names{});
}

TEST(Design, KindsWithoutInputsTakeNone) {
  const ColumnChoice choice{.target = {"y"}, .exclude = {"w", "n", "colour"}};
  const Design constant = make_design(table_of(kTable), choice, ExpertKind::constant);
  EXPECT_EQ(constant.expert_names, Names{});
  EXPECT_EQ(constant.gate_names, (Names{"x1", "x2"}));
  EXPECT_EQ(constant.data.expert_inputs.rows(), 6);
  const Design equal = make_design(table_of(kTable), choice, ExpertKind::linear, GateKind::equal);
  EXPECT_EQ(equal.expert_names, (Names{"x1", "x2"}));
  EXPECT_EQ(equal.gate_names, Names{});
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1"}}, ExpertKind::constant),
            "experts-on: constant experts use no inputs");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .gate_on = {"x1"}}, ExpertKind::linear, GateKind::constant),
            "gate-on: the constant gate uses no inputs");
}

TEST(Design, TermsTransformAndMultiply) {
  const Design d = make_design(table_of(kTable),
                               {.target = {"y"},
                                .experts_on = {"x1^2", "x1 * x2", "log(x2)", "sqrt( x1 )", "x2*colour"},
                                .gate_on = {"x1^3*log(x2)"}},
                               ExpertKind::linear);
  EXPECT_EQ(d.expert_names, (Names{"x1^2", "x1*x2", "log(x2)", "sqrt(x1)", "x2*colour[green]", "x2*colour[red]"}));
  const Matrix& x = d.data.expert_inputs;
  EXPECT_EQ(x.col(0), matrix({{4}, {16}, {1}, {9}, {49}, {36}}));
  EXPECT_EQ(x.col(1), matrix({{6}, {4}, {5}, {27}, {14}, {24}}));
  EXPECT_EQ(x(0, 2), std::log(3.0));
  EXPECT_EQ(x(1, 3), 2.0);
  EXPECT_EQ(x.col(4), matrix({{0}, {0}, {5}, {0}, {0}, {4}}));
  EXPECT_EQ(x.col(5), matrix({{3}, {0}, {0}, {9}, {0}, {0}}));
  EXPECT_DOUBLE_EQ(d.data.gate_inputs(0, 0), 8 * std::log(3.0));
  EXPECT_EQ(d.gate_names, (Names{"x1^3*log(x2)"}));
}

TEST(Design, ProductsOfCategoriesTakeEveryCombination) {
  const ColumnChoice choice{.target = {"y"}, .experts_on = {"a*b"}};
  const Design d = make_design(table_of("y,a,b\n1,p,u\n2,q,u\n3,r,v\n4,p,v\n5,q,v\n6,r,w\n7,q,w\n8,p,w\n"), choice,
                               ExpertKind::linear);
  EXPECT_EQ(d.expert_names, (Names{"a[q]*b[v]", "a[q]*b[w]", "a[r]*b[v]", "a[r]*b[w]"}));
  EXPECT_EQ(d.data.expert_inputs, matrix({{0, 0, 0, 0},
                                          {0, 0, 0, 0},
                                          {0, 0, 1, 0},
                                          {0, 0, 0, 0},
                                          {1, 0, 0, 0},
                                          {0, 0, 0, 1},
                                          {0, 1, 0, 0},
                                          {0, 0, 0, 0}}));
  // A combination that never occurs has nothing to estimate.
  EXPECT_EQ(design_error("y,a,b\n1,p,u\n2,q,u\n3,p,v\n4,p,u\n", choice),
            "experts-on: 'a[q]*b[v]' is 0 in all 4 rows used; leave it out (--exclude), the intercept is always there");
}

TEST(Design, ProductsOfManyCategoriesAreRefusedBeforeTheyFillTheMemory) {
  std::string text = "y,a,b,c\n";
  for (int i = 0; i < 200; ++i) text += fmt::format("{},l{},l{},l{}\n", i, i % 90, i * 7 % 90, i * 11 % 90);
  EXPECT_EQ(design_error(text, {.target = {"y"}, .experts_on = {"a*b*c"}}),
            "experts-on: the terms give more than 20000 columns");
}

TEST(Design, NumbersMayNameCategories) {
  const Design d = make_design(table_of("y,z,x\n1,10,1\n2,9,2\n3,1.50,4\n4,9,1\n5,10,7\n6,1.5,1\n"),
                               {.target = {"y"}, .as_category = {"z"}}, ExpertKind::linear);
  EXPECT_EQ(d.expert_names, (Names{"z[9]", "z[10]", "x"}));  // by size, not by bytes
  EXPECT_EQ(d.data.expert_inputs.col(0), matrix({{0}, {1}, {0}, {1}, {0}, {0}}));
}

TEST(Design, AColumnWhoseNameLooksLikeATermIsStillAColumn) {
  const Design d =
      make_design(table_of("y,x*z,log(x),x^2,1\n1,2,3,4,9\n2,5,-5,5,8\n9,1,1,1,7\n"),
                  {.target = {"y"}, .experts_on = {"x*z", "log(x)", "1"}, .gate_on = {"x^2"}}, ExpertKind::linear);
  EXPECT_EQ(d.data.expert_inputs, matrix({{2, 3, 9}, {5, -5, 8}, {1, 1, 7}}));
  EXPECT_EQ(d.data.gate_inputs, matrix({{4}, {5}, {1}}));
}

TEST(Design, MistakesInTheChoiceAreNamed) {
  EXPECT_EQ(design_error(kTable, {}), "target must name the response: a column of the table");
  EXPECT_EQ(design_error(kTable, {.target = {"Y"}}),
            "target: there is no column 'Y' (did you mean 'y'?); the columns are y, x1, x2, colour, w, n");
  EXPECT_EQ(design_error(kTable, {.target = {"y", "y"}}), "target: 'y' is listed twice");
  EXPECT_EQ(design_error(kTable, {.target = {"y", "x1"}}, ExpertKind::poisson),
            "target must be one column for poisson experts, not 2; only linear and constant experts take a vector");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .weights = "y"}), "weights: 'y' already has another part");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .weights = "ww"}),
            "weights: there is no column 'ww' (did you mean 'w'?); the columns are y, x1, x2, colour, w, n");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .exclude = {"q17"}}),
            "exclude: there is no column 'q17'; the columns are y, x1, x2, colour, w, n");
  EXPECT_EQ(
      design_error(kTable, {.target = {"y"}, .as_category = {"color"}}),
      "as-category: there is no column 'color' (did you mean 'colour'?); the columns are y, x1, x2, colour, w, n");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .trials = "n"}),
            "trials is only for binomial experts, not for linear");
  EXPECT_EQ(
      design_error(kTable, {.target = {"y"}}, ExpertKind::binomial),
      "trials must name the column with the number of trials for binomial experts; or let target be the columns of "
      "successes and failures");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .offset = "n"}, ExpertKind::network),
            "offset needs experts with one linear predictor, not network experts");
  EXPECT_EQ(design_error(kTable, {.target = {"y", "x1"}, .offset = "n"}),
            "offset needs experts with one linear predictor, not linear experts of a vector response");
  const std::string columns =
      "; the columns are y, x1, x2, colour, w, n (a term is a column x, x^2, x1*x2, log(x), sqrt(x), poly(x,3), "
      "ns(x,4), bs(x,5), or an expression of columns)";
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x3"}}),
            "experts-on: there is no column 'x3' (did you mean 'x1'?)" + columns);
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1"}, .gate_on = {"log(elephants)"}}),
            "gate-on: there is no column 'elephants'" + columns);
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1^b"}}),
            "experts-on: the power in 'x1^b' must be a number");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1*"}}),
            "experts-on: 'x1*' lacks a factor beside '*'");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {" "}}), "experts-on: a term is empty");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1", "x2", "x1"}}),
            "experts-on: 'x1' is listed twice");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1*y"}}),
            "experts-on: 'y' is the target; it cannot be an input too");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"log(colour)"}}),
            "t.csv: line 2, column 4 ('colour'): 'red' is not a number, which 'log(colour)' needs");
  EXPECT_EQ(design_error(kTable, {.target = {"y"}, .experts_on = {"x1^2"}, .as_category = {"x1"}}),
            "experts-on: 'x1^2' needs numbers, but as-category makes 'x1' a category");
}

TEST(Design, BadCellsAreNamedByLineAndColumn) {
  EXPECT_EQ(design_error("y,x\n1,2\n2,0\n3,-1\n", {.target = {"y"}, .experts_on = {"log(x)"}}),
            "t.csv: line 3, column 2 ('x'): log needs a number above 0, not 0");
  EXPECT_EQ(design_error("y,x\n1,2\n2,0\n3,-1\n", {.target = {"y"}, .experts_on = {"sqrt(x)"}}),
            "t.csv: line 4, column 2 ('x'): sqrt needs a number of at least 0, not -1");
  EXPECT_EQ(design_error("y,x\n1,2\n2,1e200\n3,-1\n", {.target = {"y"}, .experts_on = {"x^2"}}),
            "t.csv: line 3, column 2 ('x'): 1e+200 becomes too large in the term 'x^2'");
  std::string mostly = "y,x\n";
  for (int i = 0; i < 50; ++i) mostly += std::to_string(i % 7) + "," + (i == 33 ? "1O" : std::to_string(i)) + "\n";
  EXPECT_EQ(
      design_error(mostly, {.target = {"y"}}),
      "t.csv: line 35, column 2 ('x'): '1O' is not a number, while most cells of the column are; mend it, declare what "
      "means missing with --missing-values, or take the column as text with --as-category");
  EXPECT_EQ(design_error("y;x\n1;2,5\n2;3,5\n3;7\n", {.target = {"y"}}),
            "t.csv: line 2, column 2 ('x'): '2,5' is a number with a comma: read the table with --decimal comma where "
            "it means "
            "1.5, else leave it out");
  EXPECT_EQ(design_error("y,x\na,1\nb,2\n", {.target = {"y"}}), "t.csv: line 2, column 1 ('y'): 'a' is not a number");
  EXPECT_EQ(design_error("y,x,w\n1,1,1\n2,2,-3\n", {.target = {"y"}, .weights = "w"}),
            "t.csv: line 3, column 3 ('w'): a weight must be at least 0, not -3");
  EXPECT_EQ(design_error("y,x,w\n1,1,0\n2,2,0\n", {.target = {"y"}, .weights = "w"}),
            "weights: all weights in 'w' are 0");
}

TEST(Design, MissingCellsStopOrAreDroppedAloud) {
  constexpr std::string_view text = "y,x,z,s\n1,1,,a\n2,NA,1,b\n3,3,2,a\n,4,5,b\n5,5,4,\n6,7,,b\n7,2,3,a\n8,1,1,b\n";
  EXPECT_EQ(
      design_error(text, {.target = {"y"}}),
      "5 cells in 5 rows are missing in the columns used, the first in t.csv: line 2, column 3 ('z'); leave such rows "
      "out with --missing drop, or the column out with --exclude");
  EXPECT_EQ(
      design_error(text, {.target = {"y"}, .exclude = {"z", "s", "x"}, .missing = MissingPolicy::error}),
      "1 cell in 1 row is missing in the columns used, the first in t.csv: line 5, column 1 ('y'); leave such rows out "
      "with --missing drop, or the column out with --exclude");
  const Design d = make_design(table_of(text), {.target = {"y"}, .missing = MissingPolicy::drop}, ExpertKind::linear);
  EXPECT_EQ(d.dropped, (std::vector<std::size_t>{0, 1, 3, 4, 5}));
  EXPECT_EQ(d.kept_rows(), (std::vector<std::size_t>{2, 6, 7}));
  EXPECT_EQ(d.notes,
            (Names{"5 rows of 8 left out, because 5 cells in 5 rows are missing in the columns used, the first in "
                   "t.csv: line 2, column 3 ('z')."}));
  EXPECT_EQ(d.data.response, matrix({{3}, {7}, {8}}));
  EXPECT_EQ(d.data.expert_inputs.row(0), matrix({{3, 2, 0}}));
  // Columns that are not used may have holes.
  EXPECT_EQ(make_design(table_of(text), {.target = {"y"}, .experts_on = {"z"}, .missing = MissingPolicy::drop},
                        ExpertKind::linear)
                .dropped,
            (std::vector<std::size_t>{0, 3, 5}));
  EXPECT_EQ(design_error("y,x\n1,\n,2\n", {.target = {"y"}, .missing = MissingPolicy::drop}),
            "2 cells in 2 rows are missing in the columns used, the first in t.csv: line 2, column 2 ('x'); no row is "
            "complete");
  // A level that only occurs in dropped rows is no level.
  EXPECT_EQ(make_design(table_of("y,s\n1,a\n2,b\n,c\n4,a\n5,b\n"), {.target = {"y"}, .missing = MissingPolicy::drop},
                        ExpertKind::linear)
                .expert_names,
            (Names{"s[b]"}));
}

TEST(Design, UselessInputsAreNamed) {
  EXPECT_EQ(design_error("y,x,c\n1,1,7\n2,2,7\n3,5,7\n", {.target = {"y"}}),
            "experts-on: 'c' is 7 in all 3 rows used; leave it out (--exclude), the intercept is always there");
  EXPECT_EQ(design_error("y,x,c\n1,1,7\n2,2,7\n3,5,7\n", {.target = {"y"}, .experts_on = {"x"}, .gate_on = {"c"}}),
            "gate-on: 'c' is 7 in all 3 rows used; leave it out (--exclude), the intercept is always there");
  EXPECT_EQ(design_error("y,s\n1,a\n2,a\n", {.target = {"y"}}),
            "experts-on: the category 's' has a single level ('a') in the rows used; leave it out (--exclude)");
  EXPECT_EQ(design_error("y,id\n1,a\n2,b\n3,c\n", {.target = {"y"}}),
            "experts-on: the category 'id' has 3 levels in 3 rows, too many to learn from; leave it out (--exclude)");
  EXPECT_EQ(design_error("y,x\n4,1\n4,2\n4,5\n", {.target = {"y"}}),
            "t.csv: the target 'y' is the same in all 3 rows used: there is nothing to explain");
}

TEST(Design, CollinearInputsAreAWarning) {
  // c = 2 a - 3 b + 1; e is unrelated; f = e / 10.
  std::string text = "y,a,b,c,e,f\n";
  for (int i = 0; i < 20; ++i) {
    const int a = i * i % 13, b = i * 7 % 11, e = i * i * i % 17;
    text += fmt::format("{},{},{},{},{},{}\n", i, a, b, 2 * a - 3 * b + 1, e, e / 10.0);
  }
  const Design d = make_design(table_of(text), {.target = {"y"}}, ExpertKind::linear);
  EXPECT_EQ(d.warnings,
            (Names{"experts-on: 'c' is a linear combination of 'a', 'b' and the intercept in the rows used, so its own "
                   "coefficient is not determined, and no parameter (df).",
                   "experts-on: 'f' is a linear combination of 'e' and the intercept in the rows used, so its own "
                   "coefficient is not determined, and no parameter (df)."}));
  // Nearly collinear is not collinear: a year, its square and its cube keep more than 1e-10 of their variance.
  std::string years = "y,t\n";
  for (int i = 0; i < 120; ++i) years += fmt::format("{},{}\n", i % 5, 1900 + i);
  EXPECT_TRUE(
      make_design(table_of(years), {.target = {"y"}, .experts_on = {"t", "t^2"}}, ExpertKind::linear).warnings.empty());
}

// Coded against the first level, a product without the rest of it as a term gives that level slope 0; R's coding differs.
TEST(Design, ProductsWithoutTheirMarginAreAWarning) {
  const auto warnings = [](const Names& terms) {
    return make_design(table_of(kTable), {.target = {"y"}, .experts_on = terms, .gate_on = {"x1"}}, ExpertKind::linear)
        .warnings;
  };
  ASSERT_EQ(warnings({"x1*colour"}).size(), 1U);
  EXPECT_NE(warnings({"x1*colour"}).front().find("the level 'blue' of 'colour' has slope 0"), std::string::npos);
  EXPECT_TRUE(warnings({"x1", "x1*colour"}).empty());
}

TEST(Design, ResponsesFitTheKindOfExpert) {
  const auto response = [](std::string_view text, ExpertKind kind, const std::string& trials = "") {
    return make_design(table_of(text), {.target = {"y"}, .experts_on = {"x"}, .trials = trials}, kind);
  };
  const Design words = response("y,x\nno,1\nyes,2\nno,4\n", ExpertKind::bernoulli);
  EXPECT_EQ(words.data.response, matrix({{0}, {1}, {0}}));
  EXPECT_EQ(words.recipe.classes, (Names{"no", "yes"}));
  EXPECT_EQ(words.response_names, (Names{"y"}));
  EXPECT_EQ(words.notes, (Names{"In the target 'y', 'yes' counts as 1 and 'no' as 0."}));
  EXPECT_EQ(response("y,x\n0,1\n1,2\n0,4\n", ExpertKind::bernoulli).data.response, matrix({{0}, {1}, {0}}));

  const Design classes = response("y,x\nb,1\na,2\nb,4\nc,3\na,5\nc,6\n", ExpertKind::multinomial);
  EXPECT_EQ(classes.data.response, matrix({{1}, {0}, {1}, {2}, {0}, {2}}));
  EXPECT_EQ(classes.data.classes, 3);
  EXPECT_EQ(classes.response_names, (Names{"a", "b", "c"}));
  EXPECT_EQ(classes.notes, (Names{"The classes of 'y' are a, b, c; the last is the reference."}));
  const Design numbers = response("y,x\n10,1\n9,2\n10,4\n9,7\n", ExpertKind::multinomial);
  EXPECT_EQ(numbers.response_names, (Names{"9", "10"}));
  EXPECT_EQ(numbers.data.response, matrix({{1}, {0}, {1}, {0}}));

  const Design counts = response("y,x,n\n3,1,4\n0,2,5\n", ExpertKind::binomial, "n");
  EXPECT_EQ(counts.data.trials, matrix({{4}, {5}}));

  const Design vector =
      make_design(table_of("u,v,x\n1,2,3\n4,5,7\n7,9,9\n"), {.target = {"v", "u"}}, ExpertKind::linear);
  EXPECT_EQ(vector.data.response, matrix({{2, 1}, {5, 4}, {9, 7}}));
  EXPECT_EQ(vector.response_names, (Names{"v", "u"}));

  const Design offset =
      make_design(table_of("y,x,o\n1,2,0.5\n4,5,0.25\n"), {.target = {"y"}, .offset = "o"}, ExpertKind::poisson);
  EXPECT_EQ(offset.data.offset, matrix({{0.5}, {0.25}}));
  EXPECT_EQ(offset.expert_names, (Names{"x"}));
}

TEST(Design, WrongResponsesAreNamed) {
  const auto error = [](std::string_view text, ExpertKind kind, const std::string& trials = "") {
    return design_error(text, {.target = {"y"}, .experts_on = {"x"}, .trials = trials}, kind);
  };
  const std::string at = "t.csv: line 3, column 1 ('y'): ";
  EXPECT_EQ(error("y,x\n0,1\n2,2\n", ExpertKind::bernoulli), at + "bernoulli experts need 0 or 1, not 2");
  EXPECT_EQ(error("y,x\na,1\nb,2\nc,3\n", ExpertKind::bernoulli),
            "target: 'y' holds 3 levels (a, b, c); bernoulli experts need two levels, or the numbers 0 and 1");
  EXPECT_EQ(error("y,x\n1,1\n1.5,2\n", ExpertKind::poisson),
            at + "poisson experts need a whole number of at least 0, not 1.5");
  EXPECT_EQ(error("y,x\n1,1\n-1,2\n", ExpertKind::poisson),
            at + "poisson experts need a whole number of at least 0, not -1");
  EXPECT_EQ(error("y,x\n1,1\n0,2\n", ExpertKind::gamma), at + "gamma experts need a response above 0, not 0");
  EXPECT_EQ(error("y,x,n\n1,1,3\n4,2,3\n", ExpertKind::binomial, "n"),
            at + "binomial experts need no more successes than trials ('n' is 3), not 4");
  EXPECT_EQ(error("y,x,n\n1,1,3\n-2,2,3\n", ExpertKind::binomial, "n"),
            at + "binomial experts need a whole number of successes of at least 0, not -2");
  EXPECT_EQ(error("y,x,n\n1,1,3\n2,2,0\n", ExpertKind::binomial, "n"),
            "t.csv: line 3, column 3 ('n'): binomial experts need a whole number of at least 1 as trials, not 0");
  EXPECT_EQ(error("y,x\n1,1\n1.5,2\n", ExpertKind::multinomial),
            at + "multinomial experts need classes: words or whole numbers, not 1.5");
  EXPECT_EQ(error("y,x\na,1\na,2\n", ExpertKind::multinomial),
            "target: 'y' holds a single class ('a') in the rows used; multinomial experts need at least 2");
  EXPECT_EQ(error("y,x\na,1\nb,2\nc,3\n", ExpertKind::multinomial),
            "target: 'y' holds 3 classes in 3 rows, fewer than two rows a class");
  EXPECT_EQ(error("y,x\n1,1\nlots,2\n", ExpertKind::linear), at + "'lots' is not a number");
}

TEST(Design, BasesGiveSeveralColumnsAndTheirConstantsAreReplayed) {
  const std::string text = "y,x\n1,0\n2,1\n3,2\n5,3\n4,5\n6,8\n7,9\n8,12\n";
  const ColumnChoice choice{.target = {"y"}, .experts_on = {"ns(x, 2)"}, .gate_on = {"poly(x,2)", "bs(x,3)"}};
  const Design fitted = make_design(table_of(text), choice, ExpertKind::linear);
  EXPECT_EQ(fitted.expert_names, (Names{"ns(x,2)1", "ns(x,2)2"}));
  EXPECT_EQ(fitted.gate_names, (Names{"poly(x,2)1", "poly(x,2)2", "bs(x,3)1", "bs(x,3)2", "bs(x,3)3"}));
  // Rows of another table get the columns they had in the fitting table, whatever else is in it.
  const Design some = apply_recipe(fitted.recipe, table_of("x\n5\n0\n12\n"));
  for (const auto& [row, before] : {std::pair{0, 4}, std::pair{1, 0}, std::pair{2, 7}}) {
    EXPECT_EQ(some.data.expert_inputs.row(row), fitted.data.expert_inputs.row(before));
    EXPECT_EQ(some.data.gate_inputs.row(row), fitted.data.gate_inputs.row(before));
  }
  EXPECT_NE(design_error(text, {.target = {"y"}, .experts_on = {"ns(x)"}}).find("needs a column and a number"),
            std::string::npos);
  EXPECT_NE(design_error(text, {.target = {"y"}, .experts_on = {"bs(x,2)"}}).find("from 3 to 50"), std::string::npos);
  EXPECT_NE(design_error(text, {.target = {"y"}, .experts_on = {"poly(x,8)"}}).find("more than 8 different values"),
            std::string::npos);
}

TEST(Design, CensoredResponsesAreSetToTheirLimit) {
  const std::string text = "y,x,e\n-1,0,1\n0.5,1,1\n2,2,1\n0.7,3,0\n";
  const ColumnChoice choice{.target = {"y"}, .event = "e", .censored_below = {0}, .censored_above = {1.5}};
  const Design d = make_design(table_of(text), choice, ExpertKind::tobit);
  EXPECT_EQ(d.data.response, matrix({{0}, {0.5}, {1.5}, {0.7}}));
  EXPECT_EQ(d.data.event, matrix({{-1}, {1}, {0}, {0}}).col(0));
  EXPECT_EQ(d.expert_names, (Names{"x"}));
  EXPECT_NE(design_error(text, choice, ExpertKind::linear).find("event is for tobit"), std::string::npos);
  EXPECT_NE(design_error(text, {.target = {"y"}, .censored_below = {2}, .censored_above = {1}}, ExpertKind::tobit)
                .find("2 is not less than 1"),
            std::string::npos);
}

TEST(Design, OrderedClassesAndSeveralKinds) {
  const std::string text = "y,x\nmid,1\nlow,2\nhigh,3\nlow,5\nmid,6\nhigh,4\n";
  const ColumnChoice choice{.target = {"y"}, .class_order = {"low", "mid", "high"}};
  const Design d = make_design(table_of(text), choice, ExpertKind::ordinal);
  EXPECT_EQ(d.recipe.classes, choice.class_order);
  EXPECT_EQ(d.data.response, matrix({{1}, {0}, {2}, {0}, {1}, {2}}));
  EXPECT_NE(design_error(text, {.target = {"y"}, .class_order = {"low", "high"}}, ExpertKind::ordinal)
                .find("name each class of 'y' once"),
            std::string::npos);
  const std::string counts = "y,x\n1,1\n0,2\n4,3\n";
  const std::vector<ExpertKind> both{ExpertKind::linear, ExpertKind::poisson};
  EXPECT_EQ(make_design(table_of(counts), {.target = {"y"}}, both).recipe.kinds(), both);
  const std::string halves = "y,x\n1,1\n0.5,2\n4,3\n";
  EXPECT_THROW((void)make_design(table_of(halves), {.target = {"y"}}, both), std::invalid_argument);
}

TEST(Recipe, PredictsOnNewTables) {
  const ColumnChoice choice{
      .target = {"y"}, .experts_on = {"x1", "colour"}, .gate_on = {"log(x2)"}, .exclude = {"n"}, .weights = "w"};
  const Design fitted = make_design(table_of(kTable), choice, ExpertKind::linear);
  // Other order of columns and levels, more columns, fewer levels, no target, no weights.
  const Design d = apply_recipe(fitted.recipe, table_of("colour,extra,x2,x1\nred,q,1,10\ngreen,q,2,20\n"));
  EXPECT_FALSE(d.has_response);
  EXPECT_EQ(d.data.rows(), 2);
  EXPECT_TRUE(std::isnan(d.data.response(0, 0)));
  EXPECT_EQ(d.expert_names, fitted.expert_names);
  EXPECT_EQ(d.data.expert_inputs, matrix({{10, 0, 1}, {20, 1, 0}}));
  EXPECT_EQ(d.data.gate_inputs, matrix({{0}, {std::log(2.0)}}));
  EXPECT_EQ(d.data.weights.size(), 0);
  // The target may be there for some rows.
  const Design some = apply_recipe(fitted.recipe, table_of("colour,y,x2,x1\nred,5,1,10\ngreen,,2,20\n"));
  EXPECT_TRUE(some.has_response);
  EXPECT_EQ(some.data.response(0, 0), 5);
  EXPECT_TRUE(std::isnan(some.data.response(1, 0)));
  EXPECT_TRUE(some.dropped.empty());
}

TEST(Recipe, MistakesInNewTablesAreNamed) {
  const Design fitted =
      make_design(table_of(kTable), {.target = {"y"}, .experts_on = {"x1", "colour"}}, ExpertKind::linear);
  const auto error = [&](std::string_view text, MissingPolicy missing = MissingPolicy::error) {
    return error_of([&] { (void)apply_recipe(fitted.recipe, table_of(text), missing); });
  };
  EXPECT_EQ(error("colour,x2\nred,1\n"),
            "t.csv: there is no column 'x1' (did you mean 'x2'?); the columns are colour, x2");
  EXPECT_EQ(error("colour,x1\nred,1\nviolet,2\n"),
            "t.csv: line 3, column 1 ('colour'): 'violet' is not a known level; the levels are blue, green, red");
  EXPECT_EQ(error("colour,x1\nred,one\n"), "t.csv: line 2, column 2 ('x1'): 'one' is not a number");
  EXPECT_EQ(
      error("colour,x1\nred,1\n,2\n"),
      "1 cell in 1 row is missing in the columns used, the first in t.csv: line 3, column 1 ('colour'); leave such "
      "rows out with --missing drop (predict answers them with NA by --missing na)");
  EXPECT_EQ(error("colour,x1\nred,1\n,2\n", MissingPolicy::drop), "no exception");
  EXPECT_EQ(error("colour,x1\n7,1\n"),
            "t.csv: line 2, column 1 ('colour'): '7' is not a known level; the levels are blue, green, red");
  const Design binomial =
      make_design(table_of(kTable), {.target = {"y"}, .experts_on = {"x1"}, .trials = "n"}, ExpertKind::binomial);
  EXPECT_EQ(error_of([&] { (void)apply_recipe(binomial.recipe, table_of("x1\n3\n")); }),
            "t.csv: there is no column 'n'; the columns are x1");
  const Design words = make_design(table_of("y,x\nno,1\nyes,2\nno,4\n"), {.target = {"y"}}, ExpertKind::bernoulli);
  EXPECT_EQ(apply_recipe(words.recipe, table_of("y,x\nyes,1\nyes,2\n")).data.response, matrix({{1}, {1}}));
  EXPECT_EQ(error_of([&] { (void)apply_recipe(words.recipe, table_of("y,x\nmaybe,1\n")); }),
            "t.csv: line 2, column 1 ('y'): 'maybe' is not a known level; the levels are no, yes");
}

TEST(Recipe, CategoriesOfNumbersAreComparedAsNumbers) {
  const Design fitted =
      make_design(table_of("y,z\n1,1\n2,2\n3,1\n4,2\n"), {.target = {"y"}, .as_category = {"z"}}, ExpertKind::linear);
  EXPECT_EQ(apply_recipe(fitted.recipe, table_of("z\n2.0\n1\n")).data.expert_inputs, matrix({{1}, {0}}));
}

RC_GTEST_PROP(Recipe, TheTableItCameFromGivesTheSameInputsBack, ()) {
  const auto rows = *rc::gen::inRange<std::size_t>(8, 40);
  std::string text = "y,x,s,t\n";
  for (std::size_t i = 0; i < rows; ++i)
    text += fmt::format("{},{},{},{}\n", i, *rc::gen::inRange(1, 1000), *rc::gen::element('a', 'b', 'c'),
                        *rc::gen::weightedElement<std::string>({{9, "1.5"}, {9, "2"}, {1, "NA"}}));
  const ColumnChoice choice{.target = {"y"},
                            .experts_on = {"log(x)", "s", "x*s"},
                            .gate_on = {"x^2", "t"},
                            .as_category = {"t"},
                            .missing = MissingPolicy::drop};
  Design made;
  try {
    made = make_design(table_of(text), choice, ExpertKind::linear);
  } catch (const std::invalid_argument&) {
    RC_DISCARD("a constant column");
  }
  const Design again = apply_recipe(made.recipe, table_of(text), MissingPolicy::drop);
  RC_ASSERT(again.data.expert_inputs == made.data.expert_inputs);
  RC_ASSERT(again.data.gate_inputs == made.data.gate_inputs);
  RC_ASSERT(again.data.response == made.data.response);
  RC_ASSERT(again.dropped == made.dropped);
  RC_ASSERT(made.kept_rows().size() + made.dropped.size() == rows);
}

}  // namespace
}  // namespace clearway
