// Rows 1, 2, 17 and 18 of the acceptance table: constants, population tensors, the quartic loss, CPU time.
#include <Eigen/QR>
#include <ctime>

#include "clearway/stat/fit.hpp"
#include "clearway/stat/quartic_loss.hpp"
#include "clearway/stat/response_transform.hpp"
#include "clearway/stat/study_acceptance.hpp"
#include "clearway/stat/tensor_decomposition.hpp"
#include "study_problem.hpp"
#include "study_statistics.hpp"

namespace clearway::detail {
namespace {

const double kDensityAtZero = 1.0 / std::sqrt(2.0 * M_PI);

struct Constants {
  double alpha, b, gamma, c2, c3;
};

// (Leaky) ReLU of slope s below zero, from E[z_+^r He_m] = 2^{m/2} Gamma((m + 1)/2) / (2 sqrt(pi)) and symmetry.
Constants leaky_constants(double s) {
  const double c = kDensityAtZero;
  const double c2 = 1 + s * s - 2 / M_PI * (1 - s) * (1 - s);
  const double alpha = -3 * c * (1 - s) * (1 + 3 * s + s * s) / c2;
  return {alpha, -3 * (1 - s + s * s) - 4 * c * (1 - s) * alpha, -4 * c * (1 - s), c2,
          3 * (1 + s * s * s) + 2 * c * (1 - s * s) * alpha};
}

double relative_error(const ResponseTransform& transform, const Constants& expected) {
  const auto error = [](double value, double truth) {
    return truth == 0.0 ? std::abs(value) : std::abs(value / truth - 1.0);
  };
  return std::max({error(transform.alpha, expected.alpha), error(transform.b, expected.b),
                   error(transform.gamma, expected.gamma), error(transform.c2, expected.c2),
                   error(transform.c3, expected.c3)});
}

double largest_null(const ResponseTransform& transform) {
  double value = 0.0;
  for (const double condition : transform.null_conditions()) value = std::max(value, std::abs(condition));
  return value;
}

void constants_row(std::vector<AcceptanceLine>& lines) {
  struct Case {
    ExpertSpec spec;
    Constants expected;
    double tolerance;
    const char* name;
  };
  // Sigmoid and tanh: figures of an independent trapezoid sum (gridlock note, section 2), good to their last digit.
  const std::vector<Case> cases{
      {{.kind = ExpertKind::linear}, {0, -3, 0, 2, 6}, 1e-14, "linear"},
      {{.kind = ExpertKind::sigmoid}, {-1.5, 0.650992626083, -1, 6.2396483959e-2, 2.2768577653e-2}, 1e-9, "sigmoid"},
      {{.kind = ExpertKind::tanh}, {0, -0.699857958598, 0, 3.6359537628e-1, 2.3345663827e-1}, 1e-9, "tanh"},
      {{.kind = ExpertKind::relu}, leaky_constants(0.0), 1e-9, "relu"},
      {{.kind = ExpertKind::leaky_relu, .leak = 0.01}, leaky_constants(0.01), 1e-9, "leaky-relu 0.01"},
      {{.kind = ExpertKind::leaky_relu, .leak = 0.2}, leaky_constants(0.2), 1e-9, "leaky-relu 0.2"}};
  for (const Case& one : cases) {
    const ResponseTransform transform = response_transform(one.spec);
    lines.push_back({.row = 1,
                     .check = "constants of the transforms, relative error",
                     .setting = one.name,
                     .measured = relative_error(transform, one.expected),
                     .high = one.tolerance,
                     .note = {}});
    lines.push_back({.row = 1,
                     .check = "null conditions, largest",
                     .setting = one.name,
                     .measured = largest_null(transform),
                     .high = 1e-10,
                     .note = {}});
  }
}

void population_row(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines) {
  constexpr Eigen::Index dim = 10;
  for (const int k : {2, 3, 4}) {
    double regressor_error = 0.0;
    double weight_error = 0.0;
    for (int s = 0; s < options.seeds; ++s) {
      RandomStream stream(static_cast<std::uint64_t>(options.seed * 1000000 + 1000 * k + s), kTruthStream);
      const Matrix a = normal_matrix(k, dim, stream).rowwise().normalized();
      Vector weights(k);
      for (int i = 0; i < k; ++i) weights(i) = stream.uniform(0.5, 1.5);
      weights /= weights.sum();
      const Matrix m2 = a.transpose() * weights.asDiagonal() * a;
      SymmetricTensor3 t3(dim);
      for (int i = 0; i < k; ++i) t3.add_rank_one(weights(i), a.row(i).transpose());
      const RankOneTerms terms = decompose(m2, t3, k, DecompositionOptions{});
      const Alignment alignment = align_regressors(terms.vectors.transpose(), a);
      regressor_error = std::max(regressor_error, alignment.error);
      for (int i = 0; i < k; ++i)
        weight_error =
            std::max(weight_error, std::abs(terms.weights(alignment.order[static_cast<std::size_t>(i)]) - weights(i)));
    }
    const std::string setting = fmt::format("k={} d=10", k);
    lines.push_back({.row = 2,
                     .check = "regressors from exact tensors, largest error",
                     .setting = setting,
                     .measured = regressor_error,
                     .high = 1e-8,
                     .note = {}});
    lines.push_back({.row = 2,
                     .check = "shares from exact tensors, largest error",
                     .setting = setting,
                     .measured = weight_error,
                     .high = 1e-8,
                     .note = {}});
  }
}

// k unit vectors of 6 dimensions in an orthonormal basis of their span: k x k, columns are experts.
Matrix projected_vectors(int k, RandomStream& stream) {
  const Matrix a = normal_matrix(k, 6, stream).rowwise().normalized();
  const Eigen::HouseholderQR<Matrix> factors(a.transpose());
  const Matrix basis = factors.householderQ() * Matrix::Identity(6, k);
  return (a * basis).transpose();
}

void quartic_row(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines) {
  constexpr int k = 3;
  constexpr int starts = 30;
  RandomStream stream(static_cast<std::uint64_t>(options.seed), kTruthStream);
  const Matrix vectors = projected_vectors(k, stream);
  const Vector weights{{0.25, 0.35, 0.40}};
  const QuarticLoss loss(population_quartic_moments(weights, vectors), QuarticLossOptions{});

  // Central differences with step h = 1e-4 are off by h^2 and by rounding / h: about 1e-8 relative.
  double gradient_error = 0.0;
  const Matrix point = normal_matrix(k, k, stream);
  Matrix gradient(k, k);
  loss.value(point, &gradient);
  for (Eigen::Index i = 0; i < point.size(); ++i) {
    constexpr double h = 1e-4;
    Matrix up = point, down = point;
    up(i) += h;
    down(i) -= h;
    gradient_error = std::max(gradient_error, std::abs((loss.value(up) - loss.value(down)) / (2 * h) - gradient(i)));
  }
  int reached = 0;
  for (int start = 0; start < starts; ++start) {
    const QuarticMinimum minimum = minimise(loss, normal_matrix(k, k, stream));
    const Matrix found = directions_of(minimum.b);
    Matrix cost = relative_distances(found, vectors.transpose());
    cost = cost.cwiseMin(relative_distances(-found, vectors.transpose()));  // the quartic loss is even
    const std::vector<int> order = bottleneck_assignment(cost);
    double error = 0.0;
    for (int i = 0; i < k; ++i) error = std::max(error, cost(order[static_cast<std::size_t>(i)], i));
    reached += error < 1e-6 ? 1 : 0;
  }
  lines.push_back({.row = 17,
                   .check = "quartic loss: gradient against differences, relative",
                   .setting = "k=3, population",
                   .measured = gradient_error / gradient.norm(),
                   .high = 1e-8,
                   .note = {}});
  lines.push_back({.row = 17,
                   .check = "quartic loss: starts of 30 that reach the truth",
                   .setting = "k=3 d=6, population",
                   .measured = static_cast<double>(reached),
                   .low = 29,
                   .note = {}});
}

// CPU seconds of the calling thread.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

void acceptance_exact(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines) {
  if (wants(options, 1)) constants_row(lines);
  if (wants(options, 2)) population_row(options, lines);
  if (wants(options, 17)) quartic_row(options, lines);
}

void acceptance_time(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines) {
  if (!wants(options, 18)) return;
  StudyCell cell;
  cell.problem.experts = 3;
  cell.problem.rows = 20000;
  std::vector<double> spectral_seconds, pipeline_seconds;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const Problem problem = trial_problem(cell, repeat, options.seed);
    const JointProblem joint = as_joint_problem(problem);
    const double begin = thread_seconds();
    spectral_regressors(joint.x, joint.y, spectral_options(cell, problem.options.seed));
    const double middle = thread_seconds();
    FitOptions pipeline;
    pipeline.experts = cell.problem.experts;
    pipeline.method = FitMethod::spectral;
    pipeline.threads = 1;
    fit(problem.data, pipeline);
    const double end = thread_seconds();
    spectral_seconds.push_back(middle - begin);
    pipeline_seconds.push_back(end - middle);
  }
  lines.push_back({.row = 18,
                   .check = "CPU seconds, spectral regressors, one thread",
                   .setting = "k=3 n=20000",
                   .measured = median(spectral_seconds),
                   .high = 0.015,
                   .note = {}});
  lines.push_back({.row = 18,
                   .check = "CPU seconds, fit() by the spectral method, one thread",
                   .setting = "k=3 n=20000",
                   .measured = median(pipeline_seconds),
                   .high = 0.2,
                   .note = {}});
}

}  // namespace clearway::detail
