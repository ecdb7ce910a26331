// Mean functions g of an expert with mean g(a'x + b), and hidden units of a network: value and two derivatives.
//
// The same code runs on arrays and on a single double (quadrature). The spectral constants of the response transforms
// and the Gauss-Newton weights of the M-step are built from the derivatives.
#pragma once

#include <algorithm>
#include <cmath>

#include "clearway/core/array.hpp"

namespace clearway {

enum class ActivationKind { identity, sigmoid, tanh, relu, leaky_relu, polynomial, gelu };

inline double log_sigmoid(double z) {
  return std::min(z, 0.0) - std::log1p(std::exp(-std::abs(z)));
}
inline double normal_cdf(double z) {
  return 0.5 * std::erfc(-z * 0.70710678118654752440);
}
inline double maximum(double z, double low) {
  return z > low ? z : low;
}
inline double at_least(double z, double low) {
  return z >= low ? 1.0 : 0.0;
}

/// g with its fixed settings. T is an Array or double in every function.
struct Activation {
  ActivationKind kind = ActivationKind::identity;
  double leak = 0.01;  ///< leaky ReLU: slope below zero
  int degree = 2;      ///< polynomial: the power, at least 1

  /// g(z): identity z; sigmoid 1/(1+e^-z); tanh z; ReLU max(z, 0); leaky ReLU max(z, 0) + leak min(z, 0); z^degree;
  /// GELU z Phi(z) with Phi the standard normal distribution function.
  template <class T>
  T value(const T& z) const;
  /// g'(z). At the kink of ReLU and leaky ReLU: the slope on the left.
  template <class T>
  T derivative(const T& z) const;
  /// g''(z); 0 for ReLU and leaky ReLU (where it exists).
  template <class T>
  T second_derivative(const T& z) const;

 private:
  template <class T>
  static T power(const T& z, int exponent) {
    T out = z * 0.0 + 1.0;
    for (int i = 0; i < exponent; ++i) out = out * z;
    return out;
  }
  template <class T>
  static T logistic(const T& z) {
    using std::exp;
    const T log_value = log_sigmoid(z);
    return exp(log_value);
  }
  template <class T>
  static T normal_density(const T& z) {
    using std::exp;
    const T exponent = z * z * -0.5;
    return exp(exponent) * 0.39894228040143267794;
  }
};

template <class T>
T Activation::value(const T& z) const {
  using std::tanh;
  switch (kind) {
    case ActivationKind::identity:
      return z;
    case ActivationKind::sigmoid:
      return logistic(z);
    case ActivationKind::tanh:
      return tanh(z);
    case ActivationKind::relu:
      return maximum(z, 0.0);
    case ActivationKind::leaky_relu: {
      const T positive = maximum(z, 0.0);
      return positive * (1.0 - leak) + z * leak;
    }
    case ActivationKind::polynomial:
      return power(z, degree);
    case ActivationKind::gelu:
      return z * normal_cdf(z);
  }
  user_error("unknown activation {}", static_cast<int>(kind));
}

template <class T>
T Activation::derivative(const T& z) const {
  using std::tanh;
  switch (kind) {
    case ActivationKind::identity:
      return z * 0.0 + 1.0;
    case ActivationKind::sigmoid: {
      const T s = logistic(z);
      return s * (1.0 - s);
    }
    case ActivationKind::tanh: {
      const T t = tanh(z);
      return 1.0 - t * t;
    }
    case ActivationKind::relu:
    case ActivationKind::leaky_relu: {
      const double below = kind == ActivationKind::relu ? 0.0 : leak;
      const T minus = -z;
      const T left = at_least(minus, 0.0);
      return (1.0 - left) + left * below;
    }
    case ActivationKind::polynomial:
      return power(z, degree - 1) * static_cast<double>(degree);
    case ActivationKind::gelu: {
      const T density = normal_density(z);
      return z * density + normal_cdf(z);
    }
  }
  user_error("unknown activation {}", static_cast<int>(kind));
}

template <class T>
T Activation::second_derivative(const T& z) const {
  using std::tanh;
  switch (kind) {
    case ActivationKind::sigmoid: {
      const T s = logistic(z);
      return s * (1.0 - s) * (1.0 - s * 2.0);
    }
    case ActivationKind::tanh: {
      const T t = tanh(z);
      return t * (t * t - 1.0) * 2.0;
    }
    case ActivationKind::polynomial:
      if (degree < 2) return z * 0.0;
      return power(z, degree - 2) * static_cast<double>(degree * (degree - 1));
    case ActivationKind::gelu:
      return normal_density(z) * (2.0 - z * z);
    case ActivationKind::identity:
    case ActivationKind::relu:
    case ActivationKind::leaky_relu:
      return z * 0.0;
  }
  user_error("unknown activation {}", static_cast<int>(kind));
}

}  // namespace clearway
