#include "clearway/report/page.hpp"

#include <algorithm>
#include <set>

#include "bundle.hpp"
#include "text.hpp"

namespace clearway::report {

namespace {

/// Figures with more numbers than this have no table of them in the page.
constexpr std::size_t kLongestNumbers = 120;
constexpr int kColours = 10;

std::string cell(const Json& value) {
  if (value.is_number()) {
    const std::string shown = value.is_number_float() ? number_text(value.get<double>()) : value.dump();
    return fmt::format("<td class=\"number\"><data value=\"{}\">{}</data></td>", value.dump(), shown);
  }
  if (value.is_null()) return "<td class=\"number\"></td>";
  if (value.is_boolean()) return value.get<bool>() ? "<td>yes</td>" : "<td>no</td>";
  return fmt::format("<td>{}</td>", html_text(value.is_string() ? value.get_ref<const std::string&>() : value.dump()));
}

std::string table_html(const Table& table) {
  // Names beside values, without a head.
  const bool facts = std::all_of(table.columns.begin(), table.columns.end(), [](const auto& c) { return c.empty(); });
  std::string html = fmt::format("<div class=\"scroll\" tabindex=\"0\"><table{}>", facts ? " class=\"facts\"" : "");
  if (!table.title.empty()) html += fmt::format("<caption>{}</caption>", html_text(table.title));
  if (!facts) html += "<thead><tr>";
  for (std::size_t c = 0; c < table.columns.size() && !facts; ++c) {
    const bool number = std::any_of(table.rows.begin(), table.rows.end(),
                                    [&](const auto& row) { return c < row.size() && row[c].is_number(); });
    html += fmt::format("<th scope=\"col\"{}>{}</th>", number ? " class=\"number\"" : "", html_text(table.columns[c]));
  }
  html += facts ? "<tbody>\n" : "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      html += facts && c == 0 && row[c].is_string()
                  ? fmt::format("<th scope=\"row\">{}</th>", html_text(row[c].get_ref<const std::string&>()))
                  : cell(row[c]);
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (!table.note.empty()) html += fmt::format("<p class=\"note\">{}</p>\n", html_text(table.note));
  return html;
}

std::string routed_html(const RoutedText& text) {
  std::string html = fmt::format("<h3>{}</h3>\n", html_text(text.title));
  if (!text.note.empty()) html += fmt::format("<p class=\"note\">{}</p>\n", html_text(text.note));
  for (const RoutedText::Layer& layer : text.layers) {
    html += fmt::format("<h4>{}</h4>\n<ul class=\"legend\">", html_text(layer.name));
    std::set<int> experts(layer.experts.begin(), layer.experts.end());
    experts.erase(-1);
    for (const int expert : experts)
      html += fmt::format(
          "<li class=\"g{}\"><span class=\"swatch\" style=\"--swatch: var(--expert)\"></span>expert {}</li>",
          expert % kColours, expert + 1);
    html += "</ul>\n<div class=\"tokens\">";
    for (std::size_t t = 0; t < text.tokens.size() && t < layer.experts.size(); ++t) {
      const int expert = layer.experts[t];
      if (expert < 0)
        html += html_text(text.tokens[t]);
      else
        html += fmt::format("<span class=\"g{}\" title=\"expert {}\">{}</span>", expert % kColours, expert + 1,
                            html_text(text.tokens[t]));
    }
    html += "</div>\n";
  }
  return html;
}

class Writer {
 public:
  explicit Writer(const Page& page) : figures_(figures_of(page)) {}

  void operator()(const Table& table) { html += table_html(table); }
  void operator()(const Printed& printed) {
    html +=
        fmt::format("<h3>{}</h3>\n<pre tabindex=\"0\">{}</pre>\n", html_text(printed.title), html_text(printed.text));
  }
  void operator()(const RoutedText& text) { html += routed_html(text); }
  void operator()(const Figure&) {
    const Figure& figure = figures_[next_];
    html += fmt::format(
        "<figure id=\"{0}\">\n<h3>{1}</h3>\n<figcaption>{2}</figcaption>\n<div class=\"chart\" data-figure=\"{3}\">",
        html_text(figure.id), html_text(figure.title), html_text(figure.note), next_);
    html +=
        "<noscript><p class=\"note\">The chart is drawn by JavaScript; its numbers are in the "
        "tables.</p></noscript></div>\n";
    if (const std::size_t rows = number_rows(figure); rows <= kLongestNumbers)
      html += "<details><summary>The numbers</summary>\n" + table_html(numbers_of(figure)) + "</details>\n";
    else
      html += fmt::format("<p class=\"note\">{} lines of numbers, in this file as JSON.</p>\n", rows);
    html += "</figure>\n";
    ++next_;
  }

  Json json() const {
    Json list = Json::array();
    for (const Figure& figure : figures_) list.push_back(to_json(figure));
    return list;
  }

  std::string html;

 private:
  std::vector<Figure> figures_;
  std::size_t next_ = 0;
};

/// Letters, digits and hyphens only, so that it may name a file and be a link.
std::string plain_id(std::string_view text) {
  std::string id;
  for (const char letter : text) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    if (plain)
      id += letter;
    else if (letter >= 'A' && letter <= 'Z')
      id += static_cast<char>(letter - 'A' + 'a');
    else if (!id.empty() && id.back() != '-')
      id += '-';
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "figure" : id;
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string result;
  for (const char letter : valid_text(text)) switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += letter;
    }
  return result;
}

std::string script_json(const Json& document) {
  std::string result;
  for (const char letter : json_text(document, -1))
    if (letter == '<')
      result += "\\u003c";
    else
      result += letter;
  return result;
}

std::vector<Figure> figures_of(const Page& page) {
  std::vector<Figure> figures;
  std::set<std::string> taken;
  for (const Section& section : page.sections)
    for (const Block& block : section.blocks)
      if (const auto* figure = std::get_if<Figure>(&block)) {
        figures.push_back(*figure);
        const std::string id = plain_id(figure->id.empty() ? figure->title : figure->id);
        std::string name = id;
        for (int count = 2; !taken.insert(name).second; ++count) name = fmt::format("{}-{}", id, count);
        figures.back().id = name;
      }
  return figures;
}

std::string html_page(const Page& page, std::string_view generator) {
  Writer writer(page);
  std::string& html = writer.html;
  html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"{}\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
      "style-src 'unsafe-inline'; img-src data:\">\n"
      "<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
      html_text(generator), html_text(page.title), kStyle);
  html += fmt::format("<a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header>\n<h1>{}</h1>\n",
                      html_text(page.title));
  if (!page.lead.empty()) html += fmt::format("<p class=\"lead\">{}</p>\n", html_text(page.lead));
  if (page.sections.size() > 1) {
    html += "<nav aria-label=\"Sections\"><ul>";
    for (std::size_t s = 0; s < page.sections.size(); ++s)
      html += fmt::format("<li><a href=\"#section-{}\">{}</a></li>", s + 1, html_text(page.sections[s].title));
    html += "</ul></nav>\n";
  }
  html += "</header>\n<main id=\"content\">\n";
  for (std::size_t s = 0; s < page.sections.size(); ++s) {
    const Section& section = page.sections[s];
    html += fmt::format("<section id=\"section-{}\">\n<h2>{}</h2>\n", s + 1, html_text(section.title));
    for (const std::string& warning : section.warnings)
      html += fmt::format("<p class=\"warning\">{}</p>\n", html_text(warning));
    for (const std::string& text : section.text) html += fmt::format("<p>{}</p>\n", html_text(text));
    for (const Block& block : section.blocks) std::visit(writer, block);
    html += "</section>\n";
  }
  html += fmt::format("</main>\n<footer><p class=\"note\">Written by {}.</p></footer>\n", html_text(generator));
  html += fmt::format(
      "<script type=\"application/json\" id=\"figures\">{}</script>\n<script>{}</script>\n</body>\n</html>\n",
      script_json(writer.json()), kScript);
  return html;
}

Section section_from_json(const Json& json, const std::string& where) {
  JsonObject object(json, where);
  Section section{object.text("title")};
  if (object.has("text")) section.text = object.texts("text");
  if (object.has("warnings")) section.warnings = object.texts("warnings");
  if (object.has("tables"))
    for (JsonObject& one : object.objects("tables")) {
      Table table{
          one.has("title") ? one.text("title") : "", one.texts("columns"), {}, one.has("note") ? one.text("note") : ""};
      const Json& rows = one.at("rows");
      if (!rows.is_array()) user_error("{}: must be a list of lists", one.where("rows"));
      for (const Json& row : rows) {
        if (!row.is_array() || row.size() != table.columns.size())
          user_error("{}: every row must be a list of one cell per column", one.where("rows"));
        for (const Json& value : row)
          if (value.is_structured())
            user_error("{}: a cell must be text, a number, true, false or null", one.where("rows"));
        table.rows.emplace_back(row.begin(), row.end());
      }
      one.finish();
      section.blocks.emplace_back(std::move(table));
    }
  if (object.has("figures")) {
    const Json& figures = object.at("figures");
    if (!figures.is_array()) user_error("{}: must be a list", object.where("figures"));
    for (std::size_t i = 0; i < figures.size(); ++i)
      section.blocks.emplace_back(figure_from_json(figures[i], fmt::format("{}[{}]", object.where("figures"), i)));
  }
  object.finish();
  return section;
}

}  // namespace clearway::report
