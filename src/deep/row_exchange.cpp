#include "clearway/deep/row_exchange.hpp"

#include <torch/csrc/autograd/custom_function.h>

namespace clearway::deep {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct ExchangeRows : torch::autograd::Function<ExchangeRows> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& rows, RowExchange* exchange,
                               const std::vector<std::int64_t>& counts, std::vector<std::int64_t>* received) {
    torch::Tensor out = exchange->exchange_rows(rows, counts, *received);
    context->saved_data["exchange"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(exchange));
    context->saved_data["counts"] = counts;
    context->saved_data["received"] = *received;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    auto* exchange = reinterpret_cast<RowExchange*>(
        static_cast<std::intptr_t>(context->saved_data["exchange"].toInt()));  // outlives the graph
    std::vector<std::int64_t> back = context->saved_data["counts"].toIntVector();
    return {exchange->exchange_rows(gradients[0], context->saved_data["received"].toIntVector(), back), torch::Tensor(),
            torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor exchange_with_gradient(RowExchange& exchange, const torch::Tensor& rows,
                                     const std::vector<std::int64_t>& counts, std::vector<std::int64_t>& received) {
  return ExchangeRows::apply(rows, &exchange, counts, &received);
}

torch::Tensor rows_of_all(RowExchange& exchange, const torch::Tensor& own) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(own.dim()), 1);
  shape.front() = exchange.size();
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(exchange.size()), own.size(0));
  std::vector<std::int64_t> received = counts;
  return exchange.exchange_rows(own.repeat(shape), counts, received);
}

}  // namespace clearway::deep
