// All experts.
#pragma once

#include "clearway/core/experts/binomial.hpp"         // IWYU pragma: export
#include "clearway/core/experts/feed_forward.hpp"     // IWYU pragma: export
#include "clearway/core/experts/gamma.hpp"            // IWYU pragma: export
#include "clearway/core/experts/gaussian.hpp"         // IWYU pragma: export
#include "clearway/core/experts/gaussian_vector.hpp"  // IWYU pragma: export
#include "clearway/core/experts/multinomial.hpp"      // IWYU pragma: export
#include "clearway/core/experts/poisson.hpp"          // IWYU pragma: export
#include "clearway/core/experts/student_t.hpp"        // IWYU pragma: export
#include "clearway/core/experts/uniform.hpp"          // IWYU pragma: export
