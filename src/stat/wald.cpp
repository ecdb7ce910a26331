#include "clearway/stat/wald.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "probability.hpp"
#include "text_paragraph.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using Eigen::Index;

WaldTest refused(std::string hypothesis, std::string reason) {
  WaldTest test;
  test.hypothesis = std::move(hypothesis);
  test.not_valid = std::move(reason);
  return test;
}

// Whether a factor of a product ("x1^2", "log(x1)", "x1[b]", "ns(x1,3)2") is made of the input.
bool made_of(std::string_view factor, std::string_view input) {
  for (const std::string_view basis : {"poly(", "ns(", "bs("})
    if (factor.starts_with(basis) && factor.substr(basis.size()).starts_with(input) &&
        factor.substr(basis.size() + input.size()).starts_with(","))
      return true;
  for (const std::string_view wrap : {"log(", "sqrt("})
    if (factor.starts_with(wrap) && factor.ends_with(")"))
      factor = factor.substr(wrap.size(), factor.size() - wrap.size() - 1);
  if (factor == input) return true;
  if (!factor.starts_with(input)) return false;
  const std::string_view rest = factor.substr(input.size());
  const bool basis_column = input.ends_with(")") && rest.find_first_not_of("0123456789") == std::string_view::npos;
  return rest.starts_with("[") || (rest.starts_with("^") && rest.size() == 2) || basis_column;
}

bool involves(std::string_view label, std::string_view input) {
  if (label == input) return true;
  for (std::size_t begin = 0; begin <= label.size();) {
    const std::size_t star = std::min(label.find('*', begin), label.size());
    if (made_of(label.substr(begin, star - begin), input)) return true;
    begin = star + 1;
  }
  return false;
}

// "class a: x1" of multinomial and vector experts, "centre x1" of gates: the part that names columns.
std::string_view columns_of(std::string_view label) {
  if (const std::size_t colon = label.rfind(": "); colon != std::string_view::npos) label.remove_prefix(colon + 2);
  for (const std::string_view word : {"centre ", "factor "})
    if (label.starts_with(word)) label.remove_prefix(word.size());
  return label;
}

bool is_place(const std::string& label) {
  return label.starts_with("centre ") || label.find("factor") != std::string::npos;
}

const char* place_of(ParameterPart part) {
  return part == ParameterPart::gate ? "in the gate" : "in the experts";
}

WaldTest zero_unless_place(const Inference& inference, const std::vector<int>& parameters, std::string hypothesis) {
  for (const int i : parameters)
    if (inference.parts[static_cast<std::size_t>(i)] == ParameterPart::gate &&
        is_place(inference.labels[static_cast<std::size_t>(i)]))
      return refused(std::move(hypothesis), "for a gate made of centres this is no linear hypothesis");
  return wald_zero(inference, parameters, std::move(hypothesis));
}

std::vector<int> coefficients_of(const Inference& inference, int expert) {
  std::vector<int> indices;
  for (int i = 0; i < inference.size(); ++i)
    if (inference.experts[static_cast<std::size_t>(i)] == expert &&
        inference.parts[static_cast<std::size_t>(i)] == ParameterPart::expert)
      indices.push_back(i);
  return indices;
}

}  // namespace

WaldTest wald_test(const Inference& inference, const Matrix& contrasts, const Vector& value, std::string hypothesis) {
  if (contrasts.cols() != inference.size() || contrasts.rows() != value.size())
    user_error("a Wald test needs contrasts of {} columns and a value for each of its {} rows, not {} x {} and {}",
               inference.size(), contrasts.rows(), contrasts.rows(), contrasts.cols(), value.size());
  std::vector<Index> used;
  for (int i = 0; i < inference.size(); ++i) {
    if (contrasts.col(i).isZero(0)) continue;
    if (!inference.available()) return refused(std::move(hypothesis), "there are no standard errors");
    if (!inference.valid(i))
      return refused(
          std::move(hypothesis),
          inference.findings[static_cast<std::size_t>(inference.finding_of[static_cast<std::size_t>(i)])].sentence);
    used.push_back(i);
  }
  if (used.empty()) return refused(std::move(hypothesis), "no parameter takes part");
  const Matrix c = contrasts(Eigen::all, used);
  const Vector difference = c * inference.estimates(used) - value;
  const Matrix v = c * inference.covariance(used, used) * c.transpose();
  const Vector scale =
      v.diagonal().unaryExpr([](double variance) { return variance > 0 ? 1 / std::sqrt(variance) : 0.0; });
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.asDiagonal() * v * scale.asDiagonal());
  const Vector along = eigen.eigenvectors().transpose() * scale.cwiseProduct(difference);
  WaldTest test;
  test.hypothesis = std::move(hypothesis);
  test.statistic = 0;
  for (Index i = 0; i < v.rows(); ++i) {
    if (!(eigen.eigenvalues()(i) > 1e-10)) continue;  // a contrast that follows from the others
    test.statistic += along(i) * along(i) / eigen.eigenvalues()(i);
    ++test.degrees;
  }
  if (test.degrees == 0)
    return refused(std::move(test.hypothesis), "the parameters are fixed: there is nothing to test");
  test.p = detail::chi_squared_tail(test.statistic, test.degrees);
  return test;
}

WaldTest wald_zero(const Inference& inference, const std::vector<int>& parameters, std::string hypothesis) {
  Matrix contrasts = Matrix::Zero(static_cast<Index>(parameters.size()), inference.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) contrasts(static_cast<Index>(i), parameters[i]) = 1;
  return wald_test(inference, contrasts, Vector::Zero(contrasts.rows()), std::move(hypothesis));
}

std::vector<int> parameters_of_input(const Inference& inference, const std::string& input, ParameterPart part) {
  std::vector<int> indices;
  for (int i = 0; i < inference.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (inference.parts[at] == part && involves(columns_of(inference.labels[at]), input)) indices.push_back(i);
  }
  return indices;
}

WaldTest wald_input(const Inference& inference, const std::string& input, ParameterPart part) {
  return zero_unless_place(inference, parameters_of_input(inference, input, part),
                           fmt::format("{} has no effect {}", input, place_of(part)));
}

WaldTest wald_input(const Inference& inference, const std::string& input) {
  std::vector<int> parameters = parameters_of_input(inference, input, ParameterPart::expert);
  const std::vector<int> gate = parameters_of_input(inference, input, ParameterPart::gate);
  parameters.insert(parameters.end(), gate.begin(), gate.end());
  return zero_unless_place(inference, parameters, fmt::format("{} has no effect", input));
}

WaldTest wald_equal_experts(const Inference& inference, int first, int second) {
  const std::vector<int> a = coefficients_of(inference, first), b = coefficients_of(inference, second);
  std::string hypothesis = fmt::format("experts {} and {} have the same coefficients", first + 1, second + 1);
  if (a.size() != b.size()) return refused(std::move(hypothesis), "the experts are of different kinds");
  Matrix contrasts = Matrix::Zero(static_cast<Index>(a.size()), inference.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    contrasts(static_cast<Index>(i), a[i]) = 1;
    contrasts(static_cast<Index>(i), b[i]) = -1;
  }
  return wald_test(inference, contrasts, Vector::Zero(contrasts.rows()), std::move(hypothesis));
}

WaldTest wald_equal_coefficient(const Inference& inference, const std::string& label) {
  std::vector<int> indices;
  for (int i = 0; i < inference.size(); ++i)
    if (inference.parts[static_cast<std::size_t>(i)] == ParameterPart::expert &&
        inference.labels[static_cast<std::size_t>(i)] == label)
      indices.push_back(i);
  std::string hypothesis = fmt::format("{} is the same in all experts", label);
  if (indices.size() < 2) return refused(std::move(hypothesis), "only one expert has it");
  Matrix contrasts = Matrix::Zero(static_cast<Index>(indices.size()) - 1, inference.size());
  for (std::size_t i = 1; i < indices.size(); ++i) {
    contrasts(static_cast<Index>(i) - 1, indices[0]) = 1;
    contrasts(static_cast<Index>(i) - 1, indices[i]) = -1;
  }
  return wald_test(inference, contrasts, Vector::Zero(contrasts.rows()), std::move(hypothesis));
}

std::vector<WaldTest> wald_table(const Inference& inference, const ModelNames& names) {
  std::vector<WaldTest> tests;
  std::vector<std::string> inputs = names.gate_inputs;
  for (const std::string& input : names.expert_inputs)
    if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) inputs.push_back(input);
  for (const std::string& input : inputs) {
    const bool gate = !parameters_of_input(inference, input, ParameterPart::gate).empty();
    const bool expert = !parameters_of_input(inference, input, ParameterPart::expert).empty();
    if (gate) tests.push_back(wald_input(inference, input, ParameterPart::gate));
    if (expert) tests.push_back(wald_input(inference, input, ParameterPart::expert));
    if (gate && expert) tests.push_back(wald_input(inference, input));
  }
  for (int i = 0; i < inference.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (inference.parts[at] != ParameterPart::expert || inference.experts[at] != 0) continue;
    WaldTest test = wald_equal_coefficient(inference, inference.labels[at]);
    if (test.not_valid != "only one expert has it") tests.push_back(std::move(test));
  }
  return tests;
}

std::string wald_text(const std::vector<WaldTest>& tests, std::size_t width) {
  detail::TextTable table(width, 3);
  for (const char* heading : {"Wald", "df", "Pr(>Wald)"}) table.column(heading);
  std::string reasons;
  for (const WaldTest& test : tests) {
    table.begin_row(test.hypothesis);
    const bool valid = test.not_valid.empty();
    table.cell(valid ? fmt::format("{:.3f}", test.statistic) : "not valid");
    table.cell(valid ? fmt::format("{}", test.degrees) : "");
    table.cell(!valid ? "" : test.p < 2e-16 ? "<2e-16" : fmt::format("{:.3g}", test.p));
    if (!valid)
      reasons += detail::paragraph(fmt::format("Not valid ({}): {}", test.hypothesis, test.not_valid), width, 2);
  }
  return table.text() + reasons;
}

}  // namespace clearway
