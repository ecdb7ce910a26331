#include "kernels/feed_forward.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "clearway/base/parallel.hpp"
#include "kernels/instruction_sets.hpp"
#include "kernels/scratch.hpp"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace clearway::kernels {
namespace {

constexpr std::size_t kHiddenBlock = 256;  // hidden units that are worked on at a time, before the next product
constexpr std::size_t kTokenBlock = 256;   // rows that a weight gradient sums in registers
constexpr std::size_t kStreamedNumbers = std::size_t{1} << 22;  // gradients that no cache would keep anyway
constexpr double kThreadingWork = 3e7;  // products and sums below which threads cost more than they give

std::size_t panels(std::size_t columns) {
  return (columns + kPanel - 1) / kPanel;
}
std::size_t padded(std::size_t columns) {
  return panels(columns) * kPanel;
}

/// Rows that are worked on together: their inputs and one block of hidden units should fit half of the level 2 cache.
std::size_t tile_rows(std::size_t width) {
  static const std::size_t cache = [] {
    std::size_t bytes = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = static_cast<std::size_t>(std::max(0L, sysconf(_SC_LEVEL2_CACHE_SIZE)));
#endif
    return bytes > 0 ? bytes : std::size_t{1} << 20;
  }();
  const std::size_t fit = cache / 2 / sizeof(float) / (width + kHiddenBlock);
  return std::clamp<std::size_t>(fit / 12 * 12, 48, 384);
}

struct Range {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

/// [0, count) in pieces of at most `most`, of about equal size, each but the last a multiple of `unit`.
std::vector<Range> pieces(Range whole, std::size_t most, std::size_t unit) {
  std::vector<Range> out;
  const std::size_t count = (whole.size() + most - 1) / most;
  for (std::size_t i = 0, begin = whole.begin; i < count; ++i) {
    const std::size_t share = (whole.end - begin + count - i - 1) / (count - i);
    const std::size_t end = std::min(whole.end, begin + (share + unit - 1) / unit * unit);
    if (end > begin) out.push_back({begin, end});
    begin = end;
  }
  return out;
}

std::vector<Range> hidden_blocks(std::size_t hidden) {
  return pieces({0, hidden}, kHiddenBlock, 2 * kPanel);
}

/// A part of one expert's work: a range of its rows or of its blocks of hidden units.
struct Task {
  std::size_t expert;
  Range range;
  std::size_t cost;
};

/// The largest first; equal ones in order of experts.
void sort_by_cost(std::vector<Task>& tasks) {
  std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.cost > b.cost; });
}

int threads_for(const FeedForwardCall& call, double products) {
  const double work = products * 2 * static_cast<double>(call.by_expert->members.size()) *
                      static_cast<double>(call.shape.inputs) * static_cast<double>(call.shape.hidden);
  return work < kThreadingWork ? 1 : std::max(1, call.threads);
}

/// Rows of experts, cut so that `threads` threads find enough to do.
std::vector<Task> row_tasks(const Groups& groups, int threads, std::size_t tile) {
  std::vector<Task> tasks;
  const std::size_t all = groups.members.size();
  const std::size_t most =
      threads == 1 ? std::max<std::size_t>(all, 1) : std::max(tile, all / (4 * static_cast<std::size_t>(threads)));
  for (std::size_t e = 0; e < groups.size(); ++e)
    for (const Range& range : pieces({0, groups.count(e)}, most, 12)) tasks.push_back({e, range, range.size()});
  sort_by_cost(tasks);
  return tasks;
}

bool is_gated(const FeedForwardShape& shape) {
  return shape.activation == Activation::swiglu;
}

/// What an expert's pieces of saved pre-activations (or their gradients) look like: panels over all of its rows.
struct SavedView {
  std::size_t rows, begin;  // of the expert; offset of its block

  SavedView(const Groups& groups, std::size_t expert, std::size_t hidden)
      : rows(groups.count(expert)), begin(static_cast<std::size_t>(groups.first[expert]) * padded(hidden)) {}
  std::size_t at(std::size_t panel, std::size_t row) const { return begin + (panel * rows + row) * kPanel; }
};

/// The inputs as the products read them: as they are, rounded, or as pairs of bfloat16.
struct Inputs {
  const float* data;
  std::size_t stride;
};

class Forward {
 public:
  Forward(const FeedForwardCall& call, const KernelTable& table, const Inputs& inputs, float* y, float* saved)
      : call_(call), table_(table), inputs_(inputs), y_(y), saved_(saved), blocks_(hidden_blocks(call.shape.hidden)) {
    pairs_ = call.shape.bfloat16 && table.hidden_pairs;
    round_ = call.shape.bfloat16 && !pairs_;
  }

  void run(const Task& task) const {
    const FeedForwardShape& shape = call_.shape;
    const std::size_t d = shape.inputs, h = shape.hidden, factors = is_gated(shape) ? 2 : 1;
    const std::vector<Range> tiles = pieces(task.range, tile_rows(d), table_.row_block);
    std::size_t tallest = 0;
    for (const Range& tile : tiles) tallest = std::max(tallest, tile.size());

    const std::size_t block = std::min(padded(h), kHiddenBlock + 2 * kPanel);
    // So few rows that packing the weights would cost more than reading them where they are.
    const bool direct = task.range.size() <= table_.row_block && !shape.bfloat16;
    const Scratch hidden((block + kPanel) * tallest);
    const Scratch first_factor(factors * d * block), second_factor(padded(d) * block);
    std::vector<const float*> rows(tallest);
    std::vector<float*> outs(tallest);
    std::vector<HiddenProduct> hidden_products;
    std::vector<OutputProduct> output_products;
    const SavedView saved(*call_.by_expert, task.expert, h);

    for (const Range& units : blocks_)
      for (const Range& tile : tiles) {
        const bool packed = tile.begin != task.range.begin;
        set_rows(task.expert, tile, rows, outs);
        if (!direct && !packed) {
          const float* weight[2] = {call_.weights.w1, call_.weights.w_gate};
          for (std::size_t i = 0; i < factors; ++i)
            pack(weight[i] + task.expert * d * h + units.begin, h, d, units.size(),
                 first_factor.data() + i * panels(units.size()) * d * kPanel);
          pack(call_.weights.w2 + (task.expert * h + units.begin) * d, d, units.size(), d, second_factor.data());
        }
        hidden_products.clear();
        for (std::size_t c = units.begin; c < units.end; c += kPanel)
          hidden_products.push_back(
              hidden_panel(task.expert, tile, units, c, direct, rows, saved, first_factor.data(), hidden.data()));
        (pairs_ ? table_.hidden_pairs : table_.hidden)(hidden_products.data(), hidden_products.size());
        output_products.clear();
        for (std::size_t c = 0; c < d; c += kPanel)
          output_products.push_back(
              output_panel(task.expert, tile, units, c, direct, outs, second_factor.data(), hidden.data()));
        (pairs_ ? table_.output_pairs : table_.output)(output_products.data(), output_products.size());
      }
  }

 private:
  void set_rows(std::size_t expert, const Range& tile, std::vector<const float*>& rows,
                std::vector<float*>& outs) const {
    const std::int64_t* slots = call_.by_expert->begin(expert);
    for (std::size_t r = 0; r < tile.size(); ++r) {
      const auto slot = static_cast<std::size_t>(slots[tile.begin + r]);
      rows[r] = inputs_.data + static_cast<std::size_t>(call_.token[slot]) * inputs_.stride;
      outs[r] = y_ + slot * call_.shape.inputs;
    }
  }

  void pack(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, float* to) const {
    if (pairs_)
      table_.pack_pairs(from, stride, depth, columns, to);
    else
      table_.pack(from, stride, depth, columns, round_, to);
  }

  /// The panel of a matrix: where it is if it is whole and `direct`, else packed (at `to`).
  RightPanel factor(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, bool direct,
                    float* to) const {
    if (!direct) return {to, kPanel};
    if (columns == kPanel) return {from, stride};
    pack(from, stride, depth, columns, to);
    return {to, kPanel};
  }

  std::size_t words(std::size_t depth) const { return pairs_ ? (depth + 1) / 2 : depth; }

  HiddenProduct hidden_panel(std::size_t expert, const Range& tile, const Range& units, std::size_t c, bool direct,
                             const std::vector<const float*>& rows, const SavedView& saved, float* space,
                             float* hidden) const {
    const FeedForwardShape& shape = call_.shape;
    const std::size_t d = shape.inputs, h = shape.hidden, j = (c - units.begin) / kPanel;
    const float* weight[2] = {call_.weights.w1, call_.weights.w_gate};
    const float* bias[2] = {call_.weights.b1, call_.weights.b_gate};
    HiddenProduct p;
    p.rows.pointers = rows.data();
    p.count = tile.size();
    p.depth = words(d);
    p.columns = std::min(kPanel, h - c);
    const std::size_t all = call_.by_expert->members.size() * padded(h);
    for (std::size_t i = 0; i < (is_gated(shape) ? 2u : 1u); ++i) {
      float* const to = space + i * panels(units.size()) * d * kPanel + j * words(d) * kPanel;
      p.factor[i] = factor(weight[i] + expert * d * h + c, h, d, p.columns, direct, to);
      p.bias[i] = bias[i] ? bias[i] + expert * h + c : nullptr;
      if (saved_) p.saved[i] = saved_ + i * all + saved.at(c / kPanel, tile.begin);
    }
    if (call_.mask) p.mask = call_.mask + saved.at(c / kPanel, tile.begin);
    p.activation = shape.activation;
    p.round = round_;
    // Two panels of bfloat16 lie side by side in the room of one.
    p.hidden =
        pairs_ ? hidden + j / 2 * tile.size() * kPanel + j % 2 * (kPanel / 2) : hidden + j * tile.size() * kPanel;
    return p;
  }

  OutputProduct output_panel(std::size_t expert, const Range& tile, const Range& units, std::size_t c, bool direct,
                             const std::vector<float*>& outs, float* space, const float* hidden) const {
    const std::size_t d = call_.shape.inputs, h = call_.shape.hidden;
    OutputProduct p;
    p.rows.base = hidden;
    p.rows.chunk = tile.size() * kPanel;
    p.count = tile.size();
    p.depth = words(units.size());
    p.columns = std::min(kPanel, d - c);
    p.factor = factor(call_.weights.w2 + (expert * h + units.begin) * d + c, d, units.size(), p.columns, direct,
                      space + c * words(units.size()));
    if (call_.weights.b2 && units.begin == 0) p.bias = call_.weights.b2 + expert * d + c;
    p.out = outs.data();
    p.offset = c;
    p.accumulate = units.begin > 0;
    return p;
  }

  const FeedForwardCall& call_;
  const KernelTable& table_;
  const Inputs inputs_;
  float* const y_;
  float* const saved_;
  const std::vector<Range> blocks_;
  bool pairs_ = false, round_ = false;
};

class Backward {
 public:
  Backward(const FeedForwardCall& call, const FeedForwardBackward& wanted, const KernelTable& table,
           float* pre_gradient, float* weight_parts)
      : call_(call),
        wanted_(wanted),
        table_(table),
        pre_gradient_(pre_gradient),
        weight_parts_(weight_parts),
        blocks_(hidden_blocks(call.shape.hidden)),
        wants_weights_(wanted.gradients.w1 || wanted.gradients.w2 || wanted.gradients.w_gate),
        stream_(call.shape.experts * call.shape.inputs * call.shape.hidden >= kStreamedNumbers) {}

  const std::vector<Range>& blocks() const { return blocks_; }

  const float* y_row(std::size_t slot) const {
    const auto row = wanted_.per_slot ? slot : static_cast<std::size_t>(call_.token[slot]);
    return wanted_.y_gradient + row * call_.shape.inputs;
  }

  /// Gradients of pre-activations and of all parameters for some blocks of hidden units of one expert.
  void parameters(const Task& task) const {
    const FeedForwardShape& shape = call_.shape;
    const Groups& groups = *call_.by_expert;
    const std::size_t d = shape.inputs, h = shape.hidden, count = groups.count(task.expert);
    if (count == 0) return no_rows(task);
    const std::vector<Range> tiles = pieces({0, count}, tile_rows(2 * d), table_.row_block);
    std::size_t tallest = 0;
    for (const Range& tile : tiles) tallest = std::max(tallest, tile.size());
    const std::size_t block = std::min(padded(h), kHiddenBlock + 2 * kPanel);
    const Scratch factor(d * block), hidden(block * tallest);
    const Scratch x_panels(wants_weights_ ? padded(d) * tallest : 1),
        y_panels(wants_weights_ ? padded(d) * tallest : 1);
    std::vector<const float*> x_rows(tallest), y_rows(tallest);
    std::vector<float> weight(tallest, 1.0f);
    std::vector<GradientProduct> products;
    const SavedView saved(groups, task.expert, h);

    for (std::size_t b = task.range.begin; b < task.range.end; ++b) {
      const Range units = blocks_[b];
      for (const Range& tile : tiles) {
        const bool packed = tile.begin > 0, same = tiles.size() == 1 && b > task.range.begin;
        if (!same) {
          const std::int64_t* slots = groups.begin(task.expert) + tile.begin;
          for (std::size_t r = 0; r < tile.size(); ++r) {
            const auto slot = static_cast<std::size_t>(slots[r]);
            x_rows[r] = call_.x + static_cast<std::size_t>(call_.token[slot]) * d;
            y_rows[r] = y_row(slot);
            if (wanted_.weight) weight[r] = wanted_.weight[slot];
          }
          if (wants_weights_) {
            table_.pack_rows(x_rows.data(), tile.size(), d, x_panels.data());
            table_.pack_rows(y_rows.data(), tile.size(), d, y_panels.data());
          }
        }
        if (b == 0 && wanted_.gradients.b2)
          table_.column_sums({.pointers = y_rows.data()}, weight.data(), tile.size(), d, packed,
                             wanted_.gradients.b2 + task.expert * d);
        float* parts = weight_parts_ + b * groups.members.size() + static_cast<std::size_t>(groups.first[task.expert]) +
                       tile.begin;
        if (wanted_.weight_gradient) std::fill_n(parts, tile.size(), 0.0f);
        products.clear();
        for (std::size_t c = units.begin; c < units.end; c += kPanel) {
          const std::size_t j = (c - units.begin) / kPanel;
          GradientProduct p;
          p.rows.pointers = y_rows.data();
          p.count = tile.size();
          p.depth = d;
          float* const to = factor.data() + j * d * kPanel;
          if (!packed)
            table_.pack_transposed(call_.weights.w2 + (task.expert * h + c) * d, d, d, std::min(kPanel, h - c), false,
                                   to);
          p.factor = {to, kPanel};
          const std::size_t at = saved.at(c / kPanel, tile.begin), all = groups.members.size() * padded(h);
          for (std::size_t i = 0; i < (is_gated(shape) ? 2u : 1u); ++i) {
            p.saved[i] = wanted_.saved + i * all + at;
            p.gradient[i] = pre_gradient_ + i * all + at;
          }
          if (call_.mask) p.mask = call_.mask + at;
          p.weight = wanted_.weight ? weight.data() : nullptr;
          p.weight_gradient = wanted_.weight_gradient ? parts : nullptr;
          p.hidden = hidden.data() + j * tile.size() * kPanel;
          p.activation = shape.activation;
          products.push_back(p);
        }
        table_.gradient(products.data(), products.size());
        weight_panels(task.expert, tile, units, saved, x_panels.data(), y_panels.data(), hidden.data());
      }
    }
  }

  /// Gradients of the inputs for some rows of one expert, written to their slots.
  void inputs(const Task& task) const {
    const FeedForwardShape& shape = call_.shape;
    const std::size_t d = shape.inputs, h = shape.hidden, all = call_.by_expert->members.size() * padded(h);
    const std::vector<Range> tiles = pieces(task.range, tile_rows(d), table_.row_block);
    std::size_t tallest = 0;
    for (const Range& tile : tiles) tallest = std::max(tallest, tile.size());
    const Scratch space(padded(d) * std::min(padded(h), kHiddenBlock + 2 * kPanel));
    std::vector<float*> outs(tallest);
    std::vector<OutputProduct> products;
    const SavedView saved(*call_.by_expert, task.expert, h);
    const float* weight[2] = {call_.weights.w1, call_.weights.w_gate};

    for (std::size_t i = 0; i < (is_gated(shape) ? 2u : 1u); ++i)
      for (const Range& units : blocks_)
        for (const Range& tile : tiles) {
          const std::int64_t* slots = call_.by_expert->begin(task.expert) + tile.begin;
          for (std::size_t r = 0; r < tile.size(); ++r)
            outs[r] = wanted_.x_gradient + static_cast<std::size_t>(slots[r]) * d;
          products.clear();
          for (std::size_t c = 0; c < d; c += kPanel) {
            OutputProduct p;
            p.rows.base = pre_gradient_ + i * all + saved.at(units.begin / kPanel, tile.begin);
            p.rows.chunk = saved.rows * kPanel;
            p.count = tile.size();
            p.depth = units.size();
            p.columns = std::min(kPanel, d - c);
            float* const to = space.data() + c * units.size();
            if (tile.begin == task.range.begin)
              table_.pack_transposed(weight[i] + (task.expert * d + c) * h + units.begin, h, units.size(), p.columns,
                                     false, to);
            p.factor = {to, kPanel};
            p.out = outs.data();
            p.offset = c;
            p.accumulate = units.begin > 0 || i > 0;
            products.push_back(p);
          }
          table_.output(products.data(), products.size());
        }
  }

 private:
  void weight_panels(std::size_t expert, const Range& tile, const Range& units, const SavedView& saved, const float* x,
                     const float* y, const float* hidden) const {
    const std::size_t d = call_.shape.inputs, h = call_.shape.hidden, rows = tile.size();
    const std::size_t all = call_.by_expert->members.size() * padded(h);
    float* const value[2] = {wanted_.gradients.w1, wanted_.gradients.w_gate};
    float* const bias[2] = {wanted_.gradients.b1, wanted_.gradients.b_gate};
    for (std::size_t c = units.begin; c < units.end; c += kPanel) {
      const std::size_t columns = std::min(kPanel, h - c);
      const float* gradient[2];
      for (std::size_t i = 0; i < 2; ++i) {
        gradient[i] = pre_gradient_ + i * all + saved.at(c / kPanel, tile.begin);
        if (bias[i])
          table_.column_sums({.base = gradient[i]}, nullptr, rows, columns, tile.begin > 0, bias[i] + expert * h + c);
      }
      const float* units_of = hidden + (c - units.begin) / kPanel * rows * kPanel;
      for (std::size_t token = 0; token < rows; token += kTokenBlock) {
        WeightProduct p;
        p.stream = stream_;
        p.count = std::min(kTokenBlock, rows - token);
        p.accumulate = tile.begin > 0 || token > 0;
        for (std::size_t i = 0; i < 2; ++i) {
          if (!value[i]) continue;
          p.right = gradient[i] + token * kPanel;
          p.columns = columns;
          p.stride = h;
          for (std::size_t k = 0; k < d; k += kPanel) {
            p.left = x + k * rows + token * kPanel;
            p.rows = std::min(kPanel, d - k);
            p.out = value[i] + (expert * d + k) * h + c;
            table_.weights(p);
          }
        }
        if (!wanted_.gradients.w2) continue;
        p.left = units_of + token * kPanel;
        p.rows = columns;
        p.stride = d;
        for (std::size_t k = 0; k < d; k += kPanel) {
          p.right = y + k * rows + token * kPanel;
          p.columns = std::min(kPanel, d - k);
          p.out = wanted_.gradients.w2 + (expert * h + c) * d + k;
          table_.weights(p);
        }
      }
    }
  }

  /// Zeros for the blocks of an expert that no token chose.
  void no_rows(const Task& task) const {
    const std::size_t d = call_.shape.inputs, h = call_.shape.hidden, e = task.expert;
    const FeedForwardGradients& g = wanted_.gradients;
    for (float* w : {g.w1, g.w_gate})
      if (w) std::fill_n(w + e * d * h, d * h, 0.0f);
    for (float* b : {g.b1, g.b_gate})
      if (b) std::fill_n(b + e * h, h, 0.0f);
    if (g.w2) std::fill_n(g.w2 + e * d * h, d * h, 0.0f);
    if (g.b2) std::fill_n(g.b2 + e * d, d, 0.0f);
  }

  const FeedForwardCall& call_;
  const FeedForwardBackward& wanted_;
  const KernelTable& table_;
  float* const pre_gradient_;
  float* const weight_parts_;
  const std::vector<Range> blocks_;
  const bool wants_weights_, stream_;
};

const KernelTable& table_of(const KernelTable* table) {
  return table ? *table : kernels();
}

/// Runs body for [0, count) in pieces of `piece`.
template <class Body>
void parallel_pieces(std::size_t count, std::size_t piece, int threads, const Body& body) {
  if (threads == 1 || count <= piece) {
    body(0, count);
    return;
  }
  parallel_for((count + piece - 1) / piece, threads,
               [&](std::size_t i) { body(i * piece, std::min(count, (i + 1) * piece)); });
}

template <class Body>
void run_tasks(const std::vector<Task>& tasks, int threads, const Body& body) {
  parallel_for(tasks.size(), threads, [&](std::size_t i) { body(tasks[i]); });
}

}  // namespace

std::size_t saved_size(const FeedForwardShape& shape, std::size_t assignments) {
  return (is_gated(shape) ? 2 : 1) * assignments * padded(shape.hidden);
}

void forward(const FeedForwardCall& call, float* y, float* saved) {
  const KernelTable& table = table_of(call.table);
  const std::size_t d = call.shape.inputs;
  const int threads = threads_for(call, is_gated(call.shape) ? 3 : 2);
  Inputs inputs{call.x, d};
  const bool pairs = call.shape.bfloat16 && table.hidden_pairs;
  const std::size_t stride = pairs ? (d + 2 * kPanel - 1) / (2 * kPanel) * kPanel : d;
  const Scratch copy(call.shape.bfloat16 ? call.tokens * stride + kPanel : 1);
  if (call.shape.bfloat16) {
    inputs = {copy.data(), stride};
    parallel_pieces(call.tokens, 256, threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        if (pairs)
          table.row_to_pairs(call.x + t * d, d, copy.data() + t * stride);
        else
          table.round_row(call.x + t * d, d, copy.data() + t * stride);
      }
    });
  }
  const Forward work(call, table, inputs, y, saved);
  run_tasks(row_tasks(*call.by_expert, threads, tile_rows(d)), threads, [&](const Task& task) { work.run(task); });
}

void backward(const FeedForwardCall& call, const FeedForwardBackward& wanted) {
  const KernelTable& table = table_of(call.table);
  const Groups& groups = *call.by_expert;
  const std::size_t all = groups.members.size(), d = call.shape.inputs;
  const int threads = threads_for(call, is_gated(call.shape) ? 6 : 4);
  const Scratch pre_gradient(saved_size(call.shape, all) + 1);
  const std::size_t blocks = hidden_blocks(call.shape.hidden).size();
  const Scratch parts(wanted.weight_gradient ? blocks * all + 1 : 1);
  const Backward work(call, wanted, table, pre_gradient.data(), parts.data());

  std::vector<Task> tasks;
  for (std::size_t e = 0; e < groups.size(); ++e) {
    const std::size_t count = groups.count(e);
    std::size_t split = 1;  // only experts with an outsize share of the work are cut into blocks of hidden units
    if (threads > 1 && count > 0)
      split = std::min(blocks, (count * 4 * static_cast<std::size_t>(threads) + all - 1) / all);
    for (const Range& range : pieces({0, blocks}, (blocks + split - 1) / split, 1))
      if (count > 0 || range.begin == 0) tasks.push_back({e, range, count * range.size()});
  }
  sort_by_cost(tasks);
  run_tasks(tasks, threads, [&](const Task& task) { work.parameters(task); });

  if (wanted.x_gradient)
    run_tasks(row_tasks(groups, threads, tile_rows(d)), threads, [&](const Task& task) { work.inputs(task); });
  if (!wanted.weight_gradient) return;
  for (std::size_t e = 0; e < groups.size(); ++e)
    for (std::int64_t i = groups.first[e]; i < groups.first[e + 1]; ++i) {
      const auto position = static_cast<std::size_t>(i), slot = static_cast<std::size_t>(groups.members[position]);
      float sum = call.weights.b2 ? table.dot(work.y_row(slot), call.weights.b2 + e * d, d) : 0.0f;
      for (std::size_t b = 0; b < blocks; ++b) sum += parts.data()[b * all + position];
      wanted.weight_gradient[slot] = sum;
    }
}

void combine(const float* y, const float* weight, const Groups& by_token, std::size_t width, int threads, float* out,
             const KernelTable* chosen) {
  const KernelTable& table = table_of(chosen);
  const double work = static_cast<double>(by_token.members.size()) * static_cast<double>(width);
  parallel_pieces(by_token.size(), 256, work * 16 < kThreadingWork ? 1 : threads,
                  [&](std::size_t begin, std::size_t end) {
                    for (std::size_t t = begin; t < end; ++t)
                      table.combine(y, weight, by_token.begin(t), by_token.count(t), width, out + t * width);
                  });
}

}  // namespace clearway::kernels
