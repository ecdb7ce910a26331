#include "clearway/stat/criteria.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "study_statistics.hpp"

namespace clearway {

InformationCriteria information_criteria(double log_likelihood, double degrees_of_freedom, double rows,
                                         double entropy) {
  const double df = degrees_of_freedom;
  InformationCriteria out;
  out.aic = -2 * log_likelihood + 2 * df;
  out.aicc = rows > df + 1 ? out.aic + 2 * df * (df + 1) / (rows - df - 1) : std::numeric_limits<double>::infinity();
  out.bic = -2 * log_likelihood + df * std::log(rows);
  out.sabic = -2 * log_likelihood + df * std::log((rows + 2) / 24);
  out.icl = out.bic + 2 * entropy;
  return out;
}

double likelihood_slope(const std::vector<double>& log_likelihoods, const std::vector<double>& degrees_of_freedom) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  constexpr std::size_t kFewest = 6;
  std::vector<std::size_t> order(log_likelihoods.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (order.size() < kFewest) return kUnknown;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return degrees_of_freedom[a] > degrees_of_freedom[b]; });
  order.resize(std::max<std::size_t>(4, order.size() / 2));
  std::vector<double> slopes;
  for (std::size_t i = 0; i < order.size(); ++i)
    for (std::size_t j = i + 1; j < order.size(); ++j) {
      const double run = degrees_of_freedom[order[i]] - degrees_of_freedom[order[j]];
      if (run > 0) slopes.push_back((log_likelihoods[order[i]] - log_likelihoods[order[j]]) / run);
    }
  const double slope = detail::median(slopes);
  const bool straight = detail::quantile(slopes, 0.75) - detail::quantile(slopes, 0.25) <= slope;
  return slope > 0 && straight ? slope : kUnknown;
}

}  // namespace clearway
