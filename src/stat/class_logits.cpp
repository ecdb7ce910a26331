#include "class_logits.hpp"

#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

/// Ones and the inputs that are no attributes: n x (1 + w).
Matrix plain_design(const Expert& expert, const ConstMatrixRef& x) {
  Matrix design(x.rows(), 1 + expert.plain_inputs());
  design.col(0).setOnes();
  design.rightCols(expert.plain_inputs()) = x.leftCols(expert.plain_inputs());
  return design;
}

/// Attributes of class s less those of the last class: n x v.
Matrix attribute_differences(const Expert& expert, const ConstMatrixRef& x, int s) {
  const int c = expert.classes();
  Matrix differences(x.rows(), expert.attributes());
  for (Index v = 0, first = expert.plain_inputs(); v < differences.cols(); ++v, first += c)
    differences.col(v) = x.col(first + s) - x.col(first + c - 1);
  return differences;
}

}  // namespace

Matrix logit_log_probabilities(const Expert& expert, const ConstMatrixRef& x) {
  const int p = 1 + expert.plain_inputs(), c = expert.classes(), v = expert.attributes();
  Matrix eta = Matrix::Zero(x.rows(), c);
  for (int s = 0; s + 1 < c; ++s) {
    const auto b = expert.parameters().segment(static_cast<Index>(s) * p, p);
    eta.col(s) = ((x.leftCols(p - 1) * b.tail(p - 1)).array() + b(0)).matrix();
    if (v > 0) eta.col(s) += attribute_differences(expert, x, s) * expert.parameters().tail(v);
  }
  eta.colwise() -= eta.rowwise().maxCoeff().eval();
  eta.colwise() -= eta.array().exp().rowwise().sum().log().matrix().eval();
  return eta;
}

// With the residuals g_s = 1(y = s) - P(s): d/d(b_s, a_s) = g_s (1, z) and d/d beta = sum_s g_s (x_s - x_last).
Matrix logit_score_rows(const Expert& expert, const Data& data) {
  const int p = 1 + expert.plain_inputs(), v = expert.attributes();
  const Matrix probability = logit_log_probabilities(expert, data.expert_inputs).array().exp();
  const Matrix design = plain_design(expert, data.expert_inputs);
  Matrix u = Matrix::Zero(data.rows(), expert.parameters().size());
  for (int s = 0; s + 1 < expert.classes(); ++s) {
    const Vector g = (data.response.col(0).array() == s).cast<double>().matrix() - probability.col(s);
    u.middleCols(static_cast<Index>(s) * p, p) = g.asDiagonal() * design;
    if (v > 0) u.rightCols(v) += g.asDiagonal() * attribute_differences(expert, data.expert_inputs, s);
  }
  return u;
}

// Minus the covariance of the regressors of a class drawn with probabilities P. For an attribute, whose regressor is
// x_s - x_last whatever the class: -P(s) (x_s - mean) with the mean over the classes.
Matrix logit_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r) {
  const Index p = 1 + expert.plain_inputs(), v = expert.attributes(), free = expert.classes() - 1;
  const Matrix probability = logit_log_probabilities(expert, data.expert_inputs).array().exp();
  const Matrix design = plain_design(expert, data.expert_inputs);
  Matrix h = Matrix::Zero(expert.parameters().size(), expert.parameters().size());
  for (Index s = 0; s < free; ++s)
    for (Index t = s; t < free; ++t) {
      const Vector w = r.array() * probability.col(s).array() * ((s == t ? 1.0 : 0.0) - probability.col(t).array());
      const Matrix block = symmetric_product(design, -w);
      h.block(s * p, t * p, p, p) = block;
      h.block(t * p, s * p, p, p) = block.transpose();
    }
  if (v == 0) return h;
  std::vector<Matrix> attributes;
  Matrix mean = Matrix::Zero(data.rows(), v);
  for (int s = 0; s < expert.classes(); ++s) {
    attributes.push_back(attribute_differences(expert, data.expert_inputs, s));
    mean += probability.col(s).asDiagonal() * attributes.back();
  }
  for (Index s = 0; s <= free; ++s) {
    const Matrix centred = attributes[static_cast<std::size_t>(s)] - mean;
    const Vector w = r.cwiseProduct(probability.col(s));
    h.bottomRightCorner(v, v) -= symmetric_product(centred, w);
    if (s == free) continue;
    const Matrix block = centred.transpose() * (w.asDiagonal() * design);  // v x p
    h.block(free * p, s * p, v, p) = -block;
    h.block(s * p, free * p, p, v) = -block.transpose();
  }
  return h;
}

}  // namespace clearway::detail
