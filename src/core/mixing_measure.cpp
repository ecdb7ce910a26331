#include "clearway/core/mixing_measure.hpp"

#include "clearway/base/errors.hpp"

namespace clearway {

void MixingMeasure::check() const {
  const Eigen::Index k = size();
  if (k < 1) user_error("mixing measure: atoms must be at least 1, not {}", k);
  if (gate_slopes.rows() != k)
    user_error("mixing measure: gate_slopes must have {} rows, not {}", k, gate_slopes.rows());
  if (expert_slopes.rows() != k)
    user_error("mixing measure: expert_slopes must have {} rows, not {}", k, expert_slopes.rows());
  if (expert_intercepts.size() != k)
    user_error("mixing measure: expert_intercepts must have {} elements, not {}", k, expert_intercepts.size());
  if (variances.size() != 0 && variances.size() != k)
    user_error("mixing measure: variances must have {} elements or none, not {}", k, variances.size());
}

MixingMeasure translated(const MixingMeasure& measure, double t0, const ConstVectorRef& t1) {
  if (t1.size() != measure.gate_slopes.cols())
    user_error("translation: slopes must have {} elements, not {}", measure.gate_slopes.cols(), t1.size());
  MixingMeasure out = measure;
  out.gate_intercepts.array() += t0;
  out.gate_slopes.rowwise() += t1.transpose();
  return out;
}

MixingMeasure translated_to_zero(const MixingMeasure& measure, int reference) {
  if (reference < 0 || reference >= measure.size())
    user_error("translation: reference must lie in 0..{}, not {}", measure.size() - 1, reference);
  const Vector slopes = -measure.gate_slopes.row(reference);
  return translated(measure, -measure.gate_intercepts(reference), slopes);
}

}  // namespace clearway
