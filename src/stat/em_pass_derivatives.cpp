// The observed information of the mixture by Louis' identity, as weighted products of the same kind as the M-step's.
//
// Per row let r_k be the responsibilities, rho that of the noise, s = 1 - rho, v_l = r_l - s pi_l, and write the
// complete-data score of expert j as (a_j x, b_j) for coefficients and log sigma (gamma: log shape), and (A_j, C_j, B_j)
// for the derivatives of a_j in eta_j, of a_j in log sigma_j and of b_j in log sigma_j. Linear Gaussian experts have
// a_j = e_j / sigma_j^2 and b_j = e_j^2 / sigma_j^2 - 1. The scores of the gate and of eta = logit eps are (delta_kl - pi_l) z and (1 - eps) for
// the noise, -eps otherwise. Summing Louis' identity over the components gives, for one row,
//   gradient      gate v_l z;   expert r_j a_j x, r_j b_j;   eta rho - eps
//   gate, gate    (delta_lm v_l - pi_m v_l - pi_l v_m - v_l v_m) z z'
//   gate, expert  r_j (delta_jl - pi_l - v_l) z (a_j x, b_j)'
//   i, j apart    -r_i r_j (a_i x, b_i)(a_j x, b_j)'
//   i = j         r_j (1 - r_j) (a_j x, b_j)(a_j x, b_j)' + r_j [A_j x x', C_j x; ., B_j]
//   eta           with gate -rho v_l z, with experts -rho r_j (a_j x, b_j), with itself rho (1 - rho) - eps (1 - eps)
#include <algorithm>

#include "clearway/base/errors.hpp"
#include "em_pass_families.hpp"
#include "em_pass_state.hpp"

namespace clearway {

using detail::pair_count;

namespace {

constexpr std::size_t kTile = TiledMatrix::kTile;

// Groups of weights in the record of a tile, and where the sums that they make lie.
struct Plan {
  std::size_t p, q, experts, gates;
  bool same;  // x is z: products of gate and expert are symmetric, half of them suffice
  std::size_t gate_gate, gate_expert, expert_expert;  // first group of each kind: z z', z x', x x'
  std::size_t z_only, x_only, groups;                 // sums of z, of x
  std::size_t cross_products;                         // products z x' per group
  std::size_t at_gate_gate, at_gate_expert, at_expert_expert, at_z, at_x, at_scalars, length;

  // Groups of z: gradient (gates), with log sigma (gates x experts), with eta (gates). Groups of x alike with
  // coefficients_i and log sigma_j. Scalars: log sigma gradient, log sigma pairs i <= j, with eta, eta gradient, eta
  // eta.
  Plan(std::size_t p_, std::size_t q_, std::size_t K, bool same_)
      : p(p_), q(q_), experts(K), gates(K - 1), same(same_) {
    gate_gate = 0;
    gate_expert = gate_gate + pair_count(gates);
    expert_expert = gate_expert + gates * K;
    z_only = expert_expert + pair_count(K);
    x_only = z_only + gates * (K + 2);
    groups = x_only + K * (K + 2);
    cross_products = same ? pair_count(p) : p * q;
    at_gate_gate = 3;
    at_gate_expert = at_gate_gate + pair_count(gates) * pair_count(q);
    at_expert_expert = at_gate_expert + gates * K * cross_products;
    at_z = at_expert_expert + pair_count(K) * pair_count(p);
    at_x = at_z + gates * (K + 2) * q;
    at_scalars = at_x + K * (K + 2) * p;
    length = at_scalars + 2 * K + pair_count(K) + 2;
  }
};

struct TileView {
  const double* raw;      // r | residual or -eta | pi | rho
  const double* terms;    // per expert a | b | A | C | B
  const double* weights;  // case weights, zero for padding
  double* out;
  double* scalars;
};

// The weights of one tile.
void louis_weights(const Plan& plan, double eps, const TileView& tile) {
  const std::size_t K = plan.experts;
  const double* rho = tile.raw + 3 * K * kTile;
  const auto r = [&](std::size_t k) { return tile.raw + k * kTile; };
  const auto term = [&](std::size_t k, std::size_t i) {
    return tile.terms + (k * detail::TileDerivatives::kGroups + i) * kTile;
  };
  const auto pi = [&](std::size_t k) { return tile.raw + (2 * K + k) * kTile; };
  const auto group = [&](std::size_t g) { return tile.out + g * kTile; };
  const double* w = tile.weights;
  double scalar = 0.0;
  double* scalars = tile.scalars;

  for (std::size_t l = 0; l < plan.gates; ++l) {  // v_l, kept unweighted in the group of the gradient until the end
    double* v = group(plan.z_only + l);
    for (std::size_t i = 0; i < kTile; ++i) v[i] = r(l)[i] - (1.0 - rho[i]) * pi(l)[i];
  }
  double* out = group(plan.gate_gate);
  for (std::size_t l = 0; l < plan.gates; ++l) {
    const double* vl = group(plan.z_only + l);
    for (std::size_t m = l; m < plan.gates; ++m, out += kTile) {
      const double* vm = group(plan.z_only + m);
      const double same = l == m ? 1.0 : 0.0;
      for (std::size_t i = 0; i < kTile; ++i)
        out[i] = w[i] * (same * vl[i] - pi(m)[i] * vl[i] - pi(l)[i] * vm[i] - vl[i] * vm[i]);
    }
  }
  for (std::size_t l = 0; l < plan.gates; ++l) {
    const double* v = group(plan.z_only + l);
    for (std::size_t j = 0; j < K; ++j) {
      double* coefficients = group(plan.gate_expert + l * K + j);
      double* sigma = group(plan.z_only + plan.gates + l * K + j);
      const double same = l == j ? 1.0 : 0.0;
      const double *a = term(j, 0), *b = term(j, 1);
      for (std::size_t i = 0; i < kTile; ++i) {
        const double c = w[i] * r(j)[i] * (same - pi(l)[i] - v[i]);
        coefficients[i] = c * a[i];
        sigma[i] = c * b[i];
      }
    }
    double* eta = group(plan.z_only + plan.gates * (K + 1) + l);
    for (std::size_t i = 0; i < kTile; ++i) eta[i] = -w[i] * rho[i] * v[i];
  }
  out = group(plan.expert_expert);
  for (std::size_t j = 0; j < K; ++j) {
    const double *aj = term(j, 0), *bj = term(j, 1), *ee = term(j, 2), *es = term(j, 3), *ss = term(j, 4);
    double* gradient = group(plan.x_only + j);
    double* eta = group(plan.x_only + K * (K + 1) + j);
    double sigma_gradient = 0.0, sigma_eta = 0.0;
    for (std::size_t i = 0; i < kTile; ++i) {
      const double wr = w[i] * r(j)[i];
      gradient[i] = wr * aj[i];
      eta[i] = -rho[i] * gradient[i];
      sigma_gradient += wr * bj[i];
      sigma_eta -= rho[i] * wr * bj[i];
    }
    scalars[j] += sigma_gradient;
    scalars[K + pair_count(K) + j] += sigma_eta;
    for (std::size_t m = j; m < K; ++m, out += kTile) {
      const double *am = term(m, 0), *bm = term(m, 1);
      double* left = group(plan.x_only + K + j * K + m);   // coefficients j, log sigma m
      double* right = group(plan.x_only + K + m * K + j);  // coefficients m, log sigma j
      scalar = 0.0;
      for (std::size_t i = 0; i < kTile; ++i) {
        const double wr = w[i] * r(j)[i];
        if (m == j) {
          const double c = wr * (1.0 - r(j)[i]);
          out[i] = c * aj[i] * aj[i] + wr * ee[i];
          left[i] = c * aj[i] * bj[i] + wr * es[i];
          scalar += c * bj[i] * bj[i] + wr * ss[i];
        } else {
          const double c = -wr * r(m)[i];
          out[i] = c * aj[i] * am[i];
          left[i] = c * aj[i] * bm[i];
          right[i] = c * am[i] * bj[i];
          scalar += c * bj[i] * bm[i];
        }
      }
      scalars[K + (j * K - j * (j + 1) / 2 + m)] += scalar;
    }
  }
  double gradient = 0.0, curvature = 0.0;
  for (std::size_t i = 0; i < kTile; ++i) {
    gradient += w[i] * (rho[i] - eps);
    curvature += w[i] * (rho[i] * (1.0 - rho[i]) - eps * (1.0 - eps));
  }
  scalars[2 * K + pair_count(K)] += gradient;
  scalars[2 * K + pair_count(K) + 1] += curvature;
  for (std::size_t l = 0; l < plan.gates; ++l) {
    double* v = group(plan.z_only + l);
    for (std::size_t i = 0; i < kTile; ++i) v[i] *= w[i];
  }
}

// Spreads the sums over gradient and Hessian (upper triangle in parameter order).
class Assembly {
 public:
  Assembly(const Plan& plan, const double* sums, bool has_noise, EmDerivatives& result)
      : plan_(plan), sums_(sums), noise_(has_noise), result_(result) {}

  void run() {
    const Eigen::Index K = index(plan_.experts), L = index(plan_.gates), q = index(plan_.q), p = index(plan_.p);
    const Eigen::Index size = eta() + (noise_ ? 1 : 0);
    result_.log_likelihood = sums_[0];
    result_.gradient.resize(size);
    result_.hessian.setZero(size, size);
    Matrix& h = result_.hessian;
    const double* in = sums_ + plan_.at_gate_gate;
    for (Eigen::Index l = 0; l < L; ++l)
      for (Eigen::Index m = l; m < L; ++m) in = symmetric(in, h, gate(l), gate(m), q);
    in = sums_ + plan_.at_gate_expert;
    for (Eigen::Index l = 0; l < L; ++l)
      for (Eigen::Index j = 0; j < K; ++j) {
        if (plan_.same) {
          in = symmetric(in, h, gate(l), expert(j), p);
        } else {
          h.block(gate(l), expert(j), q, p) = Eigen::Map<const Matrix>(in, p, q).transpose();
          in += p * q;
        }
      }
    in = sums_ + plan_.at_expert_expert;
    for (Eigen::Index j = 0; j < K; ++j)
      for (Eigen::Index m = j; m < K; ++m) in = symmetric(in, h, expert(j), expert(m), p);

    const Eigen::Map<const Matrix> z(sums_ + plan_.at_z, q, L * (K + 2));
    for (Eigen::Index l = 0; l < L; ++l) {
      result_.gradient.segment(gate(l), q) = z.col(l);
      for (Eigen::Index j = 0; j < K; ++j) h.block(gate(l), sigma(j), q, 1) = z.col(L + l * K + j);
      if (noise_) h.block(gate(l), eta(), q, 1) = z.col(L * (K + 1) + l);
    }
    const Eigen::Map<const Matrix> x(sums_ + plan_.at_x, p, K * (K + 2));
    const double* scalar = sums_ + plan_.at_scalars;
    const double* pair = scalar + K;
    for (Eigen::Index j = 0; j < K; ++j) {
      result_.gradient.segment(expert(j), p) = x.col(j);
      result_.gradient(sigma(j)) = scalar[j];
      for (Eigen::Index m = 0; m < K; ++m) {
        if (m >= j) h.block(expert(j), sigma(m), p, 1) = x.col(K + j * K + m);
        if (m < j) h.block(sigma(m), expert(j), 1, p) = x.col(K + j * K + m).transpose();
        if (m >= j) h(sigma(j), sigma(m)) = *pair++;
      }
      if (noise_) h.block(expert(j), eta(), p, 1) = x.col(K * (K + 1) + j);
      if (noise_) h(sigma(j), eta()) = scalar[K + index(pair_count(plan_.experts)) + j];
    }
    if (noise_) {
      const double* own = scalar + 2 * K + index(pair_count(plan_.experts));
      result_.gradient(eta()) = own[0];
      h(eta(), eta()) = own[1];
    }
    h.triangularView<Eigen::StrictlyLower>() = h.transpose();
  }

 private:
  static Eigen::Index index(std::size_t i) { return static_cast<Eigen::Index>(i); }
  Eigen::Index gate(Eigen::Index l) const { return l * index(plan_.q); }
  Eigen::Index expert(Eigen::Index j) const { return index(plan_.gates * plan_.q) + j * index(plan_.p + 1); }
  Eigen::Index sigma(Eigen::Index j) const { return expert(j) + index(plan_.p); }
  Eigen::Index eta() const { return expert(index(plan_.experts)); }

  static const double* symmetric(const double* in, Matrix& h, Eigen::Index row, Eigen::Index col, Eigen::Index size) {
    for (Eigen::Index i = 0; i < size; ++i)
      for (Eigen::Index j = i; j < size; ++j) h(row + i, col + j) = h(row + j, col + i) = *in++;
    return in;
  }

  const Plan& plan_;
  const double* sums_;
  bool noise_;
  EmDerivatives& result_;
};

}  // namespace

void EmPass::derivatives(const EmParameters& parameters, EmDerivatives& result, int threads) {
  State& s = *state_;
  s.pack(parameters);
  const double eps = s.has_noise ? parameters.noise_weight : 0.0;
  if (s.has_noise && !(eps > 0.0)) user_error("derivatives need a noise weight in (0, 1), not {}", eps);
  const std::size_t K = s.experts, raw_groups = detail::is_linear_gaussian(s.data.family.kind) ? 3 * K + 1 : 6 * K + 1;
  const std::size_t lanes = detail::expectation_lanes(K) * kTile;
  const std::size_t terms = detail::TileDerivatives::kGroups * K * kTile;
  const Plan plan(s.p, s.q, K, s.data.x == s.data.z);

  const auto body = [&](std::size_t first, std::size_t rows, double* scratch, double* out) {
    const std::size_t tiles = (rows + kTile - 1) / kTile;
    detail::ExpectationBlock b = s.block(first, rows);
    b.form = detail::RecordForm::raw;
    b.lanes = scratch;
    b.record = scratch + lanes + terms;
    b.record_stride = raw_groups * kTile;
    b.scalars = out;
    s.kernels->expectation(b);

    double* record = b.record + tiles * b.record_stride;
    double weights[kTile];
    for (std::size_t t = 0; t < tiles; ++t) {
      for (std::size_t i = 0; i < kTile; ++i) {
        const std::size_t row = t * kTile + i;
        weights[i] = b.weights ? b.weights[row] : (row < rows ? 1.0 : 0.0);
      }
      const double* raw = b.record + t * b.record_stride;
      const auto group = [&](std::size_t i) { return raw + i * kTile; };
      for (std::size_t k = 0; k < K; ++k)
        detail::tile_derivatives(s.data.family, s.dispersion[k],
                                 {.y = b.y + t * kTile,
                                  .index = group(K + k),
                                  .score = group(3 * K + 1 + k),
                                  .information = group(4 * K + 1 + k),
                                  .square = group(5 * K + 1 + k)},
                                 {scratch + lanes + k * detail::TileDerivatives::kGroups * kTile});
      louis_weights(plan, eps,
                    {raw, scratch + lanes, weights, record + t * plan.groups * kTile, out + plan.at_scalars});
    }
    detail::ProductsBlock products;
    products.record_stride = plan.groups * kTile;
    products.tiles = tiles;
    const auto add = [&](const double* left, std::size_t left_cols, const double* right, std::size_t right_cols,
                         bool symmetric, std::size_t group, std::size_t groups, std::size_t place, std::size_t stride) {
      products.a = left;
      products.a_cols = left_cols;
      products.b = right;
      products.b_cols = right_cols;
      products.symmetric = symmetric;
      products.record = record + group * kTile;
      products.weights = groups;
      products.out = out + place;
      products.out_stride = stride;
      s.kernels->products(products);
    };
    const std::size_t p = s.p, q = s.q, L = plan.gates;
    add(b.z, q, b.z, q, true, plan.gate_gate, pair_count(L), plan.at_gate_gate, pair_count(q));
    add(b.z, q, b.x, p, plan.same, plan.gate_expert, L * K, plan.at_gate_expert, plan.cross_products);
    add(b.x, p, b.x, p, true, plan.expert_expert, pair_count(K), plan.at_expert_expert, pair_count(p));
    add(nullptr, 1, b.z, q, false, plan.z_only, L * (K + 2), plan.at_z, q);
    add(nullptr, 1, b.x, p, false, plan.x_only, K * (K + 2), plan.at_x, p);
  };
  const std::size_t row = raw_groups + plan.groups;
  const double* total =
      s.sum_blocks({.sums = plan.length,
                    .sums_at_most = plan.length,
                    .row = row,
                    .row_at_most = row,
                    .extra = lanes + terms,
                    .row_cost = static_cast<double>(pair_count(K) * 4 * pair_count(std::max(s.p, s.q)))},
                   threads, body);
  Assembly(plan, total, s.has_noise, result).run();
}

}  // namespace clearway
