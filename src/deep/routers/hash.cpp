#include "clearway/deep/routers/hash.hpp"

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

void check_token_ids(const RoutingRequest& request, std::int64_t vocabulary, const char* router) {
  const torch::Tensor& ids = request.ids;
  if (!ids.defined() || ids.dim() != 1 || ids.size(0) != request.x.size(0))
    user_error("router '{}' needs one id per token: {} ids for {} tokens", router, ids.defined() ? ids.numel() : 0,
               request.x.size(0));
  if (ids.numel() > 0 && (ids.min().item<std::int64_t>() < 0 || ids.max().item<std::int64_t>() >= vocabulary))
    user_error("router '{}': token ids must be between 0 and {}, not {} to {}", router, vocabulary - 1,
               ids.min().item<std::int64_t>(), ids.max().item<std::int64_t>());
}

HashRouter::HashRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t vocabulary)
    : experts_(experts.experts) {
  if (vocabulary < 1) user_error("router 'hash' needs token ids: a vocabulary of at least 1, not {}", vocabulary);
  // Ids in random order, in rounds of N. Within a round, place q of the order gets expert q + offset mod N, with another
  // offset in each column: every expert once per round and column, and never twice in a row.
  const std::int64_t rounds = (vocabulary + experts_ - 1) / experts_;
  const torch::Tensor offsets = at::rand({rounds, experts_}).argsort(1, false).narrow(1, 0, options.top_k);
  const torch::Tensor places = at::arange(rounds * experts_).reshape({rounds, experts_, 1});
  const torch::Tensor in_order =
      (places + offsets.unsqueeze(1)).remainder(experts_).reshape({rounds * experts_, options.top_k});
  table_ = register_buffer("table", at::empty({vocabulary, options.top_k}, at::kLong));
  table_.index_copy_(0, at::randperm(vocabulary), in_order.narrow(0, 0, vocabulary));
}

Routing HashRouter::route(const RoutingRequest& request, ExpertBank&) {
  check_token_ids(request, table_.size(0), "hash");
  Routing out;
  const torch::Tensor experts = table_.index_select(0, request.ids);
  const auto options = request.x.options().requires_grad(false);
  const torch::Tensor weights = at::full(experts.sizes(), 1 / static_cast<double>(experts.size(1)), options);
  out.scores = out.probabilities = at::zeros({experts.size(0), experts_}, options).scatter_(1, experts, weights);
  out.assignments = assignments_from_slots(experts, weights);
  return out;
}

}  // namespace clearway::deep
