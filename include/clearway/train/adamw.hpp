// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101): Adam whose weight decay does not pass through the moments.
//
//   m_t = beta1 m_{t-1} + (1 - beta1) g,   v_t = beta2 v_{t-1} + (1 - beta2) g^2,
//   p_t = (1 - rate decay) p_{t-1} - rate / (1 - beta1^t) * m_t / (sqrt(v_t / (1 - beta2^t)) + epsilon),
//
// as torch::optim::AdamW computes it. In a sparse layer the optimiser touches every expert at every step, however few
// tokens it got; so float tensors on the CPU take one pass over memory instead of torch's ten. Others take torch operations.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace clearway::train {

/// A parameter with the name under which a checkpoint keeps it.
struct NamedTensor {
  std::string name;
  torch::Tensor tensor;
};

struct AdamWOptions {
  double beta1 = 0.9;          ///< memory of the gradient's mean, in [0, 1)
  double beta2 = 0.999;        ///< memory of its square, in [0, 1)
  double epsilon = 1e-8;       ///< added to the root, above 0
  double weight_decay = 0.01;  ///< 0 is off
};

class AdamW {
 public:
  /// Throws std::invalid_argument for options out of range, two equal names or an undefined tensor.
  AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options);

  const AdamWOptions& options() const { return options_; }

  /// Of the parameter of that name alone, for instance 0 for biases and norms. Throws where no parameter has the name.
  void set_weight_decay(const std::string& name, double weight_decay);

  /// One step at this rate. A parameter without gradient stays as it is, and so does its count of steps.
  void step(double rate);
  /// Forgets all gradients.
  void zero_grad();

  /// Per parameter `name`.exp_avg, `name`.exp_avg_sq and `name`.step (one int64): what a checkpoint needs. The tensors
  /// are those of the optimiser itself, not copies.
  std::vector<NamedTensor> state() const;
  /// Copies a state() of the same parameters. Throws std::invalid_argument for names or shapes that differ.
  void load_state(const std::vector<NamedTensor>& state);

 private:
  struct Entry {
    std::string name;
    torch::Tensor parameter, mean, square, step;
    double weight_decay;
  };

  void step_of(Entry& entry, double rate) const;

  AdamWOptions options_;
  std::vector<Entry> entries_;
};

/// Euclidean norm of all gradients together; 0 without any. Sums in a fixed order, so that it does not depend on the
/// number of threads.
double gradient_norm(const std::vector<NamedTensor>& parameters);
void scale_gradients(const std::vector<NamedTensor>& parameters, double factor);
/// Scales all gradients by maximum / norm where the norm is larger, and returns the norm before. A norm that is not
/// finite scales nothing. Throws std::invalid_argument unless maximum > 0.
double clip_gradient_norm(const std::vector<NamedTensor>& parameters, double maximum);

}  // namespace clearway::train
