#include "kernels/attention.hpp"

#include <algorithm>

#include "clearway/base/parallel.hpp"
#include "kernels/instruction_sets.hpp"
#include "kernels/scratch.hpp"

namespace clearway::kernels {
namespace {

constexpr double kThreadingWork = 3e7;  // products and sums below which threads cost more than they give

template <class Number>
Number* begin_of(const HeadTable<Number>& table, std::size_t batch, std::size_t head) {
  return table.data + batch * table.batch + head * table.head;
}
HeadRows rows_of(const HeadTable<const float>& table, std::size_t batch, std::size_t head) {
  return {begin_of(table, batch, head), table.row};
}
HeadRowsOut rows_of(const HeadTable<float>& table, std::size_t batch, std::size_t head) {
  return {begin_of(table, batch, head), table.row};
}

/// One head's part of a call, without output, sums and scratch memory.
AttentionHead head_of(const AttentionCall& call, std::size_t batch, std::size_t head) {
  AttentionHead out;
  out.q = rows_of(call.q, batch, head);
  out.k = rows_of(call.k, batch, head);
  out.v = rows_of(call.v, batch, head);
  out.queries = call.queries;
  out.keys = call.keys;
  out.width = call.width;
  out.cosine = call.cosine;
  out.sine = call.sine;
  out.scale = call.scale;
  return out;
}

/// Calls body(batch, head, scratch memory) for all heads; `products` are done on every pair of a query and a key.
template <class Body>
void for_heads(const AttentionCall& call, bool backward, double products, const Body& body) {
  const std::size_t heads = call.batch * call.heads;
  const double pairs = static_cast<double>(call.queries) * static_cast<double>(call.keys);
  const double work = products * static_cast<double>(heads) * pairs * static_cast<double>(call.width);
  const std::size_t space = attention_space(call.queries, call.keys, call.width, backward);
  parallel_for(heads, work < kThreadingWork ? 1 : std::max(1, call.threads), [&](std::size_t i) {
    const Scratch memory(space);
    body(i / call.heads, i % call.heads, memory.data());
  });
}

const KernelTable& table_of(const AttentionCall& call) {
  return call.table ? *call.table : kernels();
}

}  // namespace

void attention(const AttentionCall& call, const HeadTable<float>& out, float* log_total) {
  const KernelTable& table = table_of(call);
  for_heads(call, false, 2, [&](std::size_t batch, std::size_t head, float* space) {
    AttentionHead one = head_of(call, batch, head);
    one.out = rows_of(out, batch, head);
    if (log_total) one.log_total = log_total + (batch * call.heads + head) * call.queries;
    one.space = space;
    table.attention_forward(one);
  });
}

void attention_backward(const AttentionCall& call, const AttentionBackward& backward) {
  const KernelTable& table = table_of(call);
  for_heads(call, true, 5, [&](std::size_t batch, std::size_t head, float* space) {
    AttentionHeadBackward one;
    one.forward = head_of(call, batch, head);
    one.log_total = backward.log_total + (batch * call.heads + head) * call.queries;
    one.forward.space = space;
    one.out = rows_of(backward.out, batch, head);
    one.out_gradient = rows_of(backward.out_gradient, batch, head);
    one.dq = rows_of(backward.dq, batch, head);
    one.dk = rows_of(backward.dk, batch, head);
    one.dv = rows_of(backward.dv, batch, head);
    table.attention_backward(one);
  });
}

}  // namespace clearway::kernels
