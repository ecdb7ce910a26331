#include "observations.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/fusion/row_scanner.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/npy.hpp"

namespace clearway::fusion::detail {

namespace {

constexpr double kLargestWhole = 9007199254740992.0;

bool is_missing(std::string_view cell) {
  static const CsvOptions defaults;
  return cell.empty() || std::find(defaults.missing_values.begin(), defaults.missing_values.end(), cell) !=
                             defaults.missing_values.end();
}

bool is_marker(const ModalityReading& modality, double value) {
  const auto& markers = modality.spec->missing_values;
  return std::find(markers.begin(), markers.end(), value) != markers.end();
}

std::size_t column_index(const std::vector<std::string>& header, const std::string& name, const std::string& path,
                         const char* key) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end())
    user_error("{}: {}: there is no column {}{}; the columns are {}", path, key, quoted_for_message(name),
               did_you_mean(name, header), short_list(header));
  return static_cast<std::size_t>(found - header.begin());
}

CsvOptions csv_options(const SourceSpec& source) {
  CsvOptions options;
  options.separator = source.separator;
  options.header = source.header;
  return options;
}

/// One id from its parts.
std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, "_"));
}

struct Destination {
  ModalityReading* modality;
  std::size_t feature;
};

/// A text or category, its markers for missing taken out: an empty name.
std::string name_of(const ModalityReading& modality, std::string_view cell) {
  if (is_missing(cell)) return {};
  if (modality.spec->kind == ModalityKind::text) return std::string(cell);
  double value = 0;
  if (!modality.spec->missing_values.empty() && read_finite(cell, value) && is_marker(modality, value)) return {};
  return canonical_name(cell);
}

}  // namespace

double NamePool::code(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(name);
  if (found != codes_.end()) return found->second;
  codes_.emplace(std::string(name), static_cast<int>(names_.size()));
  names_.emplace_back(name);
  return static_cast<double>(names_.size() - 1);
}

std::uint32_t FileReading::sample(std::string_view id) {
  const auto found = index_.find(id);
  if (found != index_.end()) return found->second;
  const auto next = static_cast<std::uint32_t>(ids.size());
  index_.emplace(std::string(id), next);
  ids.emplace_back(id);
  return next;
}

bool keep_number(const ModalityReading& modality, std::size_t feature, double value, Counts& counts) {
  if (std::isnan(value) || is_marker(modality, value)) {
    ++counts.missing;
    return false;
  }
  const auto [low, high] = modality.range[feature];
  if (value >= low && value <= high) return true;
  ++counts.outside_range;
  return false;
}

std::string stem_of(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

std::vector<std::string> header_of(const std::string& path, const SourceSpec& source) {
  std::string start(std::size_t{1} << 22, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file) world_error("{}: cannot be opened", path);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(file.gcount()));
  // The first line alone, so that a cut last line cannot disturb.
  RowScanner rows(std::string_view(start).substr(0, start.find('\n')), path, source.separator);
  if (!rows.next()) user_error("{}: is empty", path);
  std::vector<std::string> names;
  for (const auto cell : rows.cells())
    names.push_back(source.header == CsvHeader::no ? fmt::format("V{}", names.size() + 1) : std::string(cell));
  return names;
}

Table read_wide(const std::string& path, const SourceSpec& source) {
  CsvOptions options = csv_options(source);
  options.as_text = source.id;
  return read_csv(path, options);
}

FileReading read_long_file(const std::string& path, const SourceSpec& source, TimeUnit unit,
                           const Modalities& modalities, std::size_t all_modalities) {
  FileReading reading;
  reading.counts.resize(all_modalities);
  const std::string text = read_file(path);
  RowScanner rows(text, path, source.separator);
  if (!rows.next()) user_error("{}: is empty", path);
  std::vector<std::string> header;
  const bool named = source.header != CsvHeader::no;
  for (const auto cell : rows.cells())
    header.push_back(named ? canonical_name(cell) : fmt::format("V{}", header.size() + 1));

  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  const std::size_t parameter_column = column_index(header, source.parameter, path, "parameter");
  const std::size_t value_column = column_index(header, source.value, path, "value");
  const std::size_t time_column = source.time.empty() ? kNone : column_index(header, source.time, path, "time");
  std::vector<std::size_t> id_columns;  // kNone: the name of the file
  for (const auto& name : source.id) {
    const bool column = std::find(header.begin(), header.end(), name) != header.end();
    id_columns.push_back(!column && name == "file" ? kNone : column_index(header, name, path, "id"));
  }
  const std::string stem = canonical_id(stem_of(path));

  // What a parameter means, found once per name and file.
  struct Parameter {
    std::vector<Destination> destinations;
    std::size_t rows = 0;
  };
  NameMap<Parameter> parameters;
  const auto parameter_of = [&](std::string_view name) -> Parameter& {
    if (const auto found = parameters.find(name); found != parameters.end()) return found->second;
    Parameter& entry = parameters[std::string(name)];
    for (ModalityReading* modality : modalities)
      for (std::size_t f = 0; f < modality->features.size(); ++f)
        if (modality->features[f] == name) entry.destinations.push_back({modality, f});
    return entry;
  };

  std::string id_cells;  // of the row before
  std::uint32_t sample = 0;
  bool sample_known = false;
  std::vector<std::string> parts(id_columns.size());
  const auto find_sample = [&] {
    std::string cells;
    bool same = sample_known;
    if (id_columns.size() == 1) {
      const std::string_view cell = id_columns[0] == kNone ? std::string_view(stem) : rows.cells()[id_columns[0]];
      same = same && cell == id_cells;
      if (!same) cells = cell;
    } else {
      for (const std::size_t column : id_columns)
        cells.append(column == kNone ? std::string_view(stem) : rows.cells()[column]).push_back('\n');
      same = same && cells == id_cells;
    }
    if (same) return;
    for (std::size_t j = 0; j < id_columns.size(); ++j) {
      parts[j] = id_columns[j] == kNone ? stem : canonical_id(rows.cells()[id_columns[j]]);
      if (parts[j].empty()) user_error("{}: line {}, column {}: the id is empty", path, rows.line(), id_columns[j] + 1);
    }
    sample = reading.sample(joined(parts));
    id_cells = std::move(cells);
    sample_known = true;
  };

  for (bool more = named ? rows.next() : true; more; more = rows.next()) {
    ++reading.rows;
    const auto& cells = rows.cells();
    const std::string_view name = cells[parameter_column];
    if (name.empty()) {
      ++reading.rows_without_parameter;
      continue;
    }
    find_sample();
    Parameter& parameter = parameter_of(name);
    ++parameter.rows;
    if (parameter.destinations.empty()) continue;
    double time = kNoTime;
    if (time_column != kNone && !read_time(cells[time_column], unit, time))
      user_error("{}: line {}, column {} ('{}'): {} is not a time in the unit {}", path, rows.line(), time_column + 1,
                 source.time, quoted_for_message(cells[time_column]), enum_name(unit));
    const std::string_view cell = cells[value_column];
    double value = 0;
    const bool missing = is_missing(cell);
    bool read = false;
    for (const auto& [modality, feature] : parameter.destinations) {
      Counts& counts = reading.counts[modality->index];
      Observation entry{sample, static_cast<std::uint16_t>(modality->index), static_cast<std::uint16_t>(feature), time,
                        0};
      if (modality->named[feature]) {
        const std::string category = name_of(*modality, cell);
        if (category.empty()) {
          ++counts.missing;
          continue;
        }
        entry.value = (*modality->pools)[feature].code(category);
      } else {
        if (missing) {
          ++counts.missing;
          continue;
        }
        if (!read && !read_finite(cell, value))
          user_error(
              "{}: line {}, column {} ('{}'): {} is not a number; if it is a category, name it among the "
              "modality's categories",
              path, rows.line(), value_column + 1, source.value, quoted_for_message(cell));
        read = true;
        if (!keep_number(*modality, feature, value, counts)) continue;
        entry.value = value;
      }
      reading.observations.push_back(entry);
    }
  }
  for (const auto& [name, parameter] : parameters) reading.parameters[name] = parameter.rows;
  return reading;
}

NameColumn::NameColumn(const Table& table, const std::string& path, const std::string& name, Spelling spelling)
    : table_(&table) {
  if (!table.has_column(name) && name == "file") {
    file_ = spelling(stem_of(path));
    return;
  }
  if (!table.has_column(name) && name == "row") return;
  column_ = &table.column(name);
  for (const auto& level : column_->levels) levels_.push_back(spelling(level));
}

std::string NameColumn::operator()(std::size_t row) const {
  if (column_ == nullptr) return file_.empty() ? fmt::format("{}", row + 1) : file_;
  if (column_->is_text) {
    const int code = column_->codes[row];
    return code < 0 ? std::string() : levels_[static_cast<std::size_t>(code)];
  }
  const double value = column_->numbers[row];
  if (std::isnan(value)) return {};
  if (std::abs(value) > kLargestWhole)
    user_error("{}: {:.17g} is too large to name a sample or class: numbers beyond 2^53 run into each other",
               table_->place(row, *column_), value);
  return fmt::format("{}", value == 0 ? 0.0 : value);
}

IdColumns::IdColumns(const Table& table, const std::string& path, const SourceSpec& source)
    : table_(&table), names_(source.id) {
  for (const auto& name : source.id) columns_.emplace_back(table, path, name, canonical_id);
}

std::string IdColumns::operator()(std::size_t row) const {
  std::vector<std::string> parts;
  for (std::size_t j = 0; j < columns_.size(); ++j) {
    parts.push_back(columns_[j](row));
    if (parts.back().empty()) user_error("{}: the id is missing", table_->place(row, table_->column(names_[j])));
  }
  return joined(parts);
}

std::vector<double> times_of(const Table& table, const std::string& name, TimeUnit unit) {
  const Column& column = table.column(name);
  if (!column.is_text) {
    if (unit == TimeUnit::clock || unit == TimeUnit::iso)
      user_error("{}: is a number, not a time in the unit {}", table.place(0, column), enum_name(unit));
    return column.numbers;
  }
  std::vector<double> times(table.rows);
  for (std::size_t row = 0; row < table.rows; ++row) {
    const int code = column.codes[row];
    times[row] = std::nan("");
    if (code < 0) continue;
    const std::string& cell = column.levels[static_cast<std::size_t>(code)];
    if (!read_time(cell, unit, times[row]))
      user_error("{}: {} is not a time in the unit {}", table.place(row, column), quoted_for_message(cell),
                 enum_name(unit));
  }
  return times;
}

FileReading read_wide_table(const Table& table, const std::string& path, const SourceSpec& source, TimeUnit unit,
                            const Modalities& modalities, std::size_t all_modalities) {
  FileReading reading;
  reading.counts.resize(all_modalities);
  reading.rows = table.rows;
  const IdColumns id(table, path, source);
  std::vector<std::uint32_t> samples(table.rows);
  for (std::size_t row = 0; row < table.rows; ++row) samples[row] = reading.sample(id(row));
  std::vector<double> times(table.rows, kNoTime);
  if (!source.time.empty()) {
    times = times_of(table, source.time, unit);
    for (std::size_t row = 0; row < table.rows; ++row)
      if (std::isnan(times[row])) user_error("{}: the time is missing", table.place(row, table.column(source.time)));
  }
  for (ModalityReading* modality : modalities) {
    Counts& counts = reading.counts[modality->index];
    if (modality->one_row) {
      std::vector<bool> seen(reading.ids.size());
      for (std::size_t row = 0; row < table.rows; ++row) {
        if (seen[samples[row]])
          user_error("{}: line {}: a second row of the sample {}; the modality '{}' of the kind {} takes one", path,
                     table.first_line[row], quoted_for_message(reading.ids[samples[row]]), modality->spec->name,
                     enum_name(modality->spec->kind));
        seen[samples[row]] = true;
      }
    }
    for (std::size_t f = 0; f < modality->features.size(); ++f) {
      const Column& column = table.column(modality->features[f]);
      Observation entry{0, static_cast<std::uint16_t>(modality->index), static_cast<std::uint16_t>(f), 0, 0};
      const auto add = [&](std::size_t row, double value) {
        entry.sample = samples[row];
        entry.time = times[row];
        entry.value = value;
        reading.observations.push_back(entry);
      };
      if (!modality->named[f]) {
        if (column.is_text)
          user_error("{}: {} is not a number; if the column holds categories, name it among the modality's categories",
                     table.place(column.first_text_row, column),
                     quoted_for_message(
                         column.levels[static_cast<std::size_t>(std::max(column.codes[column.first_text_row], 0))]));
        for (std::size_t row = 0; row < table.rows; ++row)
          if (keep_number(*modality, f, column.numbers[row], counts)) add(row, column.numbers[row]);
        continue;
      }
      std::vector<double> codes;  // of the levels of the file
      for (const auto& level : column.levels) {
        const std::string name = name_of(*modality, level);
        codes.push_back(name.empty() ? -1 : (*modality->pools)[f].code(name));
      }
      for (std::size_t row = 0; row < table.rows; ++row) {
        double code = -1;
        if (column.is_text) {
          if (column.codes[row] >= 0) code = codes[static_cast<std::size_t>(column.codes[row])];
        } else if (!std::isnan(column.numbers[row])) {
          const std::string name = name_of(*modality, fmt::format("{}", column.numbers[row]));
          if (!name.empty()) code = (*modality->pools)[f].code(name);
        }
        if (code < 0)
          ++counts.missing;
        else
          add(row, code);
      }
    }
  }
  return reading;
}

FileReading read_npy_file(const std::string& path, const std::string& rows_path, const SourceSpec& source,
                          TimeUnit unit, const Modalities& modalities, std::size_t all_modalities,
                          const std::vector<std::string>& samples) {
  FileReading reading;
  reading.counts.resize(all_modalities);
  const NpyArray array = read_npy(path);
  if (array.shape.size() != 2 && array.shape.size() != 3)
    user_error("{}: has {}; samples by features, or samples by steps by features, have two or three", path,
               plural(array.shape.size(), "axis"));
  const std::size_t rows = array.shape[0], features = array.shape.back();
  const std::size_t steps = array.shape.size() == 3 ? array.shape[1] : 1;
  reading.rows = rows;
  std::vector<double> times(rows, kNoTime);
  std::vector<std::uint32_t> row_samples(rows);
  if (rows_path.empty()) {
    if (rows != samples.size())
      user_error("{}: has {}, but there are {}; without the key rows they must be the same samples in the same order",
                 path, plural(rows, "row"), plural(samples.size(), "sample"));
    for (std::size_t row = 0; row < rows; ++row) row_samples[row] = reading.sample(samples[row]);
  } else {
    const Table table = read_wide(rows_path, source);
    if (table.rows != rows)
      user_error("{}: has {}, but {} has {}", rows_path, plural(table.rows, "row"), path, plural(rows, "row"));
    const IdColumns id(table, rows_path, source);
    for (std::size_t row = 0; row < rows; ++row) row_samples[row] = reading.sample(id(row));
    if (!source.time.empty()) times = times_of(table, source.time, unit);
  }
  const std::vector<double> values = array.as_double();
  for (ModalityReading* modality : modalities) {
    const std::string& name = modality->spec->name;
    const bool series = is_series(modality->spec->kind);
    if (steps > 1 && !series) user_error("{}: has steps, but the modality '{}' is no series", path, name);
    if (series && array.shape.size() == 2 && source.time.empty())
      user_error("{}: has no steps, and no times are named, but the modality '{}' is a series", path, name);
    if (array.shape.size() == 3 && !source.time.empty())
      user_error("{}: has steps, which are equal parts of the horizon; a time column does not go with that", path);
    modality->share_times = array.shape.size() == 3;
    if (features != modality->features.size())
      user_error("{}: has {}, not {} as the modality '{}'", path, plural(features, "feature"),
                 modality->features.size(), name);
    if (modality->one_row && reading.ids.size() != rows)
      user_error("{}: a sample has several rows; the modality '{}' of the kind {} takes one", path, name,
                 enum_name(modality->spec->kind));
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t f = 0; f < features; ++f) {
          const double value = values[(row * steps + step) * features + f];
          if (std::isinf(value)) user_error("{}: row {} holds an infinite number", path, row + 1);
          if (!keep_number(*modality, f, value, reading.counts[modality->index])) continue;
          const double time =
              modality->share_times ? (static_cast<double>(step) + 0.5) / static_cast<double>(steps) : times[row];
          reading.observations.push_back({row_samples[row], static_cast<std::uint16_t>(modality->index),
                                          static_cast<std::uint16_t>(f), time, value});
        }
  }
  return reading;
}

}  // namespace clearway::fusion::detail
