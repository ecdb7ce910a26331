// The gates of core on tensors: values equal those on Eigen arrays, gradients by autograd equal those on Jets, and both
// throw alike. The typed list and the generated problems are those of tests/laws.
//
// Tolerances: a log-weight is a score minus a logsumexp, sums of a few dozen terms that the two libraries take in
// another order: 100 eps times the largest score. In double that is 2e-14 per unit of score, in float 1.2e-5.
#include <limits>

#include "clearway/deep/gate_module.hpp"
#include "laws/derivatives.hpp"
#include "laws/gate_cases.hpp"
#include "laws/generated.hpp"

namespace clearway::laws {
namespace {

using torch::Tensor;

Tensor to_tensor(const DoubleArray& a, at::ScalarType type = at::kDouble) {
  const Tensor by_columns = at::from_blob(const_cast<double*>(a.data()), {a.cols(), a.rows()}, at::kDouble);
  return by_columns.t().contiguous().clone().to(type);
}
DoubleArray to_array(const Tensor& t) {
  const Tensor by_columns = t.detach().to(at::kDouble).t().contiguous();
  return Eigen::Map<const DoubleArray>(by_columns.data_ptr<double>(), t.size(0), t.size(1));
}
template <template <class> class Parameters>
Parameters<Tensor> to_tensors(const Parameters<DoubleArray>& p, at::ScalarType type = at::kDouble) {
  return converted<Parameters, Tensor>(p, [&](const DoubleArray& a) { return to_tensor(a, type); });
}

template <class Gate>
class GateParity : public ::testing::Test {};
TYPED_TEST_SUITE(GateParity, Gates);

template <class Gate>
struct Drawn {
  DoubleArray x;
  typename Gate::template Parameters<DoubleArray> parameters;
};
template <class Gate>
Drawn<Gate> draw(Problem& problem) {
  Drawn<Gate> out{normal_array(problem.random, problem.n, problem.d), {}};
  out.parameters = Gate().zero_parameters(out.x, problem.d, problem.k);
  fill_normal(problem.random, 1.0, out.parameters);
  return out;
}

TYPED_TEST(GateParity, ValuesOnTensorsEqualValuesOnEigen) {
  EXPECT_TRUE(holds("torch = Eigen, double and float", [](Problem& problem) {
    const TypeParam gate;
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray expected = gate.log_weights(drawn.x, drawn.parameters);
    const double scale = 1 + gate.scores(drawn.x, drawn.parameters).abs().maxCoeff();
    for (const auto type : {at::kDouble, at::kFloat}) {
      const double eps =
          type == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
      const Tensor got = gate.log_weights(to_tensor(drawn.x, type), to_tensors(drawn.parameters, type));
      require(got.scalar_type() == type);
      require_at_most(largest_difference(to_array(got), expected), 100 * eps * scale);
    }
    const auto count = problem.between(1, problem.k);
    const DoubleArray kept = top_k_log_weights(DoubleArray(gate.scores(drawn.x, drawn.parameters)), count).exp();
    const Tensor kept_tensor =
        top_k_log_weights(gate.scores(to_tensor(drawn.x), to_tensors(drawn.parameters)), count).exp();
    require_at_most(largest_difference(to_array(kept_tensor), kept), 1e-12 * scale);
  }));
}

TYPED_TEST(GateParity, GradientByAutogradEqualsDerivativeOnJets) {
  EXPECT_TRUE(holds("autograd along a direction = Jet derivative", [](Problem& problem) {
    const TypeParam gate;
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray c = normal_array(problem.random, problem.n, problem.k);
    auto direction = drawn.parameters;
    fill_normal(problem.random, 1.0, direction);
    const DoubleArray along_x = normal_array(problem.random, problem.n, problem.d);

    std::vector<DoubleArray> slopes;
    decltype(direction)::visit(direction, [&](std::string_view, const DoubleArray& a) { slopes.push_back(a); });
    auto lifted = to_jets(drawn.parameters);
    std::size_t next = 0;
    decltype(lifted)::visit(lifted, [&](std::string_view, Jets& a) {
      for (Eigen::Index i = 0; i < a.size(); ++i) a.data()[i].v[0] = slopes[next].data()[i];
      ++next;
    });
    const Jets on_jets = gate.log_weights(to_jets(drawn.x, along_x), lifted);
    const double expected = Jets(on_jets * c.cast<Jet>()).sum().v[0];

    auto leaves = to_tensors(drawn.parameters);
    const Tensor x = to_tensor(drawn.x).requires_grad_();
    decltype(leaves)::visit(leaves, [](std::string_view, Tensor& a) { a.requires_grad_(); });
    (gate.log_weights(x, leaves) * to_tensor(c)).sum().backward();
    double total = 0, size = 1;
    const auto add = [&](const Tensor& leaf, const DoubleArray& along) {
      if (!leaf.grad().defined()) return;
      const Tensor product = leaf.grad() * to_tensor(along);
      total += product.sum().item<double>();
      size += product.abs().sum().item<double>();
    };
    add(x, along_x);
    next = 0;
    decltype(leaves)::visit(leaves, [&](std::string_view, Tensor& a) { add(a, slopes[next++]); });
    // Relative to the sum of absolute terms: a distance or a norm near 0 loses a few digits in both ways of computing.
    require_at_most(std::abs(total - expected), 1e-10 * size);
  }));
}

TYPED_TEST(GateParity, ThrowsAlike) {
  const TypeParam gate;
  RandomStream random(1);
  const DoubleArray x = normal_array(random, 4, 3);
  const auto right = gate.zero_parameters(x, 3, 2);
  const auto same = [&](const DoubleArray& inputs, const auto& p) {
    const std::string on_eigen = thrown([&] { gate.log_weights(inputs, p); });
    EXPECT_EQ(thrown([&] { gate.log_weights(to_tensor(inputs), to_tensors(p)); }), on_eigen);
  };
  same(x, right);
  same(x.leftCols(2), right);
  for_each_array(right, [&](std::string_view, auto&& with) {
    same(x, with([](DoubleArray& a) { a.conservativeResize(a.rows() + 1, a.cols()); }));
  });
}

TEST(TensorVerbs, EqualThoseOfEigen) {
  // The verbs that no gate uses, on numbers that include both tails and ties.
  DoubleArray a(2, 4);
  a << -30, -1.5, 0, 2.25, 0.5, 0.5, 8, 40;
  const Tensor t = to_tensor(a);
  const auto near = [](const Tensor& got, const DoubleArray& wanted) {
    const DoubleArray scale = wanted.abs().max(1.0);
    EXPECT_LT(largest_difference(to_array(got) / scale, wanted / scale), 1e-13);
  };
  near(normal_cdf(t), normal_cdf(a));
  near(log_normal_cdf(t), log_normal_cdf(a));
  near(log_sigmoid(t), log_sigmoid(a));
  near(log_gamma(to_tensor(a.abs() + 0.1)), log_gamma(DoubleArray(a.abs() + 0.1)));
  near(maximum(t, 0.5), maximum(a, 0.5));
  near(at_least(t, 0.5), at_least(a, 0.5));
  near(keep_top(t, 2).exp(), keep_top(a, 2).exp());
  near(lower_triangle(to_tensor(a.row(0).leftCols(3) * 0.1), 2),
       lower_triangle(DoubleArray(a.row(0).leftCols(3) * 0.1), 2));
  EXPECT_EQ(rows(Tensor()), 0);
  EXPECT_EQ(thrown([&] { keep_top(t, 5); }), thrown([&] { keep_top(a, 5); }));
}

TEST(GateModule, RegistersParametersUnderTheirNames) {
  deep::GateModule<LaplaceGate> gate(LaplaceGate{}, 3, 5, deep::GateLearning::without_intercepts);
  EXPECT_EQ(gate.named_parameters().size(), 1u);
  EXPECT_TRUE(gate.named_parameters().contains("centres"));
  EXPECT_TRUE(gate.named_buffers().contains("intercepts"));
  gate.to(at::kDouble);
  const Tensor x = at::randn({4, 3}, at::kDouble);
  {
    const at::NoGradGuard guard;
    gate.parameters.centres.normal_();
  }
  // What was registered is what the formula reads, also after a change of type.
  const Tensor distances = (x.unsqueeze(1) - gate.named_parameters()["centres"].unsqueeze(0)).norm(2, 2);
  // The gate smooths distances by at most its 1e-6, a log-weight has two of them.
  EXPECT_LT((gate.log_weights(x) - (-distances).log_softmax(1)).abs().max().item<double>(), 2e-6);
}

}  // namespace
}  // namespace clearway::laws
