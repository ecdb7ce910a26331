// web/dist, as it was when the program was built.
#pragma once

#include <string_view>

namespace clearway::report {

extern const std::string_view kScript;
extern const std::string_view kStyle;

}  // namespace clearway::report
