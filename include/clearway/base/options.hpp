// One visit() per options struct yields command line flags, JSON, checks, help, man page and completion.
//
// An options struct offers
//     template <class Self, class Visitor> static void visit(Self& self, Visitor&& field) {
//       field("experts", self.experts, OptionInfo{.help = "number of experts", .minimum = 1});
//       ...
//     }
// where Self is the struct or its const. Names are in kebab-case; the flag is --name, the JSON key name with '_'.
// Field types: bool, int, std::int64_t, double, std::string, std::vector of int, double, std::string, and enums for
// which  constexpr std::span<const EnumName<E>> enum_names(E)  is found by argument-dependent lookup.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway {

/// What help, checks and documentation need to know about one option. Every option states its sentence.
struct OptionInfo {
  std::string_view help;                                      ///< one sentence, lower case, no full stop
  double minimum = -std::numeric_limits<double>::infinity();  ///< smallest allowed number (inclusive)
  double maximum = std::numeric_limits<double>::infinity();   ///< largest allowed number (inclusive)
  bool above_minimum = false;                                 ///< true when the minimum itself is not allowed
  std::string_view metavar = {};                              ///< name of the value in help ("COLUMN"); default by type
  std::string_view off = {};                                  ///< the value that switches the option off, in words
  std::string_view source = {};                               ///< where default or formula come from (paper, section)
};

/// One value of an enum and its name on the command line and in JSON.
template <class E>
struct EnumName {
  E value;
  std::string_view name;
  std::string_view help = {};
};

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  std::span<const EnumName<E>>(enum_names(e));
};

/// The name of an enum value.
template <NamedEnum E>
std::string_view enum_name(E value) {
  for (const auto& entry : std::span<const EnumName<E>>(enum_names(value)))
    if (entry.value == value) return entry.name;
  return "?";
}

/// The nearest of `known` to `word` by edit distance when it is near enough to be a slip, else empty.
std::string nearest_name(std::string_view word, std::span<const std::string> known);

/// The value of a name. Throws std::invalid_argument naming the option, the value, the choices and the nearest one.
template <NamedEnum E>
E enum_value(std::string_view option, std::string_view name) {
  std::vector<std::string> known;
  for (const auto& entry : std::span<const EnumName<E>>(enum_names(E{}))) {
    if (entry.name == name) return entry.value;
    known.emplace_back(entry.name);
  }
  const std::string near = nearest_name(name, known);
  user_error("{} must be one of {}, not '{}'{}", option, fmt::join(known, ", "), name,
             near.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", near));
}

namespace detail {
void check_number(std::string_view name, double value, const OptionInfo& info);
struct CheckVisitor {
  template <class T>
  void operator()(std::string_view name, const T& value, const OptionInfo& info) const {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_enum_v<T>) {
    } else if constexpr (std::is_arithmetic_v<T>) {
      check_number(name, static_cast<double>(value), info);
    } else if constexpr (std::is_same_v<T, std::vector<int>> || std::is_same_v<T, std::vector<double>>) {
      for (auto element : value) check_number(name, static_cast<double>(element), info);
    }
  }
};
}  // namespace detail

/// Checks every number of an options struct against its rule, in order. Throws std::invalid_argument.
template <class Options>
void check_options(const Options& options) {
  Options::visit(options, detail::CheckVisitor{});
}

}  // namespace clearway
