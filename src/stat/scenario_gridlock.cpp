// The gridlock scenario: unit regressors, gate directions orthogonal to their span, and every way to break that.
#include <Eigen/Cholesky>
#include <Eigen/QR>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/scenario.hpp"

namespace clearway::detail {
namespace {

bool is_single_index(ExpertKind kind) {
  return kind == ExpertKind::linear || kind == ExpertKind::sigmoid || kind == ExpertKind::tanh ||
         kind == ExpertKind::relu || kind == ExpertKind::leaky_relu || kind == ExpertKind::polynomial;
}

Matrix rows_of_length(Matrix rows, const Vector& lengths) {
  for (Eigen::Index i = 0; i < rows.rows(); ++i) rows.row(i) *= lengths(i) / rows.row(i).norm();
  return rows;
}

// rows minus their projection on the row span of `away` (k <= d assumed).
Matrix projected_off(const Matrix& rows, const Matrix& away) {
  const Eigen::HouseholderQR<Matrix> factors(away.transpose());
  const Matrix basis = factors.householderQ() * Matrix::Identity(away.cols(), away.rows());
  return rows - rows * basis * basis.transpose();
}

Matrix gmm_inputs(Eigen::Index rows, Eigen::Index dim, RandomStream& truth, RandomStream& stream) {
  Vector direction = normal_matrix(1, dim, truth).row(0).transpose();
  direction.normalize();
  Matrix x(rows, dim);
  for (Eigen::Index t = 0; t < rows; ++t) {
    const double side = stream.uniform() < 0.3 ? -1.5 : 1.5;
    for (Eigen::Index j = 0; j < dim; ++j) x(t, j) = side * direction(j) + stream.normal();
  }
  return x;
}

Matrix anisotropic_inputs(Eigen::Index rows, Eigen::Index dim, RandomStream& truth, RandomStream& stream) {
  const Matrix rotation = Eigen::HouseholderQR<Matrix>(normal_matrix(dim, dim, truth)).householderQ();
  const Vector mean = normal_matrix(1, dim, truth).row(0).transpose();
  Vector scale(dim);  // standard deviations from sqrt(10) down to 1/sqrt(10): condition 100 of the covariance
  for (Eigen::Index j = 0; j < dim; ++j)
    scale(j) = dim > 1 ? std::pow(10.0, 1.0 - static_cast<double>(j) / static_cast<double>(dim - 1)) : 1.0;
  scale /= std::pow(10.0, 0.5);
  const Matrix factor = rotation * scale.asDiagonal();
  return (normal_matrix(rows, dim, stream) * factor.transpose()).rowwise() + mean.transpose();
}

Matrix draw_inputs(const ScenarioOptions& options, RandomStream& truth, RandomStream& stream) {
  const auto rows = static_cast<Eigen::Index>(options.rows);
  const Eigen::Index dim = options.dim;
  Matrix x(rows, dim);
  switch (options.inputs) {
    case InputKind::gaussian:
      return normal_matrix(rows, dim, stream);
    case InputKind::logistic:  // variance of the logistic is pi^2 / 3
      for (Eigen::Index t = 0; t < rows; ++t)
        for (Eigen::Index j = 0; j < dim; ++j) {
          const double u = stream.uniform() + 0x1p-54;  // centre of the cell: never 0
          x(t, j) = std::sqrt(3.0) / M_PI * std::log(u / (1.0 - u));
        }
      return x;
    case InputKind::uniform:
      for (Eigen::Index t = 0; t < rows; ++t)
        for (Eigen::Index j = 0; j < dim; ++j) x(t, j) = stream.uniform(-std::sqrt(3.0), std::sqrt(3.0));
      return x;
    case InputKind::gmm:
      return gmm_inputs(rows, dim, truth, stream);
    case InputKind::student:  // t5 = normal / sqrt(chi2_5 / 5), variance 5/3; chi2_5 = 2 gamma(5/2)
      for (Eigen::Index t = 0; t < rows; ++t) {
        const double scale = std::sqrt(3.0 / (2.0 * stream.gamma(2.5)));
        for (Eigen::Index j = 0; j < dim; ++j) x(t, j) = scale * stream.normal();
      }
      return x;
    case InputKind::anisotropic:
      return anisotropic_inputs(rows, dim, truth, stream);
  }
  return x;
}

Vector normals(Eigen::Index count, double deviation, RandomStream& stream) {
  Vector values(count);
  for (Eigen::Index i = 0; i < count; ++i) values(i) = deviation * stream.normal();
  return values;
}

Expert single_expert(const ScenarioOptions& options, double intercept, const Vector& slopes) {
  ExpertSpec spec = options.expert;
  spec.variance = VarianceKind::shared;
  Expert expert(spec, options.dim);
  expert.parameters()(0) = intercept;
  expert.parameters().segment(1, options.dim) = slopes;
  expert.set_sigma(options.noise);
  return expert;
}

// m means that are independent copies of the scalar one, noise correlated 0.5 between any two responses.
Expert vector_expert(const ScenarioOptions& options, double intercept, const Matrix& slopes) {
  ExpertSpec spec = options.expert;
  Expert expert(spec, options.dim, options.responses);
  const Eigen::Index m = options.responses;
  const Eigen::Index block = 1 + options.dim;
  for (Eigen::Index j = 0; j < m; ++j) {
    expert.parameters()(j * block) = intercept;
    expert.parameters().segment(j * block + 1, options.dim) = slopes.row(j).transpose();
  }
  Matrix covariance = Matrix::Constant(m, m, 0.5 * options.noise * options.noise);
  covariance.diagonal().setConstant(options.noise * options.noise);
  const Matrix root = covariance.llt().matrixL();
  Eigen::Index position = m * block;
  for (Eigen::Index column = 0; column < m; ++column)
    for (Eigen::Index row = column; row < m; ++row)
      expert.parameters()(position++) = row == column ? std::log(root(row, row)) : root(row, column);
  return expert;
}

}  // namespace

void make_gridlock(Problem& problem) {
  const ScenarioOptions& options = problem.options;
  const bool vector_response = options.scenario == ScenarioKind::vector;
  if (!is_single_index(options.expert.kind))
    user_error("gridlock needs experts g(a'x + b): linear, sigmoid, tanh, relu, leaky-relu or polynomial, not {}",
               enum_name(options.expert.kind));
  if (vector_response && options.expert.kind != ExpertKind::linear)
    user_error("the scenario vector has linear experts, not {}", enum_name(options.expert.kind));
  if (options.orthogonal && options.dim <= options.experts)
    user_error("gates orthogonal to all regressors need dim above experts: dim is {}, experts {}", options.dim,
               options.experts);

  const auto seed = static_cast<std::uint64_t>(options.seed);
  RandomStream truth(seed, kTruthStream);
  RandomStream stream(seed, kInputStream);
  const Eigen::Index k = options.experts;
  const Eigen::Index d = options.dim;

  Vector lengths = Vector::Ones(k);
  for (std::size_t i = 0; i < options.norms.size(); ++i) lengths(static_cast<Eigen::Index>(i)) = options.norms[i];
  const Matrix regressors = rows_of_length(normal_matrix(k, d, truth), lengths);
  Matrix gate = normal_matrix(k, d, truth);
  if (options.orthogonal) gate = projected_off(gate, regressors);
  gate = rows_of_length(gate, Vector::Constant(k, options.gate_norm));
  gate.row(k - 1).setZero();
  const Vector expert_intercepts = normals(k, options.expert_intercepts, truth);
  Vector gate_intercepts = normals(k, options.gate_intercepts, truth);
  gate_intercepts(k - 1) = 0.0;

  problem.truth.gate = softmax_gate(gate_intercepts, gate);
  for (Eigen::Index i = 0; i < k; ++i) {
    if (vector_response) {
      Matrix slopes(options.responses, d);
      slopes.row(0) = regressors.row(i);
      slopes.bottomRows(options.responses - 1) = rows_of_length(normal_matrix(options.responses - 1, d, truth),
                                                                Vector::Constant(options.responses - 1, lengths(i)));
      problem.truth.experts.push_back(vector_expert(options, expert_intercepts(i), slopes));
    } else {
      problem.truth.experts.push_back(single_expert(options, expert_intercepts(i), regressors.row(i).transpose()));
    }
  }
  problem.data.expert_inputs = draw_inputs(options, truth, stream);
}

}  // namespace clearway::detail
