// Raw rows as columns of numbers, and series as cells, places in time and summaries.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clearway/fusion/preparation.hpp"

namespace clearway::fusion::detail {

/// g(min(max(x, low), high)). Throws where the transform is not defined.
double transformed(const FeaturePreparation& feature, const std::string& modality, double value);

/// The columns that the values of a row become.
class ColumnMap {
 public:
  ColumnMap(const ModalityPreparation& preparation, const RawModality& raw);
  std::size_t columns() const { return columns_; }

  /// Calls see(column, number) for everything observed in a row: standardised numbers, 0 and 1 for categories.
  template <class See>
  void visit(std::int64_t row, See&& see) const {
    const double* values = raw_->values.data() + static_cast<std::size_t>(row) * raw_->features.size();
    for (std::size_t f = 0; f < raw_->features.size(); ++f) {
      if (std::isnan(values[f])) continue;
      const FeaturePreparation& feature = preparation_->features[f];
      if (!feature.category) {
        see(first_[f], (transformed(feature, preparation_->spec.name, values[f]) - feature.mean) / feature.sd);
        continue;
      }
      const std::size_t level = level_[f][static_cast<std::size_t>(values[f])];
      for (std::size_t j = 0; j <= feature.levels.size(); ++j) see(first_[f] + j, j == level ? 1.0 : 0.0);
    }
  }

 private:
  const ModalityPreparation* preparation_;
  const RawModality* raw_;
  std::vector<std::size_t> first_;               ///< first column of each feature
  std::vector<std::vector<std::size_t>> level_;  ///< the data's levels as trained ones; the number of those: others
  std::size_t columns_ = 0;
};

/// n x columns x 6 before standardisation, and n x columns.
struct Summaries {
  std::vector<double> values;
  std::vector<std::uint8_t> observed;
};
Summaries summarise(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples);

/// Everything of a series but names and shape.
void prepare_series(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples,
                    PreparedModality& prepared);

}  // namespace clearway::fusion::detail
