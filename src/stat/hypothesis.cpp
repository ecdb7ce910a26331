#include "clearway/stat/hypothesis.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway {
namespace {

using Eigen::Index;

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The part of `text` after a name, when it begins with that name; blanks of either are passed over.
std::optional<std::string_view> after_name(std::string_view text, std::string_view name) {
  std::size_t at = 0;
  for (const char c : name) {
    if (is_space(c)) continue;
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size() || text[at] != c) return std::nullopt;
    ++at;
  }
  text.remove_prefix(at);
  const std::string_view rest = trimmed(text);
  // A name ends where the text ends or an operator begins: "x1" is not the beginning of "x10".
  if (!rest.empty() && rest.front() != '+' && rest.front() != '-' && rest.front() != '=') return std::nullopt;
  return rest;
}

struct Number {
  double value;
  std::string_view rest;
};

std::optional<Number> leading_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return Number{value, trimmed(text.substr(static_cast<std::size_t>(end - text.data())))};
}

class Parser {
 public:
  Parser(const Inference& inference, const std::string& text) : inference_(inference), text_(text) {}

  LinearHypothesis parse() {
    if (trimmed(text_).empty()) user_error("wald: a hypothesis is empty");
    if (auto set = input_set()) return std::move(*set);
    LinearHypothesis result{text_, Matrix::Zero(1, inference_.size()), Vector::Zero(1)};
    std::string_view rest = trimmed(text_);
    double side = 1;
    bool equals = false, term_expected = true;
    double sign = 1;
    while (!rest.empty() || term_expected) {
      if (!term_expected) {
        if (rest.front() == '=') {
          if (equals) fail("has more than one '='");
          equals = true;
          side = -1;
          sign = 1;
        } else {
          sign = rest.front() == '-' ? -1 : 1;  // after_name() and numbers stop at one of the three only
        }
        rest = trimmed(rest.substr(1));
        term_expected = true;
      }
      while (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
        if (rest.front() == '-') sign = -sign;
        rest = trimmed(rest.substr(1));
      }
      rest = term(rest, side * sign, result);
      term_expected = false;
    }
    const bool any = !result.contrasts.isZero(0);
    if (!any) fail("speaks of no parameter");
    if (!equals)
      for (int i = 0; i < inference_.size(); ++i)
        if (result.contrasts(0, i) != 0 && !is_coefficient(i))
          fail(fmt::format("needs '= VALUE': that {} is 0 is no hypothesis",
                           inference_.names[static_cast<std::size_t>(i)]));
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { user_error("wald: '{}' {}", text_, why); }

  bool is_coefficient(int i) const {
    const ParameterPart part = inference_.parts[static_cast<std::size_t>(i)];
    return part == ParameterPart::expert || part == ParameterPart::gate;
  }

  // [number *] name, or a number.
  std::string_view term(std::string_view rest, double factor, LinearHypothesis& result) const {
    if (rest.empty()) fail("ends where a parameter or a number was expected");
    if (const auto found = name_at(rest)) {
      result.contrasts(0, found->first) += factor;
      return found->second;
    }
    const auto number = leading_number(rest);
    if (!number) unknown(rest);
    if (number->rest.empty() || number->rest.front() == '+' || number->rest.front() == '-' ||
        number->rest.front() == '=') {
      result.value(0) -= factor * number->value;
      return number->rest;
    }
    if (number->rest.front() != '*') unknown(rest);
    const std::string_view named = trimmed(number->rest.substr(1));
    const auto found = name_at(named);
    if (!found) unknown(named);
    result.contrasts(0, found->first) += factor * number->value;
    return found->second;
  }

  // The longest name of the table that the text begins with.
  std::optional<std::pair<int, std::string_view>> name_at(std::string_view text) const {
    std::optional<std::pair<int, std::string_view>> best;
    for (int i = 0; i < inference_.size(); ++i)
      if (const auto rest = after_name(text, inference_.names[static_cast<std::size_t>(i)]))
        if (!best || rest->size() < best->second.size()) best = {i, *rest};
    return best;
  }

  [[noreturn]] void unknown(std::string_view at) const {
    const std::string word(trimmed(at.substr(0, at.find('='))));
    user_error("wald: there is no parameter '{}'{}; the names are those of the table of the fit: {}", word,
               did_you_mean(word, inference_.names), short_list(inference_.names));
  }

  // "x1", "gate: x1", "experts: x1", "expert 2: x1", each perhaps "= number": all coefficients of an input.
  std::optional<LinearHypothesis> input_set() const {
    std::string_view left = trimmed(text_);
    double value = 0;
    if (const std::size_t equals = left.rfind('='); equals != std::string_view::npos) {
      const auto number = leading_number(trimmed(left.substr(equals + 1)));
      if (!number || !number->rest.empty()) return std::nullopt;
      value = number->value;
      left = trimmed(left.substr(0, equals));
    }
    bool gate = true, experts = true;
    std::string of_one;  // "expert 2: ", "gate 1: ": the coefficients of one expert only
    const std::size_t colon = left.find(':');
    if (left.starts_with("gate:")) {
      experts = false;
    } else if (left.starts_with("experts:")) {
      gate = false;
    } else if (colon != std::string_view::npos && (left.starts_with("expert ") || left.starts_with("gate "))) {
      of_one = fmt::format("{}: ", left.substr(0, colon));
    }
    if (!gate || !experts || !of_one.empty()) left = trimmed(left.substr(colon + 1));
    const std::string input(left);
    std::vector<int> members;
    for (const bool exact : {true, false}) {  // the column or term of that name; else all terms of that input
      for (int i = 0; i < inference_.size(); ++i) {
        if (!is_coefficient(i)) continue;
        const auto at = static_cast<std::size_t>(i);
        if (inference_.parts[at] == ParameterPart::gate ? !gate : !experts) continue;
        if (!inference_.names[at].starts_with(of_one)) continue;
        if (exact && inference_.labels[at] == input) members.push_back(i);
      }
      if (!exact && members.empty())
        for (const ParameterPart part : {ParameterPart::expert, ParameterPart::gate})
          if (part == ParameterPart::gate ? gate : experts)
            for (const int i : parameters_of_input(inference_, input, part))
              if (inference_.names[static_cast<std::size_t>(i)].starts_with(of_one)) members.push_back(i);
    }
    if (members.empty()) return std::nullopt;
    LinearHypothesis result{text_, Matrix::Zero(static_cast<Index>(members.size()), inference_.size()),
                            Vector::Constant(static_cast<Index>(members.size()), value)};
    for (std::size_t i = 0; i < members.size(); ++i) result.contrasts(static_cast<Index>(i), members[i]) = 1;
    return result;
  }

  const Inference& inference_;
  const std::string& text_;
};

}  // namespace

LinearHypothesis parse_hypothesis(const Inference& inference, const std::string& text) {
  return Parser(inference, text).parse();
}

std::vector<WaldTest> wald_by_name(const Inference& inference, const std::vector<std::string>& hypotheses) {
  std::vector<LinearHypothesis> parsed;
  Index rows = 0;
  for (const std::string& text : hypotheses) {
    parsed.push_back(parse_hypothesis(inference, text));
    rows += parsed.back().value.size();
  }
  std::vector<WaldTest> tests;
  Matrix all(rows, inference.size());
  Vector values(rows);
  Index row = 0;
  for (const LinearHypothesis& hypothesis : parsed) {
    const Index count = hypothesis.value.size();
    all.middleRows(row, count) = hypothesis.contrasts;
    values.segment(row, count) = hypothesis.value;
    row += count;
    tests.push_back(
        wald_test(inference, hypothesis.contrasts, hypothesis.value,
                  hypothesis.text.find('=') == std::string::npos ? hypothesis.text + " = 0" : hypothesis.text));
  }
  if (parsed.size() > 1) tests.push_back(wald_test(inference, all, values, "all of them at once"));
  return tests;
}

}  // namespace clearway
