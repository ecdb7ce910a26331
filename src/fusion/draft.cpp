#include "clearway/fusion/draft.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "clearway/base/errors.hpp"
#include "clearway/fusion/raw_data.hpp"
#include "clearway/fusion/row_scanner.hpp"
#include "draft_tables.hpp"

namespace clearway::fusion {

namespace {

using detail::ColumnKind;
using detail::FoundArray;
using detail::FoundTable;
using detail::Names;

constexpr std::size_t kMostLevels = 20;  // of a category
constexpr std::int64_t kCells = 48;
constexpr double kWinsorise = 0.002;  // enough for slips of the pen
/// Parameters that share more than this of their (sample, time) pairs are one modality.
constexpr double kMeasuredTogether = 0.5;

/// How much a column looks like an outcome; 0: not at all.
int outcome_score(const FoundTable& table, std::size_t column) {
  static const std::set<std::string> kNames{"label", "target", "outcome", "y", "class", "labels", "died", "deceased"};
  static constexpr std::array kParts{"label",  "target", "outcome", "class",     "death",
                                     "mortal", "surviv", "diagnos", "sentiment", "event"};
  const std::string name = detail::lower_case(table.header[column]);
  int score = kNames.count(name) > 0 ? 3 : 0;
  for (const char* part : kParts)
    if (score == 0 && name.find(part) != std::string::npos) score = 2;
  if (score == 0) return 0;
  const ColumnKind kind = kind_of(table, column);
  if (kind.distinct.size() < 2) return 0;
  return score + (kind.distinct.size() == 2 ? 1 : 0);
}

/// The numbers at the end of a name as a number; -1 where there are none.
std::pair<std::string, int> numbered(const std::string& name) {
  const std::size_t digits = name.find_last_not_of("0123456789") + 1;
  if (digits == name.size() || digits == 0 || name.size() - digits > 6) return {name, -1};
  return {name.substr(0, digits), std::stoi(name.substr(digits))};
}

class Draft {
 public:
  explicit Draft(const std::string& folder)
      : folder_(folder), tables_(detail::find_tables(folder)), arrays_(detail::find_arrays(folder)) {}

  Json write() {
    choose_target();
    add_target();
    for (const auto& table : tables_)
      if (&table != target_) add_table(table);
    for (const auto& array : arrays_) add_array(array);
    if (modalities_.empty())
      user_error("{}: no column or file that a prediction of '{}' could come from", folder_,
                 target_->header[target_column_]);
    Json spec = Json::object();
    spec["note"] = Json::array({"drafted from the files of this folder; what is guessed is noted: check it"});
    for (const auto& what : left_out_) spec["note"].push_back(what);
    spec["sources"] = sources_;
    if (horizon_ > 0) spec["time"] = time();
    spec["target"] = target();
    spec["split"] = split();
    spec["modalities"] = modalities_;
    spec["fusion"] = Json::object();
    spec["train"] = Json::object();
    return spec;
  }

 private:
  // ---- target

  void choose_target() {
    int best = 0;
    for (const auto& table : tables_) {
      if (table.is_long() || table.per_sample || !table.named) continue;
      for (std::size_t j = 0; j < table.header.size(); ++j) {
        const int score = outcome_score(table, j);
        if (score <= best || (table.has_time() && !detail::unique_ids(table, {table.header[0]}))) continue;
        best = score;
        target_ = &table;
        target_column_ = j;
      }
    }
    if (target_ == nullptr)
      user_error(
          "{}: no column looks like an outcome (label, target, outcome, class, death ...) in {}; write the spec by "
          "hand, or rename the column",
          folder_, tables_.empty() ? std::string("any table, for there is none") : fmt::format("{}", [&] {
            Names names;
            for (const auto& table : tables_) names.push_back(table.name);
            return fmt::format("{}", fmt::join(names, ", "));
          }()));
  }

  void add_target() {
    id_ = id_of_target();
    for (std::size_t row = 0; row < target_->rows.size(); ++row)
      outcomes_.emplace(detail::joined_id(*target_, id_, row), canonical_name(target_->rows[row][target_column_]));
    add_source(*target_, id_);
    const bool series = std::any_of(tables_.begin(), tables_.end(), [&](const FoundTable& table) {
      return &table != target_ && (table.is_long() || table.has_time() || table.per_sample);
    });
    if (!series || target_->header.size() > kMostLevels)
      add_columns(*target_, id_);
    else if (target_->header.size() > id_.size() + 1)
      left_out_.push_back(
          fmt::format("other columns of {} are left out, for they may be outcomes, too", target_->paths[0]));
  }

  Names id_of_target() {
    const FoundTable& table = *target_;
    Names candidates;
    for (std::size_t j = 0; j < table.header.size(); ++j)
      if (j != target_column_ && detail::looks_like_id(table.header[j])) candidates.push_back(table.header[j]);
    for (const auto& name : candidates)
      if (detail::unique_ids(table, {name})) {
        for (const auto& other : candidates)  // a subject that has several samples
          if (other != name && !detail::unique_ids(table, {other})) group_ = other;
        return {name};
      }
    for (const auto& name : candidates)
      for (std::size_t j = 0; j < std::min<std::size_t>(table.header.size(), 10); ++j)
        if (table.header[j] != name && j != target_column_ && detail::unique_ids(table, {name, table.header[j]})) {
          group_ = name;
          return {name, table.header[j]};
        }
    return table.paths.size() > 1 ? Names{"file", "row"} : Names{"row"};
  }

  Json target() const {
    const std::string& name = target_->header[target_column_];
    const ColumnKind kind = kind_of(*target_, target_column_);
    Json json = {{"source", target_->name}, {"column", name}};
    std::string what = "binary";
    if (kind.distinct.size() == 2) {
      if (kind.distinct.count("1") == 0) json["positive"] = *kind.distinct.rbegin();
    } else {
      const bool classes = kind.distinct.size() <= kMostLevels && (kind.whole || !kind.numeric());
      what = classes || !kind.numeric() ? "multi-class" : "regression";
    }
    json["kind"] = what;
    json["note"] = "guessed by its name and its values";
    return json;
  }

  Json split() const {
    Json json = {{"by", group_.empty() ? "id" : group_}};
    Names train, valid, test;
    for (const auto& path : target_->paths) {
      const std::string stem = std::filesystem::path(path).stem().string(), name = detail::lower_case(stem);
      if (name.find("train") != std::string::npos) train.push_back(stem);
      if (name.find("val") != std::string::npos || name.find("dev") != std::string::npos) valid.push_back(stem);
      if (name.find("test") != std::string::npos) test.push_back(stem);
    }
    if (!train.empty() && !test.empty() && train.size() + valid.size() + test.size() == target_->paths.size()) {
      json["column"] = "file";
      json["train"] = train;
      json["valid"] = valid;
      json["test"] = test;
      if (valid.empty()) json["valid_share"] = 0.15;
    } else {
      json["train"] = 0.7;
      json["valid"] = 0.1;
      json["test"] = 0.2;
    }
    json["seed"] = 1;
    json["note"] = "'by' must be what belongs together, such as the patient of several stays";
    return json;
  }

  // ---- other files

  Json& add_source(const FoundTable& table, const Names& id) {
    Json source = {{"format", table.is_long() ? "long" : "wide"}, {"path", table.paths}, {"id", id}};
    if (table.has_time()) source["time"] = table.time;
    if (table.is_long()) {
      source["parameter"] = table.parameter;
      source["value"] = table.value;
    }
    if (!table.named) source["header"] = "no";
    return sources_[table.name] = std::move(source);
  }

  /// The columns of a table that name the target's samples; nothing when none do.
  Names id_of(const FoundTable& table) const {
    std::vector<Names> candidates{id_};
    if (table.per_sample) candidates.insert(candidates.begin(), Names{"file"});
    for (const auto& name : table.header) candidates.push_back({name});
    for (const auto& columns : candidates) {
      const bool there = std::all_of(columns.begin(), columns.end(), [&](const auto& name) {
        return name == "file" || name == "row" || table.column(name) < table.header.size();
      });
      if (!there) continue;
      std::size_t found = 0;
      for (std::size_t row = 0; row < table.rows.size(); ++row)
        found += outcomes_.count(detail::joined_id(table, columns, row));
      // Most rows, so that a column of small numbers is not taken for the id by accident.
      if (2 * found > table.rows.size()) return columns;
    }
    return {};
  }

  void add_table(const FoundTable& table) {
    if (detail::lower_case(table.name) == "truth") {  // of a synthetic benchmark
      left_out_.push_back(fmt::format("{} is left out by its name", table.paths[0]));
      return;
    }
    const Names id = id_of(table);
    if (id.empty()) {
      left_out_.push_back(
          fmt::format("{} is left out, for its rows name no sample of {}", table.paths[0], target_->paths[0]));
      return;
    }
    if (!table.is_long() && !table.has_time() && !detail::unique_ids(table, id)) {
      left_out_.push_back(
          fmt::format("{} is left out, for it has several rows per sample and no time", table.paths[0]));
      return;
    }
    add_source(table, id);
    if (table.has_time()) look_at_times(table);
    if (table.is_long())
      add_parameters(table, id);
    else
      add_columns(table, id);
  }

  void add_array(const FoundArray& array) {
    if (array.shape.size() != 2 && array.shape.size() != 3) return;
    if (array.shape[0] != outcomes_.size()) {
      left_out_.push_back(fmt::format("{} is left out, for it has not one row per sample", array.path));
      return;
    }
    if (array.shape.size() == 3 && horizon_ <= 0) horizon_ = 1;
    sources_[array.name] = {
        {"format", "npy"}, {"path", array.path}, {"note", "rows are taken to be the samples, in the target's order"}};
    modalities_.push_back({{"name", array.name},
                           {"kind", array.shape.size() == 3 ? "regular" : "embedding"},
                           {"source", array.name},
                           {"dim", array.shape.back()}});
    if (array.shape.size() == 3) modalities_.back()["grid"] = 0;
  }

  // ---- columns of wide tables

  void add_columns(const FoundTable& table, const Names& id) {
    std::map<std::string, std::vector<int>> runs;
    Names stems, plain, categories, texts, ignored;
    for (std::size_t j = 0; j < table.header.size(); ++j) {
      const std::string& name = table.header[j];
      const bool used = std::find(id.begin(), id.end(), name) != id.end() || name == group_ || name == table.time ||
                        (&table == target_ && j == target_column_);
      const ColumnKind kind = kind_of(table, j);
      if (used || kind.cells == 0) continue;
      if (is_outcome(table, j, id)) {
        left_out_.push_back(fmt::format("column {} of {} is left out, for it is the outcome", name, table.paths[0]));
        continue;
      }
      if (kind.numeric()) {
        const auto [stem, number] = numbered(name);
        if (number >= 0 && runs.count(stem) == 0) stems.push_back(stem);
        if (number >= 0)
          runs[stem].push_back(number);
        else
          (is_counter(table, j, kind) ? ignored : plain).push_back(name);
      } else if (kind.distinct.size() <= kMostLevels && 2 * kind.distinct.size() <= kind.cells) {
        plain.push_back(name);
        categories.push_back(name);
      } else if (kind.words >= 2.5) {
        texts.push_back(name);
      } else {
        ignored.push_back(name);
      }
    }
    const std::string prefix = &table == target_ ? "" : table.name + "-";
    for (const auto& stem : stems) {
      const auto& numbers = runs[stem];
      bool consecutive = numbers.size() >= 3;
      for (std::size_t i = 1; i < numbers.size(); ++i) consecutive = consecutive && numbers[i] == numbers[i - 1] + 1;
      if (!consecutive || table.has_time()) {
        for (const int number : numbers) plain.push_back(fmt::format("{}{}", stem, number));
        continue;
      }
      std::string name = stem.substr(0, stem.find_last_not_of("_-.0123456789") + 1);
      if (name.empty()) name = stem;
      add_modality({{"name", prefix + name},
                    {"kind", "embedding"},
                    {"source", table.name},
                    {"columns", Json::array({fmt::format("{}{}..{}{}", stem, numbers.front(), stem, numbers.back())})},
                    {"note", "numbered columns are taken to be one vector"}});
    }
    if (!plain.empty()) {
      Json modality = {{"name", table.has_time() ? table.name : prefix + "static"},
                       {"kind", table.has_time() ? "irregular" : "static"},
                       {"source", table.name},
                       {"columns", plain}};
      if (!categories.empty()) modality["categories"] = categories;
      add_modality(std::move(modality));
    }
    for (const auto& name : texts)
      add_modality({{"name", prefix + name}, {"kind", "text"}, {"source", table.name}, {"columns", name}});
    if (!ignored.empty())
      left_out_.push_back(
          fmt::format("columns {} of {} are left out: counters and names", fmt::join(ignored, ", "), table.paths[0]));
  }

  /// Whether a column holds the outcome of every sample: a second copy of it.
  bool is_outcome(const FoundTable& table, std::size_t column, const Names& id) const {
    bool same = true, any = false;
    for (std::size_t row = 0; same && row < table.rows.size(); ++row) {
      const auto found = outcomes_.find(detail::joined_id(table, id, row));
      if (found == outcomes_.end()) continue;
      any = true;
      same = canonical_name(table.rows[row][column]) == found->second;
    }
    return same && any;
  }

  static bool is_counter(const FoundTable& table, std::size_t column, const ColumnKind& kind) {
    const std::string name = detail::lower_case(table.header[column]);
    if (name.ends_with("idx") || name.ends_with("index") || name == "row" || name.empty()) return true;
    return kind.whole && kind.distinct.size() >= 64 && detail::unique_ids(table, {table.header[column]});
  }

  void add_modality(Json modality) {
    std::string name = modality["name"];
    const auto taken = [&] {
      return std::any_of(modalities_.begin(), modalities_.end(),
                         [&](const Json& other) { return other["name"] == name; });
    };
    while (taken()) name += "'";
    modality["name"] = name;
    modalities_.push_back(std::move(modality));
  }

  // ---- parameters of long tables

  struct Parameter {
    std::string name;
    std::vector<std::pair<std::size_t, double>> places;  ///< (sample, time), sorted
    std::set<std::string> values;                        ///< at most 64
    bool numeric = true, whole = true, at_start = true, is_id = true;
    double smallest = std::numeric_limits<double>::infinity();
    bool minus_one = false;
    bool fixed(double start) const {
      return at_start &&
             std::adjacent_find(places.begin(), places.end(),
                                [](const auto& a, const auto& b) { return a.first == b.first; }) == places.end() &&
             start == 0;
    }
  };

  std::vector<Parameter> parameters_of(const FoundTable& table, const Names& id) const {
    std::vector<Parameter> parameters;
    std::map<std::string, std::size_t> index, samples;
    const std::size_t p = table.column(table.parameter), v = table.column(table.value), t = table.column(table.time);
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      const Names& cells = table.rows[row];
      if (cells[p].empty()) continue;
      const auto [found, fresh] = index.emplace(cells[p], parameters.size());
      if (fresh) parameters.emplace_back().name = cells[p];
      Parameter& parameter = parameters[found->second];
      const std::string sample = detail::joined_id(table, id, row);
      double value = 0, time = 0;
      if (table.has_time() && (!read_time(cells[t], unit_, time) || time != 0)) parameter.at_start = false;
      parameter.places.emplace_back(samples.emplace(sample, samples.size()).first->second, time);
      if (parameter.values.size() < 64) parameter.values.insert(canonical_name(cells[v]));
      parameter.is_id = parameter.is_id && canonical_id(cells[v]) == sample;
      if (cells[v].empty()) continue;
      if (!read_finite(cells[v], value)) {
        parameter.numeric = false;
        continue;
      }
      parameter.whole = parameter.whole && value == std::floor(value);
      if (value == -1)
        parameter.minus_one = true;
      else
        parameter.smallest = std::min(parameter.smallest, value);
    }
    for (auto& parameter : parameters) std::sort(parameter.places.begin(), parameter.places.end());
    return parameters;
  }

  static double shared_places(const Parameter& a, const Parameter& b) {
    std::vector<std::pair<std::size_t, double>> both;
    std::set_intersection(a.places.begin(), a.places.end(), b.places.begin(), b.places.end(), std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(a.places.size() + b.places.size() - both.size());
  }

  void add_parameters(const FoundTable& table, const Names& id) {
    std::vector<Parameter> parameters = parameters_of(table, id);
    std::erase_if(parameters, [](const Parameter& p) { return p.is_id; });
    const bool marker = std::any_of(parameters.begin(), parameters.end(),
                                    [](const Parameter& p) { return p.minus_one && p.smallest >= 0; });
    const auto finish = [&](Json modality) {
      if (marker) modality["missing_values"] = {-1};
      if (modality["kind"] == "irregular") modality["winsorise"] = kWinsorise;
      add_modality(std::move(modality));
    };
    Names fixed, categories, names;
    std::vector<const Parameter*> series;
    for (const auto& parameter : parameters) {
      if (!table.has_time() || parameter.fixed(0)) {
        fixed.push_back(parameter.name);
        const std::size_t levels = parameter.values.size() - (parameter.minus_one ? 1 : 0);
        if (!parameter.numeric || (parameter.whole && levels <= 6)) categories.push_back(parameter.name);
      } else if (parameter.numeric) {
        series.push_back(&parameter);
      } else {
        left_out_.push_back(fmt::format("parameter {} is left out, for its values are no numbers", parameter.name));
      }
    }
    if (!fixed.empty()) {
      Json modality = {{"name", table.name + "-static"},
                       {"kind", "static"},
                       {"source", table.name},
                       {"columns", fixed},
                       {"note", "observed once, at time 0"}};
      if (!categories.empty()) modality["categories"] = categories;
      if (table.has_time()) modality["at"] = 0;
      finish(std::move(modality));
    }
    Names alone;
    for (const auto& group : groups_of(series)) {
      if (group.size() == 1) {
        alone.push_back(group[0]);
        continue;
      }
      finish({{"name", group[0]},
              {"kind", "irregular"},
              {"source", table.name},
              {"columns", group},
              {"note", "measured at the same times"}});
    }
    if (!alone.empty())
      finish({{"name", table.name + "-other"},
              {"kind", "irregular"},
              {"source", table.name},
              {"columns", alone},
              {"note", "measured at times of their own"}});
  }

  /// Parameters measured together, joined by single linkage.
  static std::vector<Names> groups_of(const std::vector<const Parameter*>& series) {
    std::vector<std::size_t> group(series.size());
    for (std::size_t i = 0; i < series.size(); ++i) {
      group[i] = i;
      for (std::size_t j = 0; j < i; ++j)
        if (group[i] != group[j] && shared_places(*series[i], *series[j]) > kMeasuredTogether) {
          const std::size_t from = std::max(group[i], group[j]), to = std::min(group[i], group[j]);
          std::replace(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(i) + 1, from, to);
        }
    }
    std::vector<Names> names(series.size());
    for (std::size_t i = 0; i < series.size(); ++i) names[group[i]].push_back(series[i]->name);
    std::erase_if(names, [](const Names& members) { return members.empty(); });
    return names;
  }

  // ---- time

  void look_at_times(const FoundTable& table) {
    const std::size_t column = table.column(table.time);
    for (const TimeUnit unit : {TimeUnit::hours, TimeUnit::clock, TimeUnit::iso}) {
      double value = 0, most = 0;
      std::map<std::string, std::pair<double, double>> spans;
      const bool fits = std::all_of(table.rows.begin(), table.rows.end(), [&](const Names& row) {
        if (row[column].empty()) return true;
        if (!read_time(row[column], unit, value)) return false;
        most = std::max(most, value);
        return true;
      });
      if (!fits) continue;
      unit_ = unit;
      if (unit == TimeUnit::iso) {
        const Names id = id_of(table);
        for (std::size_t row = 0; row < table.rows.size(); ++row) {
          if (!read_time(table.rows[row][column], unit, value)) continue;
          const auto [span, fresh] = spans.try_emplace(detail::joined_id(table, id, row), value, value);
          span->second = {std::min(span->second.first, value), std::max(span->second.second, value)};
        }
        most = 1;
        for (const auto& [sample, span] : spans) most = std::max(most, span.second - span.first);
      }
      horizon_ = std::max(horizon_, std::ceil(most));
      return;
    }
    left_out_.push_back(fmt::format("the times of {} are in no unit that is known", table.paths[0]));
  }

  Json time() const {
    Json json = {{"unit", enum_name(unit_)}, {"horizon", horizon_}, {"grid", kCells}};
    if (unit_ == TimeUnit::iso) json["index"] = "first";
    json["note"] = unit_ == TimeUnit::hours ? "the unit is guessed; the horizon is the last time seen"
                                            : "the horizon is the last time seen";
    return json;
  }

  const std::string& folder_;
  std::vector<FoundTable> tables_;
  std::vector<FoundArray> arrays_;
  const FoundTable* target_ = nullptr;
  std::size_t target_column_ = 0;
  Names id_;
  std::string group_;
  std::map<std::string, std::string> outcomes_;  ///< by sample
  TimeUnit unit_ = TimeUnit::hours;
  double horizon_ = 0;
  Json sources_ = Json::object();
  Json modalities_ = Json::array();
  Names left_out_;
};

}  // namespace

Json draft_spec(const std::string& folder) {
  return Draft(folder).write();
}

}  // namespace clearway::fusion
