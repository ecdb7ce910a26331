// Feed-forward experts of every instruction set against the formulas written as plain loops in double.
#include "kernels/feed_forward.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/instruction_sets.hpp"

namespace clearway::kernels {
namespace {

struct Case {
  std::size_t tokens = 5, slots = 8, experts = 3, inputs = 7, hidden = 13;
  Activation activation = Activation::gelu;
  bool bias = true, mask = false, bfloat16 = false, per_slot = false;
};

/// Everything of one call, by chance; answers of the kernels and of the reference.
struct Layer {
  Case c;
  std::vector<float> x, w1, b1, w2, b2, w_gate, b_gate, weight, y_gradient, mask;
  std::vector<std::int64_t> token, expert;
  Groups by_expert, by_token;

  Layer(const Case& which, unsigned seed) : c(which) {
    std::mt19937 random(seed);
    const auto normal = [&](std::size_t count, double scale) {
      std::normal_distribution<double> draw(0, scale);
      std::vector<float> out(count);
      for (float& v : out) v = static_cast<float>(draw(random));
      return out;
    };
    const double in = 1 / std::sqrt(static_cast<double>(c.inputs)), out = 1 / std::sqrt(static_cast<double>(c.hidden));
    x = normal(c.tokens * c.inputs, 1);
    w1 = normal(c.experts * c.inputs * c.hidden, 2 * in);
    w_gate = normal(c.experts * c.inputs * c.hidden, 2 * in);
    w2 = normal(c.experts * c.inputs * c.hidden, out);
    b1 = normal(c.experts * c.hidden, 0.5);
    b_gate = normal(c.experts * c.hidden, 0.5);
    b2 = normal(c.experts * c.inputs, 0.5);
    weight = normal(c.slots, 1);
    y_gradient = normal((c.per_slot ? c.slots : c.tokens) * c.inputs, 1);
    for (std::size_t s = 0; s < c.slots; ++s) {
      token.push_back(static_cast<std::int64_t>(random() % c.tokens));
      // The last expert of three or more stays empty.
      expert.push_back(static_cast<std::int64_t>(random() % std::max<std::size_t>(1, c.experts - (c.experts > 2))));
    }
    by_expert = group_by(expert, static_cast<std::int64_t>(c.experts), "experts");
    by_token = group_by(token, static_cast<std::int64_t>(c.tokens), "tokens");
    if (c.mask) {
      mask = normal(saved_size(shape(), c.slots), 1);
      for (float& m : mask) m = m > 0 ? 1.25f : 0.0f;
    }
  }

  FeedForwardShape shape() const { return {c.experts, c.inputs, c.hidden, c.activation, c.bfloat16}; }
  FeedForwardCall call(const KernelTable* table, int threads) const {
    FeedForwardCall out;
    out.shape = shape();
    out.weights = {w1.data(), c.bias ? b1.data() : nullptr, w2.data(), c.bias ? b2.data() : nullptr};
    if (c.activation == Activation::swiglu) {
      out.weights.w_gate = w_gate.data();
      out.weights.b_gate = c.bias ? b_gate.data() : nullptr;
    }
    out.x = x.data();
    out.tokens = c.tokens;
    out.token = token.data();
    out.by_expert = &by_expert;
    out.mask = c.mask ? mask.data() : nullptr;
    out.threads = threads;
    out.table = table;
    return out;
  }
};

template <class T>
struct Answers {
  std::vector<T> y, mixed, x_gradient, weight_gradient, w1, b1, w2, b2, w_gate, b_gate;
  double weight_size = 0;  // largest sum of |dy y| of a slot: its products may cancel, their errors do not
};

Answers<float> computed(const Layer& layer, const KernelTable* table, int threads) {
  const Case& c = layer.c;
  const std::size_t matrix = c.experts * c.inputs * c.hidden;
  Answers<float> out;
  const float unset = std::nanf("");
  out.y.assign(c.slots * c.inputs, unset);
  out.mixed.assign(c.tokens * c.inputs, unset);
  out.x_gradient = out.mixed;
  out.weight_gradient.assign(c.slots, unset);
  out.w1.assign(matrix, unset);
  out.w2 = out.w_gate = out.w1;
  out.b1.assign(c.experts * c.hidden, unset);
  out.b_gate = out.b1;
  out.b2.assign(c.experts * c.inputs, unset);
  std::vector<float> saved(saved_size(layer.shape(), c.slots), unset), slots(c.slots * c.inputs, unset);
  const FeedForwardCall call = layer.call(table, threads);
  forward(call, out.y.data(), saved.data());
  combine(out.y.data(), layer.weight.data(), layer.by_token, c.inputs, threads, out.mixed.data(), table);
  FeedForwardBackward wanted;
  wanted.saved = saved.data();
  wanted.y_gradient = layer.y_gradient.data();
  wanted.per_slot = c.per_slot;
  if (!c.per_slot) {
    wanted.weight = layer.weight.data();
    wanted.weight_gradient = out.weight_gradient.data();
  }
  wanted.x_gradient = slots.data();
  wanted.gradients = {out.w1.data(), nullptr, out.w2.data(), nullptr};
  if (c.bias) {
    wanted.gradients.b1 = out.b1.data();
    wanted.gradients.b2 = out.b2.data();
  }
  if (c.activation == Activation::swiglu) {
    wanted.gradients.w_gate = out.w_gate.data();
    if (c.bias) wanted.gradients.b_gate = out.b_gate.data();
  }
  backward(call, wanted);
  combine(slots.data(), nullptr, layer.by_token, c.inputs, threads, out.x_gradient.data(), table);
  return out;
}

double sigmoid(double a) {
  return 1 / (1 + std::exp(-a));
}
double normal_distribution(double a) {
  return 0.5 * std::erfc(-a * std::sqrt(0.5));
}

/// Hidden unit and its derivatives by value and gate.
std::array<double, 3> activation(Activation which, double a, double gate) {
  switch (which) {
    case Activation::relu:
      return {a > 0 ? a : 0, a > 0 ? 1.0 : 0.0, 0};
    case Activation::gelu:
      return {a * normal_distribution(a),
              normal_distribution(a) + a * std::exp(-a * a / 2) / std::sqrt(8 * std::atan(1)), 0};
    case Activation::silu:
      return {a * sigmoid(a), sigmoid(a) * (1 + a * (1 - sigmoid(a))), 0};
    case Activation::swiglu:
      break;
  }
  const double s = sigmoid(gate);
  return {a * gate * s, gate * s, a * s * (1 + gate * (1 - s))};
}

Answers<double> reference(const Layer& layer) {
  const Case& c = layer.c;
  const std::size_t d = c.inputs, h = c.hidden, matrix = c.experts * d * h;
  Answers<double> out;
  out.y.assign(c.slots * d, 0);
  out.mixed.assign(c.tokens * d, 0);
  out.x_gradient = out.mixed;
  out.weight_gradient.assign(c.slots, 0);
  out.w1.assign(matrix, 0);
  out.w2 = out.w_gate = out.w1;
  out.b1.assign(c.experts * h, 0);
  out.b_gate = out.b1;
  out.b2.assign(c.experts * d, 0);
  const bool gated = c.activation == Activation::swiglu;
  for (std::size_t s = 0; s < c.slots; ++s) {
    const auto t = static_cast<std::size_t>(layer.token[s]), e = static_cast<std::size_t>(layer.expert[s]);
    const double w = c.per_slot ? 1 : layer.weight[s];
    const float* x = layer.x.data() + t * d;
    const float* dy = layer.y_gradient.data() + (c.per_slot ? s : t) * d;
    for (std::size_t i = 0; i < d && c.bias; ++i) {
      out.y[s * d + i] += layer.b2[e * d + i];
      out.b2[e * d + i] += w * dy[i];
    }
    for (std::size_t j = 0; j < h; ++j) {
      double a = c.bias ? layer.b1[e * h + j] : 0, gate = c.bias ? layer.b_gate[e * h + j] : 0, g = 0;
      for (std::size_t i = 0; i < d; ++i) {
        a += static_cast<double>(x[i]) * layer.w1[(e * d + i) * h + j];
        gate += static_cast<double>(x[i]) * layer.w_gate[(e * d + i) * h + j];
        g += static_cast<double>(dy[i]) * layer.w2[(e * h + j) * d + i];
      }
      auto [unit, slope, gate_slope] = activation(c.activation, a, gate);
      if (c.mask) {
        // Panels of 32 hidden units over the rows of the expert.
        const auto first = static_cast<std::size_t>(layer.by_expert.first[e]), rows = layer.by_expert.count(e);
        std::size_t row = 0;
        while (layer.by_expert.begin(e)[row] != static_cast<std::int64_t>(s)) ++row;
        const double m = layer.mask[first * ((h + 31) / 32 * 32) + (j / 32 * rows + row) * 32 + j % 32];
        unit *= m;
        slope *= m;
        gate_slope *= m;
      }
      for (std::size_t i = 0; i < d; ++i) {
        out.y[s * d + i] += unit * layer.w2[(e * h + j) * d + i];
        out.w2[(e * h + j) * d + i] += w * unit * dy[i];
        out.w1[(e * d + i) * h + j] += w * g * slope * x[i];
        out.w_gate[(e * d + i) * h + j] += w * g * gate_slope * x[i];
        out.x_gradient[t * d + i] += w * g * slope * layer.w1[(e * d + i) * h + j];
        if (gated) out.x_gradient[t * d + i] += w * g * gate_slope * layer.w_gate[(e * d + i) * h + j];
      }
      out.b1[e * h + j] += w * g * slope;
      out.b_gate[e * h + j] += w * g * gate_slope;
    }
    double products = 0;
    for (std::size_t i = 0; i < d; ++i) {
      out.mixed[t * d + i] += layer.weight[s] * out.y[s * d + i];
      out.weight_gradient[s] += dy[i] * out.y[s * d + i];
      products += std::abs(dy[i] * out.y[s * d + i]);
    }
    out.weight_size = std::max(out.weight_size, products);
  }
  return out;
}

/// Largest difference relative to the largest number, or to a size that is larger.
double error(const std::vector<float>& found, const std::vector<double>& truth, double size = 1e-3) {
  double difference = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!(std::abs(found[i] - truth[i]) <= difference)) difference = std::abs(found[i] - truth[i]);
    size = std::max(size, std::abs(truth[i]));
    if (std::isnan(found[i])) return found[i];
  }
  return difference / size;
}

std::string disagreement(const Layer& layer, const KernelTable& table, const Answers<double>& truth, int threads) {
  const Answers<float> found = computed(layer, &table, threads);
  const Case& c = layer.c;
  const bool gated = c.activation == Activation::swiglu;
  // Float: sums of n products err by at most n units of 6e-8, in practice by sqrt(n); n is below 1000 here. bfloat16: two
  // roundings of 2^-9 per product, which average out over the sum. A unit that they move across the kink of ReLU has another
  // gradient altogether, so that nothing can be said of gradients then.
  const double forward_bound = c.bfloat16 ? 2e-2 : 1e-5, backward_bound = c.bfloat16 ? 2e-2 : 2e-5;
  std::string out;
  const auto check = [&](const char* name, const std::vector<float>& a, const std::vector<double>& b, double bound,
                         bool applies = true) {
    if (applies && !(error(a, b) <= bound))
      out += std::string(table.name) + ": " + name + " " + std::to_string(error(a, b)) + "\n";
  };
  check("y", found.y, truth.y, forward_bound);
  check("mixed", found.mixed, truth.mixed, forward_bound);
  if (c.bfloat16 && c.activation == Activation::relu) return out;
  check("x", found.x_gradient, truth.x_gradient, backward_bound);
  const double weight_error = error(found.weight_gradient, truth.weight_gradient, std::max(1e-3, truth.weight_size));
  if (!c.per_slot && !(weight_error <= backward_bound))
    out += std::string(table.name) + ": weight " + std::to_string(weight_error) + "\n";
  check("w1", found.w1, truth.w1, backward_bound);
  check("w2", found.w2, truth.w2, backward_bound);
  check("b1", found.b1, truth.b1, backward_bound, c.bias);
  check("b2", found.b2, truth.b2, backward_bound, c.bias);
  check("w_gate", found.w_gate, truth.w_gate, backward_bound, gated);
  check("b_gate", found.b_gate, truth.b_gate, backward_bound, gated && c.bias);
  return out;
}

/// "" when the kernels of all instruction sets agree with the formulas.
std::string disagreement(const Layer& layer, int threads = 1) {
  const Answers<double> truth = reference(layer);
  std::string out;
  for (const KernelTable* table : available_kernels()) out += disagreement(layer, *table, truth, threads);
  return out;
}

constexpr Activation kActivations[] = {Activation::relu, Activation::gelu, Activation::silu, Activation::swiglu};

RC_GTEST_PROP(FeedForward, EqualsPlainLoops, ()) {
  Case c;
  c.tokens = *rc::gen::inRange<std::size_t>(1, 40);
  c.slots = *rc::gen::inRange<std::size_t>(0, 70);
  c.experts = *rc::gen::inRange<std::size_t>(1, 6);
  c.inputs = *rc::gen::inRange<std::size_t>(1, 80);
  c.hidden = *rc::gen::inRange<std::size_t>(1, 80);
  c.activation = kActivations[*rc::gen::inRange(0, 4)];
  c.bias = *rc::gen::arbitrary<bool>();
  c.mask = *rc::gen::arbitrary<bool>();
  c.per_slot = *rc::gen::arbitrary<bool>();
  const Layer layer(c, *rc::gen::arbitrary<unsigned>());
  RC_ASSERT(disagreement(layer) == "");
}

TEST(FeedForward, EqualsPlainLoopsWhereBlocksEnd) {
  for (const Activation activation : kActivations) {
    // Several blocks of hidden units with a rest; several tiles of rows; panels without a rest; nothing at all.
    EXPECT_EQ(disagreement(Layer({10, 30, 3, 33, 600, activation}, 1)), "");
    EXPECT_EQ(disagreement(Layer({900, 1000, 1, 3, 33, activation}, 2), 2), "");
    EXPECT_EQ(disagreement(Layer({1, 1, 1, 64, 64, activation}, 3)), "");
    EXPECT_EQ(disagreement(Layer({3, 0, 2, 7, 13, activation}, 4)), "");
  }
}

TEST(FeedForward, Bfloat16IsCloseToFloat) {
  for (const Activation activation : kActivations)
    for (const auto& [inputs, hidden] : {std::pair{7, 13}, std::pair{64, 96}, std::pair{97, 161}}) {
      Case c{30, 60, 3, static_cast<std::size_t>(inputs), static_cast<std::size_t>(hidden), activation};
      c.bfloat16 = true;
      EXPECT_EQ(disagreement(Layer(c, 5)), "") << inputs << " " << hidden;
    }
}

TEST(FeedForward, DoesNotDependOnThreads) {
  const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  };
  for (const KernelTable* table : available_kernels()) {
    // Enough work for the threads to be used, one expert with most of it.
    Case c{150, 200, 4, 48, 900, Activation::gelu};
    c.bfloat16 = table == available_kernels().back();
    Layer layer(c, 6);
    for (std::size_t s = 0; s < 100; ++s) layer.expert[s] = 1;
    layer.by_expert = group_by(layer.expert, 4, "experts");
    const Answers<float> one = computed(layer, table, 1), two = computed(layer, table, 2);
    EXPECT_TRUE(same(one.mixed, two.mixed)) << table->name;
    EXPECT_TRUE(same(one.x_gradient, two.x_gradient)) << table->name;
    EXPECT_TRUE(same(one.weight_gradient, two.weight_gradient)) << table->name;
    EXPECT_TRUE(same(one.w1, two.w1) && same(one.w2, two.w2)) << table->name;
    EXPECT_TRUE(same(one.b1, two.b1) && same(one.b2, two.b2)) << table->name;
  }
}

TEST(FeedForward, LetsNotANumberThrough) {
  for (const KernelTable* table : available_kernels())
    for (const Activation activation : kActivations) {
      Layer layer({4, 4, 1, 5, 9, activation}, 7);
      layer.x[0] = std::nanf("");
      layer.token = {0, 1, 2, 3};
      layer.by_token = group_by(layer.token, 4, "tokens");
      const Answers<float> found = computed(layer, table, 1);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(std::isnan(found.mixed[i])) << table->name;
      for (std::size_t i = 5; i < 20; ++i) EXPECT_FALSE(std::isnan(found.mixed[i])) << table->name;
    }
}

}  // namespace
}  // namespace clearway::kernels
