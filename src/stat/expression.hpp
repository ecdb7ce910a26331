// A formula typed by a user, "tanh(a*x + b)", as a function that any number type can evaluate.
//
//   sum     = product { ("+" | "-") product }
//   product = signed { ("*" | "/") signed }
//   signed  = ["-" | "+"] signed | power
//   power   = atom ["^" signed]                 a whole number as exponent is repeated multiplication
//   atom    = number | name | function "(" sum ")" | "(" sum ")"
//
// x, x1, x2, ... are inputs; pi is pi; every other name is a parameter. Functions: exp log sqrt sin cos tanh sigmoid
// softplus relu gelu Phi (the standard normal distribution function), and made of these log1p log2 log10 abs.
//
// Over the columns of a table every name is a parameter, x and pi as well; it may hold dots and any letters, and names between
// backticks may hold anything.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway::detail {

/// One node of a parsed formula; children come before their parents.
struct ExpressionNode {
  enum class Kind { number, input, parameter, add, subtract, multiply, divide, negate, power, whole_power, function };
  enum class Function { exp, log, sqrt, sin, cos, tanh, sigmoid, softplus, relu, gelu, phi };
  Kind kind = Kind::number;
  Function function = Function::exp;
  double value = 0;  ///< of a number
  int index = 0;     ///< of an input or a parameter; the exponent of whole_power
  int left = -1;     ///< node numbers
  int right = -1;
};

/// What the names of an expression stand for.
enum class ExpressionNames { inputs_and_parameters, columns };

class Expression {
 public:
  /// Throws std::invalid_argument with the position of the first thing that does not fit the grammar.
  explicit Expression(const std::string& text, ExpressionNames names = ExpressionNames::inputs_and_parameters);

  const std::string& text() const { return text_; }
  /// Number of inputs: the largest index, at least 1 when x occurs.
  int inputs() const { return inputs_; }
  /// Names in the order of their first use.
  const std::vector<std::string>& parameters() const { return parameters_; }

  /// The value at inputs and parameters. `Number` needs + - * / with itself, a constructor from double, and the functions
  /// above by argument-dependent lookup.
  template <class Number>
  Number evaluate(std::span<const Number> inputs, std::span<const Number> parameters) const;

 private:
  friend class ExpressionParser;
  std::string text_;
  std::vector<ExpressionNode> nodes_;
  std::vector<std::string> parameters_;
  int inputs_ = 0;
};

template <class Number>
Number Expression::evaluate(std::span<const Number> inputs, std::span<const Number> parameters) const {
  std::vector<Number> values;
  values.reserve(nodes_.size());
  const auto at = [&](int i) -> const Number& { return values[static_cast<std::size_t>(i)]; };
  const auto apply = [](ExpressionNode::Function function, const Number& z) -> Number {
    switch (function) {
      case ExpressionNode::Function::exp:
        return exp(z);
      case ExpressionNode::Function::log:
        return log(z);
      case ExpressionNode::Function::sqrt:
        return sqrt(z);
      case ExpressionNode::Function::sin:
        return sin(z);
      case ExpressionNode::Function::cos:
        return cos(z);
      case ExpressionNode::Function::tanh:
        return tanh(z);
      case ExpressionNode::Function::sigmoid:
        return sigmoid(z);
      case ExpressionNode::Function::softplus:
        return softplus(z);
      case ExpressionNode::Function::relu:
        return relu(z);
      case ExpressionNode::Function::gelu:
        return z * normal_cdf(z);
      case ExpressionNode::Function::phi:
        return normal_cdf(z);
    }
    return z;
  };
  for (const ExpressionNode& node : nodes_) {
    switch (node.kind) {
      case ExpressionNode::Kind::number:
        values.push_back(Number(node.value));
        break;
      case ExpressionNode::Kind::input:
        values.push_back(inputs[static_cast<std::size_t>(node.index)]);
        break;
      case ExpressionNode::Kind::parameter:
        values.push_back(parameters[static_cast<std::size_t>(node.index)]);
        break;
      case ExpressionNode::Kind::add:
        values.push_back(at(node.left) + at(node.right));
        break;
      case ExpressionNode::Kind::subtract:
        values.push_back(at(node.left) - at(node.right));
        break;
      case ExpressionNode::Kind::multiply:
        values.push_back(at(node.left) * at(node.right));
        break;
      case ExpressionNode::Kind::divide:
        values.push_back(at(node.left) / at(node.right));
        break;
      case ExpressionNode::Kind::negate:
        values.push_back(Number(0.0) - at(node.left));
        break;
      case ExpressionNode::Kind::power:
        values.push_back(exp(at(node.right) * log(at(node.left))));
        break;
      case ExpressionNode::Kind::whole_power: {
        Number product(1.0);
        for (int i = 0; i < node.index; ++i) product = product * at(node.left);
        values.push_back(product);
        break;
      }
      case ExpressionNode::Kind::function:
        values.push_back(apply(node.function, at(node.left)));
        break;
    }
  }
  return values.back();
}

}  // namespace clearway::detail
