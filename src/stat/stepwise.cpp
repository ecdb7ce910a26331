#include "clearway/stat/stepwise.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/text.hpp"
#include "clearway/stat/summary.hpp"
#include "response_family.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr double kGain = 1e-6;  // of BIC, below which a step is none

/// Which terms of the whole design are in the model.
struct Choice {
  std::vector<bool> experts, gate;
};

std::string name_of(const Term& term) {
  std::vector<std::string> factors;
  for (const Factor& factor : term.factors)
    factors.push_back(factor.transform == Transform::category ? factor.column : factor.names().front());
  return fmt::format("{}", fmt::join(factors, "*"));
}

/// Columns of the terms that stay, and the place each had.
std::vector<Index> columns_of(const std::vector<Term>& terms, const std::vector<bool>& kept) {
  std::vector<Index> columns;
  Index at = 0;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    const auto width = static_cast<Index>(terms[t].width());
    for (Index j = 0; j < width; ++j)
      if (kept[t]) columns.push_back(at + j);
    at += width;
  }
  return columns;
}

Matrix selected(const Matrix& all, const std::vector<Index>& columns) {
  Matrix out(all.rows(), static_cast<Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) out.col(static_cast<Index>(j)) = all.col(columns[j]);
  return out;
}

template <class T>
std::vector<T> selected(const std::vector<T>& all, const std::vector<bool>& kept) {
  std::vector<T> out;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (kept[i]) out.push_back(all[i]);
  return out;
}

class Stepper {
 public:
  Stepper(const Design& design, const FitOptions& options, const StepwiseOptions& stepwise,
          const ProgressCallback& progress)
      : design_(design), options_(options), stepwise_(stepwise), progress_(progress) {
    const bool from_all = stepwise.direction != Stepwise::forward;
    choice_.experts.assign(design.recipe.expert_terms.size(), from_all);
    choice_.gate.assign(design.recipe.gate_terms.size(), from_all);
    if (choice_.experts.empty() && choice_.gate.empty()) user_error("stepwise: there are no terms to choose from");
    if (!design.recipe.attributes.empty())
      user_error("stepwise: does not choose among the attributes of conditional-logit experts");
    if (stepwise.direction == Stepwise::none) user_error("stepwise: 'none' chooses nothing");
  }

  StepwiseResult run() {
    report("start");
    current_ = fit(part(choice_).data, options_);
    result_.fits = 1;
    record("start");
    while (step()) {
    }
    const Design last = part(choice_);
    FitResult again = fit(last.data, options_, &current_.model);
    ++result_.fits;
    result_.fit = std::move(again);
    result_.design = last;
    return std::move(result_);
  }

 private:
  /// One change of the choice and its fit.
  struct Trial {
    bool in_gate = false;
    std::size_t term = 0;
    std::optional<FitResult> fit;
  };

  Design part(const Choice& choice) const { return with_terms(design_, choice.experts, choice.gate); }

  void report(const std::string& what) const {
    if (progress_) progress_(std::min(0.95, 0.1 + 0.1 * static_cast<double>(result_.steps.size())), what);
  }

  void record(const std::string& what) { result_.steps.push_back({what, current_.bic, current_.degrees_of_freedom}); }

  bool allowed(bool present) const {
    return stepwise_.direction == Stepwise::both || (stepwise_.direction == Stepwise::backward) == present;
  }

  static Choice changed(Choice choice, bool in_gate, std::size_t term) {
    std::vector<bool>& side = in_gate ? choice.gate : choice.experts;
    side[term] = !side[term];
    return choice;
  }

  bool step() {
    std::vector<Trial> trials;
    for (std::size_t t = 0; t < choice_.experts.size(); ++t)
      if (allowed(choice_.experts[t])) trials.push_back({false, t, std::nullopt});
    for (std::size_t t = 0; t < choice_.gate.size(); ++t)
      if (allowed(choice_.gate[t])) trials.push_back({true, t, std::nullopt});
    report(fmt::format("{} trials", trials.size()));
    parallel_for(trials.size(), options_.threads, [&](std::size_t i) {
      const Choice next = changed(choice_, trials[i].in_gate, trials[i].term);
      const Design one = part(next);
      FitOptions options = options_;
      options.starts = stepwise_.trial_starts;
      options.polished = std::max(2, options.polished);
      const std::optional<MixtureModel> start = moved(next, one);
      trials[i].fit = fit(one.data, options, start ? &*start : nullptr);
    });
    result_.fits += static_cast<int>(trials.size());
    const Trial* best = nullptr;
    for (const Trial& trial : trials)
      if (trial.fit->converged && trial.fit->reason != StopReason::degenerate &&
          trial.fit->bic < current_.bic - kGain && (!best || trial.fit->bic < best->fit->bic))
        best = &trial;
    if (!best) return false;
    const std::vector<Term>& terms = best->in_gate ? design_.recipe.gate_terms : design_.recipe.expert_terms;
    const bool present = best->in_gate ? choice_.gate[best->term] : choice_.experts[best->term];
    current_ = *best->fit;
    choice_ = changed(choice_, best->in_gate, best->term);
    record(fmt::format("{} {} in the {}", present ? "-" : "+", name_of(terms[best->term]),
                       best->in_gate ? "gate" : "experts"));
    return true;
  }

  /// The present solution with the columns of another choice: new slopes are zero. Nothing for kinds whose slopes do not
  /// lie side by side behind the intercept.
  std::optional<MixtureModel> moved(const Choice& next, const Design& one) const {
    const Expert& first = current_.model.experts.front();
    const GateKind gate = options_.gate.kind;
    if (first.responses() > 1 || !detail::is_single_index(first.spec().kind)) return std::nullopt;
    if (gate != GateKind::softmax && gate != GateKind::constant && gate != GateKind::equal) return std::nullopt;
    MixtureModel model = current_.model;
    const std::vector<Index> before = columns_of(design_.recipe.expert_terms, choice_.experts);
    const std::vector<Index> after = columns_of(design_.recipe.expert_terms, next.experts);
    for (Expert& expert : model.experts) {
      const Vector old = expert.parameters();
      Expert fresh(expert.spec(), static_cast<int>(one.data.expert_inputs.cols()));
      const Index extras = fresh.parameters().size() - 1 - static_cast<Index>(after.size());
      if (extras < 0) return std::nullopt;
      fresh.parameters()(0) = old(0);
      fresh.parameters().tail(extras) = old.tail(extras);
      copy_slopes(old, before, after, fresh.parameters());
      expert = fresh;
    }
    if (gate == GateKind::softmax) {
      const std::vector<Index> old_gate = columns_of(design_.recipe.gate_terms, choice_.gate);
      const std::vector<Index> new_gate = columns_of(design_.recipe.gate_terms, next.gate);
      Gate fresh(options_.gate, static_cast<int>(new_gate.size()), options_.experts);
      for (int k = 0; k < options_.experts; ++k) {
        Vector block = Vector::Zero(fresh.block_size());
        block(0) = current_.model.gate.block(k)(0);
        copy_slopes(current_.model.gate.block(k), old_gate, new_gate, block);
        fresh.block(k) = block;
      }
      model.gate = fresh;
    }
    return model;
  }

  static void copy_slopes(const Vector& old, const std::vector<Index>& before, const std::vector<Index>& after,
                          Vector& fresh) {
    for (std::size_t j = 0; j < after.size(); ++j) {
      const auto found = std::find(before.begin(), before.end(), after[j]);
      fresh(1 + static_cast<Index>(j)) = found == before.end() ? 0.0 : old(1 + (found - before.begin()));
    }
  }

  const Design& design_;
  const FitOptions& options_;
  const StepwiseOptions& stepwise_;
  const ProgressCallback& progress_;
  Choice choice_;
  FitResult current_;
  StepwiseResult result_;
};

}  // namespace

Design with_terms(const Design& design, const std::vector<bool>& experts, const std::vector<bool>& gate) {
  Design out = design;
  out.recipe.expert_terms = selected(design.recipe.expert_terms, experts);
  out.recipe.gate_terms = selected(design.recipe.gate_terms, gate);
  out.data.expert_inputs = selected(design.data.expert_inputs, columns_of(design.recipe.expert_terms, experts));
  out.data.gate_inputs = selected(design.data.gate_inputs, columns_of(design.recipe.gate_terms, gate));
  out.expert_names = out.recipe.expert_names();
  out.gate_names = out.recipe.gate_names();
  return out;
}

StepwiseResult stepwise_fit(const Design& design, const FitOptions& options, const StepwiseOptions& stepwise,
                            const ProgressCallback& progress) {
  check_options(stepwise);
  return Stepper(design, options, stepwise, progress).run();
}

std::string stepwise_text(const StepwiseResult& result, int digits) {
  detail::TextTable table(110);
  table.column("df");
  table.column("BIC");
  for (const StepwiseStep& step : result.steps) {
    table.begin_row(step.what);
    table.cell(std::to_string(step.degrees_of_freedom));
    table.cell(table_number(step.bic, digits + 1));
  }
  return fmt::format("Stepwise choice of terms by BIC, {} experts, {}\n\nstep\n", result.fit.model.expert_count(),
                     plural(static_cast<std::size_t>(result.fits), "fit")) +
         table.text();
}

}  // namespace clearway
