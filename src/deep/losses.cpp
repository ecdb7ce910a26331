#include "clearway/deep/losses.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::deep {

torch::Tensor load_balance_loss(const torch::Tensor& probabilities, const torch::Tensor& load) {
  return (load.detach() * probabilities.mean(0)).sum() * static_cast<double>(probabilities.size(1));
}

torch::Tensor squared_variation(const torch::Tensor& values) {
  // The small number lets all zeros have no variation; it changes no other value by more than 1e-10.
  return values.var(0, false) / (values.mean().square() + 1e-10);
}

torch::Tensor z_loss(const torch::Tensor& scores) {
  return scores.logsumexp(1).square().mean();
}

torch::Tensor entropy_loss(const torch::Tensor& scores) {
  const torch::Tensor log_p = scores.log_softmax(1);
  return -(log_p.exp() * log_p).sum(1).mean();
}

torch::Tensor entropy_balance_loss(const torch::Tensor& scores) {
  const torch::Tensor plain = scores.detach();
  if (scores.numel() > 0 && scores.size(1) > 1 && plain.min().item<double>() >= 0 &&
      (plain.sum(1) - 1).abs().max().item<double>() < 1e-5)
    user_error("entropy balance: wants scores, and these are probabilities (rows sum to 1, none negative)");
  const torch::Tensor log_mean =
      scores.log_softmax(1).logsumexp(0) - std::log(static_cast<double>(std::max<std::int64_t>(1, scores.size(0))));
  return (log_mean.exp() * log_mean).sum();
}

torch::Tensor diversity_loss(const torch::Tensor& winners, bool as_published) {
  const auto k = static_cast<double>(winners.size(1));
  // An expert without any active unit answers 0, which has no direction: it is similar to nothing, and the derivative of
  // its direction, which grows without bound towards 0, is left out.
  constexpr double kShortest = 1e-6;
  const torch::Tensor lengths = winners.square().sum(2, true);
  const torch::Tensor known = lengths.gt(kShortest * kShortest);
  const torch::Tensor units = winners * lengths.masked_fill(known.logical_not(), 1).rsqrt() * known;
  // The sum over pairs of different winners is |sum of units|^2 - sum of |unit|^2.
  const torch::Tensor pairs = units.sum(1).square().sum(1) - units.square().sum(2).sum(1);
  return pairs.mean() / (as_published ? k * k : std::max(1.0, k * (k - 1)));
}

torch::Tensor kl_distillation(const torch::Tensor& scores, const torch::Tensor& target) {
  const torch::Tensor fixed = target.detach();
  return (at::xlogy(fixed, fixed) - fixed * scores.log_softmax(1)).sum(1).mean();
}

torch::Tensor mse_distillation(const torch::Tensor& scores, const torch::Tensor& target) {
  return (scores.softmax(1) - target.detach()).square().mean();
}

torch::Tensor winner_distillation(const torch::Tensor& scores, const torch::Tensor& target,
                                  const torch::Tensor& winners) {
  return (scores.softmax(1) - target.detach()).gather(1, winners).square().mean();
}

}  // namespace clearway::deep
