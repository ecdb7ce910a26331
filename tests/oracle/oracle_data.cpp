#include "oracle_data.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"

namespace clearway::oracle {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Column& column, std::size_t row) {
  if (!column.is_text) return fmt::format("{}", column.numbers[row]);
  return column.levels[static_cast<std::size_t>(column.codes[row])];
}

std::string path_of(const std::string& name) {
  return *oracle_folder() + "/" + name;
}

}  // namespace

std::optional<std::string> oracle_folder() {
  const char* shared = std::getenv("CLEARWAY_SHARED");
  const fs::path folder = fs::path(shared != nullptr ? shared : CLEARWAY_SHARED) / "oracles";
  if (!fs::is_regular_file(folder / "best.csv")) return std::nullopt;
  return folder.string();
}

std::vector<Problem> problems() {
  std::vector<Problem> list;
  if (!oracle_folder()) return list;
  const Table table = read_csv(path_of("best.csv"));
  for (std::size_t row = 0; row < table.rows; ++row) {
    Problem problem;
    problem.file = text_of(table.column("file"), row);
    problem.kind = text_of(table.column("kind"), row);
    problem.experts = static_cast<int>(table.column("experts").numbers[row]);
    problem.dim = static_cast<int>(table.column("dim").numbers[row]);
    problem.rows = static_cast<int>(table.column("rows").numbers[row]);
    problem.reference = table.column("log_likelihood_truth_start").numbers[row];
    problem.other = table.column("log_likelihood_flexmix_best").numbers[row];
    list.push_back(problem);
  }
  return list;
}

Data read_problem(const Problem& problem) {
  const Table table = read_csv(path_of("problems/" + problem.file));
  std::vector<std::string> inputs;
  for (int j = 1; j <= problem.dim; ++j) inputs.push_back(fmt::format("x{}", j));
  Data data;
  data.response = column(table, "y");
  data.expert_inputs = columns(table, inputs);
  data.gate_inputs = problem.kind == "const" ? Matrix(data.response.rows(), 0) : data.expert_inputs;
  if (problem.kind == "binom") data.trials = Vector::Constant(data.response.rows(), 20.0);
  return data;
}

Truth read_truth(const Problem& problem) {
  const std::string path = path_of("problems/" + problem.name() + ".truth.json");
  return parse_truth(read_file(path), path);
}

FitOptions default_options(const Problem& problem) {
  FitOptions options;
  options.experts = problem.experts;
  if (problem.kind == "const") options.gate.kind = GateKind::constant;
  if (problem.kind == "pois") options.expert.kind = ExpertKind::poisson;
  if (problem.kind == "binom") options.expert.kind = ExpertKind::binomial;
  if (problem.kind == "gamma") options.expert.kind = ExpertKind::gamma;
  return options;
}

Table read_real(const std::string& file) {
  return read_csv(path_of("real/" + file));
}

Vector column(const Table& table, const std::string& name) {
  const Column& found = table.column(name);
  if (found.is_text) throw std::invalid_argument(name + " holds text");
  return Eigen::Map<const Vector>(found.numbers.data(), static_cast<Eigen::Index>(found.numbers.size()));
}

Matrix columns(const Table& table, const std::vector<std::string>& names) {
  Matrix matrix(static_cast<Eigen::Index>(table.rows), static_cast<Eigen::Index>(names.size()));
  for (std::size_t j = 0; j < names.size(); ++j) matrix.col(static_cast<Eigen::Index>(j)) = column(table, names[j]);
  return matrix;
}

Vector indicator(const Table& table, const std::string& name, const std::string& level) {
  const Column& found = table.column(name);
  Vector values = Vector::Zero(static_cast<Eigen::Index>(table.rows));
  for (std::size_t row = 0; row < table.rows; ++row)
    if (text_of(found, row) == level) values(static_cast<Eigen::Index>(row)) = 1.0;
  return values;
}

}  // namespace clearway::oracle
