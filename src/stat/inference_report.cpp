// The words and tables of an inference. The columns are those of R's print(summary(glm)) with confint() beside them.
#include <cmath>

#include "clearway/stat/inference.hpp"
#include "text_paragraph.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

std::string p_value(double p) {
  if (std::isnan(p)) return {};
  if (p < 2e-16) return "<2e-16";
  return fmt::format("{:.3g}", p);
}

std::string percent(double probability) {
  return fmt::format("{:.4g} %", 100 * probability);
}

class Tables {
 public:
  Tables(const Inference& inference, int digits, std::size_t width)
      : inference_(inference), digits_(digits), width_(width) {}

  // The rows of the table for which `which` holds, under a heading; nothing where there are none.
  template <class Which>
  std::string part(const std::string& heading, Which which) const {
    detail::TextTable table(width_, 2);
    for (const char* column : {"Estimate", "Std. Error", "z value", "Pr(>|z|)"}) table.column(column);
    table.column(percent(0.5 - 0.5 * inference_.level));
    table.column(percent(0.5 + 0.5 * inference_.level));
    bool any = false;
    for (int i = 0; i < inference_.size(); ++i) {
      if (!which(i)) continue;
      any = true;
      row(table, i);
    }
    return any ? fmt::format("\n{}\n{}", heading, table.text()) : std::string();
  }

 private:
  void row(detail::TextTable& table, int i) const {
    const auto number = [&](double value) { return std::isnan(value) ? std::string() : table_number(value, digits_); };
    table.begin_row(inference_.labels[static_cast<std::size_t>(i)]);
    table.cell(table_number(inference_.estimates(i), digits_));
    const bool valid = inference_.valid(i);
    const bool fixed = inference_.fixed[static_cast<std::size_t>(i)];
    table.cell(fixed ? "fixed" : valid ? number(inference_.standard_errors(i)) : "not valid");
    table.cell(std::isnan(inference_.z(i)) ? "" : fmt::format("{:.3f}", inference_.z(i)));
    table.cell(p_value(inference_.p(i)));
    table.cell(number(inference_.lower(i)));
    table.cell(number(inference_.upper(i)));
  }

  const Inference& inference_;
  int digits_;
  std::size_t width_;
};

}  // namespace

std::string inference_tables(const FitResult& result, const Inference& inference, int digits, std::size_t width) {
  const Tables tables(inference, digits, width);
  const Gate& gate = result.model.gate;
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  std::string text;
  for (int k = 0; k < result.model.expert_count(); ++k)
    text += tables.part(fmt::format("Expert {}", k + 1), [&](int i) {
      return inference.experts[at(i)] == k &&
             (inference.parts[at(i)] == ParameterPart::expert || inference.parts[at(i)] == ParameterPart::spread ||
              inference.parts[at(i)] == ParameterPart::share);
    });
  const int reference = gate_reference(gate);
  for (int k = 0; k < gate.experts(); ++k) {
    std::string heading = "Gate";
    if (reference >= 0) heading += fmt::format(", relative to expert {}", reference + 1);
    if (gate.spec().temperature != 1.0) heading += fmt::format(", temperature {}", gate.spec().temperature);
    heading += fmt::format(": expert {}", k + 1);
    text += tables.part(
        heading, [&](int i) { return inference.experts[at(i)] == k && inference.parts[at(i)] == ParameterPart::gate; });
  }
  text += tables.part("Gate, shared by all experts", [&](int i) {
    return inference.experts[at(i)] < 0 && inference.parts[at(i)] == ParameterPart::gate;
  });
  text += tables.part("Uniform noise", [&](int i) { return inference.parts[at(i)] == ParameterPart::noise; });
  return text;
}

std::string inference_notes(const Inference& inference, std::size_t width) {
  constexpr double kLargeCondition = 1e4;
  std::string source;
  switch (inference.kind) {
    case StandardErrorKind::observed:
      source = inference.least_squares ? "least squares with noise of one variance"
                                       : "the inverse of the observed information";
      break;
    case StandardErrorKind::sandwich:
      source = inference.least_squares
                   ? "the sandwich of least squares (robust; the function may only approximate the truth)"
                   : "the sandwich of observed information and row scores (robust)";
      break;
    case StandardErrorKind::cluster:
      source = "the sandwich of observed information and scores summed by cluster";
      break;
    case StandardErrorKind::none:
      return {};
  }
  std::string text = "\n";
  if (inference.available())
    text += detail::paragraph(
        fmt::format("Standard errors: {}. Intervals: {:.4g} % Wald; noise levels and shapes on the log scale, shares "
                    "(average gate weights at these inputs) on the logit scale.",
                    source, 100 * inference.level),
        width, 2);
  if (inference.condition_number > kLargeCondition)
    text += detail::paragraph(
        fmt::format("Condition number of the information: {:.2g}{}.", inference.condition_number,
                    inference.flat_direction.empty() ? "" : "; flattest direction: " + inference.flat_direction),
        width, 2);
  for (const ValidityFinding& finding : inference.findings)
    text += detail::paragraph(
        fmt::format("{}: {}", finding.parameters.empty() ? "Condition" : "Not valid", finding.sentence), width, 2);
  return text;
}

}  // namespace clearway
