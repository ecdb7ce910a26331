#include "clearway/stat/summary.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/inference.hpp"
#include "text_paragraph.hpp"
#include "text_table.hpp"

namespace clearway {

namespace {

using detail::paragraph;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool takes_classes(const Expert& expert) {
  return has_classes(expert.spec().kind);
}

/// "log(sigma)" -> "sigma"; empty when the name is not of that form.
std::string inside_log(const std::string& name) {
  if (!name.starts_with("log(") || !name.ends_with(")")) return {};
  return name.substr(4, name.size() - 5);
}

/// A number with `digits` + 2 significant digits but never an exponent: log-likelihoods and criteria, whose
/// differences matter however large they are.
std::string criterion(double value, int digits) {
  if (!std::isfinite(value)) return table_number(value, digits);
  const double magnitude = std::abs(value) < 1 ? 1.0 : std::floor(std::log10(std::abs(value))) + 1.0;
  const int decimals = std::max(2, digits + 2 - static_cast<int>(magnitude));
  return fmt::format("{:.{}f}", value, decimals);
}

/// Adds the quantities of every expert as rows of a table, one row per name: experts of one kind have the same names,
/// others leave cells empty.
void add_rows(detail::TextTable& table, const std::vector<std::vector<NamedValue>>& columns, int digits, bool errors) {
  std::vector<std::string> labels;
  for (const auto& column : columns)
    for (const NamedValue& value : column)
      if (std::find(labels.begin(), labels.end(), value.name) == labels.end()) labels.push_back(value.name);
  for (const std::string& label : labels) {
    table.begin_row(label);
    for (const auto& column : columns) {
      const auto found =
          std::find_if(column.begin(), column.end(), [&](const NamedValue& value) { return value.name == label; });
      const bool there = found != column.end();
      table.cell(there ? table_number(found->value, digits) : "");
      if (errors) table.cell(there && !std::isnan(found->error) ? table_number(found->error, digits) : "");
    }
  }
}

detail::TextTable expert_columns(int experts, int skipped, bool errors, std::size_t width) {
  detail::TextTable table(width, errors ? 2 : 1);
  for (int k = 0; k < experts; ++k) {
    if (k == skipped) continue;
    table.column(fmt::format("Expert {}", k + 1));
    if (errors) table.column("Std. Error");
  }
  return table;
}

std::string expert_section(const FitResult& result, const ModelNames& names, const SummaryOptions& options) {
  const MixtureModel& model = result.model;
  const bool errors = options.errors != nullptr;
  detail::TextTable table = expert_columns(model.expert_count(), -1, errors, options.width);
  const auto numbers = [&](const char* label, const Vector& values) {
    table.begin_row(label);
    for (int k = 0; k < model.expert_count(); ++k) {
      table.cell(k < values.size() ? table_number(values[k], options.digits) : "-");
      if (errors) table.cell("");
    }
  };
  numbers("share", result.shares);
  if (options.allocation != nullptr) {
    numbers("prior", options.allocation->prior);
    numbers("size", options.allocation->size);
    numbers("ratio", options.allocation->ratio);
  }
  if (options.inference != nullptr) return table.text();  // coefficients have tables of their own
  std::vector<std::vector<NamedValue>> coefficients;
  std::vector<std::vector<NamedValue>> noise;
  for (std::size_t k = 0; k < model.experts.size(); ++k) {
    ExpertReport report = expert_report(model.experts[k], names, errors ? &options.errors->experts.at(k) : nullptr);
    coefficients.push_back(std::move(report.coefficients));
    noise.push_back(std::move(report.noise));
  }
  table.gap();
  add_rows(table, coefficients, options.digits, errors);
  if (model.form == ModelForm::mixture &&
      std::any_of(noise.begin(), noise.end(), [](const auto& column) { return !column.empty(); })) {
    table.gap();
    add_rows(table, noise, options.digits, errors);
  }
  return table.text();
}

/// The gate between the groups of a hierarchical one, and who belongs to them.
std::string groups_section(const Gate& gate, const ModelNames& names, const SummaryOptions& options) {
  std::string text = "\nGroups:";
  for (int g = 0; g < gate.groups(); ++g) {
    std::vector<int> members;
    for (int k = 0; k < gate.experts(); ++k)
      if (gate.group_of()[static_cast<std::size_t>(k)] == g) members.push_back(k + 1);
    text += fmt::format("{} {} ({} {})", g == 0 ? "" : ",", g + 1, members.size() == 1 ? "expert" : "experts",
                        fmt::join(members, ", "));
  }
  text += fmt::format("\nGate between groups: {}, relative to group {}\n", enum_name(gate.spec().outer), gate.groups());
  const std::vector<NamedValue> all = shared_gate_report(gate, names, options.errors ? &options.errors->gate : nullptr);
  const std::size_t size = all.size() / static_cast<std::size_t>(gate.groups());
  detail::TextTable table(options.width, options.errors ? 2 : 1);
  std::vector<std::vector<NamedValue>> columns;
  for (int g = 0; g < gate.groups(); ++g) {
    table.column(fmt::format("Group {}", g + 1));
    if (options.errors) table.column("Std. Error");
    const std::string prefix = fmt::format("group {} ", g + 1);
    std::vector<NamedValue> column(all.begin() + static_cast<std::ptrdiff_t>(size) * g,
                                   all.begin() + static_cast<std::ptrdiff_t>(size) * (g + 1));
    for (NamedValue& value : column) value.name.erase(0, prefix.size());
    columns.push_back(std::move(column));
  }
  add_rows(table, columns, options.digits, options.errors != nullptr);
  return text + table.text();
}

std::string gate_section(const FitResult& result, const ModelNames& names, const SummaryOptions& options) {
  const Gate& gate = result.model.gate;
  if (gate.block_size() == 0 || gate.experts() < 2) return {};
  const bool hierarchical = gate.spec().kind == GateKind::hierarchical;
  const int reference = gate_reference(gate);
  const bool errors = options.errors != nullptr;
  std::string heading = hierarchical ? fmt::format("Gate within groups: {}", enum_name(gate.spec().inner)) : "Gate";
  if (reference >= 0) heading += fmt::format(", relative to expert {}", reference + 1);
  if (gate.estimates_temperature())
    heading += fmt::format(", temperature {} (estimated)", table_number(gate.temperature(), options.digits));
  else if (gate.spec().temperature != 1.0)
    heading += fmt::format(", temperature {}", gate.spec().temperature);
  if (!gate.is_smooth()) heading += fmt::format(", top {} of {}", gate.spec().top_k, gate.experts());
  if (gate.keeps_units() && gate.spec().units == GateUnits::standardised) heading += ", standardised inputs";
  detail::TextTable table = expert_columns(gate.experts(), reference, errors, options.width);
  std::vector<std::vector<NamedValue>> columns;
  for (int k = 0; k < gate.experts(); ++k)
    if (k != reference) columns.push_back(gate_report(gate, k, names, errors ? &options.errors->gate : nullptr));
  add_rows(table, columns, options.digits, errors);
  std::string text = fmt::format("\n{}\n{}", heading, table.text());
  if (hierarchical) text += groups_section(gate, names, options);
  return text;
}

std::string criteria_section(const FitResult& result, const SummaryOptions& options) {
  detail::TextTable table(options.width, 1);
  table.column("");
  const auto row = [&](const char* label, std::string text) {
    table.begin_row(label);
    table.cell(std::move(text));
  };
  row("log-likelihood", criterion(result.log_likelihood, options.digits));
  row("free parameters (df)", fmt::format("{}", result.degrees_of_freedom));
  row("AIC", criterion(result.aic, options.digits));
  row("BIC", criterion(result.bic, options.digits));
  if (result.least_squares)
    return fmt::format("\n{}{}", table.text(), paragraph(kLeastSquaresConvention, options.width));
  row("ICL", criterion(result.icl, options.digits));
  row("entropy", table_number(result.entropy, options.digits));
  return fmt::format("\n{}{}", table.text(), paragraph(kCriteriaConvention, options.width));
}

// What a regression table ends with, one column per response.
std::string least_squares_section(const FitResult& result, const ModelNames& names, const SummaryOptions& options) {
  const LeastSquaresReport& report = *result.least_squares;
  detail::TextTable table(options.width, 1);
  const auto m = report.sum_of_squares.size();
  for (Eigen::Index j = 0; j < m; ++j) table.column(m == 1 ? "" : names.responses.at(static_cast<std::size_t>(j)));
  const auto row = [&](const char* label, const Vector& values) {
    table.begin_row(label);
    for (const double value : values) table.cell(table_number(value, options.digits));
  };
  row("residual sum of squares", report.sum_of_squares);
  row("residual standard deviation", report.residual_deviation);
  row("R^2", report.r_squared);
  return fmt::format("\nLeast squares: {} parameters of the regression function, rank {}, condition number {}\n{}",
                     report.parameters, report.rank, table_number(report.condition, 3), table.text());
}

std::string ending_section(const FitResult& result, const SummaryOptions& options) {
  std::string_view sentence = "?";
  for (const auto& entry : enum_names(result.reason))
    if (entry.value == result.reason) sentence = entry.help;
  std::string text = "\n";
  text += paragraph(
      fmt::format("Start: {} won out of {}; {} of {} polished {} ended at the same {}.", enum_name(result.start),
                  plural(static_cast<std::size_t>(result.starts), "start"), result.starts_agreed,
                  result.starts_polished, result.starts_polished == 1 ? "start" : "starts",
                  result.least_squares ? "sum of squares" : "log-likelihood"),
      options.width, 2);
  text +=
      paragraph(fmt::format("Stopped after {}: {}{}.", plural(static_cast<std::size_t>(result.iterations), "iteration"),
                            sentence, result.converged ? "" : " (NOT CONVERGED)"),
                options.width, 2);
  for (const std::string& warning : result.warnings) text += paragraph("Warning: " + warning, options.width, 2);
  return text;
}

}  // namespace

std::string table_number(double value, int digits) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  if (value == 0.0) return "0";
  if (value == std::floor(value) && std::abs(value) < std::pow(10.0, std::min(digits, 15)))
    return fmt::format("{:.0f}", value);
  std::string text = fmt::format("{:#.{}g}", value, digits);
  // fmt shows "123457.0" for six digits: the zero is no digit of the number.
  const std::size_t whole = text.find('.') - (value < 0 ? 1 : 0);
  if (text.ends_with(".0") && whole >= static_cast<std::size_t>(digits)) text.resize(text.size() - 2);
  return text;
}

ExpertReport expert_report(const Expert& expert, const ModelNames& names, const Vector* errors) {
  const std::vector<std::string> labels =
      expert.parameter_names(names.expert_inputs, takes_classes(expert) ? names.classes : names.responses);
  const Vector& parameters = expert.parameters();
  const int responses = expert.responses();
  const Eigen::Index coefficients = expert.coefficient_count(),
                     count = responses > 1 ? coefficients : parameters.size();
  ExpertReport report;
  for (Eigen::Index i = 0; i < count; ++i) {
    const std::string& label = labels[static_cast<std::size_t>(i)];
    const double error = errors != nullptr && i < errors->size() ? (*errors)[i] : kUnknown;
    const std::string natural = i < coefficients ? "" : inside_log(label);  // a coefficient may be that of log(x)
    if (natural.empty())
      report.coefficients.push_back({label, parameters[i], error});
    else  // delta method: d exp(t) = exp(t) dt
      report.noise.push_back({natural, std::exp(parameters[i]), std::exp(parameters[i]) * error});
  }
  if (responses > 1) {
    const Matrix covariance = expert.covariance();
    const Vector sd = covariance.diagonal().cwiseSqrt();
    const auto name = [&](int j) { return names.responses.at(static_cast<std::size_t>(j)); };
    for (int j = 0; j < responses; ++j) report.noise.push_back({"sd " + name(j), sd[j], kUnknown});
    if (!is_diagonal(expert.spec().covariance))
      for (int j = 0; j < responses; ++j)
        for (int i = j + 1; i < responses; ++i)
          report.noise.push_back(
              {fmt::format("cor({}, {})", name(j), name(i)), covariance(i, j) / (sd[i] * sd[j]), kUnknown});
  }
  return report;
}

std::vector<NamedValue> gate_report(const Gate& gate, int expert, const ModelNames& names, const Vector* errors) {
  std::vector<NamedValue> report;
  if (gate.block_size() == 0) return report;
  const std::vector<std::string> labels = gate.block_names(names.gate_inputs);
  const Eigen::Index first = static_cast<Eigen::Index>(expert) * gate.block_size();
  for (Eigen::Index i = 0; i < gate.block_size(); ++i) {
    const bool known = errors != nullptr && first + i < errors->size() && !gate.pinned(first + i);
    report.push_back(
        {labels[static_cast<std::size_t>(i)], gate.parameters()[first + i], known ? (*errors)[first + i] : kUnknown});
  }
  return report;
}

std::vector<NamedValue> shared_gate_report(const Gate& gate, const ModelNames& names, const Vector* errors) {
  std::vector<NamedValue> report;
  const std::vector<std::string> labels = gate.shared_names(names.gate_inputs);
  const Eigen::Index first = gate.parameters().size() - gate.shared_size();
  for (Eigen::Index i = 0; i < gate.shared_size(); ++i) {
    const bool known = errors != nullptr && first + i < errors->size() && !gate.pinned(first + i);
    report.push_back(
        {labels[static_cast<std::size_t>(i)], gate.parameters()[first + i], known ? (*errors)[first + i] : kUnknown});
  }
  return report;
}

int gate_reference(const Gate& gate) {
  if (gate.block_size() == 0 || gate.spec().kind == GateKind::hierarchical) return -1;
  for (int k = gate.experts() - 1; k >= 0; --k) {
    bool all_pinned = true;
    for (int i = 0; i < gate.block_size(); ++i)
      all_pinned = all_pinned && gate.pinned(static_cast<Eigen::Index>(k) * gate.block_size() + i);
    if (all_pinned) return k;
  }
  return -1;
}

Allocation allocation(const MixtureModel& model, const Data& data) {
  constexpr double kSeen = 1e-4;  // flexmix counts "post>0" with the same threshold
  const Matrix responsibilities = model.responsibilities(data);
  const Matrix weights = model.gate.log_weights(data.gate_inputs).array().exp();
  const Eigen::Index parts = responsibilities.cols();
  Allocation result{Vector::Zero(parts), Vector::Zero(parts), Vector::Zero(parts)};
  Vector seen = Vector::Zero(parts);
  double total = 0.0;
  for (Eigen::Index t = 0; t < data.rows(); ++t) {
    const double weight = data.weights.size() > 0 ? data.weights[t] : 1.0;
    total += weight;
    Eigen::Index best = 0;
    responsibilities.row(t).maxCoeff(&best);
    result.size[best] += weight;
    for (Eigen::Index k = 0; k < parts; ++k) {
      if (responsibilities(t, k) > kSeen) seen[k] += weight;
      const double gate = k < weights.cols() ? (1.0 - model.noise_weight) * weights(t, k) : model.noise_weight;
      result.prior[k] += weight * gate;
    }
  }
  for (Eigen::Index k = 0; k < parts; ++k) {
    result.prior[k] /= total;
    result.ratio[k] = seen[k] > 0 ? result.size[k] / seen[k] : kUnknown;
  }
  return result;
}

std::string formula_line(const MixtureModel& model, const ModelNames& names) {
  const auto list = [](const std::vector<std::string>& inputs) { return inputs.empty() ? "1" : short_list(inputs); };
  std::string line = fmt::format("{} ~ {}: ", fmt::join(names.responses, ", "),
                                 plural(static_cast<std::size_t>(model.expert_count()), "expert"));
  if (!model.experts.empty()) {
    std::vector<ExpertKind> kinds;
    for (const Expert& expert : model.experts)
      if (std::find(kinds.begin(), kinds.end(), expert.spec().kind) == kinds.end()) kinds.push_back(expert.spec().kind);
    for (const ExpertKind kind : kinds)
      line += fmt::format("{}{}({})", kind == kinds.front() ? "" : " + ", enum_name(kind),
                          kind == ExpertKind::constant ? "1" : list(names.expert_inputs));
  }
  const GateSpec& gate = model.gate.spec();
  line +=
      fmt::format("; gate: {}({})", enum_name(gate.kind), gate_reads_inputs(gate.kind) ? list(names.gate_inputs) : "1");
  if (gate.kind == GateKind::hierarchical)
    line += fmt::format(", {} groups ({} / {})", model.gate.groups(), enum_name(gate.outer), enum_name(gate.inner));
  if (!model.gate.is_smooth()) line += fmt::format(", top {}", gate.top_k);
  if (model.has_noise) line += "; uniform noise";
  if (model.form == ModelForm::regression) line += "; least squares";
  return line;
}

std::string full_summary(const FitResult& result, const ModelNames& names, const SummaryOptions& options) {
  if (result.reason == StopReason::not_fitted) return "not fitted yet\n";
  const MixtureModel& model = result.model;
  std::string text = paragraph(formula_line(model, names), options.width, 4);
  text += plural(static_cast<std::size_t>(result.rows), "row");
  if (std::abs(result.effective_rows - static_cast<double>(result.rows)) > 0.5)
    text += fmt::format(" of total weight {}", table_number(result.effective_rows, options.digits));
  text += '\n';
  if (options.notes != nullptr)
    for (const std::string& note : *options.notes) text += paragraph(note, options.width, 2);
  text += "\nExperts, by share\n" + expert_section(result, names, options);
  if (model.has_noise)
    text += fmt::format("\nUniform noise: weight {}, share {}\n", table_number(model.noise_weight, options.digits),
                        table_number(result.shares[result.shares.size() - 1], options.digits));
  if (options.inference != nullptr)
    text += inference_tables(result, *options.inference, options.digits, options.width) +
            inference_notes(*options.inference, options.width);
  else
    text += gate_section(result, names, options);
  if (result.least_squares) text += least_squares_section(result, names, options);
  text += criteria_section(result, options);
  text += ending_section(result, options);
  return text;
}

}  // namespace clearway
