#include "clearway/core/abstention.hpp"

#include "clearway/base/errors.hpp"
#include "clearway/core/binary_scores.hpp"
#include "clearway/core/order_statistics.hpp"

namespace clearway {

std::vector<RiskCoveragePoint> risk_coverage(const ConstVectorRef& confidence, const ConstVectorRef& right) {
  const RankedScores ranked(confidence, right);
  const double n = static_cast<double>(ranked.rows());
  std::vector<RiskCoveragePoint> curve;
  double wrong = 0, answered = 0;
  ranked.each_threshold({}, [&](double threshold, double failures, double successes) {
    wrong += failures;
    answered += failures + successes;
    const auto [low, high] = wilson_interval(wrong, answered);
    curve.push_back({threshold, answered / n, wrong / answered, low, high});
  });
  return curve;
}

double area_under_risk_coverage(const ConstVectorRef& confidence, const ConstVectorRef& right) {
  const RankedScores ranked(confidence, right);
  double sum = 0, wrong = 0, answered = 0;
  ranked.each_threshold({}, [&](double, double failures, double successes) {
    const double share = failures / (failures + successes);
    for (double m = 1; m <= failures + successes; ++m) sum += (wrong + m * share) / (answered + m);
    wrong += failures;
    answered += failures + successes;
  });
  return sum / answered;
}

std::optional<RiskCoveragePoint> threshold_for_risk(const std::vector<RiskCoveragePoint>& curve, double risk) {
  if (!(risk >= 0 && risk <= 1)) user_error("abstention: risk must lie between 0 and 1, not {}", risk);
  for (auto point = curve.rbegin(); point != curve.rend(); ++point)
    if (point->risk <= risk) return *point;
  return std::nullopt;
}

RiskCoveragePoint threshold_for_coverage(const std::vector<RiskCoveragePoint>& curve, double coverage) {
  if (!(coverage > 0 && coverage <= 1))
    user_error("abstention: coverage must be above 0 and at most 1, not {}", coverage);
  if (curve.empty()) user_error("abstention: the curve has no points");
  for (const RiskCoveragePoint& point : curve)
    if (point.coverage >= coverage - 1e-12) return point;  // k / n that is not exactly the decimal asked for
  return curve.back();
}

}  // namespace clearway
