// What a model says about new rows, as the table that `clearway predict` writes.
//
// Columns, k experts numbered from 1, in this order:
//   the columns of --keep, as they were read
//   mean                    E[y | x]                       (vector response: mean_<response> each)
//   probability_<class>     P(class | x), then class: the most probable one    (multinomial, instead of mean)
//   q<p>                    quantile of the mixture, for instance q0.05        (one real or count response)
//   expert                  the expert with the largest gate weight
//   gate_1 .. gate_k        weights of the gate
//   mean_1 .. mean_k        E[y | x, expert]     (vector response: mean_1_<response>; multinomial: probability_1_<class>)
//   intervals and effects   (prediction_intervals.hpp)
// and where the response is in the table:
//   log_density             log p(y | x)
//   responsibility_1 .. k   P(expert | x, y), with a noise component also responsibility_noise
// A row without the response, or (with --missing na) without an input, holds NA in the columns that need it.
#pragma once

#include <vector>

#include "clearway/base/table.hpp"
#include "model_json.hpp"
#include "prediction_intervals.hpp"

namespace clearway::cli {

/// What the table is made of.
struct PredictionInputs {
  const SavedModel& saved;
  const Design& design;           ///< of apply_recipe(); may have left rows out
  std::vector<Column> kept;       ///< columns to begin with, one cell per row of the table
  std::vector<double> quantiles;  ///< probabilities in (0, 1)
  std::vector<NumberColumn> intervals = {};
};

/// The table, one row per row of the file, in its order.
Table prediction_table(PredictionInputs inputs);

/// Whether mixture quantiles are defined: one real or count response.
bool has_quantiles(const MixtureModel& model);

}  // namespace clearway::cli
