// The rows of scores_reference.py, by the same formulas, and numbers as vectors.
#pragma once

#include <cmath>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway::test {

inline Vector numbers(const std::vector<double>& values) {
  return Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(values.size()));
}

struct ReferenceRows {
  Vector logit, probability, event;       // 60
  Matrix class_logit, class_probability;  // 60 x 3
  std::vector<int> classes;               // 60
  Vector number, guess, deviation;        // 60

  ReferenceRows() : logit(60), event(60), class_logit(60, 3), number(60), guess(60), deviation(60) {
    for (Eigen::Index row = 0; row < 60; ++row) {
      const double i = static_cast<double>(row + 1);
      logit(row) = std::floor(20 * std::sin(1.7 * i) + 0.5) / 10;
      event(row) = std::cos(0.9 * i) + 0.6 * std::sin(1.7 * i) > 0.3;
      class_logit.row(row) << std::sin(1.3 * i), 1.5 * std::cos(0.7 * i), std::sin(0.4 * i + 1);
      const Eigen::RowVector3d noise(std::sin(5.1 * i), std::cos(3.3 * i), std::sin(2.9 * i));
      Eigen::Index best = 0;
      (class_logit.row(row) + noise).maxCoeff(&best);
      classes.push_back(static_cast<int>(best));
      number(row) = std::floor(30 * std::sin(0.8 * i) + 0.5) / 10;
      guess(row) = 0.7 * number(row) + std::cos(2.1 * i);
      deviation(row) = 0.5 + 0.1 * static_cast<double>((row + 1) % 5);
    }
    probability = 1 / (1 + (-logit.array()).exp());
    class_probability = class_logit.array().exp();
    class_probability.array().colwise() /= class_probability.rowwise().sum().array().eval();
  }
};

}  // namespace clearway::test
