#include "clearway/fusion/prepared.hpp"

namespace clearway::fusion {

std::int64_t PreparedTarget::outputs() const {
  if (kind == TargetKind::binary) return 1;
  return static_cast<std::int64_t>(kind == TargetKind::multiclass ? classes.size() : names.size());
}

}  // namespace clearway::fusion
