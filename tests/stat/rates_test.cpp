// The rates study: slopes of power laws, exponents of theory, zero errors for the truth however it is written down, and
// runs that are stopped and go on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/random.hpp"
#include "clearway/stat/study_rates.hpp"

namespace clearway {
namespace {

const std::vector<double> kRows{1000, 3000, 10000, 30000, 100000};

std::vector<std::vector<double>> power_law(double exponent, int trials, double spread, std::uint64_t seed) {
  RandomStream stream(seed);
  std::vector<std::vector<double>> errors(kRows.size());
  for (std::size_t i = 0; i < kRows.size(); ++i)
    for (int t = 0; t < trials; ++t)
      errors[i].push_back(2.5 * std::pow(kRows[i], exponent) * std::exp(spread * stream.normal()));
  return errors;
}

// scipy.stats.theilslopes([1, .3, -.4, -1.1, -4.2], [0, 1, 2, 4, 7]) gives -0.7.
TEST(TheilSen, IsTheMedianOfThePairwiseSlopes) {
  EXPECT_NEAR(theil_sen_slope({0, 1, 2, 4, 7}, {1, 0.3, -0.4, -1.1, -4.2}), -0.7, 1e-15);
  EXPECT_TRUE(std::isnan(theil_sen_slope({0, 1}, {0, -std::numeric_limits<double>::infinity()})));
  EXPECT_THROW(theil_sen_slope({0}, {1}), std::invalid_argument);
  EXPECT_THROW(theil_sen_slope({0, 1}, {1}), std::invalid_argument);
  EXPECT_THROW(theil_sen_slope({1, 1}, {1, 2}), std::invalid_argument);
}

TEST(RateSlope, FindsAPowerLawExactlyAndItsIntervalIsAPoint) {
  const RateSlope slope = rate_slope(kRows, power_law(-0.37, 7, 0.0, 1), 200);
  EXPECT_NEAR(slope.slope, -0.37, 1e-13);  // rounding of logarithms
  EXPECT_NEAR(slope.low, -0.37, 1e-13);
  EXPECT_NEAR(slope.high, -0.37, 1e-13);
  EXPECT_NEAR(slope.deviation, 0, 1e-13);
}

TEST(RateSlope, IsNotMovedByWildTrialsAndLeavesOutWhatIsMissing) {
  auto errors = power_law(-0.5, 7, 0.0, 1);
  for (auto& of_size : errors) {
    of_size[0] = 1e6;
    of_size[1] = 0;
    of_size[2] = std::numeric_limits<double>::quiet_NaN();
  }
  EXPECT_NEAR(rate_slope(kRows, errors, 50).slope, -0.5, 1e-13);
  std::fill(errors[1].begin(), errors[1].end(), 0.0);
  EXPECT_FALSE(rate_slope(kRows, errors, 50).known()) << "a median of 0 has no logarithm";
  std::fill(errors[1].begin(), errors[1].end(), std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(rate_slope(kRows, errors, 50).known());
}

// Medians of t trials spread like 1/sqrt(t): 9 times the trials, a third of the deviation. A bootstrap deviation of a
// median of 20 trials is itself off by up to a half now and then, hence 1/6 to 2/3.
TEST(RateSlope, TheIntervalHoldsTheSlopeAndShrinksWithTrials) {
  const RateSlope few = rate_slope(kRows, power_law(-0.25, 20, 0.4, 5));
  const RateSlope many = rate_slope(kRows, power_law(-0.25, 180, 0.4, 6));
  for (const RateSlope& slope : {few, many}) {
    EXPECT_LT(slope.low, -0.25);
    EXPECT_GT(slope.high, -0.25);
    EXPECT_NEAR(slope.slope, -0.25, 4 * slope.deviation);
  }
  EXPECT_GT(many.deviation, few.deviation / 6);
  EXPECT_LT(many.deviation, few.deviation * 2 / 3);
}

// Two sizes: the slope is log of the ratio of (log n / n)^e over the log of the ratio of n.
TEST(RateSlope, TheLogarithmMakesARateLookShallower) {
  const double expected = 0.5 * std::log((std::log(1e5) / 1e5) / (std::log(1e3) / 1e3)) / std::log(100.0);
  EXPECT_NEAR(power_of_log_slope({1e3, 1e5}, 0.5), expected, 1e-14);
  EXPECT_GT(expected, -0.45);
}

TEST(RateRows, AreEvenlySpacedInTheLogarithm) {
  EXPECT_EQ(rate_rows("1e3:1e5:3"), (std::vector<std::int64_t>{1000, 10000, 100000}));
  EXPECT_EQ(rate_rows("100:1000:4"), (std::vector<std::int64_t>{100, 215, 464, 1000}));
  EXPECT_EQ(rate_rows("200,700"), (std::vector<std::int64_t>{200, 700}));
  for (const char* wrong : {"", "1000", "1e3:1e5", "1e5:1e3:4", "1e3:1e5:1", "1e3:1e5:2.5", "10,100", "500,400",
                            "a:b:c", "100:101:9", "1e3:nan:3"})
    EXPECT_THROW(rate_rows(wrong), std::invalid_argument) << wrong;
}

RateStudyOptions preset(const std::string& name) {
  RateStudyOptions options;
  options.preset = name;
  return options;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const RatePreset& one : rate_presets()) all.push_back(one.name);
  return all;
}

// -1/(2p) with the exponents of the papers (r = 4 for two, 6 for three fitted experts that share a true one).
TEST(RateTheory, FollowsTheTableOfExponents) {
  const auto exponents = [](const char* name, int fitted) {
    const RateProblem problem = rate_problem(preset(name));
    std::vector<double> found;
    for (const RateQuantity quantity : {RateQuantity::gate_slope_over, RateQuantity::expert_slope_over,
                                        RateQuantity::expert_intercept_over, RateQuantity::variance_over})
      found.push_back(theoretical_exponent(problem, fitted, quantity).value_or(0.0));
    return found;
  };
  const std::vector<double> none(4, 0.0);
  EXPECT_EQ(exponents("softmax-gauss", 2), none);
  EXPECT_EQ(exponents("softmax-gauss", 3), (std::vector<double>{-1.0 / 8, -1.0 / 4, -1.0 / 8, -1.0 / 4}));
  EXPECT_EQ(exponents("softmax-gauss", 4), (std::vector<double>{-1.0 / 12, -1.0 / 6, -1.0 / 12, -1.0 / 6}));
  EXPECT_EQ(exponents("softmax-gauss", 5), none) << "never invented";
  EXPECT_EQ(exponents("laplace-gauss", 3), (std::vector<double>{-1.0 / 4, -1.0 / 4, -1.0 / 8, -1.0 / 4}));
  EXPECT_EQ(exponents("softmax-tanh", 3), std::vector<double>(4, -1.0 / 4));
  EXPECT_EQ(exponents("softmax-tanh", 7), std::vector<double>(4, -1.0 / 4));
  EXPECT_EQ(exponents("multinomial-vanishing", 3), none);
  EXPECT_EQ(exponents("least-squares-sigmoid", 3), (std::vector<double>(4, -1.0 / 4)));
  EXPECT_EQ(exponents("least-squares-linear", 3), none) << "slower than every power";
  EXPECT_EQ(exponents("top-k", 3), (std::vector<double>{-1.0 / 8, -1.0 / 4, -1.0 / 8, -1.0 / 4}));
  EXPECT_EQ(exponents("sigmoid-sparse", 3), std::vector<double>(4, -1.0 / 4));
  for (const char* unknown : {"sigmoid-dense", "activated", "perturbed-cosine", "modified-inputs"})
    EXPECT_EQ(exponents(unknown, 3), none) << unknown;
  for (const char* unknown : {"hierarchical-softmax", "hierarchical-mixed", "hierarchical-laplace"})
    EXPECT_EQ(exponents(unknown, 5), none) << unknown;

  const RateProblem softmax = rate_problem(preset("softmax-gauss"));
  EXPECT_EQ(theoretical_exponent(softmax, 2, RateQuantity::loss), -0.5);
  EXPECT_EQ(theoretical_exponent(softmax, 3, RateQuantity::loss), -0.5);
  EXPECT_EQ(theoretical_exponent(softmax, 5, RateQuantity::loss), std::nullopt);
  EXPECT_EQ(theoretical_exponent(softmax, 5, RateQuantity::regression), -0.5);
  EXPECT_EQ(theoretical_exponent(softmax, 3, RateQuantity::first_order_loss), std::nullopt);

  const RateProblem activated = rate_problem(preset("activated"));
  EXPECT_EQ(theoretical_exponent(activated, 2, RateQuantity::expert_slope_exact), -0.5);
  EXPECT_EQ(theoretical_exponent(activated, 3, RateQuantity::expert_slope_exact), std::nullopt)
      << "no exponents of shared experts, so no loss that would bound the others";
  EXPECT_EQ(theoretical_exponent(activated, 3, RateQuantity::regression), -0.5);
  const RateProblem dense = rate_problem(preset("sigmoid-dense"));
  EXPECT_EQ(theoretical_exponent(dense, 2, RateQuantity::regression), -0.5);
  EXPECT_EQ(theoretical_exponent(dense, 3, RateQuantity::regression), std::nullopt) << "the fit goes elsewhere";
}

TEST(RateProblem, APresetTakesAnotherNoise) {
  RateStudyOptions options = preset("softmax-gauss");
  const RateProblem own = rate_problem(options);
  options.noise = 0.05;
  const RateProblem problem = rate_problem(options);
  for (std::size_t k = 0; k < own.truth.experts.size(); ++k) {
    EXPECT_DOUBLE_EQ(problem.truth.experts[k].sigma(), 0.05);
    EXPECT_EQ(problem.truth.experts[k].parameters().head(2), own.truth.experts[k].parameters().head(2));
  }
  EXPECT_FALSE(own.published.empty());
  EXPECT_TRUE(problem.published.empty()) << "published for another noise";
  EXPECT_NE(problem.title, own.title);
  options.preset = "multinomial";
  EXPECT_THROW(rate_problem(options), std::invalid_argument) << "classes have no noise deviation";
}

// Density estimation with a top-k gate needs as many more selected experts as there are fitted ones (arXiv 2309.13850).
TEST(RateProblem, ATopKGateSelectsMoreExpertsWhenThereAreMore) {
  const RateProblem problem = rate_problem(preset("top-k"));
  EXPECT_EQ(problem.fitted_gate(2).top_k, 1);
  EXPECT_EQ(problem.fitted_gate(3).top_k, 2);
  EXPECT_EQ(problem.fitted_gate(4).top_k, 3);
  EXPECT_EQ(rate_problem(preset("softmax-gauss")).fitted_gate(3).top_k, 0);
}

TEST(RateTheory, VerdictsAreWords) {
  RateSlope slope;
  EXPECT_EQ(rate_verdict(slope, -0.5, -0.44), "not measured");
  slope.slope = -0.47;
  slope.low = -0.52;
  slope.high = -0.42;
  EXPECT_EQ(rate_verdict(slope, std::nullopt, std::nullopt), "no rate known");
  EXPECT_EQ(rate_verdict(slope, -0.5, -0.44), "agrees");
  EXPECT_EQ(rate_verdict(slope, -0.25, -0.22), "steeper by 0.22");
  EXPECT_EQ(rate_verdict(slope, -0.7, -0.6), "shallower by 0.13");
}

MixtureModel translated(MixtureModel model) {
  for (int i = 0; i < model.expert_count(); ++i) model.gate.block(i).array() += 0.7;
  return model;
}

double sigmoid(double score) {
  return 1 / (1 + std::exp(-score));
}

// The truth with its last expert written twice, half of the weight each. A top-1 gate becomes a top-2 gate that is so
// steep that the second of the selected experts counts for nothing where it is not the twin of the first.
MixtureModel with_last_expert_twice(const RateProblem& problem) {
  const MixtureModel& truth = problem.truth;
  MixtureModel model = truth;
  const int k = truth.expert_count();
  model.experts.push_back(truth.experts.back());
  model.gate = Gate(problem.fitted_gate(k + 1), truth.gate.inputs(), k + 1);
  if (truth.gate.spec().kind == GateKind::hierarchical) {
    std::vector<int> groups = truth.gate.group_of();
    groups.push_back(groups.back());
    model.gate.set_group_of(groups);
  }
  model.gate.shared() = truth.gate.shared();
  constexpr double kSteep = 1e5;
  const bool cosine = truth.gate.spec().kind == GateKind::cosine;  // its intercepts are not divided by the temperature
  const double half = std::log(2.0) * (cosine ? 1.0 : truth.gate.temperature());
  for (int i = 0; i <= k; ++i) {
    auto block = model.gate.block(i);
    block = truth.gate.block(std::min(i, k - 1));
    if (truth.gate.spec().top_k > 0) block *= kSteep;
    if (i < k - 1) continue;
    if (truth.gate.sums_to_one()) {
      block(0) -= half;
    } else {  // the last expert of the sparse truth has no gate slope: its weight is one number
      EXPECT_EQ(block(1), 0);
      const double weight = sigmoid(block(0)) / 2;
      block(0) = std::log(weight / (1 - weight));
    }
  }
  return model;
}

void expect_no_error(const RateErrors& errors, const MixtureModel& model, const std::string& cells) {
  RateTrial trial;
  errors.measure(model, trial);
  EXPECT_EQ(trial.cells, cells);
  EXPECT_FALSE(std::isnan(trial.error(RateQuantity::loss)));
  for (const auto& [quantity, name, help] : enum_names(RateQuantity{})) {
    if (std::isnan(trial.error(quantity))) continue;
    // Rounding: weights up to exp(7) times coefficients up to 25 times a few 2^-52.
    EXPECT_LT(trial.error(quantity), 1e-10) << name;
  }
}

TEST(RateErrors, AreZeroForTheTruthHoweverItIsWritten) {
  for (const std::string& name : names()) {
    SCOPED_TRACE(name);
    const RateProblem problem = rate_problem(preset(name));
    const RateErrors errors(problem);
    const GateSpec& gate = problem.truth.gate.spec();
    const int k = problem.truth.expert_count();
    std::string alone = "1";
    for (int i = 1; i < k; ++i) alone += "+1";
    std::vector<int> backwards(static_cast<std::size_t>(k));
    for (int i = 0; i < k; ++i) backwards[static_cast<std::size_t>(i)] = k - 1 - i;
    expect_no_error(errors, problem.truth, alone);
    expect_no_error(errors, problem.truth.permuted(backwards), alone);
    if (!problem.over_misses_truth) {
      std::string twice = alone;
      twice.back() = '2';
      expect_no_error(errors, with_last_expert_twice(problem), twice);
    }
    if (gate.kind == GateKind::softmax || gate.kind == GateKind::quadratic)
      expect_no_error(errors, translated(problem.truth), alone);
  }
}

// Another gate with the same weights has no error either, where a gate has many: tanh(a x) - tanh(b x) for the activated
// one, a common shift of direction / (length + perturbation) for the perturbed cosine.
TEST(RateErrors, DoNotSeeGatesWithTheSameWeights) {
  const RateProblem activated = rate_problem(preset("activated"));
  MixtureModel swapped = activated.truth;
  swapped.gate.block(0)(1) = -activated.truth.gate.block(1)(1);
  swapped.gate.block(1)(1) = -activated.truth.gate.block(0)(1);
  expect_no_error(RateErrors(activated), swapped, "1+1");

  const RateProblem cosine = rate_problem(preset("perturbed-cosine"));
  MixtureModel shifted = cosine.truth;
  const double perturbation = cosine.truth.gate.spec().perturbation;
  for (int i = 0; i < 2; ++i) {
    const Vector direction = cosine.truth.gate.block(i).tail(2);
    const Vector moved = direction / (direction.norm() + perturbation) + Vector{{0.1, -0.2}};
    ASSERT_LT(moved.norm(), 1);
    shifted.gate.block(i).tail(2) = moved * perturbation / (1 - moved.norm());
  }
  ASSERT_GT((shifted.gate.parameters() - cosine.truth.gate.parameters()).norm(), 0.1);
  RateTrial trial;
  RateErrors(cosine).measure(shifted, trial);
  EXPECT_LT(trial.error(RateQuantity::regression), 1e-5);  // lengths are smoothed by 1e-6
  EXPECT_LT(trial.error(RateQuantity::loss), 1e-5);
}

// One coefficient of each kind moved: by hand.
TEST(RateErrors, MeasureEachKindOfParameterUnweighted) {
  const RateProblem problem = rate_problem(preset("softmax-gauss"));
  const RateErrors errors(problem);
  MixtureModel model = problem.truth;
  model.gate.block(0)(1) += 0.5;
  model.experts[0].parameters()(0) += 0.3;
  model.experts[1].parameters()(1) -= 0.2;
  model.experts[1].set_sigma(0.5);
  RateTrial trial;
  errors.measure(model, trial);
  EXPECT_NEAR(trial.error(RateQuantity::gate_slope_exact), 0.5, 1e-12);
  EXPECT_NEAR(trial.error(RateQuantity::expert_intercept_exact), 0.3, 1e-12);
  EXPECT_NEAR(trial.error(RateQuantity::expert_slope_exact), 0.2, 1e-12);
  EXPECT_NEAR(trial.error(RateQuantity::variance_exact), 0.25 - 0.16, 1e-12);  // variances, not deviations
  EXPECT_NEAR(trial.error(RateQuantity::loss), std::exp(-8.0) * (0.5 + 0.3) + 0.2 + 0.09, 1e-12);
  EXPECT_TRUE(std::isnan(trial.error(RateQuantity::gate_slope_over)));
}

// Two normal densities of standard deviation s a distance m apart: H^2 = 1 - exp(-m^2 / (8 s^2)).
TEST(RateErrors, TheHellingerDistanceIsThatOfNormalDensities) {
  RateProblem problem = rate_problem(preset("softmax-gauss"));
  Expert expert(ExpertSpec{}, 1);
  expert.set_sigma(0.3);
  problem.truth.experts = {expert};
  problem.truth.gate = Gate(GateSpec{}, 1, 1);
  const RateErrors errors(problem);
  MixtureModel moved = problem.truth;
  moved.experts[0].parameters()(0) = 0.15;
  RateTrial trial;
  errors.measure(moved, trial);
  EXPECT_NEAR(trial.error(RateQuantity::density), std::sqrt(1 - std::exp(-0.25 / 8)), 1e-6);  // tails beyond 6 s
  EXPECT_NEAR(trial.error(RateQuantity::regression), 0.15, 1e-12);
}

RateStudyOptions small_study() {
  RateStudyOptions options = preset("softmax-gauss");
  options.rows = "120,250";
  options.trials = 3;
  options.starts = 2;
  options.start_rows = 100;
  options.resamples = 50;
  options.threads = 1;
  return options;
}

TEST(RateStudy, GoesOnWhereItStoppedAndDoesNotDependOnThreads) {
  RateStudyOptions options = small_study();
  std::string recorded = rate_trials_header();
  const RateStudy whole =
      run_rate_study(options, {}, [&](const RateTrial& trial) { recorded += rate_trial_line(trial); });
  ASSERT_EQ(whole.trials.size(), 12U);
  const std::string table = rate_trials_csv(whole);

  // Five fits and half of the sixth: what a crash leaves.
  std::size_t end = 0;
  for (int line = 0; line < 6; ++line) end = recorded.find('\n', end) + 1;
  const auto known = parse_rate_trials(recorded.substr(0, end + 40), "trials.csv");
  ASSERT_EQ(known.size(), 5U);
  int made = 0;
  const RateStudy resumed = run_rate_study(options, known, [&](const RateTrial&) { ++made; });
  EXPECT_EQ(made, 7);
  EXPECT_EQ(rate_trials_csv(resumed), table);
  EXPECT_EQ(rates_json(resumed), rates_json(whole));

  options.threads = 3;
  EXPECT_EQ(rate_trials_csv(run_rate_study(options)), table);
}

TEST(RateStudy, ATableThatIsNoneIsRefused) {
  EXPECT_THROW(parse_rate_trials("a,b\n", "trials.csv"), std::invalid_argument);
  EXPECT_THROW(parse_rate_trials(rate_trials_header() + "2,100,0\n", "trials.csv"), std::invalid_argument);
  RateTrial trial;
  trial.cells = "1+1";
  const std::string line = rate_trial_line(trial);
  EXPECT_EQ(parse_rate_trials(rate_trials_header() + line, "trials.csv").size(), 1U);
  EXPECT_THROW(parse_rate_trials(rate_trials_header() + "x" + line, "trials.csv"), std::invalid_argument);
}

// The published D1 is 0.025 at 1e5 rows; at rate n^-1/2 that is 0.18 at 2000, and one trial is rarely beyond four times
// the median. From the data and from near the truth the same optimum is reached.
TEST(RateStudy, FindsTheTruthFromTheData) {
  RateStudyOptions options = small_study();
  const RateProblem problem = rate_problem(options);
  const RateErrors errors(problem);
  const RateTrial from_data = run_rate_trial(problem, errors, 2, 2000, 0, options);
  options.start = RateStart::truth;
  const RateTrial from_truth = run_rate_trial(problem, errors, 2, 2000, 0, options);
  EXPECT_TRUE(from_data.converged);
  EXPECT_TRUE(from_truth.converged);
  EXPECT_NEAR(from_data.objective, from_truth.objective, 1e-6 * std::abs(from_truth.objective));
  EXPECT_LT(from_data.error(RateQuantity::loss), 0.72);
  EXPECT_EQ(from_data.cells, "1+1");
}

// From the data and from near the truth the same least sum of squares; it is about n sigma^2 = 10 (its deviation is
// sigma^2 sqrt(2 n) = 0.45 here), and below that of the truth.
TEST(RateStudy, FitsRegressionFunctionsByLeastSquares) {
  RateStudyOptions options = preset("least-squares-linear");
  options.starts = 4;
  const RateProblem problem = rate_problem(options);
  const RateErrors errors(problem);
  const RateTrial from_data = run_rate_trial(problem, errors, 2, 1000, 0, options);
  options.start = RateStart::truth;
  const RateTrial from_truth = run_rate_trial(problem, errors, 2, 1000, 0, options);
  EXPECT_NEAR(from_data.objective, from_truth.objective, 1e-6 * from_truth.objective);
  EXPECT_NEAR(from_truth.objective, 10, 4 * 0.45);
  const Data data = rate_data(problem, 1000, 0, options.seed);
  EXPECT_LT(from_truth.objective, (data.response - problem.truth.mean(data)).squaredNorm());
  EXPECT_LT(from_data.error(RateQuantity::regression),
            0.1 * std::sqrt(6.0 / 1000) * 3);  // sigma sqrt(p / n), three of it
}

// Equal likelihoods: the fit from the data has the distances of the truth, not those of standardised inputs.
TEST(RateStudy, FitsALaplaceGateInTheUnitsOfTheTruth) {
  RateStudyOptions options = preset("laplace-gauss");
  const RateProblem problem = rate_problem(options);
  const RateErrors errors(problem);
  const RateTrial from_data = run_rate_trial(problem, errors, 2, 1500, 0, options);
  options.start = RateStart::truth;
  const RateTrial from_truth = run_rate_trial(problem, errors, 2, 1500, 0, options);
  EXPECT_NEAR(from_data.objective, from_truth.objective, 1e-6 * std::abs(from_truth.objective));
}

// With more experts than the truth: started near it, so that copies are made and share weights, and no worse than it.
TEST(RateStudy, TheTruthIsNoBetterThanAFitWithMoreExperts) {
  for (const std::string& name : names()) {
    SCOPED_TRACE(name);
    RateStudyOptions options = preset(name);
    options.start = RateStart::truth;
    const RateProblem problem = rate_problem(options);
    const RateErrors errors(problem);
    const int k = problem.truth.expert_count();
    const double exact = run_rate_trial(problem, errors, k, 300, 0, options).objective;
    const double over = run_rate_trial(problem, errors, k + 1, 300, 0, options).objective;
    const Data data = rate_data(problem, 300, 0, options.seed);
    if (problem.method == FitMethod::least_squares) {
      EXPECT_LT(exact, (data.response - problem.truth.mean(data)).squaredNorm());
      EXPECT_LT(over, exact * 1.02);
    } else {
      EXPECT_GT(exact, problem.truth.log_likelihood(data));
      EXPECT_GT(over, exact - 3);
    }
  }
}

TEST(RateStudy, OptionsThatDoNotFitAreNamed) {
  EXPECT_THROW(rate_problem(preset("softmax-gaus")), std::invalid_argument);
  RateStudyOptions options = preset("softmax-gauss");
  options.gate = "laplace";
  EXPECT_THROW(rate_problem(options), std::invalid_argument);
  options = preset("softmax-gauss");
  options.fitted = {1};
  EXPECT_THROW(rate_problem(options), std::invalid_argument);
  options = {};
  options.expert = "tanh";
  options.true_experts = 3;
  options.dim = 2;
  const RateProblem problem = rate_problem(options);
  EXPECT_EQ(problem.truth.expert_count(), 3);
  EXPECT_EQ(problem.dim(), 2);
  EXPECT_EQ(problem.fitted, (std::vector<int>{3, 4}));
}

}  // namespace
}  // namespace clearway
