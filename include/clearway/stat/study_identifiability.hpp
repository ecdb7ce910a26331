// Is an expert function strongly identifiable? A numerical check of the definitions behind the rates of convergence.
//
// Least squares behind a softmax gate (Nguyen, Ho and Rinaldo, ICML 2024, arXiv 2402.02952): for distinct eta_1 .. eta_k
//   { x^nu  d^|gamma| h / d eta^gamma (x, eta_j) :  0 <= |nu| + |gamma| <= 2 }            must be linearly independent;
// maximum likelihood with Gaussian noise (On DeepSeekMoE, arXiv 2505.10860, Definition 1):
//   { dh/deta_u,  d2h/(deta_u deta_v),  x_u dh/deta_v };
// sigmoid gate, its weak form (NeurIPS 2024, arXiv 2405.13997):  { dh/deta_u (x, eta_j) } for every j.
//
// The functions are evaluated with 50 digits at random inputs. A linear dependence leaves a smallest singular value of
// the order of 1e-50, while independent analytic functions, which may look alike in double precision, stay far above:
// see docs/identifiability.md for the reading of the definitions and for the threshold.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway {

enum class IdentifiabilityForm { lse, mle, weak };

inline std::span<const EnumName<IdentifiabilityForm>> enum_names(IdentifiabilityForm) {
  static constexpr std::array<EnumName<IdentifiabilityForm>, 3> names{{
      {IdentifiabilityForm::lse, "lse", "strong identifiability for least squares"},
      {IdentifiabilityForm::mle, "mle", "strong identifiability for maximum likelihood, Gaussian noise"},
      {IdentifiabilityForm::weak, "weak", "weak identifiability (sigmoid gate): first derivatives only"},
  }};
  return names;
}

/// Gates for which the definitions are stated.
enum class IdentifiabilityGate { softmax, sigmoid };

inline std::span<const EnumName<IdentifiabilityGate>> enum_names(IdentifiabilityGate) {
  static constexpr std::array<EnumName<IdentifiabilityGate>, 2> names{{
      {IdentifiabilityGate::softmax, "softmax", "needs strong identifiability"},
      {IdentifiabilityGate::sigmoid, "sigmoid",
       "needs the weak form where over-specified gates vary, else the strong one"},
  }};
  return names;
}

struct IdentifiabilityOptions {
  std::vector<std::string> expert = {"linear", "polynomial", "constant",   "sigmoid", "tanh",
                                     "gelu",   "relu",       "leaky-relu", "network"};
  std::string expression;
  IdentifiabilityGate gate = IdentifiabilityGate::softmax;
  std::vector<std::string> form;  ///< empty: lse and mle; with a sigmoid gate weak too
  int inputs = 1;
  int atoms = 2;
  int sets = 5;
  int rows = 0;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("expert", self.expert, OptionInfo{.help = "built-in expert functions", .metavar = "NAME"});
    field("expression", self.expression,
          OptionInfo{.help = "a function of x (or x1, x2, ...) and parameters instead, as \"tanh(a*x + b)\"",
                     .metavar = "FORMULA"});
    field("gate", self.gate, OptionInfo{.help = "gate whose definitions are checked"});
    field("form", self.form,
          OptionInfo{.help = "definitions: lse, mle, weak; default: lse and mle, for a sigmoid gate all three",
                     .metavar = "WORD"});
    field("inputs", self.inputs, OptionInfo{.help = "inputs of built-in experts", .minimum = 1, .maximum = 5});
    field("atoms", self.atoms, OptionInfo{.help = "distinct parameter vectors in a set", .minimum = 1, .maximum = 6});
    field("sets", self.sets, OptionInfo{.help = "random sets of atoms", .minimum = 1, .maximum = 1000});
    field("rows", self.rows,
          OptionInfo{.help = "random inputs; 0: four for every function; twice as many confirm it",
                     .minimum = 0,
                     .maximum = 100000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

enum class IdentifiabilityVerdict { independent, dependent, undecided };

inline std::span<const EnumName<IdentifiabilityVerdict>> enum_names(IdentifiabilityVerdict) {
  static constexpr std::array<EnumName<IdentifiabilityVerdict>, 3> names{{
      {IdentifiabilityVerdict::independent, "identifiable", "the functions are linearly independent"},
      {IdentifiabilityVerdict::dependent, "not identifiable", "a combination of the functions vanishes"},
      {IdentifiabilityVerdict::undecided, "undecided",
       "the sets of atoms disagree, or the singular value lies between"},
  }};
  return names;
}

/// One function against one definition.
struct IdentifiabilityRow {
  std::string expert;  ///< name of a built-in function, or "expression"
  std::string formula;
  IdentifiabilityForm form = IdentifiabilityForm::lse;
  int functions = 0;                                           ///< in one set of atoms, coinciding ones counted once
  double smallest = std::numeric_limits<double>::quiet_NaN();  ///< singular value over the largest, worst set
  double smallest_doubled = std::numeric_limits<double>::quiet_NaN();  ///< the same with twice as many inputs
  IdentifiabilityVerdict verdict = IdentifiabilityVerdict::undecided;
  std::vector<std::string> coinciding = {};    ///< "dh/da = x * dh/db": one function under two names, counted once
  std::vector<std::string> combinations = {};  ///< "h = a * dh/da + b * dh/db": what makes the functions dependent
  std::string papers = {};                     ///< what the papers say of the function; empty where they say nothing
  std::string note = {};                       ///< what a reader must know beside the verdict
};

struct IdentifiabilityStudy {
  IdentifiabilityOptions options;
  std::vector<IdentifiabilityRow> rows;
};

/// Names of the built-in functions and their formulas for so many inputs.
std::vector<std::string> identifiability_experts();
std::string identifiability_formula(const std::string& expert, int inputs);

/// Throws std::invalid_argument for unknown experts or forms and for formulas that do not parse or have no parameters.
IdentifiabilityStudy run_identifiability_study(const IdentifiabilityOptions& options,
                                               const std::function<void(double, const std::string&)>& progress = {});

std::string study_text(const IdentifiabilityStudy& study);
std::string study_json(const IdentifiabilityStudy& study);
std::string study_csv(const IdentifiabilityStudy& study);
std::string study_markdown(const IdentifiabilityStudy& study);

}  // namespace clearway
