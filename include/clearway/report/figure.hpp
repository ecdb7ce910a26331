// What a report draws: four kinds of figure, and tables. Every command turns its results into these; the page
// (page.hpp), the terminal (terminal.hpp) and picture files draw them and know no model.
//
//   xy         panels of layers over two numeric axes: lines, points, bands, steps, points with intervals
//   heat       a matrix of numbers as colours
//   intervals  labelled estimates with intervals, or bars from zero, in sections
//   tree       a dendrogram
//
// As JSON (to_json(), figure_from_json()) a figure is one object with "kind", "id", "title", "note" and the members
// below under their own names; docs/report.md lists them. A number that is not known is NaN here and null there.
//
// Groups are experts, runs, series: whatever has a colour. They are numbered from 0, and -1 is neutral.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "clearway/io/json.hpp"

namespace clearway::report {

using Numbers = std::vector<double>;
inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// A table; cells are text, numbers, booleans or null.
struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<Json>> rows;
  std::string note = {};
};

struct Axis {
  std::string label;
  bool log = false;
};

enum class Mark { line, points, band, step, intervals };

inline constexpr EnumName<Mark> kMarkNames[] = {{Mark::line, "line", "y over x"},
                                                {Mark::points, "points", "y over x"},
                                                {Mark::band, "band", "from low to high over x"},
                                                {Mark::step, "step", "y over x, constant up to the next x"},
                                                {Mark::intervals, "intervals", "y over x, with low and high"}};
constexpr std::span<const EnumName<Mark>> enum_names(Mark) {
  return kMarkNames;
}

/// One series. All lists have the length of x; those that the mark does not need, and the last three, may be empty.
struct Layer {
  Mark mark = Mark::line;
  std::string name = {};  ///< in the legend; empty: not there
  int group = -1;
  Numbers x = {};
  Numbers y = {};
  Numbers low = {};
  Numbers high = {};
  std::vector<int> groups = {};        ///< of each point, in place of `group`
  Numbers strength = {};               ///< of each point, in [0, 1]: how solid it is
  std::vector<std::string> text = {};  ///< of each point
  bool dashed = false;
  bool thin = false;  ///< one of many: not in the legend
};

struct Panel {
  std::string title;
  std::vector<Layer> layers;
  std::string x = {};  ///< label of its x axis where that is its own
};

/// A dashed line across the chart at x or at y.
struct Rule {
  double x = kUnknown;
  double y = kUnknown;
  std::string label = {};
};

struct XyFigure {
  Axis x;
  Axis y;
  std::vector<Panel> panels;
  std::vector<Rule> rules = {};
  std::vector<std::string> group_names = {};  ///< of Layer::groups, for the legend
  bool diagonal = false;                      ///< the line y = x
  bool shared_y = true;                       ///< panels have one y axis
  bool zoom = false;                          ///< long curves: drawn so that one can zoom
};

struct HeatFigure {
  Axis x;
  Axis y;
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::vector<Numbers> values;  ///< one list per row
  std::string value = {};       ///< what the numbers are
  bool diverging = false;       ///< colours from minus to plus
  double low = kUnknown;        ///< ends of the colours; not known: those of the numbers
  double high = kUnknown;
};

struct Interval {
  std::string section;
  std::string label;
  double estimate = kUnknown;
  double low = kUnknown;
  double high = kUnknown;
  int group = -1;
  std::string note = {};
};

struct IntervalFigure {
  Axis x;
  std::vector<Interval> items;
  double reference = kUnknown;
  bool bars = false;
};

/// Joins two nodes: leaves are 0 .. n-1, and the s-th merge makes node n + s.
struct Merge {
  int left = 0;
  int right = 0;
  double height = 0;
};

struct TreeFigure {
  Axis x;
  std::vector<std::string> leaves;
  std::vector<Merge> merges;
  double cut = kUnknown;  ///< a height that is marked
};

struct Figure {
  std::string id;  ///< letters, digits and hyphens; names its files
  std::string title;
  std::string note;  ///< what is to be seen, where the numbers are from
  std::variant<XyFigure, HeatFigure, IntervalFigure, TreeFigure> content;
};

/// Throws std::logic_error when lists that belong together differ in length, naming the figure.
Json to_json(const Figure& figure);
/// Throws std::invalid_argument that begins with `where` for what is not such a figure.
Figure figure_from_json(const Json& json, const std::string& where);

/// The numbers of a figure, all of them, as a table.
Table numbers_of(const Figure& figure);
/// How many rows that table has.
std::size_t number_rows(const Figure& figure);

}  // namespace clearway::report
