// How good predictions are, by kind of task: two classes, several classes or labels, numbers. Intervals of any of these
// scores come from score_intervals.hpp.
#pragma once

#include "clearway/core/binary_scores.hpp"
#include "clearway/core/class_scores.hpp"
#include "clearway/core/regression_scores.hpp"
