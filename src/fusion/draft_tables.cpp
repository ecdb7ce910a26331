#include "draft_tables.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "clearway/base/errors.hpp"
#include "clearway/fusion/row_scanner.hpp"
#include "clearway/io/npy.hpp"

namespace clearway::fusion::detail {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 400;         // of a folder with a file per sample
constexpr std::size_t kMostCells = 4'000'000;   // of a table
constexpr std::uintmax_t kMostBytes = 1 << 26;  // of a file
constexpr std::size_t kFewestPerSample = 3;     // files of one header in a folder that are no parts of a table

std::string start_of(const fs::path& path) {
  const auto size = std::min<std::uintmax_t>(fs::file_size(path), kMostBytes);
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (size == kMostBytes) text.resize(text.rfind('\n') + 1);
  return text;
}

bool is_table_name(const fs::path& path) {
  static const std::set<std::string> kEndings{".csv", ".txt", ".tsv", ".psv"};
  const std::string stem = lower_case(path.stem().string());
  return kEndings.count(lower_case(path.extension().string())) > 0 && !stem.starts_with("readme") &&
         !stem.starts_with("license");
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// The first line's cells; nothing when the file is no table of several columns.
Names first_line(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  std::getline(file, line);
  Names cells;
  try {
    RowScanner rows(line, path.string());
    if (rows.next())
      for (const auto cell : rows.cells()) cells.emplace_back(cell);
  } catch (const std::invalid_argument&) {
    return {};
  }
  return cells.size() > 1 ? cells : Names{};
}

/// Rows of one file, as far as they can be read.
void read_rows(const fs::path& path, FoundTable& table) {
  const std::string text = start_of(path);
  try {
    RowScanner rows(text, path.string());
    for (bool first = true; table.rows.size() * table.header.size() < kMostCells && rows.next(); first = false) {
      if (first && table.named) continue;
      table.rows.emplace_back(rows.cells().begin(), rows.cells().end());
      table.row_files.push_back(path.stem().string());
    }
  } catch (const std::invalid_argument&) {
    // Reading for good will say where.
  }
}

bool is_missing(const std::string& cell) {
  static const std::set<std::string> kMarkers{"", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"};
  return kMarkers.count(cell) > 0;
}

std::string first_of(const Names& header, const std::set<std::string>& words) {
  for (const auto& name : header)
    if (words.count(lower_case(name)) > 0) return name;
  return {};
}

void find_roles(FoundTable& table) {
  if (!table.named) return;
  const std::string parameter = first_of(table.header, {"parameter", "param", "variable", "name", "feature", "signal",
                                                        "measurement", "item", "itemid", "concept", "code", "channel"});
  const std::string value = first_of(table.header, {"value", "valuenum", "val", "result", "reading"});
  if (!parameter.empty() && !value.empty() && table.header.size() <= 8) {
    table.parameter = parameter;
    table.value = value;
  }
  table.time = first_of(table.header, {"time", "t", "hour", "hours", "minute", "minutes", "second", "seconds", "day",
                                       "timestamp", "datetime", "charttime", "date", "iculos"});
}

}  // namespace

namespace {

/// What the names of the parts of a table have in common, else "samples".
std::string common_name(const std::vector<fs::path>& paths) {
  std::string name = paths[0].stem().string();
  if (paths.size() == 1) return name;
  for (const auto& path : paths) {
    const std::string other = path.stem().string();
    std::size_t same = 0;
    while (same < std::min(name.size(), other.size()) && name[same] == other[same]) ++same;
    name.resize(same);
  }
  name.resize(name.find_last_not_of("-_. ") + 1);
  return name.size() >= 3 ? name : "samples";
}

}  // namespace

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool looks_like_id(const std::string& column) {
  static const std::set<std::string> kWords{"patient", "subject",     "stay", "record", "case",  "sample",
                                            "who",     "participant", "user", "key",    "person"};
  const std::string name = lower_case(column);
  return name.ends_with("id") || kWords.count(name) > 0;
}

std::size_t FoundTable::column(const std::string& name_of_column) const {
  return static_cast<std::size_t>(std::find(header.begin(), header.end(), name_of_column) - header.begin());
}

std::vector<FoundTable> find_tables(const std::string& folder) {
  std::vector<FoundTable> tables;
  const fs::path root(folder);
  if (!fs::is_directory(root)) user_error("{}: there is no such folder", folder);
  std::vector<fs::path> folders{root};
  for (const auto& entry : sorted_entries(root))
    if (fs::is_directory(entry)) folders.push_back(entry);
  std::vector<std::vector<fs::path>> files;  // of each table
  for (const auto& place : folders) {
    std::map<Names, std::vector<fs::path>> by_header;
    std::vector<Names> order;
    for (const auto& path : sorted_entries(place)) {
      if (!fs::is_regular_file(path) || !is_table_name(path)) continue;
      const Names header = first_line(path);
      if (header.empty()) continue;
      if (by_header.count(header) == 0) order.push_back(header);
      by_header[header].push_back(path);
    }
    for (const auto& header : order) {
      const auto& paths = by_header[header];
      FoundTable table;
      double number = 0;
      table.named = std::none_of(header.begin(), header.end(), [&](const auto& c) { return read_finite(c, number); });
      for (std::size_t j = 0; j < header.size(); ++j)
        table.header.push_back(table.named ? header[j] : fmt::format("V{}", j + 1));
      table.per_sample = place != root && paths.size() >= kFewestPerSample;
      const std::string inside = place == root ? "" : place.filename().string() + "/";
      if (table.per_sample) {
        table.name = place.filename().string();
        table.paths = {inside + "*" + paths[0].extension().string()};
        const auto same = std::find_if(tables.begin(), tables.end(), [&](const FoundTable& other) {
          return other.per_sample && other.header == table.header;
        });
        if (same != tables.end()) {  // set-a/*.txt and set-b/*.txt
          same->paths.push_back(table.paths[0]);
          continue;
        }
      } else {
        table.name = common_name(paths);
        for (const auto& path : paths) table.paths.push_back(inside + path.filename().string());
      }
      const auto taken = [&] {
        return std::any_of(tables.begin(), tables.end(), [&](const auto& other) { return other.name == table.name; });
      };
      while (taken()) table.name += "'";
      tables.push_back(std::move(table));
      files.push_back(paths);
    }
  }
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (std::size_t j = 0; j < std::min(files[i].size(), kMostFiles); ++j) read_rows(files[i][j], tables[i]);
    find_roles(tables[i]);
  }
  std::erase_if(tables, [](const FoundTable& table) { return table.rows.empty(); });
  return tables;
}

std::vector<FoundArray> find_arrays(const std::string& folder) {
  std::vector<FoundArray> arrays;
  for (const auto& path : sorted_entries(folder))
    if (path.extension() == ".npy")
      arrays.push_back({path.stem().string(), path.filename().string(), read_npy(path.string()).shape});
  return arrays;
}

ColumnKind kind_of(const FoundTable& table, std::size_t column) {
  ColumnKind kind;
  for (const auto& row : table.rows) {
    const std::string& cell = row[column];
    if (is_missing(cell)) continue;
    ++kind.cells;
    double value = 0;
    if (read_finite(cell, value)) {
      ++kind.numbers;
      kind.whole = kind.whole && value == static_cast<double>(static_cast<std::int64_t>(value));
    }
    kind.words += 1 + static_cast<double>(std::count(cell.begin(), cell.end(), ' '));
    if (kind.distinct.size() < 64) kind.distinct.insert(canonical_name(cell));
  }
  if (kind.cells > 0) kind.words /= static_cast<double>(kind.cells);
  return kind;
}

std::string joined_id(const FoundTable& table, const Names& columns, std::size_t row) {
  Names parts;
  for (const auto& name : columns) {
    const std::size_t j = table.column(name);
    if (j < table.header.size())
      parts.push_back(canonical_id(table.rows[row][j]));
    else if (name == "file")
      parts.push_back(canonical_id(table.row_files[row]));
    else  // the number in its file
      parts.push_back(fmt::format(
          "{}",
          row + 1 -
              static_cast<std::size_t>(std::find(table.row_files.begin(), table.row_files.end(), table.row_files[row]) -
                                       table.row_files.begin())));
  }
  return fmt::format("{}", fmt::join(parts, "_"));
}

bool unique_ids(const FoundTable& table, const Names& columns) {
  std::set<std::string> seen;
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    if (!seen.insert(joined_id(table, columns, row)).second) return false;
  return true;
}

}  // namespace clearway::fusion::detail
