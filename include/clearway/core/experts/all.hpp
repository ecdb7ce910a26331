// All experts.
#pragma once

#include "clearway/core/experts/beta.hpp"                   // IWYU pragma: export
#include "clearway/core/experts/binomial.hpp"               // IWYU pragma: export
#include "clearway/core/experts/conditional_logit.hpp"      // IWYU pragma: export
#include "clearway/core/experts/exponential.hpp"            // IWYU pragma: export
#include "clearway/core/experts/feed_forward.hpp"           // IWYU pragma: export
#include "clearway/core/experts/gamma.hpp"                  // IWYU pragma: export
#include "clearway/core/experts/gaussian.hpp"               // IWYU pragma: export
#include "clearway/core/experts/gaussian_vector.hpp"        // IWYU pragma: export
#include "clearway/core/experts/heteroscedastic.hpp"        // IWYU pragma: export
#include "clearway/core/experts/inverse_gaussian.hpp"       // IWYU pragma: export
#include "clearway/core/experts/laplace.hpp"                // IWYU pragma: export
#include "clearway/core/experts/multinomial.hpp"            // IWYU pragma: export
#include "clearway/core/experts/negative_binomial.hpp"      // IWYU pragma: export
#include "clearway/core/experts/ordinal.hpp"                // IWYU pragma: export
#include "clearway/core/experts/poisson.hpp"                // IWYU pragma: export
#include "clearway/core/experts/skew_normal.hpp"            // IWYU pragma: export
#include "clearway/core/experts/skew_t.hpp"                 // IWYU pragma: export
#include "clearway/core/experts/student_t.hpp"              // IWYU pragma: export
#include "clearway/core/experts/tobit.hpp"                  // IWYU pragma: export
#include "clearway/core/experts/uniform.hpp"                // IWYU pragma: export
#include "clearway/core/experts/weibull.hpp"                // IWYU pragma: export
#include "clearway/core/experts/zero_inflated_poisson.hpp"  // IWYU pragma: export
