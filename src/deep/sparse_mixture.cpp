#include "clearway/deep/sparse_mixture.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::deep {
namespace {

/// Sum over assignments of weight times what the expert answered, per token.
torch::Tensor combine(const torch::Tensor& answers, const Assignments& assignments, std::int64_t tokens) {
  return at::zeros({tokens, answers.size(1)}, answers.options().requires_grad(false))
      .index_add(0, assignments.tokens, answers * assignments.weights.unsqueeze(1));
}

/// Answers by assignment out of what the router had experts answer; `kept` are the positions of the assignments that
/// are left of those that it made (undefined: all).
torch::Tensor answers_of(const torch::Tensor& responses, const Assignments& assignments, const torch::Tensor& kept) {
  if (responses.dim() == 2) return kept.defined() ? responses.index_select(0, kept) : responses;
  const auto experts = responses.size(1);
  return responses.reshape({-1, responses.size(2)}).index_select(0, assignments.tokens * experts + assignments.experts);
}

Assignments picked(const Assignments& assignments, const torch::Tensor& index) {
  return {assignments.tokens.index_select(0, index), assignments.experts.index_select(0, index),
          assignments.weights.index_select(0, index)};
}

/// Experts see mixtures of tokens: y = combine E(dispatch' x).
torch::Tensor mix_slots(const torch::Tensor& x, const SoftSlots& soft, ExpertBank& experts) {
  const auto slots = soft.dispatch.size(1), each = slots / experts.options().experts;
  const auto index = x.options().dtype(at::kLong).requires_grad(false);
  const torch::Tensor places = at::arange(slots, index);
  const Assignments assignments{places, places.div(each, "floor"), {}};
  return at::mm(soft.combine, experts.respond(at::mm(soft.dispatch.t(), x), assignments));
}

/// Makes `f()` with a generator of its own, whose seed the default one gives: whatever it draws, what comes after it in
/// a model begins with the same numbers.
template <class F>
auto with_own_generator(F&& f) {
  const auto seed = static_cast<std::uint64_t>(at::randint(std::int64_t{1} << 62, {1}, at::kLong).item<std::int64_t>());
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const torch::Tensor state = generator.get_state();
  generator.set_current_seed(seed);
  auto made = f();
  generator.set_state(state);
  return made;
}

/// Responses by assignment, of experts of which every process holds an equal share.
torch::Tensor respond_elsewhere(RowExchange& exchange, const torch::Tensor& x, const Assignments& assignments,
                                ExpertBank& own, std::int64_t experts) {
  const std::int64_t share = experts / exchange.size();
  const torch::Tensor order = std::get<1>(assignments.experts.sort(true, 0, false));
  const torch::Tensor counts =
      assignment_counts(assignments, experts).to(at::kCPU).reshape({exchange.size(), share}).sum(1);
  const std::vector<std::int64_t> sent(counts.data_ptr<std::int64_t>(),
                                       counts.data_ptr<std::int64_t>() + counts.numel());
  std::vector<std::int64_t> received, back = sent;
  const torch::Tensor ids = exchange.exchange_rows(assignments.experts.index_select(0, order), sent, received);
  const torch::Tensor rows =
      exchange_with_gradient(exchange, x.index_select(0, assignments.tokens.index_select(0, order)), sent, received);
  const torch::Tensor answers =
      own.respond(rows, {at::arange(ids.numel(), ids.options()), ids - exchange.rank() * share, {}});
  const torch::Tensor returned = exchange_with_gradient(exchange, answers, received, back);
  const torch::Tensor place = at::empty_like(order).scatter_(0, order, at::arange(order.numel(), order.options()));
  return returned.index_select(0, place);
}

}  // namespace

SparseMixture::SparseMixture(const SparseMixtureOptions& options, int layer, int layers, std::int64_t vocabulary,
                             std::int64_t total_steps)
    : options_(options) {
  if (!(options.capacity >= 0)) user_error("capacity factor must be at least 0, not {}", options.capacity);
  if (!(options.expert_dropout >= 0 && options.expert_dropout < 1))
    user_error("expert dropout must be in [0, 1), not {}", options.expert_dropout);
  if (!(options.jitter >= 0 && options.jitter < 1)) user_error("jitter must be in [0, 1), not {}", options.jitter);
  if (options.shared_experts < 0) user_error("shared experts must be at least 0, not {}", options.shared_experts);
  // Routers draw different amounts of random numbers; models that differ in the router only begin equal otherwise.
  router_ =
      register_module("router", with_own_generator([&] {
                        return make_router(options.router, options.experts, layer, layers, vocabulary, total_steps);
                      }));
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
    seen.seen = x * at::empty_like(x).uniform_(1 - options_.jitter, 1 + options_.jitter);
  if (by_response_ && exchange_ != nullptr)
    user_error("experts in several processes: responses cannot decide, because no process has all of them");
  Routing routing =
      by_response_ && !request.training
          ? router_->route_by_response(seen, *experts_, experts_per_token(options_.router, options_.experts.experts))
          : router_->route(seen, *experts_);
  out.auxiliary_loss = routing.auxiliary_loss;
  const auto count = options_.experts.experts;
  if (routing.soft) {
    out.output = mix_slots(x, *routing.soft, *experts_);
    out.load = routing.soft->combine.detach().reshape({x.size(0), count, -1}).sum(2).mean(0);
  } else {
    Assignments& assignments = routing.assignments;
    // Before anything is dropped: what balances loads must see the overload.
    out.load =
        assignment_counts(assignments, count) / static_cast<double>(std::max<std::int64_t>(1, assignments.count()));
    torch::Tensor kept;
    if (options_.capacity > 0) {
      const auto made = assignments.count();
      const double share = options_.capacity *
                           static_cast<double>(experts_per_token(options_.router, count) * x.size(0)) /
                           static_cast<double>(count);
      // Positions travel where the weights would, and say which assignments are left.
      const Assignments positions{assignments.tokens, assignments.experts,
                                  at::arange(made, assignments.tokens.options())};
      kept = with_capacity(positions, count, std::max<std::int64_t>(1, std::llround(std::ceil(share)))).weights;
      out.dropped = made - kept.numel();
    }
    if (request.training && options_.expert_dropout > 0) {
      const torch::Tensor stays =
          at::rand({kept.defined() ? kept.numel() : assignments.count()}, x.options().requires_grad(false))
              .ge(options_.expert_dropout)
              .nonzero()
              .squeeze(1);
      kept = kept.defined() ? kept.index_select(0, stays) : stays;
    }
    if (kept.defined()) assignments = picked(assignments, kept);
    if (request.training && options_.expert_dropout > 0)
      assignments.weights = assignments.weights / (1 - options_.expert_dropout);
    if (exchange_ != nullptr)
      out.output = combine(respond_elsewhere(*exchange_, x, assignments, *experts_, count), assignments, x.size(0));
    else
      out.output = routing.responses.defined()
                       ? combine(answers_of(routing.responses, assignments, kept), assignments, x.size(0))
                       : experts_->mix(x, assignments);
  }
  if (shared_) out.output = out.output + shared_->respond_all(x).sum(1);

  // What is kept for diagnosis holds no graph and no responses.
  const auto detached = [](const torch::Tensor& t) { return t.defined() ? t.detach() : t; };
  out.routing.assignments = {routing.assignments.tokens, routing.assignments.experts,
                             detached(routing.assignments.weights)};
  out.routing.scores = detached(routing.scores);
  out.routing.probabilities = detached(routing.probabilities);
  out.routing.affinities = detached(routing.affinities);
  out.routing.competed = routing.competed;
  return out;
}

void SparseMixture::spread(RowExchange& exchange) {
  const auto count = options_.experts.experts;
  switch (options_.router.router) {
    case RouterKind::dense:
    case RouterKind::soft:
    case RouterKind::compete:
    case RouterKind::compete_v1:
    case RouterKind::compete_v2:
      user_error(
          "router '{}' asks all experts about every token, so spreading experts over processes saves nothing; let "
          "every "
          "process hold all of them",
          enum_name(options_.router.router));
    default:
      break;
  }
  if (count % exchange.size() != 0)
    user_error("{} experts cannot be spread equally over {} processes", count, exchange.size());
  if (exchange_ != nullptr) throw std::logic_error("the experts are spread already");
  const auto share = count / exchange.size();
  experts_->replace([&](const torch::Tensor& all) { return all.narrow(0, exchange.rank() * share, share).clone(); });
  exchange_ = &exchange;
}

void SparseMixture::gather() {
  if (exchange_ == nullptr) return;
  experts_->replace([&](const torch::Tensor& own) { return rows_of_all(*exchange_, own); });
  exchange_ = nullptr;
}

void SparseMixture::reset_evaluations() {
  experts_->reset_evaluations();
  if (shared_) shared_->reset_evaluations();
}

}  // namespace clearway::deep
