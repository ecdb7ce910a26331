// Random responses in the support of an expert.
#pragma once

#include "expert_cases.hpp"
#include "generated.hpp"

namespace clearway::laws {

/// Number of experts of a stack whose mean has these columns.
template <class Expert>
Eigen::Index stacked_experts(const Expert& expert, const DoubleArray& mean) {
  if constexpr (Expert::kSupport == Support::classes)
    return mean.cols() / expert.classes;
  else
    return mean.cols();
}

/// n responses of the right shape where the expert's density is positive; not drawn from the expert itself.
template <class Expert, class Parameters>
DoubleArray any_response(RandomStream& random, const Expert& expert, const Parameters& parameters, Eigen::Index n) {
  if constexpr (std::is_base_of_v<GaussianVectorExpert, Expert>) {
    return normal_array(random, n, parameters.intercepts.cols(), 2.0);
  } else if constexpr (std::is_base_of_v<UniformExpert, Expert>) {
    DoubleArray y(n, 1);
    for (double& value : y.reshaped()) value = random.uniform(parameters.lower(0, 0), parameters.upper(0, 0));
    return y;
  } else {
    DoubleArray y = normal_array(random, n, 1, 2.0);
    for (double& value : y.reshaped()) {
      if constexpr (Expert::kSupport == Support::classes)
        value = static_cast<double>(random.index(static_cast<std::uint64_t>(expert.classes)));
      else if constexpr (std::is_same_v<BinomialExpert, Expert>)
        value = static_cast<double>(random.index(2));
      else if constexpr (Expert::kSupport == Support::counts)
        value = static_cast<double>(random.index(11));
      else if constexpr (Expert::kSupport == Support::positive)
        value = std::exp(0.5 * value);
      else if constexpr (Expert::kSupport == Support::unit)
        value = 1 / (1 + std::exp(-0.5 * value));
    }
    return y;
  }
}

}  // namespace clearway::laws
