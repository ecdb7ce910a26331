#include "expression.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

namespace clearway::detail {

namespace {

using Kind = ExpressionNode::Kind;
using Function = ExpressionNode::Function;

constexpr std::array<std::pair<std::string_view, Function>, 11> kFunctions{{{"exp", Function::exp},
                                                                            {"log", Function::log},
                                                                            {"sqrt", Function::sqrt},
                                                                            {"sin", Function::sin},
                                                                            {"cos", Function::cos},
                                                                            {"tanh", Function::tanh},
                                                                            {"sigmoid", Function::sigmoid},
                                                                            {"softplus", Function::softplus},
                                                                            {"relu", Function::relu},
                                                                            {"gelu", Function::gelu},
                                                                            {"Phi", Function::phi}}};
constexpr int kMostInputs = 20;
constexpr int kDeepest = 200;         // nested brackets and signs
constexpr double kLargestPower = 64;  // as repeated multiplication

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

class ExpressionParser {
 public:
  ExpressionParser(Expression& expression, ExpressionNames names)
      : expression_(expression), text_(expression.text_), columns_(names == ExpressionNames::columns) {}

  void run() {
    sum();
    skip();
    if (at_ < text_.size()) fail("an operator or the end", at_);
  }

 private:
  [[noreturn]] void fail(std::string_view expected, std::size_t where) const {
    if (where >= text_.size()) user_error("expression '{}': expected {} at the end", text_, expected);
    user_error("expression '{}': expected {} at character {}, not '{}'", text_, expected, where + 1, text_[where]);
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  int add(ExpressionNode node) {
    expression_.nodes_.push_back(node);
    return static_cast<int>(expression_.nodes_.size()) - 1;
  }

  int sum() {
    int left = product();
    for (;;) {
      if (take('+'))
        left = add({.kind = Kind::add, .left = left, .right = product()});
      else if (take('-'))
        left = add({.kind = Kind::subtract, .left = left, .right = product()});
      else
        return left;
    }
  }
  int product() {
    int left = signed_value();
    for (;;) {
      if (take('*'))
        left = add({.kind = Kind::multiply, .left = left, .right = signed_value()});
      else if (take('/'))
        left = add({.kind = Kind::divide, .left = left, .right = signed_value()});
      else
        return left;
    }
  }
  int signed_value() {
    if (++depth_ > kDeepest) user_error("expression '{}' is nested too deeply", text_);
    int value = 0;
    if (take('-'))
      value = add({.kind = Kind::negate, .left = signed_value()});
    else if (take('+'))
      value = signed_value();
    else
      value = power();
    --depth_;
    return value;
  }
  int power() {
    const int base = atom();
    if (!take('^')) return base;
    const std::size_t before = expression_.nodes_.size();
    const int exponent = signed_value();
    const ExpressionNode node = expression_.nodes_.back();
    const bool whole = expression_.nodes_.size() == before + 1 && node.kind == Kind::number && node.value >= 0 &&
                       node.value == std::floor(node.value) && node.value <= kLargestPower;
    if (!whole) return add({.kind = Kind::power, .left = base, .right = exponent});
    expression_.nodes_.pop_back();
    return add({.kind = Kind::whole_power, .index = static_cast<int>(node.value), .left = base});
  }
  int atom() {
    skip();
    if (take('(')) {
      const int inside = sum();
      if (!take(')')) fail("')'", at_);
      return inside;
    }
    if (columns_ && at_ < text_.size() && text_[at_] == '`') return quoted_name();
    if (at_ < text_.size() && starts_name(at_)) return name();
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) fail("a number, a name or '('", at_);
    at_ = static_cast<std::size_t>(end - text_.data());
    return add({.kind = Kind::number, .value = value});
  }
  bool starts_name(std::size_t at) const {
    const char c = text_[at];
    if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_') return true;
    if (!columns_) return false;
    return static_cast<unsigned char>(c) >= 0x80 || (c == '.' && at + 1 < text_.size() && !is_digit(text_[at + 1]));
  }
  bool continues_name(std::size_t at) const {
    return starts_name(at) || is_digit(text_[at]) || (columns_ && text_[at] == '.');
  }

  int quoted_name() {
    const std::size_t end = text_.find('`', at_ + 1);
    if (end == std::string::npos) fail("a second backtick for the one", at_);
    if (end == at_ + 1) fail("a name between the backticks", at_);
    const std::string word = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return parameter(word);
  }

  int name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && continues_name(at_)) ++at_;
    const std::string word = text_.substr(begin, at_ - begin);
    if (take('(')) {
      if (const int made = composed(word); made >= 0) return made;
      const auto* known =
          std::find_if(kFunctions.begin(), kFunctions.end(), [&](const auto& f) { return f.first == word; });
      if (known == kFunctions.end()) {
        std::vector<std::string_view> names{"log1p", "log2", "log10", "abs"};
        std::transform(kFunctions.begin(), kFunctions.end(), std::back_inserter(names),
                       [](const auto& f) { return f.first; });
        user_error("expression '{}': there is no function '{}'; there are {}", text_, word, fmt::join(names, ", "));
      }
      const int inside = sum();
      if (!take(')')) fail("')'", at_);
      return add({.kind = Kind::function, .function = known->second, .left = inside});
    }
    if (columns_) return parameter(word);
    if (word == "pi") return add({.kind = Kind::number, .value = M_PI});
    const bool numbered = word.size() > 1 && word[0] == 'x' &&
                          std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (word == "x" || numbered) {
      const int number = numbered && word.size() < 5 ? std::stoi(word.substr(1)) : numbered ? kMostInputs + 1 : 1;
      if (number < 1 || number > kMostInputs)
        user_error("expression '{}': inputs are x or x1 to x{}, not {}", text_, kMostInputs, word);
      expression_.inputs_ = std::max(expression_.inputs_, number);
      return add({.kind = Kind::input, .index = number - 1});
    }
    return parameter(word);
  }

  // log1p(z) = log(1 + z), log2, log10, abs(z) = relu(z) + relu(-z), I(z) = z as R has it; -1 for any other name.
  int composed(const std::string& word) {
    const auto argument = [&] {
      const int inside = sum();
      if (!take(')')) fail("')'", at_);
      return inside;
    };
    const auto apply = [&](Function function, int of) {
      return add({.kind = Kind::function, .function = function, .left = of});
    };
    if (word == "I" && columns_) return argument();
    if (word == "log1p") {
      const int one = add({.kind = Kind::number, .value = 1});
      return apply(Function::log, add({.kind = Kind::add, .left = one, .right = argument()}));
    }
    if (word == "log2" || word == "log10") {
      const int natural = apply(Function::log, argument());
      const int base = add({.kind = Kind::number, .value = word == "log2" ? M_LN2 : M_LN10});
      return add({.kind = Kind::divide, .left = natural, .right = base});
    }
    if (word == "abs") {
      const int inside = argument();
      const int positive = apply(Function::relu, inside);
      const int negative = apply(Function::relu, add({.kind = Kind::negate, .left = inside}));
      return add({.kind = Kind::add, .left = positive, .right = negative});
    }
    return -1;
  }

  int parameter(const std::string& word) {
    auto& known = expression_.parameters_;
    const auto found = std::find(known.begin(), known.end(), word);
    const auto index = static_cast<int>(found - known.begin());
    if (found == known.end()) known.push_back(word);
    return add({.kind = Kind::parameter, .index = index});
  }

  Expression& expression_;
  const std::string& text_;
  bool columns_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

Expression::Expression(const std::string& text, ExpressionNames names) : text_(text) {
  ExpressionParser(*this, names).run();
}

}  // namespace clearway::detail
