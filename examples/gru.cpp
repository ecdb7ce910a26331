// A gated recurrent unit is a mixture of experts with two levels of gates.
//
// Part 1 computes a GRU cell h' = (1 - z) h + z ((1 - r) tanh(Ux) + r tanh(Ux + Vh)) by its recurrence and again as the
// mean of a mixture over a gate tree with leaf experts h, tanh(Ux) and tanh(Ux + Vh): the two agree to rounding. The
// textbook cell has its reset gate inside the tanh, tanh(Ux + r Vh); both cells agree when r is 0 or 1, and the table
// also prints how far they are apart otherwise.
//
// Part 2 draws input-output pairs of one unit, each output from the leaf that its gates chose, plus noise, and recovers
// the leaf regressors and the gates: spectral regressors first (which need to know nothing of the tree), then EM for
// the node gates with the regressors fixed, for each of the three assignments of experts to leaves, then a joint EM.
//
// Usage: gru [trials] [rows]
#include <fmt/format.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/stat/hierarchical_gate.hpp"
#include "clearway/stat/response_transform.hpp"
#include "clearway/stat/spectral.hpp"

namespace {

using clearway::Matrix;
using clearway::Vector;

Matrix normals(Eigen::Index rows, Eigen::Index columns, clearway::RandomStream& stream) {
  Matrix m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) m(i) = stream.normal();
  return m;
}

double sigmoid(double t) {
  return 1 / (1 + std::exp(-t));
}

/// Part 1: largest difference between the recurrence and the mixture, and between both cells, over 100 steps.
void show_identity(int hidden, int inputs) {
  clearway::RandomStream stream(7, static_cast<std::uint64_t>(hidden));
  const auto weights = [&](int columns) { return Matrix(normals(hidden, columns, stream) / std::sqrt(columns)); };
  const Matrix u = weights(inputs), v = weights(hidden);
  const Matrix update = weights(inputs + hidden) * 3, reset = weights(inputs + hidden) * 3;
  const clearway::GateTree tree = clearway::GateTree::gru();
  Vector h = Vector::Zero(hidden);
  double identity = 0, textbook = 0;
  for (int step = 0; step < 100; ++step) {
    const Vector x = normals(inputs, 1, stream).col(0);
    Vector s(inputs + hidden);
    s << x, h;
    Vector next(hidden);
    for (int i = 0; i < hidden; ++i) {
      const double z = sigmoid(update.row(i).dot(s)), r = sigmoid(reset.row(i).dot(s));
      const double from_input = u.row(i).dot(x), from_state = v.row(i).dot(h);
      next(i) = (1 - z) * h(i) + z * ((1 - r) * std::tanh(from_input) + r * std::tanh(from_input + from_state));
      const double inside = (1 - z) * h(i) + z * std::tanh(from_input + r * from_state);
      textbook = std::max(textbook, std::abs(next(i) - inside));
      // The same unit as a mixture: gate tree of the library, three leaf experts.
      Matrix coefficients(2, 1 + inputs + hidden);
      coefficients << 0, update.row(i), 0, reset.row(i);
      const Eigen::RowVectorXd weight = tree.log_weights(s.transpose(), coefficients).array().exp();
      const Eigen::RowVector3d leaf(h(i), std::tanh(from_input), std::tanh(from_input + from_state));
      identity = std::max(identity, std::abs(next(i) - weight.dot(leaf)));
    }
    h = next;
  }
  fmt::print("{:>8} {:>8} {:>22.1e} {:>28.3f}\n", hidden, inputs, identity, textbook);
}

struct Unit {
  Matrix regressors;  ///< 3 x d: old state, candidate after reset, candidate with state
  Matrix gates;       ///< 2 x d: update, reset
  Matrix inputs;
  Vector outputs;
};

/// One unit over d inputs: unit regressors, node gates of length 3 orthogonal to them.
Unit draw_unit(const clearway::ExpertSpec& link, int d, Eigen::Index rows, double sigma, std::uint64_t seed) {
  clearway::RandomStream stream(seed, 11);
  Unit unit;
  unit.regressors = normals(3, d, stream).rowwise().normalized();
  const Matrix q = Eigen::HouseholderQR<Matrix>(unit.regressors.transpose()).householderQ() * Matrix::Identity(d, 3);
  unit.gates = normals(2, d, stream);
  unit.gates -= unit.gates * q * q.transpose();
  unit.gates = unit.gates.rowwise().normalized() * 3;
  unit.inputs = normals(rows, d, stream);
  unit.outputs.resize(rows);
  for (Eigen::Index t = 0; t < rows; ++t) {
    const bool updated = stream.uniform() < sigmoid(unit.gates.row(0).dot(unit.inputs.row(t)));
    const bool open = stream.uniform() < sigmoid(unit.gates.row(1).dot(unit.inputs.row(t)));
    const int leaf = updated ? (open ? 2 : 1) : 0;
    const double mean = clearway::mean_function(link, unit.regressors.row(leaf).dot(unit.inputs.row(t)));
    unit.outputs(t) = mean + sigma * stream.normal();
  }
  return unit;
}

/// Best order of the estimate's rows (entry i belongs to true row i) and its largest relative error.
double align(const Matrix& estimate, const Matrix& truth, std::vector<int>& best) {
  std::vector<int> order = {0, 1, 2};
  double least = std::numeric_limits<double>::infinity();
  do {
    double worst = 0;
    for (int i = 0; i < 3; ++i)
      worst = std::max(worst, (estimate.row(order[static_cast<std::size_t>(i)]) - truth.row(i)).norm());
    if (worst < least) {
      least = worst;
      best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

struct Trial {
  double spectral = 0, polished = 0, gates = 0, sigma = 0;
  bool tree_found = false;
};

Trial recover(const clearway::ExpertSpec& link, Eigen::Index rows, std::uint64_t seed) {
  const int d = 10;
  const Unit unit = draw_unit(link, d, rows, 0.1, seed);
  const clearway::GateTree tree = clearway::GateTree::gru();
  clearway::SpectralOptions options;
  options.experts = 3;
  options.link = link;
  const clearway::SpectralResult spectral = clearway::spectral_regressors(unit.inputs, unit.outputs, options);
  if (!spectral.found) clearway::world_error("the spectral method found no regressors: {}", spectral.diagnoses.front());
  Trial trial;
  std::vector<int> order;
  trial.spectral = align(spectral.slopes, unit.regressors, order);

  Matrix means;
  const Matrix eta = (unit.inputs * spectral.slopes.transpose()).rowwise() + spectral.intercepts.transpose();
  clearway::mean_function(link, eta, means);
  clearway::GateTreeResult fit = clearway::fit_gate_tree(tree, unit.inputs, unit.outputs, means, {});
  Matrix regressors(3, d);
  for (int leaf = 0; leaf < 3; ++leaf)
    regressors.row(leaf) = spectral.slopes.row(fit.expert_of_leaf[static_cast<std::size_t>(leaf)]);
  clearway::GateTreePolishOptions polish;
  polish.link = link;
  clearway::polish_gate_tree(tree, unit.inputs, unit.inputs, unit.outputs, polish, regressors, fit);

  trial.polished = align(regressors, unit.regressors, order);
  trial.sigma = fit.sigma;
  trial.tree_found = order[0] == 0;
  // The two candidates may have changed places: then the reset gate has changed its sign.
  const double sign = order[1] == 1 ? 1 : -1;
  trial.gates = std::max((fit.coefficients.row(0).tail(d) - unit.gates.row(0)).norm(),
                         (sign * fit.coefficients.row(1).tail(d) - unit.gates.row(1)).norm()) /
                unit.gates.row(0).norm();
  return trial;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return 0.5 * (values[(values.size() - 1) / 2] + values[values.size() / 2]);
}

void show_recovery(const char* name, clearway::ExpertKind kind, int trials, Eigen::Index rows) {
  clearway::ExpertSpec link;
  link.kind = kind;
  std::vector<double> spectral, polished, gates, sigma;
  int found = 0;
  for (int i = 0; i < trials; ++i) {
    const Trial trial = recover(link, rows, static_cast<std::uint64_t>(i));
    spectral.push_back(trial.spectral);
    polished.push_back(trial.polished);
    gates.push_back(trial.gates);
    sigma.push_back(trial.sigma);
    found += trial.tree_found ? 1 : 0;
  }
  fmt::print("{:>8} {:>10.3f} {:>10.4f} {:>10.3f} {:>10.4f} {:>8}/{}\n", name, median(spectral), median(polished),
             median(gates), median(sigma), found, trials);
}

}  // namespace

int main(int argc, char** argv) try {
  const int trials = argc > 1 ? std::atoi(argv[1]) : 4;
  const int rows = argc > 2 ? std::atoi(argv[2]) : 10000;
  if (trials < 1 || rows < 100) clearway::user_error("usage: gru [trials >= 1] [rows >= 100]");
  fmt::print("1. A GRU cell and the mean of a two-level mixture of experts, 100 steps\n\n");
  fmt::print("{:>8} {:>8} {:>22} {:>28}\n", "hidden", "inputs", "largest difference", "reset inside tanh: gap");
  for (const int hidden : {1, 4, 16, 64}) show_identity(hidden, 8);
  fmt::print(
      "\nThe difference is rounding: the cell is the mixture. The last column is how far the textbook cell, whose "
      "reset\n"
      "gate multiplies inside the tanh, is from it when the gate is neither 0 nor 1.\n\n");
  fmt::print("2. One gated unit from its input-output pairs: {} rows, 10 inputs, noise 0.1, medians of {} trials\n\n",
             rows, trials);
  fmt::print("{:>8} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "experts", "spectral", "polished", "gates", "noise",
             "tree found");
  show_recovery("linear", clearway::ExpertKind::linear, trials, rows);
  show_recovery("tanh", clearway::ExpertKind::tanh, trials, rows);
  fmt::print(
      "\nspectral, polished: largest distance of a regressor (length 1) from the truth before and after the joint EM;\n"
      "gates: largest relative error of a node gate; tree found: the expert of the old state is at its own leaf.\n"
      "Here all three leaves have the same mean function and the gates are orthogonal to the regressors, as the\n"
      "spectral method assumes; a unit whose old state enters linearly beside tanh candidates is not of this form.\n");
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "gru: {}\n", error.what());
  return 1;
}
