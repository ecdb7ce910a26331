#include "fit_in_chunks.hpp"

#include <optional>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "fitted_run.hpp"

namespace clearway::cli {
namespace {

/// A later chunk as data; rows without a response are missing cells like any other.
Data next_chunk(const ChunkedProblem& problem, const DesignRecipe& recipe, Table table, std::size_t& dropped) {
  const std::vector<std::size_t> lines = table.first_line;
  Design chunk = apply_recipe(recipe, std::move(table), problem.columns.missing);
  const std::vector<std::size_t> kept = chunk.kept_rows();
  dropped += chunk.dropped.size();
  std::vector<Eigen::Index> complete;
  for (Eigen::Index t = 0; t < chunk.data.rows(); ++t) {
    if (chunk.data.response.row(t).allFinite())
      complete.push_back(t);
    else if (problem.columns.missing == MissingPolicy::error)
      user_error("{}: line {}: the response is missing; leave such rows out with --missing drop", problem.path,
                 lines[kept[static_cast<std::size_t>(t)]]);
  }
  dropped += static_cast<std::size_t>(chunk.data.rows()) - complete.size();
  return complete.size() == static_cast<std::size_t>(chunk.data.rows()) ? std::move(chunk.data)
                                                                        : chunk.data.subset(complete);
}

}  // namespace

ChunkedFit fit_in_chunks(ChunkedProblem problem, const ProgressCallback& progress) {
  if (problem.path == "-")
    user_error("stream reads the table several times, which standard input does not allow; name a file");
  const auto rows = static_cast<std::size_t>(problem.stream.chunk_rows);
  ChunkedFit found;
  Design& design = found.design;
  std::optional<StreamingFit> fitting;
  std::size_t all_rows = 0, dropped = 0;
  read_csv_in_chunks(problem.path, problem.csv, rows, [&](Table table) {
    all_rows += table.rows;
    if (!fitting) {
      problem.formula.apply(table, problem.columns);
      design = make_design(std::move(table), problem.columns, problem.fit.distinct_kinds(), problem.fit.gate.kind);
      problem.fit.constraints = problem.constraints(design);
      fitting.emplace(design.data, problem.fit, problem.stream, progress);
      dropped = design.dropped.size();
      design.data = Data();
    } else {
      const Data data = next_chunk(problem, design.recipe, std::move(table), dropped);
      if (data.rows() > 0) fitting->online(data);
    }
    progress(0.2, fmt::format("{} rows", all_rows));
    return true;
  });
  const auto read_again = [&](const std::string& what, const std::function<void(const Data&)>& use) {
    std::size_t done = 0, ignored = 0;
    read_csv_in_chunks(problem.path, problem.csv, rows, [&](Table table) {
      done += table.rows;
      const Data data = next_chunk(problem, design.recipe, std::move(table), ignored);
      if (data.rows() > 0) use(data);
      progress(static_cast<double>(done) / static_cast<double>(all_rows), what);
      return true;
    });
    if (done != all_rows) world_error("{}: changed while it was read", problem.path);
  };
  for (int pass = 1; fitting->wants_pass(); ++pass) {
    fitting->begin_pass();
    read_again(fmt::format("pass {}", pass), [&](const Data& data) { fitting->add(data); });
    fitting->end_pass();
  }
  if (problem.inference.standard_errors != StandardErrorKind::none) {
    fitting->begin_inference(problem.inference);
    read_again("standard errors", [&](const Data& data) { fitting->add_to_inference(data); });
    found.inference = fitting->inference(names_of(design));
  }
  design.notes = {fmt::format("Read in chunks of {} rows; the first one found the starting values.", rows)};
  if (dropped > 0) design.notes.push_back(fmt::format("{} with missing cells left out.", plural(dropped, "row")));
  found.result = fitting->result();
  found.result.warnings.insert(found.result.warnings.begin(), design.warnings.begin(), design.warnings.end());
  found.allocation = fitting->allocation();
  return found;
}

}  // namespace clearway::cli
