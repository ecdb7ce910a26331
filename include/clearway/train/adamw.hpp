// AdamW with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101), and clipping of the gradient's norm.
//
//   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  t <- t + 1
//   p <- p - lr (wd p + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps))
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/train/tensors.hpp"

namespace clearway::train {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
};

/// One tensor to train; `decays`: whether weight decay applies.
struct AdamWParameter {
  std::string name;
  torch::Tensor tensor;
  bool decays = true;
};

class AdamW {
 public:
  AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options);

  /// One step with learning rate `rate` for all parameters that have a gradient.
  void step(double rate);
  /// Forgets all gradients.
  void zero_grad();

  std::vector<AdamWParameter>& parameters() { return parameters_; }
  std::int64_t steps() const { return steps_; }

  /// "mean.NAME" and "square.NAME" per parameter and "steps": tensors share storage with the optimiser.
  NamedTensors state() const;
  /// Throws std::invalid_argument, beginning with `source`, when names or shapes do not fit.
  void load_state(const NamedTensors& state, const std::string& source);

 private:
  std::vector<AdamWParameter> parameters_;
  std::vector<torch::Tensor> mean_, square_;
  AdamWOptions options_;
  std::int64_t steps_ = 0;
};

/// Scales all gradients so that their joint Euclidean norm is at most `largest` (0: only measures) and returns the norm
/// before. The sum is taken in double and in order, so that it does not depend on the number of threads.
double clip_gradients(std::vector<AdamWParameter>& parameters, double largest);

}  // namespace clearway::train
