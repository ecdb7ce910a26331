// Wald tests of linear hypotheses about a fit: W = (C b - c)' (C V C')^- (C b - c), chi-squared with rank(C V C') degrees
// of freedom when the hypothesis holds (Wald 1943; with the robust covariances of inference.hpp also where the model is
// wrong). Does an input matter, for the gate, for the experts, at all? Are two experts equal?
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/inference.hpp"

namespace clearway {

struct WaldTest {
  std::string hypothesis;  ///< in words: "x1 has no effect in the gate"
  double statistic = std::numeric_limits<double>::quiet_NaN();
  int degrees = 0;
  double p = std::numeric_limits<double>::quiet_NaN();
  std::string not_valid;  ///< why there is no test, a sentence; empty where there is one
};

/// C b = value for the parameters b of the table: `contrasts` is tests x size(). Parameters whose numbers are withheld
/// must have zero columns, else the test is not valid.
WaldTest wald_test(const Inference& inference, const Matrix& contrasts, const Vector& value, std::string hypothesis);
/// All of these parameters (indices into the table) are 0.
WaldTest wald_zero(const Inference& inference, const std::vector<int>& parameters, std::string hypothesis);

/// The coefficients of a part of the model (experts or gate) in which an input takes part, alone or in a product, power or
/// category: "x1", "x1^2", "x1*x2", "log(x1)", "x1[b]".
std::vector<int> parameters_of_input(const Inference& inference, const std::string& input, ParameterPart part);
/// An input has no effect in the gate, or in the experts. Not valid where that is no linear hypothesis (centres of
/// Laplace or Gaussian gates).
WaldTest wald_input(const Inference& inference, const std::string& input, ParameterPart part);
/// An input has no effect at all.
WaldTest wald_input(const Inference& inference, const std::string& input);
/// Two experts (from 0) have the same coefficients, noise levels left out.
WaldTest wald_equal_experts(const Inference& inference, int first, int second);
/// A coefficient is the same in all experts.
WaldTest wald_equal_coefficient(const Inference& inference, const std::string& label);

/// What a reader asks first: for every input its effect in the gate, in the experts and at all; for every coefficient its
/// equality across experts.
std::vector<WaldTest> wald_table(const Inference& inference, const ModelNames& names);
/// The tests as a table of text.
std::string wald_text(const std::vector<WaldTest>& tests, std::size_t width);

}  // namespace clearway
