// The file that keeps the truth of a simulated problem: truth.json.
//
// One JSON object:
//   format    "clearway-truth"          version  1
//   scenario  the options that made it (the scenario's name, experts, dim, rows, noise, seed ...)
//   gate      kind, temperature, inputs, parameters: one list per expert, laid out as in stat/gate.hpp
//   experts   list of kind, degree, leak, hidden, inputs, responses, classes, parameters (stat/expert.hpp), and for the
//             reader's eye intercept, slopes and sigma where the kind has them
//   noise     weight, low, high of the outliers; null without them
//   sigma     noise standard deviation per expert (null where the family has none)
//   shares    expected share of each expert
//
// parse_truth() also reads the plain form of other generators: kind (gauss, const, pois, binom, gamma, ...), K, D, gate
// (K rows [intercept, slopes] or null), expert (K rows [intercept, slopes]), sigma (K), weights, shape, N, seed.
#pragma once

#include <string>
#include <string_view>

#include "clearway/stat/scenario.hpp"

namespace clearway {

/// A truth as read from a file.
struct Truth {
  MixtureModel model;
  std::string scenario;  ///< its name, for messages
  NoiseBox noise_box;
  Vector shares;
};

/// The file's text, numbers in the shortest form that reads back to the same double.
std::string truth_json(const Problem& problem);

/// Reads either form. Throws std::invalid_argument that names `source` and the first thing that is wrong.
Truth parse_truth(std::string_view text, std::string_view source);

}  // namespace clearway
