// A router looks at tokens and assigns them to experts; each policy is one file in routers/ behind this interface.
//
// Formulas, defaults and sources of every policy are in docs/routers.md and at the head of its file. A router keeps no
// state between calls but its parameters and registered buffers, so that a checkpoint is complete; what a call finds out
// is in the Routing it returns, auxiliary loss included, so that nothing of one step can leak into the next.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "clearway/deep/assignments.hpp"
#include "clearway/deep/expert_bank.hpp"
#include "clearway/deep/router_options.hpp"

namespace clearway::deep {

/// What a router is told about one forward pass of its layer.
struct RoutingRequest {
  torch::Tensor x;        ///< T x d, what the experts will see
  torch::Tensor ids{};    ///< T, int64 ids of the tokens; undefined when the layer has none (hash and stable need them)
  bool training = false;  ///< explicit: never guessed from requires_grad
  std::int64_t step = 0;  ///< training step, from 0
  torch::Tensor seen{};   ///< T x d, what the router sees where that is not x (jitter); undefined: x

  const torch::Tensor& router_input() const { return seen.defined() ? seen : x; }
};

/// Soft routing (Puigcerver et al. 2024): experts see mixtures of tokens. Slots are N x p, expert by expert.
struct SoftSlots {
  torch::Tensor dispatch;  ///< T x (N p), columns sum to 1
  torch::Tensor combine;   ///< T x (N p), rows sum to 1
};

/// What came out.
struct Routing {
  Assignments assignments;
  torch::Tensor scores;          ///< T x N, what the router selected by
  torch::Tensor probabilities;   ///< T x N, the router's distribution over experts; rows sum to 1
  torch::Tensor auxiliary_loss;  ///< a scalar, coefficients included; undefined when there is none
  /// What experts answered, when the router asked them already: the layer mixes from these. T x N x d, or A x d in the
  /// order of the assignments.
  torch::Tensor responses;
  torch::Tensor affinities;       ///< T x N, how strongly each expert answered, when it did
  std::optional<SoftSlots> soft;  ///< instead of assignments
  bool competed = false;          ///< whether the experts competed for these tokens
};

class Router : public torch::nn::Module {
 public:
  /// Throws std::invalid_argument when the request does not fit (no ids where they are needed, wrong width).
  virtual Routing route(const RoutingRequest& request, ExpertBank& experts) = 0;
  /// What the responses of all experts would decide, outside of training: by the policy's own competition where it has one,
  /// else the `count` largest norms, weighted by their softmax. `affinities` is there in any case.
  virtual Routing route_by_response(const RoutingRequest& request, ExpertBank& experts, std::int64_t count);
  /// Called once after every optimiser step with the load of that step, N numbers that sum to 1 (over all processes).
  virtual void after_step(const torch::Tensor& load, std::int64_t step) { (void)load, (void)step; }
  /// False when the routing of a token depends on later tokens: such a router must not be used in a language model.
  virtual bool causal() const { return true; }

  /// As of torch::nn::Module, but buffers of whole numbers (tables, schedules) keep their type, as in Python.
  using torch::nn::Module::to;
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;
};

/// Experts per token of a policy: its own number where it has one (1 for switch, stable and base, 2 for gshard, all for
/// dense), else options.top_k.
std::int64_t experts_per_token(const RouterOptions& options, std::int64_t experts);

/// The one place where a name becomes a router. `layer` of `layers` counts the sparse layers of the model: competition
/// schedules are drawn for all of them together. `total_steps` is the length of training, 0 for inference only.
std::shared_ptr<Router> make_router(const RouterOptions& options, const ExpertOptions& experts, int layer, int layers,
                                    std::int64_t vocabulary, std::int64_t total_steps);

}  // namespace clearway::deep
