// The sparse mixture-of-experts layer: router, dispatch, experts, combine.
//
//   y_t = sum_{(t, i, w)} w E_i(x_t)  (+ shared experts)
//
// (Shazeer et al. 2017, arXiv 1701.06538; Fedus et al. 2022, arXiv 2101.03961.) The layer returns what happened beside
// the output; it stores nothing between calls.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "clearway/deep/expert_bank.hpp"
#include "clearway/deep/router.hpp"
#include "clearway/deep/row_exchange.hpp"

namespace clearway::deep {

/// A sparse layer.
struct SparseMixtureOptions {
  ExpertOptions experts;
  RouterOptions router;
  std::int64_t shared_experts = 0;  ///< experts that every token visits beside the routed ones, weight 1
  double capacity = 0;              ///< capacity factor: an expert takes at most capacity K T / N tokens; 0: dropless
  double expert_dropout = 0;        ///< chance that an assignment is dropped while training; the others weigh 1/(1-p)
  double jitter = 0;                ///< while training the router sees x times uniform [1 - jitter, 1 + jitter]
};

/// Output and account of one call.
struct SparseMixtureResult {
  torch::Tensor output;          ///< T x d
  torch::Tensor input;           ///< T x d, what came in
  torch::Tensor auxiliary_loss;  ///< scalar or undefined
  Routing routing;               ///< for diagnosis: detached, without responses, slots and loss
  torch::Tensor load;        ///< N, share of the assignments made (soft slots: of the weight), before any is dropped
  std::int64_t dropped = 0;  ///< assignments over capacity
};

class SparseMixture : public torch::nn::Module {
 public:
  SparseMixture(const SparseMixtureOptions& options, int layer = 0, int layers = 1, std::int64_t vocabulary = 0,
                std::int64_t total_steps = 0);

  /// x T x d. Throws std::invalid_argument for another width.
  SparseMixtureResult forward(const RoutingRequest& request);

  /// Outside of training: whether the responses of all experts decide instead of the router (route_by_response()).
  void decide_by_response(bool yes) { by_response_ = yes; }

  /// Expert parallelism: keeps the experts of this process only and lets tokens travel to the others'. From then on all
  /// processes call forward() together. Throws std::invalid_argument where the number of processes does not divide that
  /// of experts, and for routers that ask all experts about every token.
  void spread(RowExchange& exchange);
  /// Brings all experts back to every process.
  void gather();
  bool is_spread() const { return exchange_ != nullptr; }

  const SparseMixtureOptions& options() const { return options_; }
  /// Expert evaluations since the last reset, shared experts included.
  std::int64_t evaluations() const { return experts_->evaluations() + (shared_ ? shared_->evaluations() : 0); }
  void reset_evaluations();

  Router& router() { return *router_; }
  ExpertBank& experts() { return *experts_; }
  const ExpertBank& experts() const { return *experts_; }

 private:
  SparseMixtureOptions options_;
  std::shared_ptr<Router> router_;
  std::shared_ptr<ExpertBank> experts_;
  bool by_response_ = false;
  RowExchange* exchange_ = nullptr;     ///< not null: experts_ holds those of this process alone
  std::shared_ptr<ExpertBank> shared_;  ///< null without shared experts
};

}  // namespace clearway::deep
