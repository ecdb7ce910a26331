// Figures as JSON, as tables and in a terminal.
#include "clearway/report/figure.hpp"

#include <gtest/gtest.h>
// rapidcheck's header must follow gtest's
#include <rapidcheck/gtest.h>

#include <cmath>

#include "clearway/report/terminal.hpp"

namespace clearway::report {
namespace {

std::vector<Figure> one_of_each() {
  XyFigure xy{{"x", true}, {"y"}, {}};
  xy.panels.push_back(
      {"first",
       {{.mark = Mark::band, .name = "b", .group = 1, .x = {1, 2}, .low = {0, 1}, .high = {2, 3}},
        {.mark = Mark::line, .name = "l", .group = 0, .x = {1, 2, 3}, .y = {0.1, kUnknown, 0.3}, .dashed = true},
        {.mark = Mark::points,
         .name = "p",
         .x = {1, 2},
         .y = {1, 2},
         .groups = {0, 1},
         .strength = {0.5, 1},
         .text = {"row 1", "row 2"}},
        {.mark = Mark::step, .name = "s", .x = {1, 2}, .y = {1, 2}, .thin = true}},
       "own x"});
  xy.rules = {{.x = 1.5, .label = "here"}, {.y = 0}};
  xy.group_names = {"one", "two"};
  xy.diagonal = xy.zoom = true;
  xy.shared_y = false;
  HeatFigure heat{{"expert"}, {"layer"}, {"a", "b"}, {"1", "2", "3"}, {{1, 2, 3}, {4, kUnknown, 6}}, "share", true};
  heat.low = -6;
  IntervalFigure intervals{
      {"estimate"}, {{"gate", "x", 1, 0.5, 2, 0, ""}, {"", "y", kUnknown, kUnknown, kUnknown, -1, "why"}}, 0};
  const TreeFigure tree{{"height"}, {"a", "b", "c"}, {{0, 2, 1.5}, {3, 1, 2.5}}, 2};
  return {{"xy", "X", "note", xy}, {"heat", "H", "", heat}, {"intervals", "I", "", intervals}, {"tree", "T", "", tree}};
}

TEST(Figure, JsonGivesTheSameFigure) {
  for (const Figure& figure : one_of_each()) {
    const Json json = to_json(figure);
    EXPECT_EQ(to_json(figure_from_json(json, "test")), json) << figure.id;
  }
}

TEST(Figure, ListsThatDoNotFitAreRefused) {
  const auto xy = [](Layer layer) { return Figure{"f", "", "", XyFigure{{}, {}, {{"", {std::move(layer)}}}}}; };
  EXPECT_THROW((void)to_json(xy({.x = {1, 2}, .y = {1}})), std::logic_error);
  EXPECT_THROW((void)to_json(xy({.mark = Mark::band, .x = {1}, .y = {1}})), std::logic_error);
  EXPECT_THROW((void)to_json(Figure{"f", "", "", HeatFigure{{}, {}, {"a"}, {"b"}, {{1, 2}}}}), std::logic_error);
  EXPECT_THROW((void)to_json(Figure{"f", "", "", TreeFigure{{}, {"a", "b"}, {{0, 2, 1}}}}), std::logic_error);
  Json json = to_json(one_of_each().front());
  json["panels"][0]["layers"][1]["y"] = {1, 2};
  EXPECT_THROW((void)figure_from_json(json, "test"), std::invalid_argument);
  json = to_json(one_of_each().front());
  json["panles"] = 1;
  EXPECT_THROW((void)figure_from_json(json, "test"), std::invalid_argument);
}

TEST(Figure, TablesHoldEveryNumber) {
  const std::vector<Figure> figures = one_of_each();
  const Table xy = numbers_of(figures[0]);
  EXPECT_EQ(xy.rows.size(), number_rows(figures[0]));
  EXPECT_EQ(xy.rows.size(), 9U);
  EXPECT_EQ(xy.rows[2][4], 0.1);         // panel, series, point, x, y, low, high, group
  EXPECT_TRUE(xy.rows[3][4].is_null());  // not known
  EXPECT_EQ(xy.rows[0][6], 2.0);
  EXPECT_EQ(xy.rows[6][7], 2);  // group 1, as people count
  EXPECT_EQ(numbers_of(figures[1]).rows[1][3], 6.0);
  EXPECT_EQ(numbers_of(figures[2]).rows[0][2], 1.0);
  EXPECT_EQ(numbers_of(figures[3]).rows[1][1], "a + c");
}

/// Characters of a line, escape sequences left out.
std::size_t width_of(const std::string& line) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = line.find('m', i);
      continue;
    }
    width += (static_cast<unsigned char>(line[i]) & 0xC0) != 0x80;
  }
  return width;
}

TEST(Terminal, ALineThatRisesRuns) {
  const Figure figure{"f", "Rise", "", XyFigure{{"x"}, {"y"}, {{"", {{.x = {0, 1}, .y = {0, 1}}}}}}};
  const std::string text = terminal_text(figure, {.width = 30, .height = 4});
  // The highest dot of the last column and the lowest of the first: Braille patterns of dots 4 and 7.
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[0], "Rise");
  EXPECT_TRUE(lines[1].starts_with("  1 │"));
  EXPECT_TRUE(lines[4].starts_with("  0 │"));
  EXPECT_TRUE(lines[1].ends_with("⠉") || lines[1].ends_with("⠊") || lines[1].ends_with("⠁")) << lines[1];
  EXPECT_TRUE(lines[4].starts_with("  0 │⣀") || lines[4].starts_with("  0 │⡠") || lines[4].starts_with("  0 │⡀"))
      << lines[4];
}

RC_GTEST_PROP(Terminal, FitsItsWidthWhateverTheNumbers, (const std::vector<double>& values, bool colour)) {
  Numbers x;
  for (std::size_t i = 0; i < values.size(); ++i) x.push_back(static_cast<double>(i));
  const TerminalStyle style{.width = 60, .height = 6, .colour = colour};
  HeatFigure heat{{}, {}, {"row"}, {}, {values}};
  for (std::size_t i = 0; i < values.size(); ++i) heat.columns.push_back(std::to_string(i));
  IntervalFigure intervals{{}, {}};
  for (const double value : values) intervals.items.push_back({"", "name", value, value, value, 0, ""});
  intervals.bars = values.size() % 2 == 1;
  for (const Figure& figure :
       {Figure{"f", "t", "", XyFigure{{"x"}, {"y"}, {{"", {{.group = 0, .x = x, .y = values}}}}}},
        Figure{"f", "t", "", heat}, Figure{"f", "t", "", intervals}}) {
    const std::string text = terminal_text(figure, style);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      RC_ASSERT(width_of(text.substr(at, end - at)) <= 62U);
      at = end + 1;
    }
    RC_ASSERT(colour || text.find('\x1b') == std::string::npos);
  }
}

}  // namespace
}  // namespace clearway::report
