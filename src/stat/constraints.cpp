#include "clearway/stat/constraints.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_computed.hpp"

namespace clearway {
namespace {

/// "gate2:x1" apart: of the gate or of experts, which one (-1: all), and the name.
struct ParameterName {
  bool in_gate = false;
  int expert = -1;
  std::string name;
};

ParameterName parse_name(std::string_view text, std::string_view option, int experts) {
  ParameterName parsed;
  for (const std::string_view part : {std::string_view("gate"), std::string_view("expert")}) {
    if (!text.starts_with(part)) continue;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view digits = text.substr(part.size(), colon - part.size());
    while (digits.starts_with(' ')) digits.remove_prefix(1);  // "expert 1: x", as the tables write it
    int number = 0;
    if (!digits.empty()) {
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (error != std::errc() || end != digits.data() + digits.size()) continue;  // a name with a colon in it
      if (number < 1 || number > experts)
        user_error("{}: '{}' speaks of number {}, but there are {}", option, text, number,
                   plural(static_cast<std::size_t>(experts), "expert"));
    }
    parsed.in_gate = part == "gate";
    parsed.expert = number - 1;
    text.remove_prefix(colon + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    break;
  }
  parsed.name = std::string(text);
  return parsed;
}

double parse_value(std::string_view text, std::string_view whole) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    user_error("fix: '{}' must end in '=' and a number", whole);
  return value;
}

/// "g[b]*x" without its levels: "g*x"; "ns(x,4)2" without its number: "ns(x,4)". As it is when it has neither.
std::string without_levels(std::string_view name) {
  std::string out;
  int depth = 0;
  for (const char c : name) {
    if (c == '[') ++depth;
    const bool number = out.ends_with(')') && c >= '0' && c <= '9';
    if (depth == 0 && !number) out += c;
    if (c == ']' && depth > 0) --depth;
  }
  return out;
}

class Finder {
 public:
  /// Names from `logarithms` on may be logarithms of positive parameters; those before are coefficients.
  Finder(std::vector<std::string> names, Eigen::Index logarithms, std::string whose)
      : names_(std::move(names)), logarithms_(logarithms), whose_(std::move(whose)) {}

  /// Places of a name: one; "sigma" finds "log(sigma)" and says so; a category or a basis stands for all its columns.
  std::vector<int> find(const std::string& name, std::string_view option, bool& logarithm) const {
    logarithm = false;
    const auto place = [&](const std::string& wanted) -> std::optional<int> {
      const auto found = std::find(names_.begin(), names_.end(), wanted);
      if (found == names_.end()) return std::nullopt;
      return static_cast<int>(found - names_.begin());
    };
    const std::string tight = detail::computed_name(name);  // as the formula was written, with blanks or I()
    for (const std::string& spelling : {name, tight, tight.starts_with("I(") ? tight.substr(1) : "(" + tight + ")"})
      if (const auto exact = place(spelling)) return {*exact};
    if (const auto positive = place("log(" + name + ")"); positive && *positive >= logarithms_) {
      logarithm = true;
      return {*positive};
    }
    std::vector<int> columns;
    for (Eigen::Index i = 0; i < logarithms_; ++i)
      if (without_levels(names_[static_cast<std::size_t>(i)]) == name) columns.push_back(static_cast<int>(i));
    if (!columns.empty()) return columns;
    user_error("{}: '{}' is no parameter of {}{}; there are {}", option, name, whose_, did_you_mean(name, names_),
               names_.empty() ? "none" : short_list(names_));
  }

 private:
  std::vector<std::string> names_;
  Eigen::Index logarithms_;
  std::string whose_;
};

}  // namespace

Constraints find_constraints(const ConstraintChoice& choice, const Gate& gate, const Expert& expert,
                             const std::vector<std::string>& gate_inputs, const std::vector<std::string>& expert_inputs,
                             const std::vector<std::string>& responses) {
  Constraints constraints;
  const Finder in_gate(gate.block_size() > 0 ? gate.block_names(gate_inputs) : std::vector<std::string>(),
                       gate.block_size(), "the gate");
  const Finder in_expert(expert.parameter_names(expert_inputs, responses), expert.coefficient_count(), "the experts");
  const int experts = gate.experts();
  for (const std::string& text : choice.fix) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos) user_error("fix: '{}' must have the form NAME=VALUE", text);
    std::string_view left = std::string_view(text).substr(0, equals);
    while (left.ends_with(' ')) left.remove_suffix(1);
    const ParameterName name = parse_name(left, "fix", experts);
    bool logarithm = false;
    const std::vector<int> parameters = (name.in_gate ? in_gate : in_expert).find(name.name, "fix", logarithm);
    double value = parse_value(std::string_view(text).substr(equals + 1), text);
    if (logarithm) {
      if (!(value > 0)) user_error("fix: {} must be above 0, not {}", name.name, value);
      value = std::log(value);
    }
    for (int at = 0; at < experts * static_cast<int>(parameters.size()); ++at) {
      const int k = at / static_cast<int>(parameters.size());
      const int parameter = parameters[static_cast<std::size_t>(at) % parameters.size()];
      if (name.expert >= 0 && k != name.expert) continue;
      const bool reference = name.in_gate && gate.pinned(static_cast<Eigen::Index>(k) * gate.block_size() + parameter);
      if (reference && name.expert >= 0)
        user_error("fix: '{}': the gate of expert {} is the reference, all its parameters are 0", text, k + 1);
      if (reference) continue;
      for (const FixedParameter& other : constraints.fixed)
        if (other.in_gate == name.in_gate && other.expert == k && other.parameter == parameter)
          user_error("fix: '{}' fixes {} of expert {} a second time", text, name.name, k + 1);
      constraints.fixed.push_back({name.in_gate, k, parameter, value});
    }
  }
  for (const std::string& text : choice.share) {
    bool logarithm = false;
    for (const int parameter : in_expert.find(text, "share", logarithm)) {
      if (constraints.is_shared(parameter)) user_error("share: '{}' is listed twice", text);
      for (const FixedParameter& other : constraints.fixed)
        if (!other.in_gate && other.parameter == parameter) user_error("share: '{}' is fixed already", text);
      constraints.shared.push_back(parameter);
    }
  }
  return constraints;
}

}  // namespace clearway
