#include <cmath>
#include <nlohmann/json.hpp>

#include "clearway/stat/study_coverage.hpp"
#include "text_paragraph.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using nlohmann::ordered_json;

constexpr std::array<ParameterPart, 4> kParts = {ParameterPart::expert, ParameterPart::spread, ParameterPart::gate,
                                                 ParameterPart::share};

const char* title(ParameterPart part) {
  switch (part) {
    case ParameterPart::expert:
      return "expert coefficients";
    case ParameterPart::spread:
      return "noise levels";
    case ParameterPart::gate:
      return "gate coefficients";
    case ParameterPart::noise:
      return "noise weight";
    case ParameterPart::share:
      return "shares";
  }
  return "";
}

struct Failures {
  int not_converged = 0, without_result = 0;
};

Failures failures_of(const CoverageStudy& study, int design) {
  Failures failures;
  for (const CoverageReplication& r : study.replications) {
    if (r.design != design) continue;
    failures.without_result += r.failure.empty() ? 0 : 1;
    failures.not_converged += r.failure.empty() && !r.converged ? 1 : 0;
  }
  return failures;
}

std::string percent(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.1f}", 100 * value);
}

std::string range(const CoverageCell& cell) {
  return fmt::format("{}-{}", percent(cell.low), percent(cell.high));
}

// Calls row(design, part, observed, sandwich) for every line of the table.
template <class Row>
void for_each_line(const CoverageStudy& study, Row&& row) {
  for (int design = 0; design < static_cast<int>(study.targets.size()); ++design)
    for (const ParameterPart part : kParts) {
      const CoverageCell observed = coverage_cell(study, design, part, false);
      const CoverageCell sandwich = coverage_cell(study, design, part, true);
      if (observed.intervals + observed.withheld + sandwich.intervals + sandwich.withheld > 0)
        row(design, part, observed, sandwich);
    }
}

const std::string& name_of(const CoverageStudy& study, int design) {
  return study.options.design[static_cast<std::size_t>(design)];
}

ordered_json cell_json(const CoverageCell& cell) {
  const auto number = [](double value) { return std::isnan(value) ? ordered_json(nullptr) : ordered_json(value); };
  return {{"intervals", cell.intervals},  {"withheld", cell.withheld}, {"coverage", number(cell.coverage)},
          {"low", number(cell.low)},      {"high", number(cell.high)}, {"worst", number(cell.worst)},
          {"worst_name", cell.worst_name}};
}

}  // namespace

CoverageCell coverage_cell(const CoverageStudy& study, int design, ParameterPart part, bool sandwich) {
  const CoverageTarget& target = study.targets[static_cast<std::size_t>(design)];
  CoverageCell cell;
  std::vector<int> hits(target.names.size(), 0), given(target.names.size(), 0);
  std::vector<double> shares;  // of covered intervals, per replication
  int covered = 0;
  for (const CoverageReplication& r : study.replications) {
    const std::string& marks = sandwich ? r.sandwich : r.observed;
    if (r.design != design || marks.size() != target.names.size()) continue;
    int inside = 0, all = 0;
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (target.parts[i] != part) continue;
      if (marks[i] == '-') {
        ++cell.withheld;
        continue;
      }
      ++all;
      ++given[i];
      inside += marks[i] == '1' ? 1 : 0;
      hits[i] += marks[i] == '1' ? 1 : 0;
    }
    cell.intervals += all;
    covered += inside;
    if (all > 0) shares.push_back(static_cast<double>(inside) / all);
  }
  if (cell.intervals == 0) return cell;
  cell.coverage = static_cast<double>(covered) / cell.intervals;
  const auto n = static_cast<double>(shares.size());
  double squares = 0;
  for (const double share : shares) squares += (share - cell.coverage) * (share - cell.coverage);
  const double error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  constexpr double kQuantile = 1.959963984540054;
  cell.low = std::max(0.0, cell.coverage - kQuantile * error);
  cell.high = std::min(1.0, cell.coverage + kQuantile * error);
  for (std::size_t i = 0; i < hits.size(); ++i) {
    if (given[i] == 0) continue;
    const double share = static_cast<double>(hits[i]) / given[i];
    if (cell.worst_name.empty() || std::abs(share - study.options.level) > std::abs(cell.worst - study.options.level)) {
      cell.worst = share;
      cell.worst_name = target.names[i];
    }
  }
  return cell;
}

std::string coverage_text(const CoverageStudy& study) {
  const CoverageOptions& o = study.options;
  std::string text = detail::paragraph(
      fmt::format("Coverage of {:.4g} % Wald intervals, {} rows, {} replications, {} noise{}.", 100 * o.level, o.rows,
                  o.replications, enum_name(o.noise),
                  o.noise == CoverageNoise::t5 ? fmt::format(" (target: the fit to {} rows)", o.pseudo_rows) : ""),
      92);
  int shown = -1;
  detail::TextTable table(92, 7);
  for (const char* heading : {"observed", "95 % interval", "sandwich", "95 % interval", "withheld"})
    table.column(heading);
  for_each_line(study, [&](int design, ParameterPart part, const CoverageCell& a, const CoverageCell& b) {
    if (design != shown) {
      table.gap();
      const Failures failures = failures_of(study, design);
      table.begin_row(fmt::format("{} ({} without result, {} not converged)", name_of(study, design),
                                  failures.without_result, failures.not_converged));
      shown = design;
    }
    table.begin_row(fmt::format("  {}", title(part)));
    table.cell(percent(a.coverage));
    table.cell(range(a));
    table.cell(percent(b.coverage));
    table.cell(range(b));
    table.cell(fmt::format("{}", a.withheld));
  });
  return text + "\n" + table.text();
}

std::string coverage_markdown(const CoverageStudy& study) {
  std::string text =
      "| design | parameters | observed % | 95 % interval | sandwich % | 95 % interval | worst parameter (observed, "
      "sandwich) | withheld | failed fits |\n|---|---|---|---|---|---|---|---|---|\n";
  for_each_line(study, [&](int design, ParameterPart part, const CoverageCell& a, const CoverageCell& b) {
    const Failures failures = failures_of(study, design);
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {}, {} | {} of {} | {} of {} |\n", name_of(study, design),
                        title(part), percent(a.coverage), range(a), percent(b.coverage), range(b), percent(a.worst),
                        percent(b.worst), a.withheld, a.withheld + a.intervals,
                        failures.without_result + failures.not_converged, study.options.replications);
  });
  return text;
}

std::string coverage_json(const CoverageStudy& study) {
  const CoverageOptions& o = study.options;
  ordered_json object = {{"rows", o.rows},
                         {"replications", o.replications},
                         {"noise", std::string(enum_name(o.noise))},
                         {"level", o.level},
                         {"seed", o.seed}};
  ordered_json designs = ordered_json::array();
  for (int design = 0; design < static_cast<int>(study.targets.size()); ++design) {
    const Failures failures = failures_of(study, design);
    designs.push_back({{"design", name_of(study, design)},
                       {"without_result", failures.without_result},
                       {"not_converged", failures.not_converged},
                       {"parameters", ordered_json::array()}});
  }
  for_each_line(study, [&](int design, ParameterPart part, const CoverageCell& a, const CoverageCell& b) {
    designs[static_cast<std::size_t>(design)]["parameters"].push_back(
        {{"part", std::string(enum_name(part))}, {"observed", cell_json(a)}, {"sandwich", cell_json(b)}});
  });
  object["designs"] = std::move(designs);
  return object.dump(2) + "\n";
}

}  // namespace clearway
