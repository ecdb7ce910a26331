// Classification EM, stochastic EM and trimmed likelihood: what defines them, by brute force or in closed form.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/random.hpp"
#include "clearway/stat/fit.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// A mixture of N(-gap, 1) and N(gap, 1).
Data two_normals(std::uint64_t seed, Index n, double gap) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix(n, 0);
  data.gate_inputs = Matrix(n, 0);
  data.response = Matrix::NullaryExpr(n, 1, [&] { return (stream.uniform() < 0.4 ? gap : -gap) + stream.normal(); });
  return data;
}

FitOptions normal_options(FitMethod method) {
  FitOptions options;
  options.gate.kind = GateKind::constant;
  options.expert.kind = ExpertKind::constant;
  options.method = method;
  options.threads = 1;
  return options;
}

// The end of classification EM: every expert is the mean and standard deviation of the rows it is most responsible for,
// and the gate their share.
TEST(ClassificationEm, EndsWhereExpertsDescribeTheirRows) {
  const Data data = two_normals(1, 300, 1.2);
  const FitResult result = fit(data, normal_options(FitMethod::cem));
  const Matrix r = result.model.responsibilities(data);
  for (int k = 0; k < 2; ++k) {
    double count = 0, sum = 0, squares = 0;
    for (Index t = 0; t < 300; ++t)
      if (r(t, k) > 0.5) {
        count += 1;
        sum += data.response(t, 0);
        squares += data.response(t, 0) * data.response(t, 0);
      }
    const Expert& expert = result.model.experts[static_cast<std::size_t>(k)];
    EXPECT_NEAR(expert.parameters()(0), sum / count, 1e-10);
    EXPECT_NEAR(expert.sigma(), std::sqrt(squares / count - std::pow(sum / count, 2)), 1e-10);
    EXPECT_NEAR(std::exp(result.model.gate.log_weights(Matrix(1, 0))(0, k)), count / 300, 1e-8);
  }
  EXPECT_TRUE(result.converged);
  EXPECT_FALSE(result.warnings.empty());
  // Another estimator: below the maximum of the likelihood, by the truncated spread of overlapping experts.
  const FitResult ml = fit(data, normal_options(FitMethod::em));
  EXPECT_LT(result.log_likelihood, ml.log_likelihood - 0.1);
  EXPECT_LT(result.model.experts[0].sigma(), ml.model.experts[0].sigma());
}

// With a share g of missing information, a chain has variance g / (1 - g^2) and autocorrelation g, in units of the
// variance 1 / rows of the expert: the mean of 100 has standard deviation below sqrt(0.5 / 0.75 * 3 / 100) = 0.14 for
// g < 0.5 (these experts are five standard deviations apart). 3.5 of them.
TEST(StochasticEm, IsNearTheMaximum) {
  const Data data = two_normals(2, 500, 2.5);
  const FitResult ml = fit(data, normal_options(FitMethod::em)), sem = fit(data, normal_options(FitMethod::sem));
  for (std::size_t k = 0; k < 2; ++k) {
    const double error = 0.5 / std::sqrt(500 * ml.shares(static_cast<Index>(k)));
    EXPECT_NEAR(sem.model.experts[k].parameters()(0), ml.model.experts[k].parameters()(0), error);
  }
  EXPECT_GT(sem.log_likelihood, ml.log_likelihood - 1);
  EXPECT_LE(sem.log_likelihood, ml.log_likelihood + 1e-9);
  EXPECT_EQ(fit(data, normal_options(FitMethod::sem)).log_likelihood, sem.log_likelihood);  // seeded
}

// One linear expert: the trimmed likelihood is least trimmed squares, here over all 45 ways to leave 2 rows of 10 out.
TEST(TrimmedLikelihood, OneExpertIsLeastTrimmedSquares) {
  RandomStream stream(3);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(10, 1, [&] { return stream.uniform(-1, 1); });
  data.gate_inputs = data.expert_inputs;
  data.response = data.expert_inputs + 0.3 * Matrix::NullaryExpr(10, 1, [&] { return stream.normal(); });
  data.response(2, 0) += 3;
  data.response(7, 0) -= 2;
  FitOptions options;
  options.experts = 1;
  options.threads = 1;
  double best = std::numeric_limits<double>::infinity();
  std::vector<Index> left_out;
  for (Index i = 0; i < 10; ++i)
    for (Index j = i + 1; j < 10; ++j) {
      std::vector<Index> rows;
      for (Index t = 0; t < 10; ++t)
        if (t != i && t != j) rows.push_back(t);
      const Data kept = data.subset(rows);
      const Vector x = kept.expert_inputs.col(0).array() - kept.expert_inputs.mean();
      const Vector y = kept.response.col(0).array() - kept.response.mean();
      const double squares = (y - x * (x.dot(y) / x.squaredNorm())).squaredNorm();
      if (squares < best) {
        best = squares;
        left_out = {i, j};
      }
    }
  options.trim = 0.2;
  const FitResult result = fit(data, options);
  EXPECT_EQ(result.trimmed_rows, left_out);
  EXPECT_NEAR(result.model.experts[0].sigma(), std::sqrt(best / 8), 1e-8);
  EXPECT_EQ(result.rows, 8);
  options.trim = 0;
  EXPECT_TRUE(fit(data, options).trimmed_rows.empty());
}

TEST(TrimmedLikelihood, FindsGrossOutliersBetweenTwoExperts) {
  RandomStream stream(4);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(200, 1, [&] { return stream.uniform(-2, 2); });
  data.gate_inputs = data.expert_inputs;
  data.response.resize(200, 1);
  std::vector<Index> outliers;
  for (Index t = 0; t < 200; ++t) {
    const double x = data.expert_inputs(t, 0);
    data.response(t, 0) = (x > 0 ? 3 + x : -3 - 2 * x) + 0.3 * stream.normal();
    if (t % 20 == 7) {
      data.response(t, 0) = 15 + 5 * stream.normal();
      outliers.push_back(t);
    }
  }
  FitOptions options;
  options.threads = 1;
  options.trim = 0.05;
  const FitResult result = fit(data, options);
  EXPECT_EQ(result.trimmed_rows, outliers);
  for (const Expert& expert : result.model.experts) EXPECT_NEAR(expert.sigma(), 0.3, 0.3 * 4.5 / std::sqrt(2 * 80.0));
}

}  // namespace
}  // namespace clearway
