// What the readers of the three formats hand to read_samples(): observations, and where each column goes.
#pragma once

#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/fusion/raw_data.hpp"
#include "clearway/fusion/row_scanner.hpp"

namespace clearway::fusion::detail {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class Value>
using NameMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

/// Names of categories and texts as numbers, in order of arrival; shared by threads.
class NamePool {
 public:
  double code(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::mutex mutex_;
  NameMap<int> codes_;
  std::vector<std::string> names_;
};

constexpr double kNoTime = -std::numeric_limits<double>::infinity();  ///< of sources without a time column

struct Observation {
  std::uint32_t sample;  ///< index into FileReading::ids, later into the samples
  std::uint16_t modality, feature;
  double time;
  double value;
};

/// One modality while it is being read. Features are known before the first row is.
struct ModalityReading {
  const ModalitySpec* spec = nullptr;
  std::size_t index = 0;  ///< among the modalities
  std::vector<std::string> features;
  std::vector<bool> named;                       ///< F: categories and texts
  std::vector<std::pair<double, double>> range;  ///< F
  bool share_times = false;                      ///< times are shares of the horizon already
  bool one_row = false;                          ///< a second row of a sample would be a contradiction
  std::vector<NamePool>* pools = nullptr;        ///< F
};

struct Counts {
  std::size_t missing = 0, outside_range = 0;
};

/// What one file gave.
struct FileReading {
  std::vector<std::string> ids;
  std::vector<Observation> observations;
  std::vector<Counts> counts;  ///< by modality
  std::size_t rows = 0, rows_without_parameter = 0;
  NameMap<std::size_t> parameters;  ///< long: rows of each

  std::uint32_t sample(std::string_view id);

 private:
  NameMap<std::uint32_t> index_;
};

/// Keeps a number unless a marker or the range says otherwise.
bool keep_number(const ModalityReading& modality, std::size_t feature, double value, Counts& counts);

using Modalities = std::vector<ModalityReading*>;
FileReading read_long_file(const std::string& path, const SourceSpec& source, TimeUnit unit,
                           const Modalities& modalities, std::size_t all_modalities);
FileReading read_wide_table(const Table& table, const std::string& path, const SourceSpec& source, TimeUnit unit,
                            const Modalities& modalities, std::size_t all_modalities);
FileReading read_npy_file(const std::string& path, const std::string& rows_path, const SourceSpec& source,
                          TimeUnit unit, const Modalities& modalities, std::size_t all_modalities,
                          const std::vector<std::string>& samples);

/// Numbers by size, then other names by bytes.
bool name_less(const std::string& a, const std::string& b);
/// Times of a modality become shares of the horizon (0: none) since the sample's index time; what is outside is counted and
/// left out.
std::vector<Observation> within_horizon(const ModalityReading& modality, std::vector<Observation> entries,
                                        const std::vector<double>& index_times, double horizon, ModalityReport& report);
/// Rows of `samples` samples, codes of names in the order of names.
RawModality assemble_rows(const ModalityReading& modality, std::vector<Observation> entries, std::size_t samples);

/// Names of the columns of a CSV, from its first line.
std::vector<std::string> header_of(const std::string& path, const SourceSpec& source);
Table read_wide(const std::string& path, const SourceSpec& source);
/// The name of the file without folder and extension.
std::string stem_of(const std::string& path);

/// Cells of one column of a table as canonical names, or ids; "file" and "row" where no column is called so. Empty: missing.
class NameColumn {
 public:
  using Spelling = std::string (*)(std::string_view);
  NameColumn(const Table& table, const std::string& path, const std::string& name, Spelling spelling = canonical_name);
  std::string operator()(std::size_t row) const;

 private:
  const Table* table_;
  const Column* column_ = nullptr;  ///< null: file or row
  std::vector<std::string> levels_;
  std::string file_;
};

/// The names of the id columns, joined by '_'. Throws for a missing one.
class IdColumns {
 public:
  IdColumns(const Table& table, const std::string& path, const SourceSpec& source);
  std::string operator()(std::size_t row) const;

 private:
  const Table* table_;
  std::vector<std::string> names_;
  std::vector<NameColumn> columns_;
};

/// Times of the rows of a table, in the unit; throws for cells that are none. NaN where missing.
std::vector<double> times_of(const Table& table, const std::string& column, TimeUnit unit);

}  // namespace clearway::fusion::detail
