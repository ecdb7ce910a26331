// A table of text with a label on the left and right-aligned cells; columns that do not fit go to a further block.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace clearway::detail {

class TextTable {
 public:
  /// `width`: columns of text. `together`: so many neighbouring columns are never parted (estimate and its error).
  explicit TextTable(std::size_t width, std::size_t together = 1) : width_(width), together_(together) {}

  void column(std::string heading) { headings_.push_back(std::move(heading)); }
  void begin_row(std::string label) { rows_.push_back({std::move(label), {}}); }
  void cell(std::string text) { rows_.back().cells.push_back(std::move(text)); }
  /// An empty line between rows.
  void gap() { rows_.push_back({}); }

  /// The table, every line ended; blocks are separated by an empty line. Headings that are all empty are left out.
  std::string text() const {
    std::size_t label_width = 0;
    for (const Row& row : rows_) label_width = std::max(label_width, row.label.size());
    std::vector<std::size_t> widths;
    for (std::size_t j = 0; j < headings_.size(); ++j) {
      std::size_t width = headings_[j].size();
      for (const Row& row : rows_)
        if (j < row.cells.size()) width = std::max(width, row.cells[j].size());
      widths.push_back(width + kSpace);
    }
    std::string text;
    for (std::size_t begin = 0; begin < headings_.size();) {
      std::size_t end = begin;
      std::size_t used = label_width;
      while (end < headings_.size()) {
        std::size_t next = 0;
        const std::size_t group_end = std::min(end + together_, headings_.size());
        for (std::size_t j = end; j < group_end; ++j) next += widths[j];
        if (end > begin && used + next > width_) break;
        used += next;
        end = group_end;
      }
      if (begin > 0) text += '\n';
      text += block(begin, end, label_width, widths);
      begin = end;
    }
    return text;
  }

 private:
  struct Row {
    std::string label;
    std::vector<std::string> cells;
  };
  static constexpr std::size_t kSpace = 2;

  std::string block(std::size_t begin, std::size_t end, std::size_t label_width,
                    const std::vector<std::size_t>& widths) const {
    const auto line = [&](const std::string& label, const std::vector<std::string>& cells) {
      std::string result = label;
      result.resize(label_width, ' ');
      for (std::size_t j = begin; j < std::min(end, cells.size()); ++j)
        result += std::string(widths[j] - cells[j].size(), ' ') + cells[j];
      result.erase(result.find_last_not_of(' ') + 1);
      return result + '\n';
    };
    std::string text;
    if (std::any_of(headings_.begin(), headings_.end(), [](const std::string& h) { return !h.empty(); }))
      text += line("", headings_);
    for (const Row& row : rows_) text += line(row.label, row.cells);
    return text;
  }

  std::size_t width_;
  std::size_t together_;
  std::vector<std::string> headings_;
  std::vector<Row> rows_;
};

}  // namespace clearway::detail
