// Uses what the component core offers, and nothing of the floors above it: a gate whose weights are known.
#include <cmath>
#include <cstdio>

#include "clearway/core/eigen_array.hpp"
#include "clearway/core/gates/softmax.hpp"
#include "clearway/core/routing.hpp"

int main() {
  using Array = Eigen::ArrayXXd;
  const Array x = Array::Zero(4, 2);  // at the origin only the intercepts speak
  const clearway::SoftmaxGate gate;
  clearway::SoftmaxParameters<Array> parameters{.slopes = Array::Zero(2, 2), .intercepts = Array::Zero(1, 2)};
  parameters.intercepts(0, 0) = std::log(3.0);  // odds of 3 to 1

  const Array log_weights = gate.log_weights(x, parameters);
  const clearway::Matrix weights = log_weights.exp().matrix();
  std::printf("weights %.4f and %.4f\n", weights(0, 0), weights(0, 1));
  const clearway::Routing routing = clearway::route_top_k(log_weights.matrix(), 1);
  return std::abs(weights(3, 0) - 0.75) < 1e-15 && routing.experts(0, 0) == 0 ? 0 : 1;
}
