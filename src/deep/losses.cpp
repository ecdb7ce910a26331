#include "clearway/deep/losses.hpp"

namespace clearway::deep {

torch::Tensor load_balance_loss(const torch::Tensor& probabilities, const torch::Tensor& load) {
  return (load.detach() * probabilities.mean(0)).sum() * static_cast<double>(probabilities.size(1));
}

}  // namespace clearway::deep
