// Gates under a change of units of the inputs, and what their parameters are called.
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/gate.hpp"
#include "gate_scores.hpp"

namespace clearway {

namespace detail {

// The change of scale x = (x_raw - centre) / scale of one block; the inverse is the same with other arguments.
void ScoreFamily::move_block(const Vector& centre, const Vector& scale, Eigen::Ref<Vector> b) const {
  const int q = inputs;
  switch (spec.kind) {
    case GateKind::softmax:
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid:
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
      const int linear = linear_size();
      Vector slopes = linear > 0 ? Vector(b.segment(1, q).cwiseQuotient(scale)) : Vector::Zero(q);
      double intercept = b(0) - slopes.dot(centre);
      int at = 1 + linear;
      if (spec.shape == QuadraticShape::low_rank) {
        for (int r = 0; r < spec.rank; ++r, at += 2 * q) {
          const Vector u = b.segment(at, q).cwiseQuotient(scale);
          const Vector v = b.segment(at + q, q).cwiseQuotient(scale);
          slopes -= u.dot(centre) * v + v.dot(centre) * u;
          intercept += u.dot(centre) * v.dot(centre);
          b.segment(at, q) = u;
          b.segment(at + q, q) = v;
        }
      } else {
        for (int i = 0; i < q; ++i) {
          const int last = spec.shape == QuadraticShape::full ? q - 1 : i;
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

std::vector<std::string> ScoreFamily::names(const std::vector<std::string>& input_names) const {
  const int q = inputs;
  std::vector<std::string> names;
  if (block_size() == 0) return names;
  names.emplace_back("(intercept)");
  if (spec.kind == GateKind::constant) return names;
  const auto name = [&](int i) {
    const std::string& input = input_names[static_cast<std::size_t>(i)];
    return spec.transform == GateTransform::none ? input : fmt::format("{}({})", enum_name(spec.transform), input);
  };
  const auto add_all = [&](const char* before) {
    for (int i = 0; i < q; ++i) names.push_back(before + name(i));
  };
  switch (spec.kind) {
    case GateKind::laplace:
      add_all("centre ");
      break;
    case GateKind::cosine:
      add_all("direction ");
      break;
    case GateKind::gaussian:
      add_all("centre ");
      for (int j = 0; j < q; ++j)
        for (int i = j; i < q; ++i)
          names.push_back(i == j ? "log precision factor " + name(i) : "precision factor " + name(i) + ", " + name(j));
      break;
    case GateKind::quadratic:
      if (spec.linear_term) add_all("");
      if (spec.shape == QuadraticShape::low_rank) {
        for (int r = 0; r < spec.rank; ++r)
          for (const char* side : {"u", "v"})
            for (int i = 0; i < q; ++i) names.push_back(fmt::format("{}{} {}", side, r + 1, name(i)));
      } else {
        for (int i = 0; i < q; ++i) {
          const int last = spec.shape == QuadraticShape::full ? q - 1 : i;
          for (int j = i; j <= last; ++j) names.push_back(i == j ? name(i) + "^2" : name(i) + "*" + name(j));
        }
      }
      break;
    default:
      add_all("");
      break;
  }
  return names;
}

}  // namespace detail

void Gate::set_input_scale(const Vector& scale) {
  set_units(input_centre_, scale);
}

void Gate::set_units(const Vector& centre, const Vector& scale) {
  if (scale.size() != inputs_ || !(scale.array() > 0).all())
    user_error("the input scale of a gate needs {} positive numbers", inputs_);
  if (centre.size() != inputs_ || !centre.allFinite())
    user_error("the input centre of a gate needs {} finite numbers", inputs_);
  input_centre_ = centre;
  input_scale_ = scale;
}

bool Gate::keeps_units() const {
  if (!gate_reads_inputs(spec_.kind)) return false;
  return spec_.transform != GateTransform::none || spec_.kind == GateKind::activated || spec_.kind == GateKind::cosine;
}

bool Gate::may_be_shifted() const {
  if (keeps_units() || !gate_reads_inputs(spec_.kind)) return true;
  if (spec_.kind == GateKind::quadratic && !spec_.linear_term) return false;
  const bool centred = spec_.kind == GateKind::laplace || spec_.kind == GateKind::gaussian;
  return is_smooth() || spec_.top_k_rule == TopKRule::score || centred;
}

Matrix Gate::seen(const ConstMatrixRef& x) const {
  if (x.cols() != inputs_) user_error("the gate was made for {} inputs, not {}", inputs_, x.cols());
  if (!keeps_units()) return x;
  Matrix z = (x.rowwise() - input_centre_.transpose()) * input_scale_.cwiseInverse().asDiagonal();
  if (spec_.transform == GateTransform::tanh) z = z.array().tanh();
  if (spec_.transform == GateTransform::sigmoid) z = (1.0 + (-z.array()).exp()).inverse();
  return z;
}

Gate Gate::on_raw_scale(const Vector& centre, const Vector& scale) const {
  if (centre.size() != inputs_ || scale.size() != inputs_) user_error("the scale of a gate needs {} numbers", inputs_);
  Gate raw = *this;
  if (keeps_units()) {
    raw.input_centre_ = centre + scale.cwiseProduct(input_centre_);
    raw.input_scale_ = input_scale_.cwiseProduct(scale);
    return raw;
  }
  if (!may_be_shifted() && !centre.isZero(0))
    throw std::logic_error("a gate that keeps the origin of its inputs cannot be moved to another centre");
  const GateKind kind = block_kind();
  const detail::ScoreFamily experts = family(kind);
  for (int k = 0; k < experts_; ++k) experts.move_block(centre, scale, raw.block(k));
  bool distances = kind == GateKind::laplace;
  if (spec_.kind == GateKind::hierarchical) {
    const detail::ScoreFamily between = family(group_kind());
    for (int g = 0; g < groups_; ++g) between.move_block(centre, scale, raw.group_block(g));
    distances = distances || group_kind() == GateKind::laplace;
  }
  if (distances) raw.input_scale_ = input_scale_.cwiseProduct(scale);
  return raw;
}

Gate Gate::on_standard_scale(const Vector& centre, const Vector& scale) const {
  return on_raw_scale(-centre.cwiseQuotient(scale), scale.cwiseInverse());
}

std::vector<std::string> Gate::block_names(const std::vector<std::string>& input_names) const {
  if (static_cast<int>(input_names.size()) != inputs_) user_error("the gate needs {} input names", inputs_);
  return family(block_kind()).names(input_names);
}

std::vector<std::string> Gate::shared_names(const std::vector<std::string>& input_names) const {
  if (static_cast<int>(input_names.size()) != inputs_) user_error("the gate needs {} input names", inputs_);
  std::vector<std::string> names;
  if (spec_.kind == GateKind::hierarchical)
    for (int g = 0; g < groups_; ++g)
      for (const std::string& name : family(group_kind()).names(input_names))
        names.push_back(fmt::format("group {} {}", g + 1, name));
  if (estimates_temperature()) names.emplace_back("log(temperature)");
  return names;
}

}  // namespace clearway
