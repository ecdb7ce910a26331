#include "clearway/deep/router.hpp"

#include <utility>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/base.hpp"
#include "clearway/deep/routers/competition.hpp"
#include "clearway/deep/routers/cosine.hpp"
#include "clearway/deep/routers/expert_choice.hpp"
#include "clearway/deep/routers/growing.hpp"
#include "clearway/deep/routers/gshard.hpp"
#include "clearway/deep/routers/hash.hpp"
#include "clearway/deep/routers/laplace.hpp"
#include "clearway/deep/routers/noisy.hpp"
#include "clearway/deep/routers/relu.hpp"
#include "clearway/deep/routers/sigmoid.hpp"
#include "clearway/deep/routers/soft.hpp"
#include "clearway/deep/routers/stable.hpp"
#include "clearway/deep/routers/top_k.hpp"

namespace clearway::deep {
namespace {

/// Runs a conversion of the module and gives buffers of whole numbers their old contents back.
template <class Convert>
void keeping_whole_numbers(const torch::nn::Module& module, Convert&& convert) {
  std::vector<std::pair<torch::Tensor, torch::Tensor>> kept;
  for (const torch::Tensor& buffer : module.buffers())
    if (!buffer.is_floating_point()) kept.emplace_back(buffer, buffer.detach());
  convert();
  for (auto& [buffer, old] : kept) buffer.set_data(old.to(buffer.device()));
}

}  // namespace

void Router::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  keeping_whole_numbers(*this, [&] { Module::to(device, dtype, non_blocking); });
}

void Router::to(torch::Dtype dtype, bool non_blocking) {
  keeping_whole_numbers(*this, [&] { Module::to(dtype, non_blocking); });
}

std::int64_t experts_per_token(const RouterOptions& options, std::int64_t experts) {
  switch (options.router) {
    case RouterKind::switch_top1:
    case RouterKind::stable:
    case RouterKind::base:
      return 1;
    case RouterKind::gshard:
      return 2;
    case RouterKind::dense:
      return experts;
    default:
      return options.top_k;
  }
}

std::shared_ptr<Router> make_router(const RouterOptions& options, const ExpertOptions& experts, int layer, int layers,
                                    std::int64_t vocabulary, std::int64_t total_steps) {
  if (experts_per_token(options, experts.experts) == options.top_k &&
      (options.top_k < 1 || options.top_k > experts.experts))
    user_error("top-k must be between 1 and the number of experts, {}, not {}", experts.experts, options.top_k);
  if (layer < 0 || layer >= layers) user_error("router: layer {} is not one of {}", layer, layers);
  switch (options.router) {
    case RouterKind::smoe:
    case RouterKind::switch_top1:
    case RouterKind::random:
    case RouterKind::dense:
      return std::make_shared<TopKRouter>(options, experts);
    case RouterKind::noisy:
      return std::make_shared<NoisyRouter>(options, experts);
    case RouterKind::gshard:
      return std::make_shared<GShardRouter>(options, experts);
    case RouterKind::xmoe:
    case RouterKind::cosine:
      return std::make_shared<CosineRouter>(options, experts);
    case RouterKind::stable:
      return std::make_shared<StableRouter>(options, experts, vocabulary, total_steps);
    case RouterKind::dropout:
      return std::make_shared<GrowingRouter>(options, experts, total_steps);
    case RouterKind::hash:
      return std::make_shared<HashRouter>(options, experts, vocabulary);
    case RouterKind::base:
      return std::make_shared<BaseRouter>(options, experts);
    case RouterKind::expert_choice:
      return std::make_shared<ExpertChoiceRouter>(options, experts);
    case RouterKind::sigmoid:
    case RouterKind::bias:
      return std::make_shared<SigmoidRouter>(options, experts);
    case RouterKind::relu:
      return std::make_shared<ReluRouter>(options, experts);
    case RouterKind::laplace:
      return std::make_shared<LaplaceRouter>(options, experts);
    case RouterKind::soft:
      return std::make_shared<SoftRouter>(options, experts);
    case RouterKind::compete:
    case RouterKind::compete_v1:
    case RouterKind::compete_v2:
      return std::make_shared<CompetitionRouter>(options, experts, layer, layers, total_steps);
  }
  user_error("router: unknown policy");
}

Routing Router::route_by_response(const RoutingRequest& request, ExpertBank& experts, std::int64_t count) {
  Routing out;
  out.responses = experts.respond_all(request.x);
  out.scores = out.affinities = out.responses.norm(2, 2);
  out.probabilities = out.affinities.softmax(1);
  const auto best = out.affinities.topk(count, 1);
  out.assignments = assignments_from_slots(std::get<1>(best), std::get<0>(best).softmax(1));
  out.competed = true;
  return out;
}

}  // namespace clearway::deep
