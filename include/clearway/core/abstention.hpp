// Answering only where it is sure: the error among the rows that are answered, against how many are (El-Yaniv and Wiener
// 2010; Geifman and El-Yaniv 2017).
//
// Rows with confidence (the top probability) >= threshold are answered. Coverage is their share of all rows, risk the
// share of wrong ones among them. A threshold chosen on rows promises nothing more than those rows show: choose it on
// validation rows, and look at the interval.
#pragma once

#include <optional>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

struct RiskCoveragePoint {
  double threshold = 0;
  double coverage = 0;  ///< in (0, 1]
  double risk = 0;
  double low = 0, high = 1;  ///< 95 % interval (Wilson) of the risk
};
/// By falling threshold, one point per distinct confidence; the last answers every row. n confidences and n flags 1 (the
/// answer is right) or 0, n >= 1; std::invalid_argument otherwise and for NaN.
std::vector<RiskCoveragePoint> risk_coverage(const ConstVectorRef& confidence, const ConstVectorRef& right);

/// AURC: the mean over m = 1 .. n of the risk when the m surest rows are answered; rows of equal confidence come in random
/// order, of which this is the expectation.
double area_under_risk_coverage(const ConstVectorRef& confidence, const ConstVectorRef& right);

/// The point of the largest coverage whose risk is at most `risk`; empty where there is none.
std::optional<RiskCoveragePoint> threshold_for_risk(const std::vector<RiskCoveragePoint>& curve, double risk);
/// The point of the least coverage that is at least `coverage`, in (0, 1].
RiskCoveragePoint threshold_for_coverage(const std::vector<RiskCoveragePoint>& curve, double coverage);

}  // namespace clearway
