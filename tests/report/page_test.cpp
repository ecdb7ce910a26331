// What no text may do to a page, and that numbers come through it to the last bit.
#include "clearway/report/page.hpp"

#include <gtest/gtest.h>
// rapidcheck's header must follow gtest's
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "page_text.hpp"

namespace clearway::report {
namespace {

using test::between;
using test::count_of;

/// What a browser reads where html_text() was written.
std::string read_back(std::string text) {
  for (const auto& [entity, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (std::size_t at = text.find(entity); at != std::string::npos; at = text.find(entity, at + 1))
      text.replace(at, std::string_view(entity).size(), character);
  return text;
}

const std::vector<std::string> kHostile{
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "a & b &lt; c",
    "line\xE2\x80\xA8separator\xE2\x80\xA9"
    "end",
    std::string("nul\0byte", 8),
    "\xFF\xFE not UTF-8 \xC3",
    "]]></script>",
    "${alert(1)}`",
};

/// A page with that text in every place that takes one.
Page page_of(const std::string& text) {
  const Layer layer{.mark = Mark::points, .name = text, .group = 0, .x = {1}, .y = {2}, .text = {text}};
  Page page{text, text, {{.title = text, .text = {text}, .warnings = {text}, .blocks = {}}}};
  auto& blocks = page.sections.front().blocks;
  blocks.emplace_back(Table{text, {text, text}, {{text, 1.5}}, text});
  blocks.emplace_back(Printed{text, text});
  blocks.emplace_back(RoutedText{text, text, {text}, {{text, {0}}}});
  blocks.emplace_back(
      Figure{text, text, text, XyFigure{{text}, {text}, {{text, {layer}, text}}, {{.x = 1, .label = text}}}});
  blocks.emplace_back(Figure{text, text, text, HeatFigure{{text}, {text}, {text}, {text}, {{1}}, text}});
  blocks.emplace_back(Figure{text, text, text, IntervalFigure{{text}, {{text, text, 1, 0, 2, 0, text}}}});
  blocks.emplace_back(Figure{text, text, text, TreeFigure{{text}, {text, text}, {{0, 1, 1}}}});
  return page;
}

TEST(Page, HostileTextStaysText) {
  // The markup of a page does not depend on its text: as many elements of every kind as with harmless words.
  const std::string harmless = html_page(page_of("word"), "test");
  for (const std::string& text : kHostile) {
    const std::string html = html_page(page_of(text), text);
    const std::string body = html.substr(html.find("<body>"));
    const std::string known = harmless.substr(harmless.find("<body>"));
    for (const char* part : {"<script", "</script", "<img", "<!--", "<td", "<span", "<"})
      EXPECT_EQ(count_of(body, part), count_of(known, part)) << text << " changes the number of " << part;
    EXPECT_EQ(html.find('\0'), std::string::npos);
    // All of it is UTF-8: nlohmann's parser refuses the rest.
    EXPECT_NO_THROW((void)Json(html).dump()) << text;
  }
}

RC_GTEST_PROP(Page, AnyTextIsReadBackAsItIs, (const std::vector<unsigned>& letters)) {
  // Printable ASCII, where nothing is replaced.
  std::string text;
  for (const unsigned letter : letters) text += static_cast<char>(0x20 + letter % 95);
  const std::string html = html_text(text);
  RC_ASSERT(html.find_first_of("<>\"'") == std::string::npos);
  RC_ASSERT(read_back(html) == text);
  RC_ASSERT(script_json(Json(text)).find('<') == std::string::npos);
  RC_ASSERT(parse_json(script_json(Json(text)), "page").get<std::string>() == text);
}

RC_GTEST_PROP(Page, AnyBytesGiveUtf8, (const std::string& bytes)) {
  RC_ASSERT(Json(html_text(bytes)).dump().size() >= 2);  // throws for what is not UTF-8
}

RC_GTEST_PROP(Page, NumbersComeThroughToTheLastBit, (double first, double second)) {
  RC_PRE(std::isfinite(first) && std::isfinite(second));
  Page page{"numbers", "", {{.title = "one"}}};
  page.sections.front().blocks.emplace_back(Table{"", {"a", "b"}, {{first, second}}});
  page.sections.front().blocks.emplace_back(
      Figure{"line", "line", "", XyFigure{{"x"}, {"y"}, {{"", {{.x = {first, 1}, .y = {second, kUnknown}}}}}}});
  const std::string html = html_page(page, "test");
  const std::regex data("<data value=\"([^\"]*)\">");
  const std::string tables = html.substr(html.find("<main"));
  std::smatch match;
  RC_ASSERT(std::regex_search(tables, match, data));
  RC_ASSERT(std::stod(match[1]) == first);
  const Json figures =
      parse_json(between(html, "<script type=\"application/json\" id=\"figures\">", "</script>"), "page");
  const Json& layer = figures[0]["panels"][0]["layers"][0];
  RC_ASSERT(layer["x"][0].get<double>() == first);
  RC_ASSERT(layer["y"][0].get<double>() == second);
  RC_ASSERT(layer["y"][1].is_null());
}

TEST(Page, IsWholeByItself) {
  const std::string html = html_page(page_of("word"), "test");
  // Nothing is fetched: no element that loads, no style that imports, no address but names of XML spaces.
  for (const char* part : {"<link", "<iframe", "@import", " src=", "url(http", "fetch(", "XMLHttpRequest(", "import("})
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(count_of(html, "</script>"), 2U);  // the numbers and the bundle
  EXPECT_LT(html.size(), 400'000U);
}

TEST(Page, FiguresHaveIdsOfTheirOwn) {
  Page page{"ids", "", {{.title = "one"}}};
  for (const char* id : {"a", "a", "A!", "../../etc", ""})
    page.sections.front().blocks.emplace_back(Figure{id, "Title", "", TreeFigure{{}, {"x", "y"}, {{0, 1, 1}}}});
  std::vector<std::string> ids;
  for (const Figure& figure : figures_of(page)) ids.push_back(figure.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "a-2", "a-3", "etc", "title"}));
}

TEST(Page, SectionsFromJson) {
  const Json json = parse_json(R"({"title": "T", "text": ["a"], "tables": [{"title": "t", "columns": ["c", "d"],
    "rows": [["x", 1.25], [null, true]]}], "figures": [{"kind": "tree", "title": "f", "leaves": ["a", "b"],
    "merges": [{"left": 0, "right": 1, "height": 2}]}]})",
                               "test");
  const Section section = section_from_json(json, "test");
  EXPECT_EQ(section.title, "T");
  ASSERT_EQ(section.blocks.size(), 2U);
  EXPECT_EQ(std::get<Table>(section.blocks[0]).rows[0][1], 1.25);
  EXPECT_EQ(std::get<Figure>(section.blocks[1]).title, "f");
  for (
      const char* wrong :
      {R"({"text": []})", R"({"title": "T", "tablez": []})",
       R"({"title": "T", "tables": [{"columns": ["c"], "rows": [[1, 2]]}]})",
       R"({"title": "T", "figures": [{"kind": "pie", "title": "f"}]})",
       R"({"title": "T", "figures": [{"kind": "tree", "title": "f", "leaves": ["a"], "merges": [{"left": 0, "right": 5, "height": 1}]}]})"})
    EXPECT_THROW((void)section_from_json(parse_json(wrong, "test"), "test"), std::invalid_argument) << wrong;
}

}  // namespace
}  // namespace clearway::report
