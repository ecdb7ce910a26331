// What a multimodal data set is, declared in one JSON file: where samples, observations and outcomes are, and what they
// mean. docs/fusion-data.md describes every key.
//
// Paths are relative to the folder of the file. Every object may hold a key "note", which nobody reads but people.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "clearway/fusion/modality.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/json.hpp"

namespace clearway::fusion {

enum class SourceFormat { long_table, wide, npy };
inline std::span<const EnumName<SourceFormat>> enum_names(SourceFormat) {
  static constexpr std::array<EnumName<SourceFormat>, 3> names{{
      {SourceFormat::long_table, "long", "a CSV with one observation per row: id, time, parameter, value"},
      {SourceFormat::wide, "wide", "a CSV with one row per sample, or per sample and time"},
      {SourceFormat::npy, "npy", "one NumPy array: samples, or samples x steps, by features"},
  }};
  return names;
}

enum class TimeUnit { seconds, minutes, hours, days, clock, iso };
inline std::span<const EnumName<TimeUnit>> enum_names(TimeUnit) {
  static constexpr std::array<EnumName<TimeUnit>, 6> names{{
      {TimeUnit::seconds, "seconds", "numbers"},
      {TimeUnit::minutes, "minutes", "numbers"},
      {TimeUnit::hours, "hours", "numbers"},
      {TimeUnit::days, "days", "numbers"},
      {TimeUnit::clock, "hh:mm", "hours and minutes (and seconds) since the index time; counted in hours"},
      {TimeUnit::iso, "iso-8601", "dates and times of day; counted in hours"},
  }};
  return names;
}

enum class Transform { none, log1p, sqrt, asinh };
inline std::span<const EnumName<Transform>> enum_names(Transform) {
  static constexpr std::array<EnumName<Transform>, 4> names{{
      {Transform::none, "none", "as it is"},
      {Transform::log1p, "log1p", "log(1 + x), for x > -1"},
      {Transform::sqrt, "sqrt", "square root, for x >= 0"},
      {Transform::asinh, "asinh", "log(x + sqrt(1 + x^2)), for any x"},
  }};
  return names;
}

enum class Keep { first, last };
inline std::span<const EnumName<Keep>> enum_names(Keep) {
  static constexpr std::array<EnumName<Keep>, 2> names{{
      {Keep::first, "first", "the earliest"},
      {Keep::last, "last", "the latest"},
  }};
  return names;
}

enum class TextUnit { word, character };
inline std::span<const EnumName<TextUnit>> enum_names(TextUnit) {
  static constexpr std::array<EnumName<TextUnit>, 2> names{{
      {TextUnit::word, "word", "runs of letters and digits"},
      {TextUnit::character, "character", "letters, with blanks between words"},
  }};
  return names;
}

/// One or several files of one layout. Beside its columns every CSV has "file" (the name of the file without folder and
/// extension) and "row" (1, 2, ... in its file), unless columns of these names are there.
struct SourceSpec {
  std::string name;
  SourceFormat format = SourceFormat::wide;
  std::vector<std::string> path;
  std::vector<std::string> id;
  std::string time;
  std::string parameter = "Parameter";
  std::string value = "Value";
  std::string rows;
  CsvSeparator separator = CsvSeparator::automatic;
  CsvHeader header = CsvHeader::yes;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("format", self.format, OptionInfo{.help = "how observations are laid out"});
    field("path", self.path, OptionInfo{.help = "files; * and ? stand for parts of names", .metavar = "FILE"});
    field("id", self.id, OptionInfo{.help = "columns that name the sample, joined by _", .metavar = "COLUMN"});
    field("time", self.time, OptionInfo{.help = "column of times", .metavar = "COLUMN"});
    field("parameter", self.parameter, OptionInfo{.help = "long: column that names the feature", .metavar = "COLUMN"});
    field("value", self.value, OptionInfo{.help = "long: column of values", .metavar = "COLUMN"});
    field("rows", self.rows,
          OptionInfo{.help = "npy: CSV with the id (and time) of every row of the array", .metavar = "FILE"});
    field("separator", self.separator, OptionInfo{.help = "what separates cells"});
    field("header", self.header, OptionInfo{.help = "whether the first line names the columns"});
  }
};

struct TimeSpec {
  TimeUnit unit = TimeUnit::hours;
  double horizon = 0;
  std::int64_t grid = 0;
  std::string index;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("unit", self.unit, OptionInfo{.help = "how times are written"});
    field("horizon", self.horizon,
          OptionInfo{.help = "what becomes 1 on the time axis, in the unit; later observations are left out",
                     .minimum = 0});
    field("grid", self.grid,
          OptionInfo{
              .help = "equal cells in which series are averaged; 0: none, their own times", .minimum = 0, .off = "0"});
    field(
        "index", self.index,
        OptionInfo{.help = "time 0: 'first' observation of the sample, or a column of the target's source; empty: 0"});
  }
};

struct TargetSpec {
  std::string source;
  std::vector<std::string> column;
  TargetKind kind = TargetKind::binary;
  std::string positive;
  std::vector<std::string> classes;
  std::vector<double> missing_values;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("source", self.source, OptionInfo{.help = "where outcomes are: one row per sample"});
    field("column", self.column, OptionInfo{.help = "what is to be predicted", .metavar = "COLUMN"});
    field("kind", self.kind, OptionInfo{.help = "what kind of outcome it is"});
    field("positive", self.positive, OptionInfo{.help = "binary: the class that is 1; by default '1'"});
    field("classes", self.classes, OptionInfo{.help = "multi-class: the order of classes; by default sorted"});
    field("missing-values", self.missing_values, OptionInfo{.help = "numbers that mean an unknown outcome"});
  }
};

/// Either shares of the groups, or values of a column.
struct SplitSpec {
  std::string by = "id";  ///< "id" or a column of the target's source: what is never on two sides
  double train = 0.7, valid = 0.1, test = 0.2;
  std::uint64_t seed = 1;
  std::string column;  ///< empty: by shares
  std::vector<std::string> train_values = {"train"}, valid_values = {"valid"}, test_values = {"test"};
  double valid_share = 0;  ///< with a column: share of the training groups that become validation
};

struct ModalitySpec {
  std::string name;
  ModalityKind kind = ModalityKind::fixed;
  std::string source;
  std::vector<std::string> columns;
  std::vector<std::string> categories;
  std::vector<double> missing_values;
  double winsorise = 0;
  std::int64_t dim = 0;
  std::int64_t grid = -1;
  std::int64_t max_length = 0;
  Keep keep = Keep::last;
  std::vector<int> ngrams = {1, 2};
  TextUnit unit = TextUnit::word;
  std::int64_t buckets = 512;
  // Not in visit(): keys with a form of their own.
  Transform transform = Transform::none;                    ///< of columns that are not in `transforms`
  std::map<std::string, Transform> transforms;              ///< by column
  std::map<std::string, std::pair<double, double>> ranges;  ///< by column; infinite where open
  std::optional<double> at;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("name", self.name, OptionInfo{.help = "name of the modality"});
    field("kind", self.kind, OptionInfo{.help = "what it is"});
    field("source", self.source, OptionInfo{.help = "where it is"});
    field("columns", self.columns,
          OptionInfo{.help = "columns, or parameters of a long source; a* and a0..a72 stand for many"});
    field("categories", self.categories, OptionInfo{.help = "columns whose values are names, not amounts"});
    field("missing-values", self.missing_values, OptionInfo{.help = "numbers that mean missing"});
    field("winsorise", self.winsorise,
          OptionInfo{.help = "share of each tail that is pulled in to the quantile", .minimum = 0, .maximum = 0.25});
    field("dim", self.dim, OptionInfo{.help = "expected number of columns; 0: any", .minimum = 0});
    field("grid", self.grid,
          OptionInfo{.help = "cells in time, 0: its own times, -1: as the section 'time' says", .minimum = -1});
    field("max-length", self.max_length,
          OptionInfo{.help = "most places in time without a grid; 0: any number", .minimum = 0});
    field("keep", self.keep, OptionInfo{.help = "which places stay when there are more"});
    field("ngrams", self.ngrams, OptionInfo{.help = "text: shortest and longest n-gram", .minimum = 1, .maximum = 8});
    field("unit", self.unit, OptionInfo{.help = "text: what n-grams are made of"});
    field("buckets", self.buckets,
          OptionInfo{.help = "text: numbers that n-grams are hashed to", .minimum = 2, .maximum = 1048576});
  }
  Transform transform_of(const std::string& column) const;
  bool is_category(const std::string& column) const;
};

struct FusionSpec {
  std::string origin = "spec";  ///< name of the file, for messages
  std::string folder;           ///< what paths are relative to; empty: the present folder
  std::vector<SourceSpec> sources;
  TimeSpec time;
  std::optional<TargetSpec> target;  ///< absent: samples are what the modalities name (prediction only)
  SplitSpec split;
  std::vector<ModalitySpec> modalities;
  Json fusion = Json::object();  ///< options of the model, for the program
  Json train = Json::object();   ///< options of the training, for the program

  const SourceSpec& source(const std::string& name) const;
  /// Cells of a modality: its own or those of all; 0 for its own times and for vectors.
  std::int64_t grid_of(const ModalitySpec& modality) const;
};

/// Reads and checks a file. std::invalid_argument names the file, the key, the value and the nearest known key.
FusionSpec read_spec(const std::string& path);
FusionSpec spec_from_json(const Json& json, const std::string& origin, const std::string& folder = {});
/// Everything, defaults too, with absolute paths: what read_spec() gives back equal from anywhere.
Json to_json(const FusionSpec& spec);

ModalitySpec modality_from_json(const Json& json, const std::string& where);
Json to_json(const ModalitySpec& modality);

/// The files that a source's paths stand for, sorted by name within each path. Throws when a path stands for none.
std::vector<std::string> files_of(const FusionSpec& spec, const SourceSpec& source);

}  // namespace clearway::fusion
