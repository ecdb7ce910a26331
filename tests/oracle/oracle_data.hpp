// The oracle files of the shared background as problems for fit(): their inputs, and what is known about their optimum.
//
// Problems with known truth (problems/*.csv) carry the true expert in a column z: it is never read here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/truth.hpp"

namespace clearway::oracle {

/// The folder oracles/ of the shared background, or nothing where it is absent.
std::optional<std::string> oracle_folder();

/// One line of best.csv.
struct Problem {
  std::string file;  ///< "gauss_k3_d2_n1000_s0.csv"
  std::string kind;  ///< gauss, const, pois, binom, gamma, out, noisy, rare, hard
  int experts = 0;
  int dim = 0;
  int rows = 0;
  double reference = 0;  ///< log-likelihood of EM from the truth
  double other = 0;      ///< best of flexmix over its starts; NaN where it gave nothing
  std::string name() const { return file.substr(0, file.size() - 4); }
};

/// Every problem; empty where the shared background is absent.
std::vector<Problem> problems();

/// y and x1..xD of a problem, never z.
Data read_problem(const Problem& problem);
Truth read_truth(const Problem& problem);
/// fit()'s defaults for the problem's family: number of experts, expert kind, gate.
FitOptions default_options(const Problem& problem);

/// A table of oracles/real.
Table read_real(const std::string& file);
/// A column as numbers.
Vector column(const Table& table, const std::string& name);
/// Columns side by side.
Matrix columns(const Table& table, const std::vector<std::string>& names);
/// 1 where the text column has that level, else 0.
Vector indicator(const Table& table, const std::string& name, const std::string& level);

}  // namespace clearway::oracle
