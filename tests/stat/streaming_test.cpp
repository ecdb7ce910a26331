// Fitting in chunks: the estimate is that of fit() on all rows.
#include "clearway/stat/streaming.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "random_models.hpp"

namespace clearway {
namespace {

Data chunk_of(const Data& data, Eigen::Index begin, Eigen::Index count) {
  std::vector<Eigen::Index> rows(static_cast<std::size_t>(std::min(count, data.rows() - begin)));
  std::iota(rows.begin(), rows.end(), begin);
  return data.subset(rows);
}

FitResult streamed(const Data& data, const FitOptions& options, Eigen::Index rows, const StreamOptions& stream = {}) {
  StreamingFit fitting(chunk_of(data, 0, rows), options, stream);
  for (Eigen::Index at = rows; at < data.rows(); at += rows) fitting.online(chunk_of(data, at, rows));
  while (fitting.wants_pass()) {
    fitting.begin_pass();
    for (Eigen::Index at = 0; at < data.rows(); at += rows) fitting.add(chunk_of(data, at, rows));
    fitting.end_pass();
  }
  const FitResult result = fitting.result();
  const Allocation streamed_rows = fitting.allocation(), direct = allocation(result.model, data);
  EXPECT_LT((streamed_rows.prior - direct.prior).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_EQ(streamed_rows.size, direct.size);
  return result;
}

/// Normal, or Student t with 4 degrees of freedom.
double noise(ExpertKind kind, RandomStream& stream) {
  const double normal = stream.normal();
  return kind == ExpertKind::student_t ? normal / std::sqrt(stream.gamma(2.0) / 2) : normal;
}

/// Two lines, or two Poisson regressions, behind a softmax gate.
Data two_experts(ExpertKind kind, Eigen::Index n, RandomStream& stream) {
  Data data;
  data.expert_inputs = testing::random_matrix(stream, n, 2);
  data.gate_inputs = data.expert_inputs;
  data.response.resize(n, 1);
  data.weights = Vector::Ones(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double x = data.expert_inputs(i, 0), z = data.expert_inputs(i, 1);
    const bool first = stream.uniform() < 1 / (1 + std::exp(-1 - 2 * z));
    const double eta = first ? 1 + 0.5 * x : -0.5 - 0.8 * x + 0.3 * z;
    data.response(i, 0) = kind == ExpertKind::poisson ? static_cast<double>(stream.poisson(std::exp(eta)))
                                                      : 3 * eta + 0.5 * noise(kind, stream);
    data.weights(i) = 0.5 + stream.uniform();
  }
  return data;
}

// A column that is a combination of others is no parameter, whatever single chunks look like.
TEST(Streaming, CollinearInputsAreNoParameters) {
  RandomStream stream(14);
  Data data = two_experts(ExpertKind::poisson, 900, stream);
  const FitOptions options{.experts = 2, .expert = {.kind = ExpertKind::poisson}};
  const FitResult plain = streamed(data, options, 300);
  data.expert_inputs.conservativeResize(900, 3);
  data.expert_inputs.col(2) = 5 + 2 * data.expert_inputs.col(0).array() - data.expert_inputs.col(1).array();
  data.gate_inputs = data.expert_inputs;
  const FitResult with = streamed(data, options, 300), direct = fit(data, options);
  EXPECT_EQ(with.degrees_of_freedom, plain.degrees_of_freedom);
  EXPECT_EQ(with.degrees_of_freedom, direct.degrees_of_freedom);
  EXPECT_NEAR(with.log_likelihood, plain.log_likelihood, 1e-5);
  // Collinear in the first two chunks only.
  data.expert_inputs.col(2).tail(300).setLinSpaced(-1, 1);
  data.gate_inputs = data.expert_inputs;
  EXPECT_EQ(streamed(data, options, 300).degrees_of_freedom, plain.degrees_of_freedom + 3);
}

TEST(Streaming, EndsAtTheMaximumOfAllRows) {
  for (const ExpertKind kind : {ExpertKind::linear, ExpertKind::poisson, ExpertKind::student_t}) {
    RandomStream stream(61);
    const Data data = two_experts(kind, 6000, stream);
    FitOptions options;
    options.expert.kind = kind;
    const FitResult whole = fit(data, options);
    const FitResult parts = streamed(data, options, 700);
    ASSERT_TRUE(parts.converged) << enum_name(kind);
    // Passes end when the next would gain less than 1e-6.
    EXPECT_NEAR(parts.log_likelihood, whole.log_likelihood, 2e-6) << enum_name(kind);
    EXPECT_NEAR(parts.log_likelihood, parts.model.log_likelihood(data), 1e-8 * std::abs(whole.log_likelihood));
    EXPECT_NEAR(parts.bic, whole.bic, 1e-5);
    EXPECT_NEAR(parts.entropy, whole.entropy, 1e-2);
    EXPECT_LT((parts.shares - whole.shares).cwiseAbs().maxCoeff(), 1e-4);
    EXPECT_EQ(parts.rows, 6000);
    EXPECT_LE(parts.iterations, 5);  // recursion brings it close, Newton converges quadratically
  }
}

// Sums over chunks are sums over rows: standard errors are those of infer() on all rows, at the same estimate to the
// rounding of the change of scale, at the estimate of a batch fit to the distance of the two (a gain below 1e-13).
TEST(Streaming, StandardErrorsAreThoseOfAllRows) {
  for (const ExpertKind kind : {ExpertKind::linear, ExpertKind::poisson, ExpertKind::student_t})
    for (const StandardErrorKind errors : {StandardErrorKind::observed, StandardErrorKind::sandwich}) {
      RandomStream stream(65);
      const Data data = two_experts(kind, 4000, stream);
      FitOptions options;
      options.expert.kind = kind;
      StreamOptions exact;
      exact.gain = 1e-13;
      exact.passes = 20;
      InferenceOptions how;
      how.standard_errors = errors;
      ModelNames names;
      names.responses = {"y"};
      names.expert_inputs = names.gate_inputs = {"x", "z"};
      StreamingFit fitting(chunk_of(data, 0, 700), options, exact);
      for (Eigen::Index at = 700; at < data.rows(); at += 700) fitting.online(chunk_of(data, at, 700));
      while (fitting.wants_pass()) {
        fitting.begin_pass();
        for (Eigen::Index at = 0; at < data.rows(); at += 700) fitting.add(chunk_of(data, at, 700));
        fitting.end_pass();
      }
      fitting.begin_inference(how);
      for (Eigen::Index at = 0; at < data.rows(); at += 700) fitting.add_to_inference(chunk_of(data, at, 700));
      const Inference streamed = fitting.inference(names);
      const Inference same = infer(data, fitting.result(), names, how);
      const Inference batch = infer(data, fit(data, options), names, how);
      ASSERT_EQ(streamed.names, batch.names);
      for (int i = 0; i < streamed.size(); ++i) {
        const std::string& name = streamed.names[static_cast<std::size_t>(i)];
        ASSERT_TRUE(streamed.valid(i)) << name;
        EXPECT_NEAR(streamed.standard_errors(i), same.standard_errors(i), 1e-8 * same.standard_errors(i)) << name;
        EXPECT_NEAR(streamed.standard_errors(i), batch.standard_errors(i), 1e-6 * batch.standard_errors(i)) << name;
      }
    }
}

// The recursive estimate after one reading is efficient: within a few log-likelihood units of the maximum, where the
// first chunk alone (a tenth of the rows) is about 9 p / 2 units away (p = 11 parameters; chi-square with p degrees).
TEST(Streaming, OneReadingComesClose) {
  RandomStream stream(62);
  const Data data = two_experts(ExpertKind::linear, 10000, stream);
  const FitOptions options;
  const FitResult whole = fit(data, options);
  StreamingFit fitting(chunk_of(data, 0, 1000), options, {});
  const double first = fitting.model().log_likelihood(data);
  for (Eigen::Index at = 1000; at < data.rows(); at += 1000) fitting.online(chunk_of(data, at, 1000));
  const double recursive = fitting.model().log_likelihood(data);
  EXPECT_GT(recursive, first);
  EXPECT_LT(whole.log_likelihood - recursive, 1.0);
}

TEST(Streaming, WithoutPassesItSaysSo) {
  RandomStream stream(63);
  const Data data = two_experts(ExpertKind::linear, 3000, stream);
  StreamOptions none;
  none.passes = 0;
  none.gain = 1e-12;
  const FitResult result = streamed(data, {}, 300, none);
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(result.reason, StopReason::iteration_limit);
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_NE(result.warnings[0].find("--passes 0"), std::string::npos);
}

TEST(Streaming, GroupsAreRefused) {
  RandomStream stream(64);
  Data data = two_experts(ExpertKind::linear, 200, stream);
  data.weights.resize(0);
  for (int i = 0; i < 200; ++i) data.groups.push_back(i);
  EXPECT_THROW(StreamingFit(data, {}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
