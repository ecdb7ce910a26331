// Routing by competition: all experts answer, the strongest answers win, and the router learns who won.
// CompeteSMoE: Pham et al. 2024 (arXiv 2402.02526, v1), Nguyen et al. 2025 (arXiv 2505.13380, v2).
//
//   competition step   s_i affinity of expert i (affinity.hpp),  TopK(s),  y = sum_{i in TopK} w_i E_i(x)
//     v1       s = |E_i(x)|, w = softmax(s over TopK);   0.05 MSE(softmax(r), softmax(s over TopK), 0 elsewhere)
//     v2       s = mean softplus E_i(x), w = s / sum of s over TopK;   0.01 [MSE(softmax(r), softmax(s)) + 0.1 the same
//              over TopK] + 0.01 diversity + 0.01 balance(softmax(s))
//     compete  s as v2, z = s standardised over the experts of a token, w = softmax(b z over TopK);
//              0.1 KL(softmax(b z) || softmax(r)) + 0.01 balance(softmax(b z)),  b = target-sharpness
//   router step        TopK(r), w = softmax(r over TopK);  0.01 balance(softmax(r)), v2 also 0.001 z-loss
//
// Targets are detached; weights are not, so that the task teaches experts to respond where they are useful; the router
// r gets no gradient from the task in a competition step. Which steps compete is drawn before training
// (competition_schedule.hpp) and kept as a buffer; not while training the router decides and nothing random is drawn.
// Why `compete` differs: softmax(mean softplus) is flat, because affinities differ by little against their level, and
// the gradient of squared differences of softmaxes falls with the square of N; standardised targets with KL do neither.
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

/// The options of a competition with "the policy's own" resolved.
struct CompetitionPolicy {
  enum class Weights { softmax, share, standardised };
  Affinity affinity = Affinity::softplus;
  Weights weights = Weights::standardised;  ///< of the winners
  Distillation distillation = Distillation::kl;
  double rate = 0.07;
  std::int64_t most_layers = 3;
  double distillation_weight = 0.1, winner_weight = 0;
  double diversity = 0, competition_balance = 0.01;
  double balance = 0.01, z_loss = 0;
};
CompetitionPolicy competition_policy(const RouterOptions& options, std::int64_t layers);

class CompetitionRouter : public Router {
 public:
  /// options.router is compete, compete_v1 or compete_v2. total_steps 0: no step is scheduled.
  CompetitionRouter(const RouterOptions& options, const ExpertOptions& experts, int layer, int layers,
                    std::int64_t total_steps);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;
  Routing route_by_response(const RoutingRequest& request, ExpertBank& experts, std::int64_t count) override;

  const CompetitionPolicy& policy() const { return policy_; }
  /// Changes when experts compete, for instance to `oracle` for evaluating a trained network by competition.
  void set_use(CompetitionUse use) { options_.competition = use; }

  torch::Tensor schedule;  ///< buffer, one uint8 per training step: this layer's row of the table
  /// Responses of all experts are kept when they take fewer bytes than this; else they are computed in chunks.
  std::int64_t response_bytes = std::int64_t{64} << 20;

 private:
  bool competes(const RoutingRequest& request) const;
  Routing compete(const RoutingRequest& request, ExpertBank& experts, const torch::Tensor& scores) const;

  RouterOptions options_;
  CompetitionPolicy policy_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
