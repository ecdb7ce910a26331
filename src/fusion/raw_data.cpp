#include "clearway/fusion/raw_data.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/text.hpp"
#include "clearway/fusion/row_scanner.hpp"
#include "clearway/io/npy.hpp"
#include "observations.hpp"

namespace clearway::fusion {

namespace {

using detail::FileReading;
using detail::Modalities;
using detail::ModalityReading;
using detail::NamePool;
using detail::Observation;
using Names = std::vector<std::string>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kMostModalities = 65535;

bool matches(const std::string& name, const std::string& pattern) {
  // One '*' at a time, greedily from the left: enough for names of columns.
  std::size_t n = 0, p = 0, star = std::string::npos, mark = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++n, ++p;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

class Reader {
 public:
  Reader(const FusionSpec& spec, const ReadOptions& options) : spec_(spec), options_(options) {
    if (spec.modalities.size() > kMostModalities) user_error("there may be at most {} modalities", kMostModalities);
  }

  RawData read() {
    if (spec_.target) read_target();
    prepare_modalities();
    for (const auto& source : spec_.sources) total_files_ += files_of(spec_, source).size();
    // Arrays whose rows are the samples in order come last: only then samples are known in any case.
    for (const bool ordered : {false, true})
      for (const auto& source : spec_.sources)
        if ((source.format == SourceFormat::npy && source.rows.empty()) == ordered) read_source(source);
    find_index_times();
    for (std::size_t m = 0; m < modalities_.size(); ++m) assemble(m);
    return std::move(data_);
  }

 private:
  // ---- the target's source

  void read_target() {
    const SourceSpec& source = spec_.source(spec_.target->source);
    for (const auto& path : files_of(spec_, source)) {
      target_tables_.push_back(detail::read_wide(path, source));
      read_target_table(target_tables_.back(), path, source);
    }
    finish_target();
  }

  void read_target_table(const Table& table, const std::string& path, const SourceSpec& source) {
    const TargetSpec& target = *spec_.target;
    const detail::IdColumns id(table, path, source);
    std::vector<detail::NameColumn> columns;
    const bool unlabelled = options_.prediction && std::none_of(target.column.begin(), target.column.end(),
                                                                [&](const auto& c) { return table.has_column(c); });
    if (!unlabelled)
      for (const auto& name : target.column) columns.emplace_back(table, path, name);
    std::optional<detail::NameColumn> group, part;
    if (spec_.split.by != "id" && (!options_.prediction || table.has_column(spec_.split.by)))
      group.emplace(table, path, spec_.split.by);
    if (!spec_.split.column.empty() && !options_.prediction) part.emplace(table, path, spec_.split.column);
    std::vector<double> index(table.rows, 0.0);
    const std::string& index_column = spec_.time.index;
    if (!index_column.empty() && index_column != "first")
      index = detail::times_of(table, index_column, spec_.time.unit);

    for (std::size_t row = 0; row < table.rows; ++row) {
      std::string name = id(row);
      if (!samples_.emplace(name, static_cast<std::uint32_t>(data_.ids.size())).second)
        user_error("{}: line {}: a second row of the sample {}", path, table.first_line[row], quoted_for_message(name));
      Names labels;
      bool any = false, all = true;
      for (std::size_t j = 0; j < target.column.size(); ++j) {
        labels.push_back(unlabelled ? std::string() : columns[j](row));
        double value = 0;
        if (read_finite(labels.back(), value) &&
            std::find(target.missing_values.begin(), target.missing_values.end(), value) != target.missing_values.end())
          labels.back().clear();
        any = any || !labels.back().empty();
        all = all && !labels.back().empty();
      }
      if (!options_.prediction && !(target.kind == TargetKind::multilabel ? any : all)) {
        samples_.find(name)->second = kLeftOut;
        ++data_.report.samples_without_outcome;
        continue;
      }
      if (std::isnan(index[row]))
        user_error("{}: the index time is missing", table.place(row, table.column(index_column)));
      for (std::size_t j = 0; j < labels.size(); ++j) check_label(labels[j], table, row, target.column[j], path);
      labels_.push_back(std::move(labels));
      index_times_.push_back(index[row]);
      data_.groups.push_back(group ? (*group)(row) : name);
      if (data_.groups.back().empty())
        user_error("{}: the group is missing", table.place(row, table.column(spec_.split.by)));
      if (part) data_.parts.push_back((*part)(row));
      data_.ids.push_back(std::move(name));
    }
  }

  void check_label(const std::string& label, const Table& table, std::size_t row, const std::string& column,
                   const std::string& path) const {
    if (label.empty()) return;
    const auto place = [&] {
      return table.has_column(column) ? table.place(row, table.column(column)) : fmt::format("{}: '{}'", path, column);
    };
    double value = 0;
    if (spec_.target->kind == TargetKind::regression && !read_finite(label, value))
      user_error("{}: {} is not a number, as the kind regression needs", place(), quoted_for_message(label));
    if (spec_.target->kind == TargetKind::multilabel && label != "0" && label != "1")
      user_error("{}: {} must be 0, 1 or missing for the kind multi-label", place(), quoted_for_message(label));
    const auto& classes = spec_.target->classes;
    if (!classes.empty() && std::find(classes.begin(), classes.end(), label) == classes.end())
      user_error("{}: {} is not among the classes {}{}", place(), quoted_for_message(label), short_list(classes),
                 did_you_mean(label, classes));
  }

  void finish_target() {
    const TargetSpec& spec = *spec_.target;
    RawTarget& target = data_.target;
    target.kind = spec.kind;
    target.names = spec.column;
    if (data_.ids.empty())
      user_error("{}: target: no sample has an outcome in '{}'", spec_.origin, fmt::join(spec.column, "', '"));
    const bool classes = spec.kind == TargetKind::binary || spec.kind == TargetKind::multiclass;
    if (classes) target.classes = spec.classes.empty() ? classes_of_labels() : spec.classes;
    if (spec.kind == TargetKind::binary) order_binary(target.classes);
    target.values.reserve(labels_.size() * spec.column.size());
    for (const auto& row : labels_)
      for (const auto& label : row) {
        double value = std::nan("");
        if (!label.empty()) {
          if (classes)
            value = static_cast<double>(std::find(target.classes.begin(), target.classes.end(), label) -
                                        target.classes.begin());
          else
            read_finite(label, value);
        }
        target.values.push_back(value);
      }
    labels_.clear();
  }

  Names classes_of_labels() const {
    std::set<std::string> distinct;
    for (const auto& row : labels_)
      if (!row[0].empty()) distinct.insert(row[0]);
    Names classes(distinct.begin(), distinct.end());
    std::sort(classes.begin(), classes.end(), detail::name_less);
    return classes;
  }

  /// The positive class last. While predicting, classes may be absent.
  void order_binary(Names& classes) const {
    const std::string where = fmt::format("{}: target: column '{}'", spec_.origin, spec_.target->column[0]);
    if (classes.size() > 2)
      user_error("{} has {} classes, {}; the kind binary has two", where, classes.size(), short_list(classes));
    const std::string positive = spec_.target->positive.empty() ? "1" : canonical_name(spec_.target->positive);
    const auto found = std::find(classes.begin(), classes.end(), positive);
    if (options_.prediction && found == classes.end()) return;
    if (found == classes.end())
      user_error("{} has the classes {}; say which is 1 with the key positive{}", where, short_list(classes),
                 spec_.target->positive.empty() ? std::string() : fmt::format(" (not '{}')", positive));
    if (classes.size() == 1 && !options_.prediction)
      user_error("{} has one class only, {}", where, quoted_for_message(classes[0]));
    std::rotate(found, found + 1, classes.end());
  }

  // ---- modalities

  void prepare_modalities() {
    modalities_.resize(spec_.modalities.size());
    pools_.resize(spec_.modalities.size());
    for (std::size_t m = 0; m < modalities_.size(); ++m) {
      const ModalitySpec& spec = spec_.modalities[m];
      ModalityReading& modality = modalities_[m];
      modality.spec = &spec;
      modality.index = m;
      modality.features = features_of(spec);
      if (spec.dim > 0 && static_cast<std::size_t>(spec.dim) != modality.features.size())
        user_error("{}: modalities: '{}': dim is {}, but there are {}", spec_.origin, spec.name, spec.dim,
                   plural(modality.features.size(), "column"));
      if (modality.features.size() > 65535)
        user_error("{}: modalities: '{}': there may be at most 65535 columns", spec_.origin, spec.name);
      for (const auto& name : modality.features) {
        modality.named.push_back(spec.kind == ModalityKind::text || spec.is_category(name));
        const auto range = spec.ranges.find(name);
        modality.range.push_back(range == spec.ranges.end() ? std::pair(-kInfinity, kInfinity) : range->second);
      }
      for (const auto& name : spec.categories) require_feature(modality, name, "categories");
      for (const auto& [name, range] : spec.ranges) require_feature(modality, name, "range");
      for (const auto& [name, transform] : spec.transforms) require_feature(modality, name, "transform");
      const SourceSpec& source = spec_.source(spec.source);
      modality.one_row = !is_series(spec.kind) && source.time.empty() && spec.kind != ModalityKind::text &&
                         source.format != SourceFormat::long_table;
      pools_[m] = std::vector<NamePool>(modality.features.size());
      modality.pools = &pools_[m];
      data_.report.modalities.push_back({.name = spec.name});
    }
    by_modality_.resize(modalities_.size());
  }

  void require_feature(const ModalityReading& modality, const std::string& name, const char* key) const {
    if (std::find(modality.features.begin(), modality.features.end(), name) == modality.features.end())
      user_error("{}: modalities: '{}': {}: {} is not among its columns{}", spec_.origin, modality.spec->name, key,
                 quoted_for_message(name), did_you_mean(name, modality.features));
  }

  Names features_of(const ModalitySpec& spec) const {
    const SourceSpec& source = spec_.source(spec.source);
    const std::string where = fmt::format("{}: modalities: '{}': columns", spec_.origin, spec.name);
    if (source.format == SourceFormat::long_table) return spec.columns;
    const std::string file = files_of(spec_, source).front();
    if (source.format == SourceFormat::npy) {
      if (!spec.columns.empty()) return spec.columns;
      const std::size_t count = spec.dim > 0 ? static_cast<std::size_t>(spec.dim) : features_of_array(file);
      Names names;
      for (std::size_t f = 0; f < count; ++f) names.push_back(fmt::format("{}{}", spec.name, f));
      return names;
    }
    const Names header = detail::header_of(file, source);
    std::set<std::string> other(source.id.begin(), source.id.end());  // what a pattern does not mean
    other.insert(source.time);
    if (spec_.target && spec_.target->source == source.name) {
      other.insert(spec_.target->column.begin(), spec_.target->column.end());
      other.insert({spec_.split.by, spec_.split.column, spec_.time.index});
    }
    Names names;
    for (const auto& column : spec.columns) {
      if (column.find('*') == std::string::npos) {
        if (std::find(header.begin(), header.end(), column) == header.end())
          user_error("{}: there is no column {} in {}{}", where, quoted_for_message(column), file,
                     did_you_mean(column, header));
        names.push_back(column);
        continue;
      }
      const std::size_t before = names.size();
      for (const auto& name : header)
        if (matches(name, column) && other.count(name) == 0 &&
            std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
      if (names.size() == before) user_error("{}: no column of {} matches {}", where, file, quoted_for_message(column));
    }
    return names;
  }

  static std::size_t features_of_array(const std::string& file) {
    const NpyArray array = read_npy(file);
    if (array.shape.empty()) user_error("{}: is a single number, not samples by features", file);
    return array.shape.back();
  }

  // ---- observations

  void read_source(const SourceSpec& source) {
    Modalities modalities;
    for (auto& modality : modalities_)
      if (modality.spec->source == source.name) modalities.push_back(&modality);
    if (modalities.empty()) return;
    const Names files = files_of(spec_, source);
    std::vector<FileReading> readings(files.size());
    const bool known = spec_.target && spec_.target->source == source.name;
    const std::size_t count = modalities_.size();
    const TimeUnit unit = spec_.time.unit;
    std::mutex mutex;
    parallel_for(files.size(), options_.threads, [&](std::size_t i) {
      if (source.format == SourceFormat::long_table) {
        readings[i] = detail::read_long_file(files[i], source, unit, modalities, count);
      } else if (source.format == SourceFormat::wide) {
        const Table table = known ? std::move(target_tables_[i]) : detail::read_wide(files[i], source);
        readings[i] = detail::read_wide_table(table, files[i], source, unit, modalities, count);
      } else {
        const std::string rows =
            source.rows.empty() ? std::string() : (std::filesystem::path(spec_.folder) / source.rows).string();
        readings[i] = detail::read_npy_file(files[i], rows, source, unit, modalities, count, data_.ids);
      }
      const std::lock_guard lock(mutex);
      ++files_read_;
      if (options_.progress) options_.progress(static_cast<double>(files_read_) / static_cast<double>(total_files_));
    });
    merge(source, modalities, files, readings);
  }

  void merge(const SourceSpec& source, const Modalities& modalities, const Names& files,
             std::vector<FileReading>& readings) {
    SourceReport report;
    report.name = source.name;
    report.files = files.size();
    detail::NameMap<std::size_t> parameters;
    std::vector<std::string> owner(data_.ids.size());  // file of each sample, where one row is allowed
    const bool one_row = std::any_of(modalities.begin(), modalities.end(), [](auto* m) { return m->one_row; });
    for (std::size_t i = 0; i < readings.size(); ++i) {
      FileReading& reading = readings[i];
      report.rows += reading.rows;
      report.rows_without_parameter += reading.rows_without_parameter;
      for (const auto& [name, rows] : reading.parameters) parameters[name] += rows;
      for (const ModalityReading* modality : modalities) {
        ModalityReport& counts = data_.report.modalities[modality->index];
        counts.missing += reading.counts[modality->index].missing;
        counts.outside_range += reading.counts[modality->index].outside_range;
      }
      std::vector<std::uint32_t> samples;
      for (const auto& id : reading.ids) {
        samples.push_back(sample_of(id));
        if (!one_row || samples.back() == kLeftOut) continue;
        owner.resize(data_.ids.size());
        std::string& file = owner[samples.back()];
        if (!file.empty())
          user_error("{}: a row of the sample {} is in {}, too", files[i], quoted_for_message(id), file);
        file = files[i];
      }
      for (Observation& entry : reading.observations) {
        entry.sample = samples[entry.sample];
        if (entry.sample == kLeftOut)
          ++report.rows_of_other_samples;
        else
          by_modality_[entry.modality].push_back(entry);
      }
      reading = FileReading();
    }
    finish_parameters(source, modalities, parameters, report);
    data_.report.sources.push_back(std::move(report));
  }

  std::uint32_t sample_of(const std::string& id) {
    const auto found = samples_.find(id);
    if (found != samples_.end()) return found->second;
    if (spec_.target) return kLeftOut;
    const auto next = static_cast<std::uint32_t>(data_.ids.size());
    samples_.emplace(id, next);
    data_.ids.push_back(id);
    data_.groups.push_back(id);
    index_times_.push_back(0);
    return next;
  }

  void finish_parameters(const SourceSpec& source, const Modalities& modalities,
                         const detail::NameMap<std::size_t>& parameters, SourceReport& report) const {
    if (source.format != SourceFormat::long_table) return;
    report.parameters = parameters.size();
    Names known;
    std::set<std::string> used;
    for (const auto& [name, rows] : parameters) known.push_back(name);
    std::sort(known.begin(), known.end());
    for (const ModalityReading* modality : modalities)
      for (const auto& name : modality->features) {
        used.insert(name);
        if (parameters.find(name) != parameters.end()) continue;
        if (!options_.prediction)
          user_error("{}: modalities: '{}': columns: no row of the source '{}' has the parameter {}{}", spec_.origin,
                     modality->spec->name, source.name, quoted_for_message(name), did_you_mean(name, known));
        report.absent_parameters.push_back(name);
      }
    std::erase_if(known, [&](const std::string& name) { return used.count(name) != 0; });
    for (const auto& name : report.absent_parameters) report.absent_hints.push_back(did_you_mean(name, known));
    for (const auto& [name, rows] : parameters)
      if (used.count(name) == 0) report.rows_of_other_parameters += rows;
  }

  void find_index_times() {
    if (spec_.time.index != "first") return;
    std::vector<double> first(data_.ids.size(), kInfinity);
    for (const auto& modality : modalities_)
      if (is_series(modality.spec->kind) && !modality.share_times)
        for (const Observation& entry : by_modality_[modality.index])
          first[entry.sample] = std::min(first[entry.sample], entry.time);
    for (std::size_t i = 0; i < first.size(); ++i) index_times_[i] = first[i] == kInfinity ? 0 : first[i];
  }

  // ---- from observations to rows

  void assemble(std::size_t m) {
    const ModalityReading& modality = modalities_[m];
    ModalityReport& report = data_.report.modalities[m];
    std::vector<Observation> kept =
        detail::within_horizon(modality, std::move(by_modality_[m]), index_times_, spec_.time.horizon, report);
    report.observations = kept.size();
    data_.modalities.push_back(detail::assemble_rows(modality, std::move(kept), data_.ids.size()));
  }

  static constexpr std::uint32_t kLeftOut = static_cast<std::uint32_t>(-1);

  const FusionSpec& spec_;
  const ReadOptions& options_;
  RawData data_;
  detail::NameMap<std::uint32_t> samples_;
  std::vector<Table> target_tables_;
  std::vector<Names> labels_;
  std::vector<double> index_times_;
  std::vector<ModalityReading> modalities_;
  std::vector<std::vector<NamePool>> pools_;
  std::vector<std::vector<Observation>> by_modality_;
  std::size_t total_files_ = 0, files_read_ = 0;
};

}  // namespace

RawData read_samples(const FusionSpec& spec, const ReadOptions& options) {
  return Reader(spec, options).read();
}

std::vector<std::string> ReadReport::notes() const {
  Names notes;
  const auto add = [&](std::size_t count, const std::string& where, std::string_view what) {
    if (count > 0) notes.push_back(fmt::format("{}: {} {}", where, count, what));
  };
  if (samples_without_outcome > 0)
    notes.push_back(fmt::format("{} without outcome left out", plural(samples_without_outcome, "sample")));
  for (const auto& source : sources) {
    const std::string where = "source '" + source.name + "'";
    add(source.rows_without_parameter, where, "rows without parameter skipped");
    add(source.rows_of_other_samples, where, "observations of samples that are not in the target's source left out");
    add(source.rows_of_other_parameters, where, "rows of parameters that no modality names left out");
  }
  for (const auto& modality : modalities) {
    const std::string where = "modality '" + modality.name + "'";
    add(modality.outside_range, where, "values outside their range left out");
    add(modality.before_index, where, "values before time 0 left out");
    add(modality.after_horizon, where, "values after the horizon left out");
    if (modality.observations == 0) notes.push_back(where + ": no value at all");
  }
  return notes;
}

std::vector<std::string> ReadReport::warnings() const {
  Names warnings;
  for (const auto& source : sources) {
    if (source.absent_parameters.empty()) continue;
    Names absent;
    for (std::size_t i = 0; i < source.absent_parameters.size(); ++i)
      absent.push_back(quoted_for_message(source.absent_parameters[i]) + source.absent_hints[i]);
    const std::size_t rows = source.rows_of_other_parameters;
    const std::string others = rows == 0 ? std::string()
                                         : fmt::format(", and {} {} that no modality names", plural(rows, "row"),
                                                       rows == 1 ? "has a parameter" : "have parameters");
    warnings.push_back(fmt::format("source '{}': no row has the {} {}, which the model uses{}", source.name,
                                   absent.size() == 1 ? "parameter" : "parameters", short_list(absent), others));
  }
  return warnings;
}

}  // namespace clearway::fusion
