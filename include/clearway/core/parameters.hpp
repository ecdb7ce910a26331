// Parameter structs: what the estimated numbers of a gate or an expert have in common.
//
// A parameter struct is a template over the array type, has only arrays as members, and lists them once:
//     template <Array A> struct SoftmaxParameters {
//       A slopes, intercepts;
//       template <class Self, class F> static void visit(Self& self, F&& field) {
//         field("slopes", self.slopes);
//         field("intercepts", self.intercepts);
//       }
//     };
// Self is the struct or its const. The names are those of files and messages; the order is the order of flatten().
#pragma once

#include <string_view>

#include "clearway/core/types.hpp"

namespace clearway {

/// Number of scalars in all arrays of a parameter struct.
template <class Parameters>
Eigen::Index parameter_count(const Parameters& parameters) {
  Eigen::Index count = 0;
  Parameters::visit(parameters, [&](std::string_view, const auto& a) { count += a.size(); });
  return count;
}

/// All scalars of a parameter struct of double arrays, array by array in the order of visit(), each by columns.
template <class Parameters>
Vector flatten(const Parameters& parameters) {
  Vector flat(parameter_count(parameters));
  Eigen::Index at = 0;
  Parameters::visit(parameters, [&](std::string_view, const auto& a) {
    for (Eigen::Index i = 0; i < a.size(); ++i) flat(at++) = a.data()[i];
  });
  return flat;
}

/// The inverse of flatten(): fills arrays that already have their shapes. `flat` has parameter_count() elements.
template <class Parameters, class Flat>
void unflatten(const Flat& flat, Parameters& parameters) {
  Eigen::Index at = 0;
  Parameters::visit(parameters, [&](std::string_view, auto& a) {
    for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i] = flat[at++];
  });
}

}  // namespace clearway
