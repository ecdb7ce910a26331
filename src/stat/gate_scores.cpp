#include "gate_scores.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/core/gates/activated.hpp"
#include "clearway/core/gates/cosine.hpp"
#include "clearway/core/gates/gaussian.hpp"
#include "clearway/core/gates/laplace.hpp"
#include "clearway/core/gates/quadratic.hpp"
#include "clearway/core/gates/sigmoid.hpp"
#include "clearway/core/gates/softmax.hpp"

namespace clearway::detail {
namespace {

using Array2 = Eigen::ArrayXXd;
using Eigen::Index;

// Number of entries of a lower triangle.
int triangle(int q) {
  return q * (q + 1) / 2;
}

QuadraticForm core_form(QuadraticShape shape) {
  switch (shape) {
    case QuadraticShape::full:
      return QuadraticForm::full;
    case QuadraticShape::diagonal:
      return QuadraticForm::diagonal;
    case QuadraticShape::low_rank:
      return QuadraticForm::low_rank;
  }
  return QuadraticForm::full;
}

Activation core_activation(GateActivation activation) {
  return {.kind = activation == GateActivation::tanh ? ActivationKind::tanh : ActivationKind::sigmoid};
}

// Lower-triangular factor of a Gaussian gate from its packed columns (diagonal stored as logarithm).
Matrix unpack_factor(const double* packed, int q) {
  Matrix factor = Matrix::Zero(q, q);
  for (int j = 0; j < q; ++j)
    for (int i = j; i < q; ++i, ++packed) factor(i, j) = i == j ? std::exp(*packed) : *packed;
  return factor;
}

Vector norms(const ConstMatrixRef& rows, double smoothing, double perturbation) {
  return (rows.rowwise().squaredNorm().array() + smoothing * smoothing).sqrt() + perturbation;
}

}  // namespace

int ScoreFamily::form_size() const {
  switch (spec.shape) {
    case QuadraticShape::full:
      return triangle(inputs);
    case QuadraticShape::diagonal:
      return inputs;
    case QuadraticShape::low_rank:
      return 2 * spec.rank * inputs;
  }
  return 0;
}

int ScoreFamily::linear_size() const {
  return spec.linear_term ? inputs : 0;
}

int ScoreFamily::block_size() const {
  switch (spec.kind) {
    case GateKind::equal:
    case GateKind::fixed:
      return 0;
    case GateKind::constant:
      return 1;
    case GateKind::gaussian:
      return 1 + inputs + triangle(inputs);
    case GateKind::quadratic:
      return 1 + linear_size() + form_size();
    default:
      return 1 + inputs;
  }
}

Matrix ScoreFamily::scores(const ConstMatrixRef& z, const ConstMatrixRef& blocks) const {
  const int q = inputs;
  if (blocks.rows() == 0) return Matrix::Zero(z.rows(), blocks.cols());
  const Array2 rows = blocks.transpose().array();
  const Array2 intercepts = rows.leftCols(1).transpose();
  switch (spec.kind) {
    case GateKind::constant:
      return intercepts.replicate(z.rows(), 1).matrix();
    case GateKind::softmax:
      return SoftmaxGate{.temperature = spec.temperature}
          .scores(Array2(z), SoftmaxParameters<Array2>{.slopes = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid:
      return SigmoidGate{.temperature = spec.temperature}
          .scores(Array2(z), SigmoidParameters<Array2>{.slopes = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    case GateKind::laplace: {
      const auto inverse = distance_scale.array().inverse().transpose();
      const Array2 scaled = Array2(z).rowwise() * inverse;
      const Array2 centres = rows.rightCols(q).rowwise() * inverse;
      LaplaceGate gate;
      gate.temperature = spec.temperature;
      return gate.scores(scaled, LaplaceParameters<Array2>{.centres = centres, .intercepts = intercepts}).matrix();
    }
    case GateKind::gaussian:
      return GaussianGate{}
          .scores(Array2(z), GaussianGateParameters<Array2>{.centres = rows.middleCols(1, q),
                                                            .factors = rows.rightCols(triangle(q)),
                                                            .intercepts = intercepts})
          .matrix();
    case GateKind::quadratic: {
      QuadraticGate gate;
      gate.form = core_form(spec.shape);
      gate.rank = spec.rank;
      gate.linear_term = spec.linear_term;
      gate.temperature = spec.temperature;
      const QuadraticParameters<Array2> p{
          .slopes = rows.middleCols(1, linear_size()), .forms = rows.rightCols(form_size()), .intercepts = intercepts};
      return gate.scores(Array2(z), p).matrix();
    }
    case GateKind::activated: {
      ActivatedGate gate;
      gate.activation = core_activation(spec.activation);
      gate.temperature = spec.temperature;
      return gate.scores(Array2(z), ActivatedParameters<Array2>{.slopes = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    }
    case GateKind::cosine: {
      CosineGate gate;
      gate.temperature = spec.temperature;
      gate.perturbation = spec.perturbation;
      return gate.scores(Array2(z), CosineParameters<Array2>{.directions = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    }
    case GateKind::equal:
    case GateKind::fixed:
    case GateKind::hierarchical:
      break;
  }
  throw std::logic_error("a gate of this kind has no family of scores");
}

bool ScoreFamily::is_linear() const {
  return spec.kind == GateKind::softmax || spec.kind == GateKind::constant ||
         (spec.kind == GateKind::quadratic && spec.shape != QuadraticShape::low_rank);
}

Matrix ScoreFamily::features(const ConstMatrixRef& z) const {
  const int q = inputs;
  Matrix f(z.rows(), block_size());
  f.col(0).setOnes();
  if (spec.kind == GateKind::constant) return f;
  const int linear = spec.kind == GateKind::quadratic ? linear_size() : q;
  if (linear > 0) f.middleCols(1, q) = z;
  if (spec.kind == GateKind::quadratic) {
    int column = 1 + linear;
    for (int i = 0; i < q; ++i) {
      const int last = spec.shape == QuadraticShape::full ? q - 1 : i;
      for (int j = i; j <= last; ++j) f.col(column++) = z.col(i).cwiseProduct(z.col(j));
    }
  }
  return f;
}

Matrix ScoreFamily::jacobian(const ConstMatrixRef& z, const ConstVectorRef& theta) const {
  const int q = inputs;
  const Index n = z.rows();
  if (theta.size() == 0) return Matrix(n, 0);
  if (spec.kind == GateKind::constant) return Matrix::Ones(n, 1);
  if (is_linear()) return features(z) / spec.temperature;
  Matrix j(n, block_size());
  j.col(0).setOnes();
  switch (spec.kind) {
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid: {  // d log sigmoid(s) = 1 - sigmoid(s)
      const Vector s = ((z * theta.tail(q)).array() + theta(0)) / spec.temperature;
      const Vector slope = (1.0 / (1.0 + s.array().exp())) / spec.temperature;
      j.col(0) = slope;
      j.rightCols(q) = slope.asDiagonal() * z;
      break;
    }
    case GateKind::laplace: {
      const double smoothing = LaplaceGate{}.smoothing;
      Matrix difference = z.rowwise() - theta.tail(q).transpose();
      difference = difference * distance_scale.cwiseInverse().asDiagonal();
      const Vector distance = norms(difference, smoothing, 0.0);
      j.rightCols(q) = (distance.array() * spec.temperature).inverse().matrix().asDiagonal() * difference *
                       distance_scale.cwiseInverse().asDiagonal();
      break;
    }
    case GateKind::gaussian: {
      const Matrix difference = z.rowwise() - theta.segment(1, q).transpose();
      const Matrix factor = unpack_factor(theta.data() + 1 + q, q);
      const Matrix u = difference * factor;  // rows: (L'(x - c))'
      j.middleCols(1, q) = u * factor.transpose();
      int column = 1 + q;
      for (int b = 0; b < q; ++b)
        for (int a = b; a < q; ++a, ++column) {
          if (a == b)
            j.col(column) = 1.0 - u.col(b).array() * difference.col(b).array() * factor(b, b);
          else
            j.col(column) = -u.col(b).cwiseProduct(difference.col(a));
        }
      break;
    }
    case GateKind::quadratic: {  // low rank
      const int linear = linear_size();
      if (linear > 0) j.middleCols(1, q) = z;
      for (int r = 0; r < spec.rank; ++r) {
        const int at = 1 + linear + 2 * r * q;
        const Vector uz = z * theta.segment(at, q);
        const Vector vz = z * theta.segment(at + q, q);
        j.middleCols(at, q) = vz.asDiagonal() * z;
        j.middleCols(at + q, q) = uz.asDiagonal() * z;
      }
      j /= spec.temperature;
      break;
    }
    case GateKind::activated: {
      const DoubleArray linear = (z * theta.tail(q)).array();
      const DoubleArray slope = core_activation(spec.activation).derivative(linear);
      j.rightCols(q) = slope.col(0).matrix().asDiagonal() * z;
      j /= spec.temperature;
      break;
    }
    case GateKind::cosine: {
      // d/dc of c'z / (r (R + theta)), r = |c| + theta: (z - (c'z / r) c / |c|) / (r R).
      const CosineGate gate{.perturbation = spec.perturbation};
      const Vector direction = theta.tail(q);
      const double length = std::sqrt(direction.squaredNorm() + gate.smoothing * gate.smoothing);
      const double r = length + gate.perturbation;
      const Vector scale = (norms(z, gate.smoothing, gate.perturbation) * (r * spec.temperature)).cwiseInverse();
      const Vector along = z * direction / (r * length);
      j.rightCols(q) = scale.asDiagonal() * (z - along * direction.transpose());
      break;
    }
    default:
      break;
  }
  return j;
}

Vector ScoreFamily::temperature_derivative(const ConstVectorRef& scores, double intercept) const {
  // activated: t = (g + b) / tau; cosine: t = b + cosine / tau.
  if (spec.kind == GateKind::cosine) return intercept - scores.array();
  return -scores;
}

int ScoreFamily::free_shift() const {
  switch (spec.kind) {
    case GateKind::softmax:
    case GateKind::constant:
      return block_size();
    case GateKind::quadratic:
      return spec.shape == QuadraticShape::low_rank ? 1 + linear_size() : block_size();
    case GateKind::laplace:
    case GateKind::gaussian:
    case GateKind::activated:
    case GateKind::cosine:
      return 1;
    default:
      return 0;
  }
}

int ScoreFamily::degrees_of_freedom(int members) const {
  const int k = members, q = inputs;
  if (k == 1 && spec.kind != GateKind::unnormalised_sigmoid) return 0;
  switch (spec.kind) {
    case GateKind::equal:
    case GateKind::fixed:
    case GateKind::hierarchical:
      return 0;
    case GateKind::constant:
      return k - 1;
    case GateKind::softmax:
      return (k - 1) * (1 + q);
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid:
      return k * (1 + q);
    case GateKind::laplace:
      return k * q + k - 1;
    case GateKind::activated:
      return k * q + k - 1 + (spec.estimate_temperature ? 1 : 0);
    case GateKind::cosine: {
      // The score is linear in u_k = c_k / ((|c_k| + theta) tau), so weights know differences of the u_k only; without
      // perturbation all u_k have the length 1 / tau.
      const bool perturbed = spec.perturbation > 0;
      const int directions = perturbed ? k * q : k * (q - 1) + (spec.estimate_temperature ? 1 : 0);
      return k - 1 + std::min(directions, (k - 1) * q);
    }
    case GateKind::gaussian:  // the same family of weights as the full quadratic gate
      return (k - 1) * (1 + q + triangle(q));
    case GateKind::quadratic:
      if (spec.shape == QuadraticShape::low_rank) {
        // Symmetric matrices of rank 2r have 2rq - r(2r - 1) free entries; weights know differences of them only.
        const int r = spec.rank;
        const int form = 2 * r >= q ? triangle(q) : 2 * r * q - r * (2 * r - 1);
        return (k - 1) * (1 + linear_size()) + std::min(k * form, (k - 1) * triangle(q));
      }
      return (k - 1) * block_size();
  }
  return 0;
}

}  // namespace clearway::detail
