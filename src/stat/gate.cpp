#include "clearway/stat/gate.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/core/gates/gaussian.hpp"
#include "clearway/core/gates/laplace.hpp"
#include "clearway/core/gates/quadratic.hpp"
#include "clearway/core/gates/sigmoid.hpp"
#include "clearway/core/gates/softmax.hpp"

namespace clearway {
namespace {

using Array2 = Eigen::ArrayXXd;
using Eigen::Index;

// Number of entries of a lower triangle.
int triangle(int q) {
  return q * (q + 1) / 2;
}

int quadratic_form_size(const GateSpec& spec, int q) {
  switch (spec.shape) {
    case QuadraticShape::full:
      return triangle(q);
    case QuadraticShape::diagonal:
      return q;
    case QuadraticShape::low_rank:
      return 2 * spec.rank * q;
  }
  return 0;
}

int linear_size(const GateSpec& spec, int q) {
  return spec.linear_term ? q : 0;
}

int block_size_of(const GateSpec& spec, int q) {
  switch (spec.kind) {
    case GateKind::equal:
      return 0;
    case GateKind::constant:
      return 1;
    case GateKind::softmax:
    case GateKind::sigmoid:
    case GateKind::laplace:
      return 1 + q;
    case GateKind::gaussian:
      return 1 + q + triangle(q);
    case GateKind::quadratic:
      return 1 + linear_size(spec, q) + quadratic_form_size(spec, q);
  }
  return 0;
}

// The parameters seen as one row per expert: k x block.
Array2 blocks_as_rows(const Vector& parameters, int experts, int block) {
  return Eigen::Map<const Matrix>(parameters.data(), block, experts).transpose().array();
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

// Lower-triangular factor of a Gaussian gate from its packed columns (diagonal stored as logarithm).
Matrix unpack_factor(const double* packed, int q) {
  Matrix factor = Matrix::Zero(q, q);
  for (int j = 0; j < q; ++j)
    for (int i = j; i < q; ++i, ++packed) factor(i, j) = i == j ? std::exp(*packed) : *packed;
  return factor;
}

}  // namespace

Gate::Gate(GateSpec spec, int inputs, int experts)
    : spec_(spec), inputs_(inputs), experts_(experts), block_size_(0), input_scale_(Vector::Ones(inputs)) {
  if (experts < 1) user_error("a gate needs at least 1 expert, not {}", experts);
  if (inputs < 0) user_error("a gate cannot have {} inputs", inputs);
  if (!(spec.temperature > 0)) user_error("gate temperature must be positive, not {}", spec.temperature);
  if (spec.kind == GateKind::quadratic && spec.shape == QuadraticShape::low_rank && spec.rank < 1)
    user_error("quadratic rank must be at least 1, not {}", spec.rank);
  block_size_ = block_size_of(spec, inputs);
  parameters_ = Vector::Zero(static_cast<Index>(experts) * block_size_);
}

bool Gate::pinned(Index i) const {
  const Index expert = i / block_size_;
  const Index offset = i % block_size_;
  if (expert != experts_ - 1) return false;
  switch (spec_.kind) {
    case GateKind::softmax:
    case GateKind::constant:
      return true;
    case GateKind::quadratic:
      return spec_.shape != QuadraticShape::low_rank || offset <= linear_size(spec_, inputs_);
    case GateKind::laplace:
    case GateKind::gaussian:
      return offset == 0;
    case GateKind::sigmoid:
    case GateKind::equal:
      return false;
  }
  return false;
}

int Gate::degrees_of_freedom() const {
  const int k = experts_, q = inputs_;
  if (k == 1) return 0;
  switch (spec_.kind) {
    case GateKind::equal:
      return 0;
    case GateKind::constant:
      return k - 1;
    case GateKind::softmax:
      return (k - 1) * (1 + q);
    case GateKind::sigmoid:
      return k * (1 + q);
    case GateKind::laplace:
      return k * q + k - 1;
    case GateKind::gaussian:  // the same family of weights as the full quadratic gate
      return (k - 1) * (1 + q + triangle(q));
    case GateKind::quadratic:
      if (spec_.shape == QuadraticShape::low_rank) {
        // Symmetric matrices of rank 2r have 2rq - r(2r - 1) free entries.
        const int r = spec_.rank;
        const int form = 2 * r >= q ? triangle(q) : 2 * r * q - r * (2 * r - 1);
        return (k - 1) * (1 + linear_size(spec_, q)) + k * form;
      }
      return (k - 1) * block_size_;
  }
  return 0;
}

void Gate::set_input_scale(const Vector& scale) {
  if (scale.size() != inputs_ || !(scale.array() > 0).all())
    user_error("the input scale of a gate needs {} positive numbers", inputs_);
  input_scale_ = scale;
}

Matrix Gate::scores(const ConstMatrixRef& x) const {
  if (x.cols() != inputs_) user_error("the gate was made for {} inputs, not {}", inputs_, x.cols());
  const int q = inputs_;
  if (spec_.kind == GateKind::equal) return Matrix::Zero(x.rows(), experts_);
  const Array2 rows = blocks_as_rows(parameters_, experts_, block_size_);
  const Array2 intercepts = rows.leftCols(1).transpose();
  switch (spec_.kind) {
    case GateKind::equal:
      break;
    case GateKind::constant:
      return intercepts.replicate(x.rows(), 1).matrix();
    case GateKind::softmax:
      return SoftmaxGate{.temperature = spec_.temperature}
          .scores(Array2(x), SoftmaxParameters<Array2>{.slopes = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    case GateKind::sigmoid:
      return SigmoidGate{.temperature = spec_.temperature}
          .scores(Array2(x), SigmoidParameters<Array2>{.slopes = rows.rightCols(q), .intercepts = intercepts})
          .matrix();
    case GateKind::laplace: {
      const auto inverse = input_scale_.array().inverse().transpose();
      const Array2 scaled = Array2(x).rowwise() * inverse;
      const Array2 centres = rows.rightCols(q).rowwise() * inverse;
      LaplaceGate gate;
      gate.temperature = spec_.temperature;
      return gate.scores(scaled, LaplaceParameters<Array2>{.centres = centres, .intercepts = intercepts}).matrix();
    }
    case GateKind::gaussian:
      return GaussianGate{}
          .scores(Array2(x), GaussianGateParameters<Array2>{.centres = rows.middleCols(1, q),
                                                            .factors = rows.rightCols(triangle(q)),
                                                            .intercepts = intercepts})
          .matrix();
    case GateKind::quadratic: {
      QuadraticGate gate;
      gate.form = core_form(spec_.shape);
      gate.rank = spec_.rank;
      gate.linear_term = spec_.linear_term;
      gate.temperature = spec_.temperature;
      const int linear = linear_size(spec_, q);
      QuadraticParameters<Array2> p{.slopes = rows.middleCols(1, linear),
                                    .forms = rows.rightCols(quadratic_form_size(spec_, q)),
                                    .intercepts = intercepts};
      return gate.scores(Array2(x), p).matrix();
    }
  }
  return Matrix::Zero(x.rows(), experts_);
}

Matrix Gate::log_weights(const ConstMatrixRef& x) const {
  Matrix t = scores(x);
  const Vector top = t.rowwise().maxCoeff();
  t.colwise() -= top;
  const Vector lse = t.array().exp().rowwise().sum().log();
  t.colwise() -= lse;
  return t;
}

bool Gate::is_linear() const {
  return spec_.kind == GateKind::softmax || spec_.kind == GateKind::constant ||
         (spec_.kind == GateKind::quadratic && spec_.shape != QuadraticShape::low_rank);
}

Matrix Gate::features(const ConstMatrixRef& x) const {
  const int q = inputs_;
  Matrix f(x.rows(), block_size_);
  f.col(0).setOnes();
  if (spec_.kind == GateKind::constant) return f;
  const int linear = spec_.kind == GateKind::quadratic ? linear_size(spec_, q) : q;
  if (linear > 0) f.middleCols(1, q) = x;
  if (spec_.kind == GateKind::quadratic) {
    int column = 1 + linear;
    for (int i = 0; i < q; ++i) {
      const int last = spec_.shape == QuadraticShape::full ? q - 1 : i;
      for (int j = i; j <= last; ++j) f.col(column++) = x.col(i).cwiseProduct(x.col(j));
    }
  }
  return f;
}

Matrix Gate::score_jacobian(const ConstMatrixRef& x, int expert) const {
  const int q = inputs_;
  const auto theta = block(expert);
  if (spec_.kind == GateKind::equal) return Matrix(x.rows(), 0);
  if (spec_.kind == GateKind::constant) return Matrix::Ones(x.rows(), 1);
  if (is_linear()) return features(x) / spec_.temperature;
  Matrix j(x.rows(), block_size_);
  j.col(0).setOnes();
  switch (spec_.kind) {
    case GateKind::sigmoid: {  // d log sigmoid(s) = 1 - sigmoid(s)
      const Vector s = ((x * theta.tail(q)).array() + theta(0)) / spec_.temperature;
      const Vector slope = (1.0 / (1.0 + s.array().exp())) / spec_.temperature;
      j.col(0) = slope;
      j.rightCols(q) = slope.asDiagonal() * x;
      break;
    }
    case GateKind::laplace: {
      const double smoothing = LaplaceGate{}.smoothing;
      Matrix difference = x.rowwise() - theta.tail(q).transpose();
      difference = difference * input_scale_.cwiseInverse().asDiagonal();
      const Vector distance = (difference.rowwise().squaredNorm().array() + smoothing * smoothing).sqrt();
      j.rightCols(q) = (distance.array() * spec_.temperature).inverse().matrix().asDiagonal() * difference *
                       input_scale_.cwiseInverse().asDiagonal();
      break;
    }
    case GateKind::gaussian: {
      const Matrix difference = x.rowwise() - theta.segment(1, q).transpose();
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
      const int linear = linear_size(spec_, q);
      if (linear > 0) j.middleCols(1, q) = x;
      for (int r = 0; r < spec_.rank; ++r) {
        const int at = 1 + linear + 2 * r * q;
        const Vector ux = x * theta.segment(at, q);
        const Vector vx = x * theta.segment(at + q, q);
        j.middleCols(at, q) = vx.asDiagonal() * x;
        j.middleCols(at + q, q) = ux.asDiagonal() * x;
      }
      j /= spec_.temperature;
      break;
    }
    default:
      break;
  }
  return j;
}

Matrix Gate::combination_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& values) const {
  const Matrix weights = log_weights(x).array().exp();
  const Vector combined = weights.cwiseProduct(values).rowwise().sum();
  Matrix j(x.rows(), parameters_.size());
  for (int k = 0; k < experts_; ++k) {
    const Vector slope = weights.col(k).cwiseProduct(values.col(k) - combined);  // d sum / d t_k
    j.middleCols(static_cast<Eigen::Index>(k) * block_size_, block_size_) = slope.asDiagonal() * score_jacobian(x, k);
  }
  return j;
}

// The change of scale x = (x_raw - centre) / scale, block by block; the inverse is the same with other arguments.
Gate Gate::on_raw_scale(const Vector& centre, const Vector& scale) const {
  const int q = inputs_;
  if (centre.size() != q || scale.size() != q) user_error("the scale of a gate needs {} numbers", q);
  Gate raw = *this;
  if (spec_.kind == GateKind::equal || spec_.kind == GateKind::constant) return raw;
  for (int k = 0; k < experts_; ++k) {
    auto b = raw.block(k);
    switch (spec_.kind) {
      case GateKind::softmax:
      case GateKind::sigmoid:
        b.tail(q) = b.tail(q).cwiseQuotient(scale).eval();
        b(0) -= b.tail(q).dot(centre);
        break;
      case GateKind::laplace:
        b.tail(q) = (centre + b.tail(q).cwiseProduct(scale)).eval();
        break;
      case GateKind::gaussian: {
        b.segment(1, q) = (centre + b.segment(1, q).cwiseProduct(scale)).eval();
        int at = 1 + q;
        for (int j = 0; j < q; ++j)
          for (int i = j; i < q; ++i, ++at) {
            if (i == j)
              b(at) -= std::log(scale(i));
            else
              b(at) /= scale(i);
          }
        break;
      }
      case GateKind::quadratic: {
        const int linear = linear_size(spec_, q);
        if (linear == 0 && !centre.isZero(0))
          throw std::logic_error("a quadratic gate without a linear term cannot be moved to another centre");
        Vector slopes = linear > 0 ? Vector(b.segment(1, q).cwiseQuotient(scale)) : Vector::Zero(q);
        double intercept = b(0) - slopes.dot(centre);
        int at = 1 + linear;
        if (spec_.shape == QuadraticShape::low_rank) {
          for (int r = 0; r < spec_.rank; ++r, at += 2 * q) {
            const Vector u = b.segment(at, q).cwiseQuotient(scale);
            const Vector v = b.segment(at + q, q).cwiseQuotient(scale);
            slopes -= u.dot(centre) * v + v.dot(centre) * u;
            intercept += u.dot(centre) * v.dot(centre);
            b.segment(at, q) = u;
            b.segment(at + q, q) = v;
          }
        } else {
          for (int i = 0; i < q; ++i) {
            const int last = spec_.shape == QuadraticShape::full ? q - 1 : i;
            for (int j = i; j <= last; ++j, ++at) {
              b(at) /= scale(i) * scale(j);
              slopes(i) -= b(at) * centre(j);
              slopes(j) -= b(at) * centre(i);
              intercept += b(at) * centre(i) * centre(j);
            }
          }
        }
        b(0) = intercept;
        if (linear > 0) b.segment(1, q) = slopes;
        break;
      }
      default:
        break;
    }
  }
  if (spec_.kind == GateKind::laplace) raw.input_scale_ = input_scale_.cwiseProduct(scale);
  return raw;
}

Gate Gate::on_standard_scale(const Vector& centre, const Vector& scale) const {
  return on_raw_scale(-centre.cwiseQuotient(scale), scale.cwiseInverse());
}

void Gate::pin() {
  if (experts_ == 0 || block_size_ == 0) return;
  Eigen::Map<Matrix> blocks(parameters_.data(), block_size_, experts_);
  int shared = 0;  // leading entries of a block that may be shifted together for all experts
  switch (spec_.kind) {
    case GateKind::softmax:
    case GateKind::constant:
      shared = block_size_;
      break;
    case GateKind::quadratic:
      shared = spec_.shape == QuadraticShape::low_rank ? 1 + linear_size(spec_, inputs_) : block_size_;
      break;
    case GateKind::laplace:
    case GateKind::gaussian:
      shared = 1;
      break;
    default:
      break;
  }
  const Vector last = blocks.col(experts_ - 1).head(shared);
  blocks.topRows(shared).colwise() -= last;
}

Gate Gate::permuted(const std::vector<int>& order) const {
  Gate result = *this;
  for (int k = 0; k < experts_; ++k) result.block(k) = block(order.at(static_cast<std::size_t>(k)));
  result.pin();
  return result;
}

std::vector<std::string> Gate::block_names(const std::vector<std::string>& input_names) const {
  const int q = inputs_;
  if (static_cast<int>(input_names.size()) != q) user_error("the gate needs {} input names", q);
  std::vector<std::string> names;
  if (spec_.kind == GateKind::equal) return names;
  names.push_back("(intercept)");
  if (spec_.kind == GateKind::constant) return names;
  const auto name = [&](int i) -> const std::string& { return input_names[static_cast<std::size_t>(i)]; };
  switch (spec_.kind) {
    case GateKind::laplace:
      for (int i = 0; i < q; ++i) names.push_back("centre " + name(i));
      break;
    case GateKind::gaussian:
      for (int i = 0; i < q; ++i) names.push_back("centre " + name(i));
      for (int j = 0; j < q; ++j)
        for (int i = j; i < q; ++i)
          names.push_back(i == j ? "log precision factor " + name(i) : "precision factor " + name(i) + ", " + name(j));
      break;
    case GateKind::quadratic:
      if (spec_.linear_term)
        for (int i = 0; i < q; ++i) names.push_back(name(i));
      if (spec_.shape == QuadraticShape::low_rank) {
        for (int r = 0; r < spec_.rank; ++r)
          for (const char* side : {"u", "v"})
            for (int i = 0; i < q; ++i) names.push_back(fmt::format("{}{} {}", side, r + 1, name(i)));
      } else {
        for (int i = 0; i < q; ++i) {
          const int last = spec_.shape == QuadraticShape::full ? q - 1 : i;
          for (int j = i; j <= last; ++j) names.push_back(i == j ? name(i) + "^2" : name(i) + "*" + name(j));
        }
      }
      break;
    default:
      for (int i = 0; i < q; ++i) names.push_back(name(i));
      break;
  }
  return names;
}

}  // namespace clearway
