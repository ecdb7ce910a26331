// All gates.
#pragma once

#include "clearway/core/gates/activated.hpp"     // IWYU pragma: export
#include "clearway/core/gates/constant.hpp"      // IWYU pragma: export
#include "clearway/core/gates/cosine.hpp"        // IWYU pragma: export
#include "clearway/core/gates/gaussian.hpp"      // IWYU pragma: export
#include "clearway/core/gates/hierarchical.hpp"  // IWYU pragma: export
#include "clearway/core/gates/laplace.hpp"       // IWYU pragma: export
#include "clearway/core/gates/quadratic.hpp"     // IWYU pragma: export
#include "clearway/core/gates/sigmoid.hpp"       // IWYU pragma: export
#include "clearway/core/gates/softmax.hpp"       // IWYU pragma: export
