#include "clearway/base/options.hpp"

#include <cmath>

namespace clearway::detail {

void check_number(std::string_view name, double value, const OptionInfo& info) {
  if (!std::isfinite(value)) user_error("{} must be a finite number, not {}", name, value);
  if (info.above_minimum && !(value > info.minimum))
    user_error("{} must be above {}, not {}", name, info.minimum, value);
  if (value < info.minimum) user_error("{} must be at least {}, not {}", name, info.minimum, value);
  if (value > info.maximum) user_error("{} must be at most {}, not {}", name, info.maximum, value);
}

}  // namespace clearway::detail
