#include "clearway/stat/rate_slope.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "study_statistics.hpp"

namespace clearway {
namespace {

constexpr std::uint64_t kBootstrapStream = 7100;

std::vector<double> logs(const std::vector<double>& values) {
  std::vector<double> out;
  for (const double value : values) out.push_back(std::log(value));
  return out;
}

// NaN unless every median is a positive number.
double slope_of_medians(const std::vector<double>& log_rows, const std::vector<std::vector<double>>& errors) {
  std::vector<double> log_medians;
  for (const std::vector<double>& of_size : errors) log_medians.push_back(std::log(detail::median(of_size)));
  return theil_sen_slope(log_rows, log_medians);
}

}  // namespace

double theil_sen_slope(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() != y.size()) user_error("Theil-Sen slope: {} values of x for {} of y", x.size(), y.size());
  if (x.size() < 2) user_error("Theil-Sen slope: needs at least 2 points, not {}", x.size());
  std::vector<double> slopes;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(y[i])) return std::numeric_limits<double>::quiet_NaN();
    for (std::size_t j = i + 1; j < x.size(); ++j) {
      if (x[i] == x[j]) user_error("Theil-Sen slope: two points at x = {}", x[i]);
      slopes.push_back((y[j] - y[i]) / (x[j] - x[i]));
    }
  }
  return detail::median(std::move(slopes));
}

RateSlope rate_slope(const std::vector<double>& rows, const std::vector<std::vector<double>>& errors, int resamples,
                     std::uint64_t seed) {
  if (rows.size() != errors.size())
    user_error("rate slope: {} sample sizes for {} groups of errors", rows.size(), errors.size());
  const std::vector<double> log_rows = logs(rows);
  std::vector<std::vector<double>> known = errors;
  for (std::vector<double>& of_size : known) std::erase_if(of_size, [](double error) { return std::isnan(error); });
  RateSlope result;
  result.slope = slope_of_medians(log_rows, known);
  if (!result.known()) return result;

  RandomStream stream(seed, kBootstrapStream);
  std::vector<double> slopes;
  std::vector<std::vector<double>> resampled = known;
  for (int b = 0; b < resamples; ++b) {
    for (std::size_t i = 0; i < known.size(); ++i)
      for (double& error : resampled[i]) error = known[i][stream.index(known[i].size())];
    const double slope = slope_of_medians(log_rows, resampled);
    if (!std::isnan(slope)) slopes.push_back(slope);
  }
  if (slopes.size() < 2) return result;
  result.low = detail::quantile(slopes, 0.025);
  result.high = detail::quantile(slopes, 0.975);
  double mean = 0;
  for (const double slope : slopes) mean += slope / static_cast<double>(slopes.size());
  double squares = 0;
  for (const double slope : slopes) squares += (slope - mean) * (slope - mean);
  result.deviation = std::sqrt(squares / static_cast<double>(slopes.size() - 1));
  return result;
}

double power_of_log_slope(const std::vector<double>& rows, double exponent) {
  std::vector<double> values;
  for (const double n : rows) values.push_back(exponent * (std::log(std::log(n)) - std::log(n)));
  return theil_sen_slope(logs(rows), values);
}

}  // namespace clearway
