#include "clearway/fusion/spec.hpp"

#include <glob.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "clearway/base/text.hpp"

namespace clearway::fusion {

namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Options out of an object that also has keys of other forms (`others`), and may give a text where a list of one is meant.
template <class Options>
void read_object(const Json& json, Options& options, const std::string& where, const Keys& others) {
  detail::require_object(json, where);
  Keys known = others;
  known.emplace_back("note");
  Keys lists;
  Options::visit(options, [&](std::string_view name, const auto& value, const OptionInfo&) {
    known.push_back(snake_case(name));
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::vector<std::string>>)
      lists.push_back(known.back());
  });
  detail::refuse_unknown_keys(json, known, where);
  Json plain = json;
  plain.erase("note");
  for (const auto& key : others) plain.erase(key);
  for (const auto& key : lists)
    if (const auto found = plain.find(key); found != plain.end() && found->is_string()) *found = Json::array({*found});
  options_from_json(plain, options, where);
}

void require_key(const Json& json, const char* key, const std::string& where) {
  JsonObject(json, where).at(key);
}

SourceSpec source_from_json(const std::string& name, const Json& json, const std::string& where) {
  SourceSpec source;
  source.name = name;
  read_object(json, source, where, {});
  require_key(json, "format", where);
  require_key(json, "path", where);
  if (source.path.empty()) user_error("{}: path names no file", where);
  const bool npy = source.format == SourceFormat::npy;
  if (npy && source.path.size() != 1) user_error("{}: path must name one file for the format npy", where);
  if (!npy && !source.rows.empty()) user_error("{}: rows is for the format npy only", where);
  if (npy && source.rows.empty() && !(source.id.empty() && source.time.empty()))
    user_error("{}: id and time are columns of a CSV that the key rows must name", where);
  if (source.id.empty() && (!npy || !source.rows.empty())) require_key(json, "id", where);
  if (source.id.empty() && (!npy || !source.rows.empty())) user_error("{}: id names no column", where);
  return source;
}

double share(JsonObject& split, const char* key) {
  const double value = split.number(key);
  if (!(value >= 0 && value <= 1)) user_error("{} must be a share from 0 to 1, not {}", split.where(key), value);
  return value;
}

Keys texts_or_one(JsonObject& object, const char* key) {
  if (object.at(key).is_string()) return {object.text(key)};
  return object.texts(key);
}

SplitSpec split_from_json(const Json& json, const std::string& where) {
  detail::refuse_unknown_keys(json, {"by", "train", "valid", "test", "seed", "column", "valid_share", "note"}, where);
  JsonObject object(json, where);
  SplitSpec split;
  if (object.has("by")) split.by = object.text("by");
  if (object.has("seed"))
    split.seed = static_cast<std::uint64_t>(object.integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  if (object.has("column")) {
    split.column = object.text("column");
    if (object.has("train")) split.train_values = texts_or_one(object, "train");
    if (object.has("valid")) split.valid_values = texts_or_one(object, "valid");
    if (object.has("test")) split.test_values = texts_or_one(object, "test");
    if (object.has("valid_share")) split.valid_share = share(object, "valid_share");
    return split;
  }
  if (object.has("valid_share")) user_error("{}: valid_share goes with a column", where);
  if (object.has("train")) split.train = share(object, "train");
  if (object.has("valid")) split.valid = share(object, "valid");
  if (object.has("test")) split.test = share(object, "test");
  const double sum = split.train + split.valid + split.test;
  if (std::abs(sum - 1) > 1e-9)
    user_error("{}: train, valid and test must sum to 1, not {} + {} + {} = {:.6g}", where, split.train, split.valid,
               split.test, sum);
  if (split.train == 0) user_error("{}: train must be above 0", where);
  return split;
}

std::map<std::string, std::pair<double, double>> ranges_from_json(const Json& json, const std::string& where) {
  detail::require_object(json, where);
  std::map<std::string, std::pair<double, double>> ranges;
  for (const auto& [column, limits] : json.items()) {
    const std::string place = where + ": " + column;
    if (!limits.is_array() || limits.size() != 2)
      user_error("{} must be a list of two, the smallest and the largest value; null where there is none", place);
    std::pair<double, double> range{-kInfinity, kInfinity};
    if (!limits[0].is_null()) detail::json_to(limits[0], place + "[0]", range.first);
    if (!limits[1].is_null()) detail::json_to(limits[1], place + "[1]", range.second);
    if (range.first > range.second) user_error("{}: {} is above {}", place, range.first, range.second);
    ranges[column] = range;
  }
  return ranges;
}

/// "t0..t99" as names; any other text as itself.
Keys expanded(const std::string& column, const std::string& where) {
  const std::size_t dots = column.find("..");
  if (dots == std::string::npos) return {column};
  const std::string from = column.substr(0, dots), to = column.substr(dots + 2);
  const auto digits = [](const std::string& name) {
    const std::size_t last = name.find_last_not_of("0123456789");
    return last == std::string::npos ? 0 : last + 1;
  };
  const std::string stem = from.substr(0, digits(from)), first = from.substr(stem.size());
  const std::string last = to.substr(std::min(digits(to), to.size()));
  const bool numbered = !first.empty() && !last.empty() && to.substr(0, digits(to)) == stem && first.size() < 7 &&
                        last.size() < 7 && std::stoi(first) <= std::stoi(last);
  if (!numbered)
    user_error("{}: {} must be one name with a first and a last number, as in t0..t99", where,
               quoted_for_message(column));
  Keys names;
  for (int i = std::stoi(first); i <= std::stoi(last); ++i) names.push_back(fmt::format("{}{}", stem, i));
  return names;
}

void check_columns(ModalitySpec& modality, const std::string& where) {
  Keys names;
  for (const auto& column : modality.columns)
    for (auto& name : expanded(column, where + ": columns")) names.push_back(std::move(name));
  modality.columns = std::move(names);
  std::set<std::string> seen;
  bool pattern = false;
  for (const auto& name : modality.columns) {
    if (name.empty()) user_error("{}: columns: a name is empty", where);
    if (!seen.insert(name).second) user_error("{}: columns: {} is named twice", where, quoted_for_message(name));
    pattern = pattern || name.find('*') != std::string::npos;
  }
  const auto require_column = [&](const std::string& name, const char* key) {
    if (!pattern && seen.count(name) == 0)
      user_error("{}: {}: {} is not among its columns{}", where, key, quoted_for_message(name),
                 did_you_mean(name, modality.columns));
  };
  for (const auto& name : modality.categories) require_column(name, "categories");
  for (const auto& [name, range] : modality.ranges) require_column(name, "range");
  for (const auto& [name, transform] : modality.transforms) require_column(name, "transform");
}

Keys source_names(const FusionSpec& spec) {
  Keys names;
  for (const auto& source : spec.sources) names.push_back(source.name);
  return names;
}

void require_source(const FusionSpec& spec, const std::string& name, const std::string& where) {
  const Keys names = source_names(spec);
  if (std::find(names.begin(), names.end(), name) == names.end())
    user_error("{}: source: there is no source {}{}; there are {}", where, quoted_for_message(name),
               did_you_mean(name, names), short_list(names));
}

void check_modality(const FusionSpec& spec, const ModalitySpec& modality, const std::string& where) {
  require_source(spec, modality.source, where);
  const SourceSpec& source = spec.source(modality.source);
  const bool series = is_series(modality.kind);
  const bool long_table = source.format == SourceFormat::long_table;
  if (spec.target && spec.target->source == modality.source)
    for (const auto& column : modality.columns)
      if (std::find(spec.target->column.begin(), spec.target->column.end(), column) != spec.target->column.end())
        user_error("{}: columns: {} is the target's column: a prediction cannot come from what is predicted", where,
                   quoted_for_message(column));
  if (modality.columns.empty() && source.format != SourceFormat::npy)
    user_error("{}: columns is missing; \"*\" takes every column of a wide source", where);
  for (const auto& column : modality.columns)
    if (long_table && column.find('*') != std::string::npos)
      user_error("{}: columns: {}: patterns are for wide sources; a long source needs the names of its parameters",
                 where, quoted_for_message(column));
  if (modality.kind == ModalityKind::text && (modality.columns.size() != 1 || source.format == SourceFormat::npy))
    user_error("{}: a text is one column of a wide or long source", where);
  if (modality.at && !(modality.kind == ModalityKind::fixed && long_table))
    user_error("{}: at is for the kind static from a long source", where);
  if (series && spec.time.horizon <= 0) user_error("{}: time: horizon must be given, above 0, for series", spec.origin);
  if (series && source.time.empty() && source.format != SourceFormat::npy)
    user_error("{}: its source '{}' has no time column", where, source.name);
  if (!series && modality.grid > 0) user_error("{}: grid is for series", where);
  if (modality.max_length > 0 && (!series || spec.grid_of(modality) > 0))
    user_error("{}: max_length is for series without a grid", where);
}

}  // namespace

Transform ModalitySpec::transform_of(const std::string& column) const {
  const auto found = transforms.find(column);
  return found == transforms.end() ? transform : found->second;
}

bool ModalitySpec::is_category(const std::string& column) const {
  return std::find(categories.begin(), categories.end(), column) != categories.end();
}

const SourceSpec& FusionSpec::source(const std::string& name) const {
  for (const auto& entry : sources)
    if (entry.name == name) return entry;
  user_error("{}: there is no source {}{}", origin, quoted_for_message(name), did_you_mean(name, source_names(*this)));
}

std::int64_t FusionSpec::grid_of(const ModalitySpec& modality) const {
  if (!is_series(modality.kind)) return 0;
  return modality.grid >= 0 ? modality.grid : time.grid;
}

ModalitySpec modality_from_json(const Json& json, const std::string& where) {
  ModalitySpec modality;
  read_object(json, modality, where, {"transform", "range", "at"});
  for (const char* key : {"name", "kind", "source"}) require_key(json, key, where);
  if (modality.name.empty()) user_error("{}: name is empty", where);
  if (const auto found = json.find("transform"); found != json.end()) {
    if (found->is_object()) {
      for (const auto& [column, value] : found->items())
        detail::json_to(value, where + ": transform: " + column, modality.transforms[column]);
    } else {
      detail::json_to(*found, where + ": transform", modality.transform);
    }
  }
  if (const auto found = json.find("range"); found != json.end())
    modality.ranges = ranges_from_json(*found, where + ": range");
  if (json.contains("at")) modality.at = JsonObject(json, where).number("at");
  if (modality.ngrams.size() != 2 || modality.ngrams[0] > modality.ngrams[1])
    user_error("{}: ngrams must be a list of two, the shortest and the longest", where);
  check_columns(modality, where);
  return modality;
}

Json to_json(const ModalitySpec& modality) {
  Json json = options_to_json(modality);
  if (modality.transforms.empty()) {
    json["transform"] = enum_name(modality.transform);
  } else {
    json["transform"] = Json::object();
    for (const auto& [column, transform] : modality.transforms) json["transform"][column] = enum_name(transform);
  }
  json["range"] = Json::object();
  for (const auto& [column, range] : modality.ranges)
    json["range"][column] = Json::array({json_number_or_null(range.first), json_number_or_null(range.second)});
  if (modality.at) json["at"] = *modality.at;
  return json;
}

FusionSpec spec_from_json(const Json& json, const std::string& origin, const std::string& folder) {
  detail::require_object(json, origin);
  detail::refuse_unknown_keys(json, {"sources", "time", "target", "split", "modalities", "fusion", "train", "note"},
                              origin);
  FusionSpec spec;
  spec.origin = origin;
  spec.folder = folder;
  JsonObject object(json, origin);
  const Json& sources = object.at("sources");
  detail::require_object(sources, origin + ": sources");
  for (const auto& [name, source] : sources.items())
    if (name != "note") spec.sources.push_back(source_from_json(name, source, origin + ": sources: " + name));
  if (spec.sources.empty()) user_error("{}: sources: there is none", origin);
  if (object.has("time")) read_object(object.at("time"), spec.time, origin + ": time", {});
  if (object.has("target")) {
    const std::string where = origin + ": target";
    TargetSpec target;
    read_object(object.at("target"), target, where, {});
    for (const char* key : {"source", "column"}) require_key(object.at("target"), key, where);
    require_source(spec, target.source, where);
    if (spec.source(target.source).format != SourceFormat::wide)
      user_error("{}: source: '{}' must be of the format wide", where, target.source);
    const bool many = target.kind == TargetKind::multilabel || target.kind == TargetKind::regression;
    if (target.column.empty() || (!many && target.column.size() != 1))
      user_error("{}: column must name {} for the kind {}", where, many ? "at least one" : "one column",
                 enum_name(target.kind));
    if (!target.positive.empty() && target.kind != TargetKind::binary)
      user_error("{}: positive is for the kind binary", where);
    spec.target = std::move(target);
  }
  if (object.has("split")) spec.split = split_from_json(object.at("split"), origin + ": split");
  std::set<std::string> names;
  const auto modalities = object.objects("modalities");
  for (std::size_t i = 0; i < modalities.size(); ++i) {
    const std::string where = modalities[i].where();
    ModalitySpec modality = modality_from_json(json.at("modalities")[i], where);
    if (!names.insert(modality.name).second) user_error("{}: name: '{}' is named twice", where, modality.name);
    check_modality(spec, modality, fmt::format("{} ('{}')", where, modality.name));
    spec.modalities.push_back(std::move(modality));
  }
  if (spec.modalities.empty()) user_error("{}: modalities: there is none", origin);
  if (spec.time.index != "" && spec.time.index != "first" && !spec.target)
    user_error("{}: time: index: a column needs a target whose source has it", origin);
  if (spec.time.unit == TimeUnit::iso && spec.time.index.empty() && spec.time.horizon > 0)
    user_error("{}: time: index must be 'first' or a column for the unit iso-8601", origin);
  for (const char* key : {"fusion", "train"}) {
    if (!object.has(key)) continue;
    detail::require_object(object.at(key), object.where(key));
    (key == std::string("fusion") ? spec.fusion : spec.train) = object.at(key);
  }
  return spec;
}

FusionSpec read_spec(const std::string& path) {
  return spec_from_json(read_json(path), path, fs::path(path).parent_path().string());
}

Json to_json(const FusionSpec& spec) {
  const auto absolute = [&](const std::string& path) {
    return fs::absolute(fs::path(spec.folder) / path).lexically_normal().string();
  };
  Json json = Json::object();
  json["sources"] = Json::object();
  for (SourceSpec source : spec.sources) {
    for (auto& path : source.path) path = absolute(path);
    if (!source.rows.empty()) source.rows = absolute(source.rows);
    json["sources"][source.name] = options_to_json(source);
  }
  json["time"] = options_to_json(spec.time);
  if (spec.target) json["target"] = options_to_json(*spec.target);
  const SplitSpec& split = spec.split;
  json["split"] = {{"by", split.by}};
  if (split.column.empty()) {
    json["split"].update({{"train", split.train}, {"valid", split.valid}, {"test", split.test}});
  } else {
    json["split"].update({{"column", split.column},
                          {"train", split.train_values},
                          {"valid", split.valid_values},
                          {"test", split.test_values},
                          {"valid_share", split.valid_share}});
  }
  json["split"]["seed"] = split.seed;
  json["modalities"] = Json::array();
  for (const auto& modality : spec.modalities) json["modalities"].push_back(to_json(modality));
  json["fusion"] = spec.fusion;
  json["train"] = spec.train;
  return json;
}

std::vector<std::string> files_of(const FusionSpec& spec, const SourceSpec& source) {
  std::vector<std::string> files;
  for (const auto& path : source.path) {
    const std::string full = (fs::path(spec.folder) / path).string();
    if (full.find_first_of("*?[") == std::string::npos || fs::exists(full)) {
      if (fs::is_directory(full))
        user_error("{}: sources: {}: {} is a folder; its files are {}/*", spec.origin, source.name, full, path);
      if (!fs::exists(full)) user_error("{}: sources: {}: {}: there is no such file", spec.origin, source.name, full);
      files.push_back(full);
      continue;
    }
    glob_t found{};
    const int status = ::glob(full.c_str(), GLOB_NOSORT, nullptr, &found);
    std::vector<std::string> names(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    if (status == GLOB_NOSPACE) throw std::bad_alloc();
    if (names.empty()) user_error("{}: sources: {}: no file is called {}", spec.origin, source.name, full);
    std::sort(names.begin(), names.end());
    files.insert(files.end(), names.begin(), names.end());
  }
  return files;
}

}  // namespace clearway::fusion
