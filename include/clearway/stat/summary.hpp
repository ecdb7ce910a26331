// What a statistician wants to see of a fit: coefficients by name, and the whole as a table of text.
//
// The ideas are those of flexmix's summary() and parameters() (prior, size, coefficients per component) and of R's
// print(summary(lm)); the table adds the gate, the starts and why the iterations ended. Everything is plain ASCII.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway {

/// The user's names of what a model was fitted to.
struct ModelNames {
  std::vector<std::string> responses;      ///< names of the response columns (one, or m of a vector response)
  std::vector<std::string> classes;        ///< multinomial: names of the classes, the last is the reference
  std::vector<std::string> expert_inputs;  ///< d names
  std::vector<std::string> gate_inputs;    ///< q names
};

/// Standard errors of every parameter, laid out as Expert::parameters() and Gate::parameters(); NaN where unknown.
struct StandardErrors {
  std::vector<Vector> experts;
  Vector gate;
};

/// One number of a model with its name. `error` is NaN without a standard error.
struct NamedValue {
  std::string name;
  double value;
  double error;
};

/// Regression coefficients of an expert, then what describes its noise, on natural scales: "sigma" and not
/// "log(sigma)"; for a vector response "sd y" and "cor(y, z)" and not a Cholesky factor. Errors of what is kept as a
/// logarithm follow by the delta method. `errors`: like Expert::parameters(), or null.
struct ExpertReport {
  std::vector<NamedValue> coefficients;
  std::vector<NamedValue> noise;
};
ExpertReport expert_report(const Expert& expert, const ModelNames& names, const Vector* errors = nullptr);

/// The parameters of the gate's block for one expert (from 0), pinned ones included as 0.
std::vector<NamedValue> gate_report(const Gate& gate, int expert, const ModelNames& names,
                                    const Vector* errors = nullptr);

/// The parameters of the gate that belong to no expert (Gate::shared), pinned ones included as 0.
std::vector<NamedValue> shared_gate_report(const Gate& gate, const ModelNames& names, const Vector* errors = nullptr);

/// The expert (from 0) whose scores are fixed at 0, so that the others are read against it; -1 where the gate has none.
int gate_reference(const Gate& gate);

/// How the rows fall on the experts (and the noise component, last).
struct Allocation {
  Vector prior;  ///< average gate weight
  Vector size;   ///< rows (case weights summed) whose most responsible expert this is
  Vector ratio;  ///< size / rows with responsibility above 1e-4: near 1 where an expert is well separated
};
Allocation allocation(const MixtureModel& model, const Data& data);

/// "y ~ 3 experts: linear(x1, x2); gate: softmax(x1, x2)"
std::string formula_line(const MixtureModel& model, const ModelNames& names);

/// How the table is laid out. Everything optional is left out, not filled in.
struct SummaryOptions {
  int digits = 6;                                   ///< significant digits
  std::size_t width = 92;                           ///< columns of text; experts that do not fit go to the next block
  const Allocation* allocation = nullptr;           ///< adds the rows "prior", "size" and "ratio"
  const StandardErrors* errors = nullptr;           ///< adds a column "Std. Error" beside every estimate
  const std::vector<std::string>* notes = nullptr;  ///< sentences on the data, below the number of rows
};

/// The table. It holds no times, so that the same fit gives the same bytes.
std::string full_summary(const FitResult& result, const ModelNames& names, const SummaryOptions& options = {});

/// A number with that many significant digits for a table: "0.412346", "-12.5000", "1.20000e+09", "-" for NaN.
std::string table_number(double value, int digits);

/// The sentence that fixes the sign and the constants of AIC, BIC and ICL.
inline constexpr const char* kCriteriaConvention =
    "smaller is better: AIC = -2 log L + 2 df, BIC = -2 log L + df log n (as R's stats::BIC), ICL = BIC + 2 entropy";

}  // namespace clearway
