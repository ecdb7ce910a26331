#include "clearway/deep/routers/top_k.hpp"

#include <cmath>

#include "clearway/deep/losses.hpp"

namespace clearway::deep {

TopKRouter::TopKRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  const double bound = 1 / std::sqrt(static_cast<double>(experts.inputs));
  weight =
      register_parameter("weight", at::empty({experts.experts, experts.inputs}, at::kFloat).uniform_(-bound, bound));
  bias = register_parameter("bias", at::zeros({experts.experts}));
}

Routing TopKRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out;
  out.scores = at::linear(request.x, weight, bias);
  out.probabilities = out.scores.softmax(1);
  const auto best = out.scores.topk(options_.top_k, 1);
  const torch::Tensor weights = options_.weights == WeightForm::renormalised
                                    ? std::get<0>(best).softmax(1)
                                    : out.probabilities.gather(1, std::get<1>(best));
  out.assignments = assignments_from_slots(std::get<1>(best), weights);
  if (request.training) {
    const double balance = options_.balance < 0 ? 0.01 : options_.balance;
    const torch::Tensor counts = assignment_counts(out.assignments, out.scores.size(1));
    out.auxiliary_loss =
        balance * load_balance_loss(out.probabilities, counts / static_cast<double>(out.assignments.count()));
  }
  return out;
}

}  // namespace clearway::deep
