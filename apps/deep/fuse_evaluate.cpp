// clearway fuse evaluate: scores of a run, or of two on the same samples.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "clearway/base/parallel.hpp"
#include "clearway/base/text.hpp"
#include "fuse_measures.hpp"
#include "fuse_run.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

/// The rows of a part of the run's own samples; all of other samples.
std::vector<std::int64_t> rows_of(const FusedRun& run, const FusedSamples& samples, FusePart part) {
  if (samples.own && part != FusePart::all) {
    const fusion::FusionSplit& split = run.split;
    return part == FusePart::test ? split.test : part == FusePart::valid ? split.valid : split.train;
  }
  std::vector<std::int64_t> out(static_cast<std::size_t>(samples.data.samples()));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

/// Names of columns and classes.
std::vector<std::string> outcomes(const FusedRun& run) {
  std::vector<std::string> out = run.ensemble->target().names;
  for (const std::string& name : run.ensemble->target().classes) out.push_back(name);
  return out;
}

}  // namespace

ExitCode fuse_evaluate(FuseEvaluateRequest& request, Context& context) {
  if (!request.data.empty() && context.options.given("part"))
    user_error("--part chooses among the run's own samples; with --data all samples are measured");
  prepare_torch(context.common.threads);
  FusedRun run = open_fused_run(request.run);
  const FusedSamples samples = read_fused_samples(run, request.data, false);
  warn_of_samples(run, samples, context.console);
  const auto rows = rows_with_outcome(*samples.tensors, rows_of(run, samples, request.part));
  FuseMeasureOptions options;
  options.replicates = request.replicates;
  options.seed = static_cast<std::uint64_t>(context.common.seed);
  options.threads = resolve_threads(context.common.threads);
  const FuseMeasured measured{*run.ensemble, *samples.tensors, rows, samples.data.groups};
  if (request.against.empty()) {
    const Json out = measure_fused(measured, options);
    context.console.print(context.common.json ? json_text(out) : fused_text(out));
    return ExitCode::success;
  }
  FusedRun other = open_fused_run(request.against);
  if (other.ensemble->target().kind != run.ensemble->target().kind)
    user_error("{} and {} predict different kinds of outcome", request.run, request.against);
  if (other.ensemble->target().names != run.ensemble->target().names ||
      other.ensemble->target().classes != run.ensemble->target().classes)
    user_error("{} and {} predict different outcomes, {} and {}", request.run, request.against,
               short_list(outcomes(run)), short_list(outcomes(other)));
  // The other run reads the same samples in its own way: its modalities, its preparation.
  const FusedSamples theirs = read_fused_samples(other, request.data, false);
  warn_of_samples(other, theirs, context.console);
  std::map<std::string, std::int64_t> place;
  for (std::size_t i = 0; i < theirs.data.ids.size(); ++i) place[theirs.data.ids[i]] = static_cast<std::int64_t>(i);
  std::vector<std::int64_t> their_rows;
  std::size_t learned = 0;
  for (const std::int64_t row : rows) {
    const auto found = place.find(samples.data.ids[static_cast<std::size_t>(row)]);
    if (found == place.end())
      user_error("{}: does not have sample '{}' of {}", request.against,
                 samples.data.ids[static_cast<std::size_t>(row)], request.run);
    their_rows.push_back(found->second);
    const auto holds = [&](const std::vector<std::int64_t>& side) {
      return std::find(side.begin(), side.end(), found->second) != side.end();
    };
    if (theirs.own && (holds(other.split.train) || holds(other.split.valid))) ++learned;
  }
  if (learned > 0)
    context.console.warn(
        fmt::format("{} was trained or calibrated on {} of these {} samples: the comparison favours it",
                    request.against, learned, rows.size()));
  const Json out = {
      {"first", request.run},
      {"second", request.against},
      {"samples", rows.size()},
      {"differences",
       compare_fused(measured, {*other.ensemble, *theirs.tensors, their_rows, theirs.data.groups}, options)}};
  context.console.print(context.common.json
                            ? json_text(out)
                            : fmt::format("{} minus {}, {} samples\n\n", request.run, request.against, rows.size()) +
                                  fused_differences_text(out["differences"]));
  return ExitCode::success;
}

}  // namespace clearway::cli
