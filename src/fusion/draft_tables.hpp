// The tables of a folder with what their first rows tell: for draft_spec().
#pragma once

#include <set>
#include <string>
#include <vector>

#include "clearway/fusion/spec.hpp"

namespace clearway::fusion::detail {

using Names = std::vector<std::string>;

/// Files of one header: one table in parts (train.csv, test.csv), or one file per sample.
struct FoundTable {
  std::string name;
  Names paths;  ///< relative to the folder; with * for a file per sample
  bool per_sample = false;
  bool named = true;  ///< whether the first line holds names
  Names header;
  std::vector<Names> rows;             ///< the first ones, from all files
  Names row_files;                     ///< stem of the file of each row
  std::string parameter, value, time;  ///< roles of columns; empty where there is none
  bool is_long() const { return !parameter.empty(); }
  bool has_time() const { return !time.empty(); }
  std::size_t column(const std::string& name) const;
};

struct FoundArray {
  std::string name, path;
  std::vector<std::size_t> shape;
};

/// Tables and arrays in the folder and in the folders in it, in order of their names.
std::vector<FoundTable> find_tables(const std::string& folder);
std::vector<FoundArray> find_arrays(const std::string& folder);

std::string lower_case(std::string text);
bool looks_like_id(const std::string& column);

/// What the cells of a column are.
struct ColumnKind {
  std::size_t cells = 0;  ///< that are not missing
  std::size_t numbers = 0;
  std::set<std::string> distinct;  ///< at most 64
  double words = 0;                ///< per cell
  bool whole = true;               ///< numbers are whole
  bool numeric() const { return numbers == cells && cells > 0; }
};
ColumnKind kind_of(const FoundTable& table, std::size_t column);

/// The cells of some columns of a row, joined as an id is; "file" and "row" are known.
std::string joined_id(const FoundTable& table, const Names& columns, std::size_t row);
bool unique_ids(const FoundTable& table, const Names& columns);

}  // namespace clearway::fusion::detail
