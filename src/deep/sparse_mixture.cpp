#include "clearway/deep/sparse_mixture.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::deep {
namespace {

/// What the layer mixes when the router had all experts answer: T x N x d picked by assignment.
torch::Tensor mix_responses(const torch::Tensor& responses, const Assignments& assignments) {
  const auto tokens = responses.size(0), experts = responses.size(1), width = responses.size(2);
  const torch::Tensor picked =
      responses.reshape({tokens * experts, width}).index_select(0, assignments.tokens * experts + assignments.experts);
  return at::zeros({tokens, width}, responses.options())
      .index_add(0, assignments.tokens, picked * assignments.weights.unsqueeze(1));
}

}  // namespace

SparseMixture::SparseMixture(const SparseMixtureOptions& options, int layer, int layers, std::int64_t vocabulary,
                             std::int64_t total_steps)
    : options_(options) {
  router_ =
      register_module("router", make_router(options.router, options.experts, layer, layers, vocabulary, total_steps));
  experts_ = register_module("experts", std::make_shared<ExpertBank>(options.experts));
  if (options.shared_experts > 0) {
    ExpertOptions shared = options.experts;
    shared.experts = options.shared_experts;
    shared_ = register_module("shared", std::make_shared<ExpertBank>(shared));
  }
}

SparseMixtureResult SparseMixture::forward(const RoutingRequest& request) {
  const torch::Tensor& x = request.x;
  if (x.dim() != 2 || x.size(1) != options_.experts.inputs)
    user_error("sparse mixture: inputs must have {} columns", options_.experts.inputs);
  SparseMixtureResult out;
  out.input = x;
  RoutingRequest seen = request;
  if (request.training && options_.jitter > 0)
    seen.x = x * at::empty_like(x).uniform_(1 - options_.jitter, 1 + options_.jitter);
  out.routing = router_->route(seen, *experts_);
  if (by_response_ && !request.training) {
    Routing& routing = out.routing;
    routing.responses = experts_->respond_all(x);
    routing.affinities = routing.responses.norm(2, 2);
    const auto best = routing.affinities.topk(options_.router.top_k, 1);
    routing.assignments = assignments_from_slots(std::get<1>(best), std::get<0>(best).softmax(1));
    routing.soft.reset();
    routing.pass_through = torch::Tensor();
    routing.competed = true;
  }
  Assignments& assignments = out.routing.assignments;
  if (options_.capacity > 0) {
    const double share = options_.capacity * static_cast<double>(options_.router.top_k * x.size(0)) /
                         static_cast<double>(options_.experts.experts);
    const auto before = assignments.count();
    assignments =
        with_capacity(assignments, options_.experts.experts, std::max<std::int64_t>(1, std::llround(std::ceil(share))));
    out.dropped = before - assignments.count();
  }
  out.output = out.routing.responses.defined() ? mix_responses(out.routing.responses, assignments)
                                               : experts_->mix(x, assignments);
  out.load = assignment_counts(assignments, options_.experts.experts) /
             static_cast<double>(std::max<std::int64_t>(1, assignments.count()));
  out.auxiliary_loss = out.routing.auxiliary_loss;
  if (shared_) out.output = out.output + shared_->respond_all(x).sum(1);
  return out;
}

}  // namespace clearway::deep
