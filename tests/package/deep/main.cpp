// One training step of a sparse layer moves its parameters.
#include <clearway/deep/sparse_mixture.hpp>
#include <cstdio>

int main() {
  using namespace clearway::deep;
  SparseMixtureOptions options;
  options.experts.experts = 4;
  options.experts.inputs = options.experts.hidden = 8;
  SparseMixture layer(options);
  RoutingRequest request;
  request.x = at::randn({32, 8});
  request.training = true;
  const SparseMixtureResult result = layer.forward(request);
  (result.output.pow(2).mean() + result.auxiliary_loss).backward();
  for (const auto& parameter : layer.parameters())
    if (!parameter.grad().defined()) return 1;
  std::printf("%lld parameters\n", static_cast<long long>(layer.parameters().size()));
  return 0;
}
