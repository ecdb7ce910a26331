#include "clearway/train/classification_data.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"
#include "text_checks.hpp"

namespace clearway::train {

namespace fs = std::filesystem;

namespace {

/// Texts with the names of their labels, and where each stands.
struct NamedTexts {
  std::string source;
  std::vector<std::string> texts, labels, places;

  void add(std::string text, std::string label, std::string place) {
    texts.push_back(std::move(text));
    labels.push_back(std::move(label));
    places.push_back(std::move(place));
  }
};

NamedTexts read_lines(const std::string& path) {
  NamedTexts set;
  set.source = path;
  const std::string bytes = read_file(path);
  check_utf8(bytes, path);
  std::size_t number = 0;
  for (std::size_t start = 0; start < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', start), bytes.size());
    std::string_view line = std::string_view(bytes).substr(start, end - start);
    start = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (std::all_of(line.begin(), line.end(), is_white)) continue;
    const std::size_t label_end = std::min(line.find_first_of(" \t"), line.size());
    const std::string place = fmt::format("{}: line {}", path, number);
    if (label_end == 0) user_error("{}: must begin with a label, not with white space", place);
    if (label_end == line.size()) user_error("{}: has no text behind the label {}", place, quoted_for_message(line));
    set.add(std::string(line.substr(label_end + 1)), std::string(line.substr(0, label_end)), place);
  }
  return set;
}

/// Names in a folder, sorted by bytes, so that the order does not depend on the disk.
std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code problem;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem))
    entries.push_back(at->path());
  if (problem) world_error("{}: the folder cannot be read: {}", folder.string(), problem.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

NamedTexts read_folders(const std::string& path) {
  if (!fs::is_directory(path)) user_error("{}: is not a folder with one folder per label", path);
  NamedTexts set;
  set.source = path;
  for (const auto& folder : sorted_entries(path)) {
    const std::string label = folder.filename().string();
    if (!fs::is_directory(folder) || label == "unsup") continue;  // IMDB's texts without label
    for (const auto& file : sorted_entries(folder)) {
      if (!fs::is_regular_file(file)) continue;
      std::string text = read_file(file.string());
      check_utf8(text, file.string());
      set.add(std::move(text), label, file.string());
    }
  }
  return set;
}

/// The texts of a column; numbers as they would be written.
std::vector<std::string> texts_of(const Table& table, const Column& column) {
  std::vector<std::string> texts;
  texts.reserve(table.rows);
  for (std::size_t row = 0; row < table.rows; ++row) {
    if (column.is_text)
      texts.push_back(column.codes[row] < 0 ? std::string()
                                            : column.levels[static_cast<std::size_t>(column.codes[row])]);
    else
      texts.push_back(column.numbers[row] == column.numbers[row] ? fmt::format("{}", column.numbers[row]) : "");
  }
  return texts;
}

NamedTexts read_table(const std::string& path, const ClassificationOptions& options) {
  CsvOptions csv;
  csv.missing_values.clear();  // "NA" and "null" are words
  const Table table = read_csv(path, csv);
  NamedTexts set;
  set.source = path;
  const Column& text_column = table.column(options.text);
  const Column& label_column = table.column(options.label);
  set.texts = texts_of(table, text_column);
  set.labels = texts_of(table, label_column);
  for (std::size_t row = 0; row < table.rows; ++row) {
    set.places.push_back(table.place(row, label_column));
    if (set.labels[row].empty()) user_error("{}: the label is missing", set.places.back());
  }
  return set;
}

NamedTexts read_set(const std::string& path, const ClassificationOptions& options) {
  if (path.empty()) return {};
  ClassificationFormat format = options.format;
  std::error_code none;
  if (format == ClassificationFormat::automatic) {
    if (fs::is_directory(path, none))
      format = ClassificationFormat::folders;
    else if (path.ends_with(".csv") || path.ends_with(".tsv"))
      format = ClassificationFormat::csv;
    else
      format = ClassificationFormat::lines;
  }
  NamedTexts set;
  if (format == ClassificationFormat::folders) set = read_folders(path);
  if (format == ClassificationFormat::csv) set = read_table(path, options);
  if (format == ClassificationFormat::lines) set = read_lines(path);
  if (set.texts.empty()) user_error("{}: there are no labelled texts in it", path);
  return set;
}

/// The different labels, by number when all are whole numbers, else by bytes.
std::vector<std::string> sorted_labels(std::vector<std::string> labels) {
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  std::vector<std::pair<std::int64_t, std::string>> numbered;
  for (const auto& label : labels) {
    std::int64_t number = 0;
    const char* end = label.data() + label.size();
    if (const auto [stop, error] = std::from_chars(label.data(), end, number); stop != end || error != std::errc())
      return labels;
    numbered.emplace_back(number, label);
  }
  std::sort(numbered.begin(), numbered.end());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = numbered[i].second;
  return labels;
}

LabelledTexts with_numbers(NamedTexts set, const std::vector<std::string>& labels) {
  LabelledTexts numbered{.source = std::move(set.source), .texts = std::move(set.texts), .labels = {}};
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    const auto found = std::find(labels.begin(), labels.end(), set.labels[i]);
    if (found == labels.end())
      user_error("{}: the label {} does not occur in the training set{}", set.places[i],
                 quoted_for_message(set.labels[i]), did_you_mean(set.labels[i], labels));
    numbered.labels.push_back(static_cast<int>(found - labels.begin()));
  }
  return numbered;
}

}  // namespace

ClassificationData read_classification(const ClassificationOptions& options) {
  check_options(options);
  if (options.train.empty()) user_error("--data is missing: labelled texts to train on");
  NamedTexts train = read_set(options.train, options);
  ClassificationData data;
  data.labels = sorted_labels(train.labels);
  if (data.labels.size() < 2)
    user_error("{}: all texts have the label {}; there must be at least two", options.train,
               quoted_for_message(data.labels.front()));
  data.train = with_numbers(std::move(train), data.labels);
  data.valid = with_numbers(read_set(options.valid, options), data.labels);
  data.test = with_numbers(read_set(options.test, options), data.labels);
  return data;
}

}  // namespace clearway::train
