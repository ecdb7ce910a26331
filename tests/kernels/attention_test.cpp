// Attention kernels of every instruction set against the definition written as plain loops in double, and against
// differences of those.
#include "kernels/attention.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/instruction_sets.hpp"

namespace clearway::kernels {
namespace {

using Numbers = std::vector<double>;

struct Case {
  std::size_t batch = 1, heads = 2, queries = 5, keys = 5, width = 8;
  bool turned = false;
  /// Rows of all heads side by side (as one product gives them), or head by head.
  bool interleaved = false;
};

/// B x H x T x D numbers as a case wants them to lie.
template <class Number>
HeadTable<Number> table_of(const Case& c, Number* data, std::size_t rows) {
  if (c.interleaved) return {data, rows * c.heads * c.width, c.width, c.heads * c.width};
  return {data, c.heads * rows * c.width, rows * c.width, c.width};
}

/// Everything of one call, by chance.
struct Problem {
  Case c;
  std::vector<float> q, k, v, out_gradient, cosine, sine;

  Problem(const Case& which, unsigned seed) : c(which) {
    std::mt19937 random(seed);
    const auto normal = [&](std::size_t rows) {
      std::normal_distribution<float> draw(0, 1);
      std::vector<float> numbers(c.batch * c.heads * rows * c.width);
      for (float& x : numbers) x = draw(random);
      return numbers;
    };
    q = normal(c.queries);
    k = normal(c.keys);
    v = normal(c.keys);
    out_gradient = normal(c.queries);
    for (std::size_t s = 0; s < c.keys && c.turned; ++s)
      for (std::size_t i = 0; i < c.width / 2; ++i) {
        cosine.push_back(static_cast<float>(std::cos(angle(s, i))));
        sine.push_back(static_cast<float>(std::sin(angle(s, i))));
      }
  }

  double angle(std::size_t position, std::size_t i) const {
    return static_cast<double>(position) *
           std::pow(10000.0, -2 * static_cast<double>(i) / static_cast<double>(c.width));
  }
  double scale() const { return 1 / std::sqrt(static_cast<double>(c.width)); }

  AttentionCall call(const KernelTable* table, int threads = 1) const {
    AttentionCall out;
    out.batch = c.batch;
    out.heads = c.heads;
    out.queries = c.queries;
    out.keys = c.keys;
    out.width = c.width;
    out.q = table_of(c, q.data(), c.queries);
    out.k = table_of(c, k.data(), c.keys);
    out.v = table_of(c, v.data(), c.keys);
    if (c.turned) out.cosine = cosine.data(), out.sine = sine.data();
    out.scale = static_cast<float>(scale());
    out.threads = threads;
    out.table = table;
    return out;
  }
};

/// Outputs and gradients.
template <class Number>
struct Answers {
  std::vector<Number> out, dq, dk, dv;
};

Answers<float> computed(const Problem& p, const KernelTable* table, int threads = 1) {
  Answers<float> a;
  const float nothing = std::nanf("");  // all must be overwritten
  a.out.assign(p.q.size(), nothing);
  a.dq = a.out;
  a.dk.assign(p.k.size(), nothing);
  a.dv = a.dk;
  std::vector<float> log_total(p.c.batch * p.c.heads * p.c.queries);
  const AttentionCall call = p.call(table, threads);
  attention(call, table_of(p.c, a.out.data(), p.c.queries), log_total.data());
  AttentionBackward backward;
  backward.out = table_of<const float>(p.c, a.out.data(), p.c.queries);
  backward.out_gradient = table_of(p.c, p.out_gradient.data(), p.c.queries);
  backward.log_total = log_total.data();
  backward.dq = table_of(p.c, a.dq.data(), p.c.queries);
  backward.dk = table_of(p.c, a.dk.data(), p.c.keys);
  backward.dv = table_of(p.c, a.dv.data(), p.c.keys);
  attention_backward(call, backward);
  return a;
}

/// One head by the definition; q: T x D, k, v: S x D. Weights are softmax of scale * (turned q) . (turned k).
class Head {
 public:
  Head(const Problem& p, Numbers q, Numbers k, Numbers v) : p_(p), q_(turned(q, true)), k_(turned(k, false)), v_(v) {}

  std::size_t seen(std::size_t t) const { return p_.c.keys - p_.c.queries + t + 1; }

  Numbers weights(std::size_t t) const {
    Numbers w(seen(t));
    double sum = 0, most = -INFINITY;
    for (std::size_t s = 0; s < w.size(); ++s) {
      w[s] = p_.scale() * product(q_, t, k_, s);
      most = std::max(most, w[s]);
    }
    for (double& x : w) sum += x = std::exp(x - most);
    for (double& x : w) x /= sum;
    return w;
  }

  Numbers out() const {
    Numbers o(p_.c.queries * p_.c.width);
    for (std::size_t t = 0; t < p_.c.queries; ++t) {
      const Numbers w = weights(t);
      for (std::size_t s = 0; s < w.size(); ++s)
        for (std::size_t i = 0; i < p_.c.width; ++i) o[t * p_.c.width + i] += w[s] * v_[s * p_.c.width + i];
    }
    return o;
  }

  /// Gradients of <out, g>, by the Jacobian of the softmax: ds_j = w_j (a_j - sum over l of w_l a_l), a = V g.
  Answers<double> gradients(const Numbers& g) const {
    const std::size_t d = p_.c.width;
    Answers<double> a;
    a.dq.resize(q_.size());
    a.dk.resize(k_.size());
    a.dv.resize(v_.size());
    for (std::size_t t = 0; t < p_.c.queries; ++t) {
      const Numbers w = weights(t);
      double mean = 0;
      for (std::size_t s = 0; s < w.size(); ++s) mean += w[s] * product(g, t, v_, s);
      for (std::size_t s = 0; s < w.size(); ++s) {
        const double slope = p_.scale() * w[s] * (product(g, t, v_, s) - mean);
        for (std::size_t i = 0; i < d; ++i) {
          a.dq[t * d + i] += slope * k_[s * d + i];
          a.dk[s * d + i] += slope * q_[t * d + i];
          a.dv[s * d + i] += w[s] * g[t * d + i];
        }
      }
    }
    a.dq = turned(a.dq, true, -1);
    a.dk = turned(a.dk, false, -1);
    return a;
  }

 private:
  double product(const Numbers& a, std::size_t i, const Numbers& b, std::size_t j) const {
    double sum = 0;
    for (std::size_t c = 0; c < p_.c.width; ++c) sum += a[i * p_.c.width + c] * b[j * p_.c.width + c];
    return sum;
  }

  Numbers turned(const Numbers& rows, bool queries, double direction = 1) const {
    if (!p_.c.turned) return rows;
    Numbers out = rows;
    const std::size_t d = p_.c.width, first = queries ? p_.c.keys - p_.c.queries : 0;
    for (std::size_t r = 0; r < rows.size() / d; ++r)
      for (std::size_t i = 0; i < d / 2; ++i) {
        const double a = direction * p_.angle(first + r, i), x = rows[r * d + i], y = rows[r * d + d / 2 + i];
        out[r * d + i] = x * std::cos(a) - y * std::sin(a);
        out[r * d + d / 2 + i] = x * std::sin(a) + y * std::cos(a);
      }
    return out;
  }

  const Problem& p_;
  const Numbers q_, k_, v_;
};

template <class Number>
Numbers head_of(const Case& c, const std::vector<Number>& all, std::size_t rows, std::size_t head) {
  const HeadTable<const Number> table = table_of<const Number>(c, all.data(), rows);
  Numbers out;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < c.width; ++i)
      out.push_back(table.data[head / c.heads * table.batch + head % c.heads * table.head + r * table.row + i]);
  return out;
}

/// Largest difference relative to the largest number, or to 1: gradients are sums of terms of that size that cancel.
double error(const Numbers& found, const Numbers& truth) {
  double difference = 0, size = 1;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!(std::abs(found[i] - truth[i]) <= difference)) difference = std::abs(found[i] - truth[i]);
    size = std::max(size, std::abs(truth[i]));
    if (std::isnan(found[i])) return found[i];
  }
  return difference / size;
}

/// "" when the kernels of all instruction sets agree with the definition.
std::string disagreement(const Problem& p, int threads = 1, double grown = 1) {
  // Scores are sums of D products of which each errs by one unit of 6e-8, below D sqrt(D) 6e-8 after scaling, in practice
  // by its root; a weight errs by that much of itself, and sums over S weights average it out. D is at most 100 here.
  // Queries that are `grown` times as large let scores err by as much more.
  const double bound = 2e-5 * grown;
  std::string out;
  for (const KernelTable* table : available_kernels()) {
    const Answers<float> found = computed(p, table, threads);
    for (std::size_t h = 0; h < p.c.batch * p.c.heads; ++h) {
      const Head head(p, head_of(p.c, p.q, p.c.queries, h), head_of(p.c, p.k, p.c.keys, h),
                      head_of(p.c, p.v, p.c.keys, h));
      const Answers<double> truth = head.gradients(head_of(p.c, p.out_gradient, p.c.queries, h));
      const auto check = [&](const char* name, const std::vector<float>& all, std::size_t rows, const Numbers& wanted) {
        const double e = error(head_of(p.c, all, rows, h), wanted);
        if (!(e <= bound)) out += std::string(table->name) + ": " + name + " " + std::to_string(e) + "\n";
      };
      check("out", found.out, p.c.queries, head.out());
      check("dq", found.dq, p.c.queries, truth.dq);
      check("dk", found.dk, p.c.keys, truth.dk);
      check("dv", found.dv, p.c.keys, truth.dv);
    }
  }
  return out;
}

RC_GTEST_PROP(Attention, EqualsPlainLoops, ()) {
  Case c;
  c.batch = *rc::gen::inRange<std::size_t>(1, 3);
  c.heads = *rc::gen::inRange<std::size_t>(1, 4);
  c.queries = *rc::gen::inRange<std::size_t>(1, 80);
  c.keys = c.queries + *rc::gen::inRange<std::size_t>(0, 60);
  c.width = *rc::gen::inRange<std::size_t>(1, 70);
  c.turned = c.width % 2 == 0 && *rc::gen::arbitrary<bool>();
  c.interleaved = *rc::gen::arbitrary<bool>();
  RC_ASSERT(disagreement(Problem(c, *rc::gen::arbitrary<unsigned>())) == "");
}

TEST(Attention, EqualsPlainLoopsWhereBlocksEnd) {
  EXPECT_EQ(disagreement(Problem({1, 1, 1, 1, 1}, 1)), "");           // one token
  EXPECT_EQ(disagreement(Problem({1, 1, 1, 400, 16, true}, 2)), "");  // one more token
  EXPECT_EQ(disagreement(Problem({2, 2, 128, 128, 32, true, true}, 3)), "");
  EXPECT_EQ(disagreement(Problem({1, 1, 300, 333, 33}, 4)), "");      // several parts of queries, with rests
  EXPECT_EQ(disagreement(Problem({1, 1, 3, 3000, 4, true}, 5)), "");  // keys so many that a part is one block
  EXPECT_EQ(disagreement(Problem({1, 2, 40, 70, 100, true, true}, 6), 2), "");
}

// The gradients are those of the definition's values: central differences in double, whose error is of the order of 1e-9.
TEST(Attention, GradientsAreDifferencesOfTheDefinition) {
  const Problem p({1, 1, 4, 6, 6, true}, 7);
  const Numbers g = head_of(p.c, p.out_gradient, 4, 0);
  Numbers inputs[3] = {head_of(p.c, p.q, 4, 0), head_of(p.c, p.k, 6, 0), head_of(p.c, p.v, 6, 0)};
  const auto value = [&] {
    const Numbers out = Head(p, inputs[0], inputs[1], inputs[2]).out();
    double sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * g[i];
    return sum;
  };
  for (const KernelTable* table : available_kernels()) {
    const Answers<float> found = computed(p, table);
    const std::vector<float>* gradients[3] = {&found.dq, &found.dk, &found.dv};
    for (std::size_t which = 0; which < 3; ++which)
      for (std::size_t i = 0; i < inputs[which].size(); ++i) {
        const double at = inputs[which][i], h = 1e-5;
        inputs[which][i] = at + h;
        const double above = value();
        inputs[which][i] = at - h;
        const double below = value();
        inputs[which][i] = at;
        EXPECT_NEAR((*gradients[which])[i], (above - below) / (2 * h), 1e-5) << table->name << " " << which << " " << i;
      }
  }
}

TEST(Attention, DoesNotDependOnThreads) {
  for (const KernelTable* table : available_kernels()) {
    const Problem p({2, 3, 150, 150, 40, true, true}, 8);  // enough work for the threads to be used
    const Answers<float> one = computed(p, table, 1), two = computed(p, table, 2);
    EXPECT_TRUE(one.out == two.out && one.dq == two.dq && one.dk == two.dk && one.dv == two.dv) << table->name;
  }
}

// A query's answer is the same bits whether it comes alone or with those before it.
TEST(Attention, IsTheSameOneQueryAtATime) {
  for (const KernelTable* table : available_kernels()) {
    const Problem p({1, 1, 100, 100, 24, true}, 9);
    const Answers<float> all = computed(p, table);
    for (std::size_t t = 0; t < 100; ++t) {
      AttentionCall call = p.call(table);
      call.queries = 1;
      call.keys = t + 1;
      call.q.data += t * 24;
      std::vector<float> out(24);
      attention(call, {out.data(), 0, 0, 24}, nullptr);
      EXPECT_EQ(0, std::memcmp(out.data(), all.out.data() + t * 24, 24 * sizeof(float))) << table->name << " " << t;
    }
  }
}

// Scores far beyond what exp can take.
TEST(Attention, StandsLargeScores) {
  Problem p({1, 1, 20, 20, 8}, 10);
  for (float& x : p.q) x *= 300;
  EXPECT_EQ(disagreement(p, 1, 300), "");
}

}  // namespace
}  // namespace clearway::kernels
