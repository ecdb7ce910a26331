// clearway fuse predict: one line per sample, or why a sample is predicted as it is.
#include <fmt/format.h>

#include <numeric>

#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/table_json.hpp"
#include "fuse_predictions.hpp"
#include "fuse_run.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {

ExitCode fuse_predict(FusePredictRequest& request, Context& context) {
  prepare_torch(context.common.threads);
  FusedRun run = open_fused_run(request.run);
  const FusedSamples samples = read_fused_samples(run, request.data, true);
  warn_of_samples(run, samples, context.console);
  std::vector<std::int64_t> rows;
  if (!request.explain.empty()) {
    for (const std::string& id : request.explain) {
      const auto found = std::find(samples.data.ids.begin(), samples.data.ids.end(), id);
      if (found == samples.data.ids.end())
        user_error("explain: there is no sample '{}'{}", id, did_you_mean(id, samples.data.ids));
      rows.push_back(found - samples.data.ids.begin());
    }
    const Json out = explain_predictions(*run.ensemble, *samples.tensors, samples.data, rows);
    const std::string text = context.common.json ? json_text(out) : explanations_text(out);
    if (request.out == "-")
      context.console.print(text);
    else
      write_file(request.out, text);
    return ExitCode::success;
  }
  if (samples.own) {
    rows = run.split.test;
  } else {
    rows.resize(static_cast<std::size_t>(samples.data.samples()));
    std::iota(rows.begin(), rows.end(), 0);
  }
  if (rows.empty()) user_error("there are no samples to predict");
  const Table predictions = predictions_table(*run.ensemble, *samples.tensors, samples.data, rows);
  const std::string text = context.common.json ? json_text(table_to_json(predictions)) : csv_text(predictions);
  if (request.out == "-")
    context.console.print(text);
  else
    write_file(request.out, text);
  return ExitCode::success;
}

}  // namespace clearway::cli
