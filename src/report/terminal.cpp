#include "clearway/report/terminal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "clearway/base/text.hpp"
#include "text.hpp"

namespace clearway::report {

namespace {

constexpr std::array<int, 8> kColours{34, 33, 32, 35, 36, 31, 94, 93};

std::string painted(const std::string& text, int group, const TerminalStyle& style) {
  if (!style.colour || group < 0) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", kColours[static_cast<std::size_t>(group) % kColours.size()], text);
}

/// Characters, roughly columns, of a UTF-8 text.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string cut(std::string text, std::size_t most) {
  text = valid_text(text);
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::size_t bytes = 0, used = 0;
  while (bytes < text.size() && used < most) {
    bytes += std::max<std::size_t>(1, utf8_length(std::string_view(text).substr(bytes)));
    ++used;
  }
  text.resize(bytes);
  return text + std::string(most - used, ' ');
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, columns_of(text)), ' ') + text;
}

std::string braille(unsigned bits) {
  const unsigned code = 0x2800 + bits;
  return {static_cast<char>(0xE0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3F)),
          static_cast<char>(0x80 | (code & 0x3F))};
}

/// Dots, two across and four down per character.
class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width), height_(height), cells_(static_cast<std::size_t>(width * height)), groups_(cells_.size(), -1) {}

  void dot(int x, int y, int group) {
    if (x < 0 || y < 0 || x >= 2 * width_ || y >= 4 * height_) return;
    static constexpr unsigned bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const auto at = static_cast<std::size_t>((y / 4) * width_ + x / 2);
    cells_[at] |= bits[y % 4][x % 2];
    groups_[at] = group;
  }
  void line(int x0, int y0, int x1, int y1, int group) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int s = 0; s <= steps; ++s)
      dot(x0 + static_cast<int>(std::lround(double(x1 - x0) * s / steps)),
          y0 + static_cast<int>(std::lround(double(y1 - y0) * s / steps)), group);
  }
  std::string row(int y, const TerminalStyle& style) const {
    std::string text;
    for (int x = 0; x < width_; ++x) {
      const auto at = static_cast<std::size_t>(y * width_ + x);
      text += cells_[at] == 0 ? " " : painted(braille(cells_[at]), groups_[at], style);
    }
    return text;
  }

 private:
  int width_;
  int height_;
  std::vector<unsigned> cells_;
  std::vector<int> groups_;
};

/// From numbers to dots along one axis.
struct Scale {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  bool log = false;

  bool takes(double value) const { return std::isfinite(value) && !(log && value <= 0); }
  double place(double value) const { return log ? std::log10(value) : value; }
  void see(double value) {
    if (!takes(value)) return;
    low = std::min(low, place(value));
    high = std::max(high, place(value));
  }
  void finish() {
    if (!(low < high)) {
      low -= 0.5;
      high += 0.5;
    }
  }
  int dot(double value, int dots) const {
    return static_cast<int>(std::lround((place(value) - low) / (high - low) * (dots - 1)));
  }
  std::string text(double share) const {
    const double value = low + share * (high - low);
    if (log) return fmt::format("{:.3g}", std::pow(10.0, value));
    // As many digits as tell the ends apart.
    const double size = std::max(std::abs(low), std::abs(high));
    const int digits = std::clamp(3 + static_cast<int>(std::ceil(std::log10(size / (high - low)))), 4, 12);
    return fmt::format("{:.{}g}", value, digits);
  }
};

std::string panel_text(const XyFigure& xy, const Panel& panel, const TerminalStyle& style) {
  Scale x{.log = xy.x.log}, y{.log = xy.y.log};
  for (const Layer& layer : panel.layers)
    for (std::size_t i = 0; i < layer.x.size(); ++i) {
      if (layer.mark == Mark::band) continue;
      x.see(layer.x[i]);
      if (!layer.y.empty()) y.see(layer.y[i]);
    }
  if (!std::isfinite(x.low) || !std::isfinite(y.low)) return "  (no numbers)\n";
  x.finish();
  y.finish();
  const std::string top = y.text(1), middle = y.text(0.5), bottom = y.text(0);
  const std::size_t margin = std::max({top.size(), middle.size(), bottom.size()});
  const int width = std::max(20, style.width - static_cast<int>(margin) - 2);
  Canvas canvas(width, style.height);
  const int across = 2 * width, down = 4 * style.height;
  for (const Layer& layer : panel.layers) {
    if (layer.mark == Mark::band || layer.y.empty()) continue;
    bool before = false;
    int last_x = 0, last_y = 0;
    for (std::size_t i = 0; i < layer.x.size(); ++i) {
      const bool here = x.takes(layer.x[i]) && y.takes(layer.y[i]);
      if (here) {
        const int at = x.dot(layer.x[i], across);
        const int level = down - 1 - y.dot(layer.y[i], down);
        const int group = layer.groups.empty() ? layer.group : layer.groups[i];
        if (before && (layer.mark == Mark::line || layer.mark == Mark::step))
          canvas.line(last_x, layer.mark == Mark::step ? level : last_y, at, level, group);
        else
          canvas.dot(at, level, group);
        last_x = at;
        last_y = level;
      }
      before = here;
    }
  }
  std::string text;
  for (int row = 0; row < style.height; ++row) {
    const std::string label = row == 0 ? top : row == style.height / 2 ? middle : row == style.height - 1 ? bottom : "";
    text += right(label, margin) + " │" + canvas.row(row, style) + "\n";
  }
  text += std::string(margin + 1, ' ') + "└";
  for (int c = 0; c < width; ++c) text += "─";
  const std::string left = x.text(0), end = x.text(1);
  const std::string label = panel.x.empty() ? xy.x.label : panel.x;
  const auto room = static_cast<std::size_t>(width) -
                    std::min<std::size_t>(static_cast<std::size_t>(width), left.size() + end.size() + 2);
  const std::string word = cut(label, std::min(room, columns_of(valid_text(label))));
  const std::size_t before = (room - columns_of(word)) / 2;
  text += "\n" + std::string(margin + 2, ' ') + left + " " + std::string(before, ' ') + word +
          std::string(room - before - columns_of(word), ' ') + " " + end + "\n";
  return text;
}

struct Drawing {
  const TerminalStyle& style;

  std::string operator()(const XyFigure& xy) const {
    std::string text;
    std::map<std::string, int> names;
    std::vector<std::string> legend;
    for (const Panel& panel : xy.panels)
      for (const Layer& layer : panel.layers)
        if (!layer.name.empty() && !layer.thin && names.try_emplace(layer.name, layer.group).second)
          legend.push_back(painted(layer.mark == Mark::points ? "•" : "─", layer.group, style) + " " +
                           valid_text(layer.name));
    for (const Panel& panel : xy.panels) {
      if (!panel.title.empty()) text += "  " + valid_text(panel.title) + "\n";
      text += panel_text(xy, panel, style);
    }
    return text + (legend.size() > 1 ? "  " + fmt::format("{}", fmt::join(legend, "   ")) + "\n" : "");
  }

  std::string operator()(const HeatFigure& heat) const {
    static constexpr std::array<std::string_view, 5> shades{" ", "░", "▒", "▓", "█"};
    Scale scale;
    for (const Numbers& row : heat.values)
      for (const double value : row) scale.see(value);
    if (!std::isfinite(scale.low)) return "  (no numbers)\n";
    scale.finish();
    std::size_t margin = 4;
    for (const std::string& name : heat.rows) margin = std::max(margin, columns_of(valid_text(name)));
    margin = std::min<std::size_t>(margin, 24);
    const auto most = static_cast<std::size_t>(std::max(8, style.width - static_cast<int>(margin) - 2));
    const std::size_t columns = heat.columns.size();
    const std::size_t shown = std::min(columns, most);
    const std::size_t wide = std::clamp<std::size_t>(shown == 0 ? 1 : most / shown, 1, 4);
    std::string text;
    for (std::size_t r = 0; r < heat.rows.size(); ++r) {
      text += cut(heat.rows[r], margin) + " │";
      for (std::size_t c = 0; c < shown; ++c) {
        const double value = heat.values[r][c * columns / shown];
        const std::string_view shade =
            std::isfinite(value) ? shades[static_cast<std::size_t>(scale.dot(value, 5))] : "?";
        for (std::size_t k = 0; k < wide; ++k) text += shade;
      }
      text += "\n";
    }
    return text + fmt::format("  '{}' {} to '{}' {}\n", shades.front(), scale.text(0), shades.back(), scale.text(1));
  }

  std::string operator()(const IntervalFigure& figure) const {
    Scale scale{.log = figure.x.log};
    std::size_t margin = 4;
    for (const Interval& item : figure.items) {
      scale.see(item.estimate);
      scale.see(item.low);
      scale.see(item.high);
      margin = std::max(margin, columns_of(valid_text(item.label)));
    }
    scale.see(figure.bars ? 0.0 : figure.reference);
    if (!std::isfinite(scale.low)) return "  (no numbers)\n";
    scale.finish();
    margin = std::min<std::size_t>(margin, 30);
    const int width = std::max(16, style.width - static_cast<int>(margin) - 14);
    std::string text, section;
    for (const Interval& item : figure.items) {
      if (item.section != section) text += "  " + valid_text(item.section) + "\n";
      section = item.section;
      std::vector<std::string> line(static_cast<std::size_t>(width), " ");
      const auto at = [&](double value) { return static_cast<std::size_t>(scale.dot(value, width)); };
      if (scale.takes(figure.reference) && figure.reference >= scale.low) line[at(figure.reference)] = "┊";
      if (figure.bars && scale.takes(item.estimate)) {
        const std::size_t zero = scale.log ? 0 : at(0);
        const std::size_t end = at(item.estimate);
        for (std::size_t c = std::min(zero, end); c <= std::max(zero, end); ++c)
          line[c] = painted("█", item.group, style);
      }
      if (scale.takes(item.low) && scale.takes(item.high))
        for (std::size_t c = at(item.low); c <= at(item.high); ++c) line[c] = painted("─", item.group, style);
      if (!figure.bars && scale.takes(item.estimate)) line[at(item.estimate)] = painted("●", item.group, style);
      text += cut(item.label, margin) + " │" + fmt::format("{}", fmt::join(line, "")) + " " +
              (std::isfinite(item.estimate) ? fmt::format("{:.4g}", item.estimate) : "not known") + "\n";
    }
    return text;
  }

  std::string operator()(const TreeFigure& tree) const {
    std::string text;
    for (const auto& row : numbers_of({"", "", "", tree}).rows)
      text += fmt::format("  {} + {} at {:.4g}\n", valid_text(row[1].get<std::string>()),
                          valid_text(row[2].get<std::string>()), row[3].get<double>());
    return text;
  }
};

}  // namespace

std::string terminal_text(const Figure& figure, const TerminalStyle& style) {
  return valid_text(figure.title) + "\n" + std::visit(Drawing{style}, figure.content);
}

}  // namespace clearway::report
