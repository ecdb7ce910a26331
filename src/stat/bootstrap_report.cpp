// The table of a bootstrap.
#include <algorithm>
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/bootstrap.hpp"
#include "text_table.hpp"

namespace clearway {

std::string bootstrap_text(const BootstrapResult& result, int digits) {
  const auto& all = result.replications;
  const int done = result.count([](const BootstrapReplication& r) { return r.done; });
  const int used = result.count([](const BootstrapReplication& r) { return r.used(); });
  std::string text =
      fmt::format("Bootstrap of {}", result.clusters > 0 ? plural(static_cast<std::size_t>(result.clusters), "cluster")
                                                         : plural(static_cast<std::size_t>(result.rows), "row"));
  text += fmt::format(" ({}), {} of {} replications used{}\n", enum_name(result.options.kind), used, all.size(),
                      result.stopped_early() ? fmt::format(", stopped after {}", done) : std::string());

  const double tail = 50 * (1 - result.options.level);
  detail::TextTable table(92, 6);
  for (std::string heading : {std::string("Estimate"), std::string("Std. Error"), std::string("(Wald)"),
                              std::string("Bias"), fmt::format("{:g} %", tail), fmt::format("{:g} %", 100 - tail)})
    table.column(std::move(heading));
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    if (i > 0 && result.names[i].part != result.names[i - 1].part) table.gap();
    const BootstrapEstimate& value = result.values[i];
    table.begin_row(result.names[i].part + "  " + result.names[i].name);
    if (value.fixed) {
      table.cell(table_number(value.estimate, digits));
      table.cell("fixed");
      for (int empty = 0; empty < 4; ++empty) table.cell("");
      continue;
    }
    for (const double number :
         {value.estimate, value.standard_error, value.wald_error, value.bias, value.interval.low, value.interval.high})
      table.cell(table_number(number, digits));
  }
  text += '\n' + table.text();
  text += fmt::format("\nIntervals: {}, level {:g}. (Wald): from the observed information.\n",
                      enum_name(result.options.interval), result.options.level);

  double agreement = 0, least = 2;
  for (const BootstrapReplication& replication : all)
    if (replication.used()) {
      agreement += replication.agreement / used;
      least = std::min(least, replication.agreement);
    }
  if (used > 0)
    text += fmt::format(
        "Experts were matched by the memberships of the original rows: agreement {:.3f} on average, {:.3f} at least; "
        "{} not clear.\n",
        agreement, least, result.count([](const BootstrapReplication& r) { return r.used() && r.ambiguous; }));
  text += fmt::format(
      "Fits: {} failed, {} at the noise floor (left out), {} not converged, {} with a separated gate; the original "
      "model led to the best optimum in {}, only another start in {}.\n",
      result.count([](const BootstrapReplication& r) { return !r.failure.empty(); }),
      result.count([](const BootstrapReplication& r) { return r.degenerate; }),
      result.count([](const BootstrapReplication& r) { return r.used() && !r.converged; }),
      result.count([](const BootstrapReplication& r) { return r.used() && r.separated; }),
      result.count([](const BootstrapReplication& r) { return r.used() && r.from_original; }),
      result.count([](const BootstrapReplication& r) { return r.used() && !r.from_original; }));
  for (const BootstrapReplication& replication : all)
    if (!replication.failure.empty()) {
      text += fmt::format("First failure: {}\n", replication.failure);
      break;
    }
  for (const std::string& warning : result.warnings) text += "Warning: " + warning + '\n';
  return text;
}

}  // namespace clearway
