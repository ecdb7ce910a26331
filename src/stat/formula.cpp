#include "clearway/stat/formula.hpp"

#include <algorithm>
#include <cctype>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "design_attributes.hpp"
#include "design_computed.hpp"
#include "design_terms.hpp"

namespace clearway {
namespace {

constexpr std::size_t kMostCrossed = 6;  // a*b*c*...: 2^6 - 1 terms are more than anybody means

bool begins_name(char c) {
  const auto u = static_cast<unsigned char>(c);
  return std::isalpha(u) != 0 || c == '_' || c == '.' || u >= 0x80;
}
bool continues_name(char c) {
  return begins_name(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_word(std::string_view name) {
  return !name.empty() && name != "." && begins_name(name.front()) &&
         std::all_of(name.begin(), name.end(), continues_name);
}

/// "factor(g)" with the name factor: g; empty when the text is no such call.
std::string argument_of(const std::string& text, std::string_view function) {
  if (!text.starts_with(function) || text.size() < function.size() + 3 || text[function.size()] != '(' ||
      text.back() != ')')
    return {};
  return text.substr(function.size() + 1, text.size() - function.size() - 2);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Formula parse() {
    Formula formula;
    formula.response = response();
    expect('~', "'~' is expected between the response and the terms");
    formula.experts = terms();
    if (peek() == '|') {
      ++at_;
      formula.has_gate = true;
      formula.gate = terms();
    }
    if (peek() == '|') fail("a second '|' has no meaning (repeated measures have an option of their own)");
    if (peek() == '~') fail("a second '~' has no meaning");
    if (peek() != '\0') fail("'+', '-', ':', '*' or '|' is expected");
    return formula;
  }

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  [[noreturn]] void fail(std::string_view rule) const {
    const std::string found =
        at_ < text_.size() ? quoted_for_message(std::string(1, text_[at_])) : std::string("the end");
    user_error("formula {}, character {} ({}): {}", quoted_for_message(text_, 200), at_ + 1, found, rule);
  }

  void expect(char wanted, std::string_view rule) {
    if (peek() != wanted) fail(rule);
    ++at_;
  }

  std::string name() {
    if (peek() == '`') {
      const std::size_t end = text_.find('`', at_ + 1);
      if (end == std::string_view::npos) fail("this backtick is never closed");
      if (end == at_ + 1) fail("a name between backticks must not be empty");
      std::string quoted(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end + 1;
      return quoted;
    }
    if (!begins_name(peek())) fail("a column is expected (put unusual names between backticks)");
    const std::size_t begin = at_;
    while (at_ < text_.size() && continues_name(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  // cbind(a, b) or one response.
  std::vector<std::string> response() {
    const std::size_t begin = at_;
    if (peek() != '`' && text_.substr(at_).starts_with("cbind")) {
      at_ += 5;
      if (peek() == '(') {
        std::vector<std::string> names;
        do {
          ++at_;
          names.push_back(one_response(",)"));
        } while (peek() == ',');
        expect(')', "',' or ')' is expected");
        return names;
      }
    }
    at_ = begin;
    return {one_response("~")};
  }

  // A column, or an expression of columns that ends before one of `ends` outside brackets.
  std::string one_response(std::string_view ends) {
    const bool quoted = peek() == '`';
    const std::size_t begin = at_;
    if (peek() != '(' && std::isdigit(static_cast<unsigned char>(peek())) == 0) {
      const std::string column = name();
      if (column == "." && !quoted) {
        at_ = begin;
        fail("the response must be a column");
      }
      if (peek() == '\0' || std::string_view("(+-*/^").find(peek()) == std::string_view::npos) return column;
    }
    at_ = begin;
    int depth = 0;
    for (bool inside = false; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '`') inside = !inside;
      if (inside) continue;
      if (depth == 0 && ends.find(c) != std::string_view::npos) break;
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const std::string expression = detail::computed_name(text_.substr(begin, at_ - begin));
    if (detail::names_in_expression(expression).empty()) {
      at_ = begin;
      fail("the response must be a column, an expression of columns such as log(y), or cbind(y1, y2)");
    }
    return expression;
  }

  // One factor: a name, a call with balanced brackets, or either to a power.
  std::string factor() {
    const bool quoted = peek() == '`';
    const std::size_t begin = at_;
    std::string text = name();
    if (!quoted && peek() == '(') {
      std::size_t depth = 0;
      const std::size_t open = at_;
      do {
        if (at_ >= text_.size()) {
          at_ = open;
          fail("this bracket is never closed");
        }
        if (text_[at_] == '(') ++depth;
        if (text_[at_] == ')') --depth;
        ++at_;
      } while (depth > 0);
      if (at_ - open == 2) {
        at_ = open + 1;
        fail("a call needs an argument");
      }
      text = detail::computed_name(text_.substr(begin, at_ - begin));
      if (const std::string inside = argument_of(text, "I"); !inside.empty())
        text = detail::has_open_operator(inside) ? "(" + inside + ")" : inside;
    }
    if (peek() == '^') {
      ++at_;
      if (std::isdigit(static_cast<unsigned char>(peek())) == 0) fail("a power must be a whole number");
      const std::size_t digits = at_;
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      text += "^" + std::string(text_.substr(digits, at_ - digits));
    }
    return text;
  }

  // a:b:c
  std::vector<std::string> product() {
    const std::size_t begin = at_;
    std::vector<std::string> factors{factor()};
    while (peek() == ':') {
      ++at_;
      factors.push_back(factor());
    }
    if (factors.size() > 1 && std::find(factors.begin(), factors.end(), ".") != factors.end()) {
      at_ = begin;
      fail("'.' cannot be part of a product");
    }
    return factors;
  }

  // a*b*c: every product of some of them, short ones first.
  std::vector<std::vector<std::string>> crossed() {
    const std::size_t begin = at_;
    std::vector<std::vector<std::string>> parts{product()};
    while (peek() == '*') {
      ++at_;
      parts.push_back(product());
    }
    if (parts.size() == 1) return parts;
    at_ = parts.size() > kMostCrossed ? begin : at_;
    if (parts.size() > kMostCrossed) fail("too many terms are crossed by '*'");
    for (const auto& part : parts)
      if (part.front() == ".") {
        at_ = begin;
        fail("'.' cannot be part of a product");
      }
    std::vector<std::vector<std::string>> out;
    for (std::size_t size = 1; size <= parts.size(); ++size)
      for (std::size_t subset = 1; subset < (std::size_t{1} << parts.size()); ++subset) {
        std::vector<std::string> factors;
        std::size_t count = 0;
        for (std::size_t i = 0; i < parts.size(); ++i)
          if ((subset >> i) & 1U) {
            ++count;
            factors.insert(factors.end(), parts[i].begin(), parts[i].end());
          }
        if (count == size) out.push_back(std::move(factors));
      }
    return out;
  }

  std::vector<FormulaTerm> terms() {
    std::vector<FormulaTerm> list;
    bool removed = false;
    if (peek() == '+' || peek() == '-') removed = text_[at_++] == '-';
    for (;;) {
      if (peek() == '0' || (peek() == '1' && removed))
        fail("the intercept is always there; the option --fix \"(intercept)=0\" holds that of the experts");
      if (peek() == '1') {
        ++at_;
        if (std::isalnum(static_cast<unsigned char>(peek())) != 0) fail("'+', '-', ':', '*' or '|' is expected");
      } else {
        for (auto& factors : crossed()) {
          FormulaTerm term{removed, std::move(factors)};
          if (std::find(list.begin(), list.end(), term) == list.end()) list.push_back(std::move(term));
        }
      }
      if (peek() != '+' && peek() != '-') return list;
      removed = text_[at_++] == '-';
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// A factor as it must be written to be read as the same: names that are no words between backticks.
std::string written(const std::string& factor) {
  if (factor == "." || is_word(factor)) return factor;
  const std::size_t hat = factor.rfind('^');
  if (hat != std::string::npos && hat > 0 && hat + 1 < factor.size() &&
      std::all_of(factor.begin() + static_cast<std::ptrdiff_t>(hat) + 1, factor.end(),
                  [](unsigned char c) { return std::isdigit(c) != 0; }))
    return written(factor.substr(0, hat)) + factor.substr(hat);
  const std::size_t open = factor.find('(');
  if (open != std::string::npos && factor.back() == ')' && is_word(std::string_view(factor).substr(0, open)))
    return factor;
  if (factor.size() > 2 && factor.front() == '(' && factor.back() == ')' &&
      !detail::names_in_expression(factor).empty()) {
    const std::string inside = factor.substr(1, factor.size() - 2);  // "(a)/(b)" has none that is an expression
    if (detail::has_open_operator(inside) && !detail::names_in_expression(inside).empty()) return "I" + factor;
  }
  return "`" + factor + "`";
}

std::string written_response(const std::string& name) {
  const bool starts = !name.empty() && (begins_name(name.front()) || name.front() == '(' || name.front() == '`');
  const bool expression = starts && name == detail::computed_name(name) && !detail::names_in_expression(name).empty();
  return is_word(name) || expression ? name : "`" + name + "`";
}

std::string written(const std::vector<FormulaTerm>& terms) {
  std::string out;
  for (const FormulaTerm& term : terms) {
    std::vector<std::string> factors;
    for (const std::string& factor : term.factors) factors.push_back(written(factor));
    if (term.removed)
      out += out.empty() ? "-" : " - ";
    else if (!out.empty())
      out += " + ";
    out += fmt::format("{}", fmt::join(factors, ":"));
  }
  return out.empty() ? "1" : out;
}

std::vector<std::string> sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  return words;
}

/// Terms of one side as make_design() reads them.
class Resolver {
 public:
  Resolver(const Table& table, ColumnChoice& choice) : table_(table), choice_(choice) {}

  // Offsets first, so that '.' does not take their columns.
  void take_offset(const std::vector<FormulaTerm>& terms, bool gate) {
    for (const FormulaTerm& term : terms) {
      if (term.factors.size() != 1) continue;
      const std::string column = argument_of(term.factors.front(), "offset");
      if (column.empty()) continue;
      if (gate) user_error("formula: offset({}) has no meaning in the gate", column);
      if (choice_.offset.empty())
        choice_.offset = column;
      else if (!table_.has_column(choice_.offset) || is_word(choice_.offset))
        choice_.offset = fmt::format("({})+({})", choice_.offset, column);  // R adds them up
      else
        user_error("formula: the offsets '{}' and '{}' cannot be added; put odd names between backticks",
                   choice_.offset, column);
    }
  }

  std::vector<std::string> side(const std::vector<FormulaTerm>& terms) {
    std::vector<std::vector<std::string>> chosen;
    for (const FormulaTerm& term : terms) {
      if (term.factors.size() == 1 && !argument_of(term.factors.front(), "offset").empty()) continue;
      if (term.factors.front() == ".") {
        if (term.removed) user_error("formula: '- .' would leave nothing; write 1");
        for (const auto& column : others())
          if (!holds(chosen, {column})) chosen.push_back({column});
        continue;
      }
      std::vector<std::string> factors;
      for (const std::string& factor : term.factors) factors.push_back(plain(factor));
      if (!term.removed) {
        if (!holds(chosen, factors)) chosen.push_back(factors);
        continue;
      }
      const std::size_t before = chosen.size();
      std::erase_if(chosen, [&](const auto& other) { return sorted(other) == sorted(factors); });
      if (chosen.size() == before)
        user_error("formula: '- {}' takes a term away that is not there", fmt::join(term.factors, ":"));
    }
    std::vector<std::string> texts;
    texts.reserve(chosen.size() + 1);
    for (const auto& factors : chosen) texts.push_back(fmt::format("{}", fmt::join(factors, "*")));
    if (texts.empty()) texts.emplace_back("1");
    return texts;
  }

 private:
  static bool holds(const std::vector<std::vector<std::string>>& list, const std::vector<std::string>& factors) {
    return std::any_of(list.begin(), list.end(), [&](const auto& other) { return sorted(other) == sorted(factors); });
  }

  std::vector<std::string> others() const {
    std::vector<std::string> names;
    const std::vector<std::string> of_attributes = detail::attribute_columns(table_, choice_);
    const std::vector<std::string> with_part = detail::columns_with_a_part(table_, choice_);
    const auto in = [](const std::vector<std::string>& list, const std::string& name) {
      return std::find(list.begin(), list.end(), name) != list.end();
    };
    for (const Column& column : table_.columns)
      if (!in(with_part, column.name) && !in(choice_.exclude, column.name) && column.name != choice_.weights &&
          column.name != choice_.id && column.name != choice_.labels && column.name != choice_.event &&
          !in(of_attributes, column.name))
        names.push_back(column.name);
    return names;
  }

  /// factor(g) makes g a category.
  std::string plain(const std::string& factor) {
    std::string column = argument_of(factor, "factor");
    if (column.empty()) column = argument_of(factor, "as.factor");
    if (column.empty()) return factor;
    if (column.size() > 2 && column.front() == '`' && column.back() == '`')
      column = column.substr(1, column.size() - 2);
    auto& categories = choice_.as_category;
    if (std::find(categories.begin(), categories.end(), column) == categories.end()) categories.push_back(column);
    return column;
  }

  const Table& table_;
  ColumnChoice& choice_;
};

}  // namespace

Formula Formula::parse(std::string_view text) {
  return Parser(text).parse();
}

std::string Formula::text() const {
  std::vector<std::string> names;
  for (const std::string& name : response) names.push_back(written_response(name));
  std::string out = names.size() == 1 ? names.front() : fmt::format("cbind({})", fmt::join(names, ", "));
  out += " ~ " + written(experts);
  if (has_gate) out += " | " + written(gate);
  return out;
}

void apply_formula(const Formula& formula, const Table& table, ColumnChoice& choice) {
  if (!choice.target.empty() || !choice.experts_on.empty() || !choice.gate_on.empty())
    user_error("formula takes the place of target, experts-on and gate-on; give one or the other");
  choice.target = formula.response;
  Resolver resolver(table, choice);
  resolver.take_offset(formula.experts, false);
  resolver.take_offset(formula.gate, true);
  choice.experts_on = resolver.side(formula.experts);
  if (formula.has_gate) choice.gate_on = resolver.side(formula.gate);
}

}  // namespace clearway
