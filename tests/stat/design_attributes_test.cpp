// Attributes of alternatives: which columns they stand for, what they are called, and every message.
#include <gtest/gtest.h>

#include <cmath>

#include "design_tables.hpp"

namespace clearway {
namespace {

constexpr std::string_view kTravel =
    "mode,price_air,price_bus,price_train,wait_air,wait_bus,wait_train,income,party\n"
    "air,9,2,4,6,1,2,30,1\n"
    "bus,8,1,5,6,1,3,10,2\n"
    "train,9,3,3,5,1,1,20,1\n"
    "bus,7,2,6,4,1,2,15,3\n"
    "train,9,2,2,6,1,4,25,2\n"
    "air,5,3,5,7,1,2,40,1\n";

TEST(DesignAttributes, AreColumnsOfTheClasses) {
  const Design d =
      make_design(table_of(kTravel), {.target = {"mode"}, .attributes = {"price", "log(wait)", "price*income"}},
                  ExpertKind::conditional_logit);
  EXPECT_EQ(d.recipe.classes, (Names{"air", "bus", "train"}));
  EXPECT_EQ(d.data.classes, 3);
  EXPECT_EQ(d.data.attributes, 3);
  // What belongs to no class comes first, and is all that the gate sees unless it is told otherwise.
  EXPECT_EQ(d.gate_names, (Names{"income", "party"}));
  EXPECT_EQ(d.expert_names,
            (Names{"income", "party", "price_air", "price_bus", "price_train", "log(wait_air)", "log(wait_bus)",
                   "log(wait_train)", "price_air*income", "price_bus*income", "price_train*income"}));
  EXPECT_EQ(d.recipe.coefficient_names(), (Names{"income", "party", "price", "log(wait)", "price*income"}));
  EXPECT_EQ(d.data.expert_inputs.row(1).segment(2, 3), matrix({{8, 1, 5}}));
  EXPECT_EQ(d.data.expert_inputs(1, 7), std::log(3.0));
  EXPECT_EQ(d.data.expert_inputs.row(1).tail(3), matrix({{80, 10, 50}}));
  EXPECT_TRUE(d.warnings.empty());
  const Design again = apply_recipe(d.recipe, table_of(kTravel));
  EXPECT_EQ(again.data.expert_inputs, d.data.expert_inputs);
  EXPECT_EQ(again.data.attributes, 3);
  const Design chosen = make_design(
      table_of(kTravel), {.target = {"mode"}, .experts_on = {"1"}, .gate_on = {"price_air"}, .attributes = {"price^2"}},
      ExpertKind::conditional_logit);
  EXPECT_EQ(chosen.recipe.coefficient_names(), (Names{"price^2"}));
  EXPECT_EQ(chosen.gate_names, (Names{"price_air"}));
}

TEST(DesignAttributes, ThatDoNotFitAreNamed) {
  const auto error = [](std::string_view text, const ColumnChoice& choice,
                        ExpertKind kind = ExpertKind::conditional_logit) { return design_error(text, choice, kind); };
  const auto with = [](Names attributes) {
    return ColumnChoice{.target = {"mode"}, .attributes = std::move(attributes)};
  };
  EXPECT_EQ(error(kTravel, with({"price"}), ExpertKind::multinomial),
            "attributes is for conditional-logit experts, not for multinomial");
  EXPECT_EQ(
      error(kTravel, with({})),
      "attributes must name what differs between the alternatives for conditional-logit experts: NAME for columns "
      "NAME_<class>");
  EXPECT_TRUE(
      error(kTravel, with({"prize"}))
          .starts_with("attributes: 'prize' needs a column for every class, but there is no 'prize_air' (did you "
                       "mean 'price_air'?); the classes are air, bus, train, the columns are mode, "));
  EXPECT_TRUE(error("mode,p_a,x\na,1,2\nb,2,3\na,4,1\nb,3,5\n", with({"p"}))
                  .starts_with("attributes: 'p' needs a column for every class, but there is no 'p_b'"));
  EXPECT_EQ(error(kTravel, with({"income"})),
            "attributes: 'income' has no column for a class ('income_air'); inputs that belong to no class go to "
            "--experts-on");
  EXPECT_TRUE(error(kTravel, with({"ns(price,3)"})).find("attributes: ") == 0);
  EXPECT_NE(error(kTravel, with({"price", "price"})).find("'price' is listed twice"), std::string::npos);
  EXPECT_NE(error("mode,p_a,p_b\na,1,red\nb,2,blue\na,4,red\n", with({"p"})).find("attributes: 'p' must be a number"),
            std::string::npos);
  EXPECT_NE(error("mode,p_a,p_b\na,1,2\na,2,1\na,4,1\n", with({"p"})).find("holds a single class ('a')"),
            std::string::npos);
  // The price of a bus is always 2 above that of the train: a constant does the same.
  EXPECT_EQ(error("mode,p_a,p_b\na,1,3\nb,2,4\na,4,6\nb,0,2\n", with({"p"})),
            "attributes: 'p' differs between the classes by what the constants of the classes and the other inputs "
            "explain in the rows used, so its coefficient is not determined");
  EXPECT_NE(error("mode,p_a,p_b\na,1,1\nb,2,2\na,4,4\nb,0,0\n", with({"p"})).find("by nothing in the rows used"),
            std::string::npos);
  // The same price in two currencies.
  const Design d = make_design(table_of("mode,p_a,p_b,q_a,q_b\na,1,3,2,6\nb,2,1,4,2\na,4,1,8,2\nb,0,2,0,4\n"),
                               with({"p", "q"}), ExpertKind::conditional_logit);
  ASSERT_EQ(d.warnings.size(), 1U);
  EXPECT_NE(d.warnings.front().find("'q' is a linear combination of 'p'"), std::string::npos);
  // Dropped rows may take a class with them.
  EXPECT_NE(error("mode,p_a,p_b\na,1,3\na,2,1\nb,,1\nc,2,2\n", with({"p"})).find("there is no 'p_c'"),
            std::string::npos);
  ColumnChoice drop = with({"p"});
  drop.missing = MissingPolicy::drop;
  EXPECT_NE(error("mode,p_a,p_b,p_c\na,1,3,1\na,2,1,2\nb,2,1,1\nb,3,2,1\nc,,2,1\n", drop)
                .find("of the classes of 'mode' (a, b, c) only a, b are in the rows used"),
            std::string::npos);
}

}  // namespace
}  // namespace clearway
