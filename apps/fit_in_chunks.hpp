// clearway fit --stream: reads a table chunk by chunk, once to begin with and once for every pass, and keeps none of it.
#pragma once

#include <functional>
#include <string>

#include "clearway/io/csv.hpp"
#include "clearway/stat/design.hpp"
#include "clearway/stat/formula.hpp"
#include "clearway/stat/streaming.hpp"

namespace clearway::cli {

/// What to fit, as the user asked for it.
struct ChunkedProblem {
  std::string path;
  CsvOptions csv;
  FormulaOption formula;
  ColumnChoice columns;
  FitOptions fit;
  StreamOptions stream;
  InferenceOptions inference;
  /// Constraints of the model for the columns that the first chunk has.
  std::function<Constraints(const Design&)> constraints;
};

struct ChunkedFit {
  Design design;  ///< of the first chunk, without its data; notes speak of the whole table
  FitResult result;
  Allocation allocation;
  Inference inference;  ///< of kind none when no standard errors were asked for
};

ChunkedFit fit_in_chunks(ChunkedProblem problem, const ProgressCallback& progress);

}  // namespace clearway::cli
