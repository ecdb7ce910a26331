// One self-contained page of HTML: sections of text, tables and figures. Tables are in the page itself; figures are drawn by
// the bundle of web/dist, which is in the page too, from JSON that is in the page. Without JavaScript text, tables and the
// numbers of the smaller figures are there. Nothing is loaded from anywhere.
//
// All text is taken as text: whatever a column, a cell or a prompt holds, it cannot become markup. Bytes that are not UTF-8
// become U+FFFD. Every number of a table is in the page to the last bit, as <data value="...">, and shown with six digits.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "clearway/report/figure.hpp"

namespace clearway::report {

/// Text as it was printed, in columns.
struct Printed {
  std::string title;
  std::string text;
};

/// A text in tokens, each with the expert that it went to: one text per layer.
struct RoutedText {
  struct Layer {
    std::string name;
    std::vector<int> experts;  ///< of each token, from 0; -1: none
  };
  std::string title;
  std::string note;
  std::vector<std::string> tokens;
  std::vector<Layer> layers;
};

using Block = std::variant<Table, Figure, Printed, RoutedText>;

struct Section {
  std::string title;
  std::vector<std::string> text = {};      ///< paragraphs
  std::vector<std::string> warnings = {};  ///< paragraphs that stand out
  std::vector<Block> blocks = {};
};

struct Page {
  std::string title;
  std::string lead;
  std::vector<Section> sections;
};

/// Text fit for HTML, inside of elements and of quoted attributes.
std::string html_text(std::string_view text);
/// JSON fit for a script element: no "<" in it.
std::string script_json(const Json& document);

/// The page. Figures get distinct ids.
std::string html_page(const Page& page, std::string_view generator);

/// A section from {"title", "text": [...], "warnings": [...], "tables": [...], "figures": [...]}, every key but the title
/// optional; a table is {"title", "columns", "rows", "note"}. For programs that decide themselves what their report shows.
Section section_from_json(const Json& json, const std::string& where);

/// All figures of a page, in order, with the ids that html_page() gives them.
std::vector<Figure> figures_of(const Page& page);

}  // namespace clearway::report
