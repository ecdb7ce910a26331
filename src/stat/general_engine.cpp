// The general engine: every gate, every expert. Rows are worked on in blocks that stay in cache; sums of blocks are added
// in block order, so results do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "blocked_gate.hpp"
#include "border_search.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/core/alignment.hpp"
#include "constrained_update.hpp"
#include "em_engine.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;
constexpr Index kBlockRows = 512;
constexpr Index kParallelRows = 8192;          // fewer rows are not worth a thread
constexpr double kShortestReselection = 0.01;  // of a proposed step for a top-k gate
constexpr int kDenseSteps = 12;                // of the dense gate where no proposed step helps
constexpr double kImpossible = -1e10;          // log density of a row that an expert cannot have made

// Rows ordered so that those of a group stand together, groups by first appearance.
std::vector<Index> rows_by_group(const std::vector<int>& groups) {
  std::unordered_map<int, std::size_t> rank;
  for (int g : groups) rank.try_emplace(g, rank.size());
  std::vector<Index> order(groups.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return rank.at(groups[static_cast<std::size_t>(a)]) < rank.at(groups[static_cast<std::size_t>(b)]);
  });
  return order;
}

std::vector<Index> first_rows_of_groups(const std::vector<int>& groups) {
  std::vector<Index> first;
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (i == 0 || groups[i] != groups[i - 1]) first.push_back(static_cast<Index>(i));
  return first;
}

class GeneralEngine final : public EmEngine {
 public:
  GeneralEngine(const Data& data, const Scaling& scaling, const MixtureModel& prototype, const EngineSettings& settings)
      : EmEngine(prototype, settings, data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows())),
        rows_(data.rows()),
        threads_(data.rows() >= kParallelRows ? settings.threads : 1) {
    Data sorted;
    if (!data.groups.empty()) {
      row_order_ = rows_by_group(data.groups);
      sorted = data.subset(row_order_);
    }
    const Data& source = row_order_.empty() ? data : sorted;
    for (Index begin = 0; begin < rows_;) {
      const Index n = block_length(source.groups, begin);
      Data block = scaling.standardised(source, begin, n);
      if (!source.groups.empty()) first_rows_.push_back(first_rows_of_groups(block.groups));
      begins_.push_back(begin);
      blocks_.push_back(std::move(block));
      begin += n;
    }
    gate_.emplace(blocks_, prototype.gate, map_, settings_, total_weight_, threads_);
  }

  double step(MixtureModel& model) override {
    if (constrained()) map_.project(model);
    Matrix r(rows_, model.expert_count());  // case weight times responsibility
    double noise_mass = 0;
    const double value = expectation(model, &r, &noise_mass);
    maximise_weighted(r, model.gate.is_smooth() ? 1 : 0, 1, model);
    if (model.has_noise) model.noise_weight = std::clamp(noise_mass / total_weight_, 1e-12, 1 - 1e-12);
    if (!model.gate.is_smooth()) reselect(r, model);
    return value;
  }

  void maximise(const Matrix& responsibilities, int gate_steps, MixtureModel& model) override {
    Matrix r = responsibilities;
    for (std::size_t i = 0; i < row_order_.size(); ++i)
      r.row(static_cast<Index>(i)) = responsibilities.row(row_order_[i]);
    match_labels(r);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      auto rows = r.middleRows(begins_[b], blocks_[b].rows());
      agree_within_groups(b, rows);
      if (blocks_[b].weights.size()) rows = blocks_[b].weights.asDiagonal() * rows.eval();
    }
    if (!constrained()) return maximise_weighted(r, gate_steps, 8, model);
    // From the unconstrained optimum to the constrained one. Memberships of a start are soft for the sake of the gate;
    // experts that share a parameter would all fit the same average, so theirs are made sharper.
    improve_gate(r, gate_steps, model);
    const Vector mass = r.rowwise().sum();
    Matrix sharp = r.array().pow(4);
    sharp = mass.cwiseQuotient(sharp.rowwise().sum().cwiseMax(1e-300)).asDiagonal() * sharp.eval();
    maximise_experts(sharp, 8, model);
    map_.project(model);
    update_constrained(map_, blocks_, sharp, 8, model);
  }

  double objective(const MixtureModel& model) override { return expectation(model, nullptr, nullptr); }

  double derivatives(const MixtureModel& model, Vector& score, Matrix* information) override {
    const bool closed = (model.gate.is_linear() || model.gate.block_size() == 0) &&
                        std::all_of(model.experts.begin(), model.experts.end(), has_closed_hessian);
    const double value = score_and_information(model, score, closed ? information : nullptr);
    if (information && !closed) {  // central differences of the exact score
      information->setZero(map_.size, map_.size);
      const Vector centre = map_.pack(model);
      MixtureModel moved = model;
      Vector up, down;
      for (Index i = 0; i < map_.size; ++i) {
        const double h = 1e-5 * std::max(1.0, std::abs(centre(i)));
        Vector point = centre;
        point(i) += h;
        map_.unpack(point, moved);
        const double high = map_.pack(moved)(i);  // clamped to its bounds
        score_and_information(moved, up, nullptr);
        point(i) = centre(i) - h;
        map_.unpack(point, moved);
        const double low = map_.pack(moved)(i);
        score_and_information(moved, down, nullptr);
        information->col(i) = (down - up) / std::max(high - low, 1e-300);
      }
      *information = 0.5 * (*information + information->transpose().eval());
    }
    return value;
  }

 private:
  struct BlockState {
    Matrix gate;            // n x k, gate weights
    Matrix responsibility;  // n x k
    Vector noise;           // n, responsibility of the noise (or empty)
    double value = 0;       // weighted log-likelihood
  };

  BlockState expectation_block(const MixtureModel& model, std::size_t b) const {
    const Data& block = blocks_[b];
    const int k = model.expert_count();
    BlockState state;
    Matrix joint = gate_->log_weights(model.gate, b);
    state.gate = joint.array().exp();
    Matrix densities(block.rows(), k);
    for (int j = 0; j < k; ++j) densities.col(j) = model.experts[static_cast<std::size_t>(j)].log_density(block);
    pool_groups(b, densities);
    joint += densities;
    Vector noise;  // log of its part of the density
    if (model.has_noise) {
      joint.array() += std::log1p(-model.noise_weight);
      noise.setConstant(block.rows(), std::log(model.noise_weight) + model.noise_log_density);
    }
    exclude_by_label(block, joint, noise);
    Vector top = joint.rowwise().maxCoeff();
    if (model.has_noise) top = top.cwiseMax(noise);
    top = top.array().isFinite().select(top, 0.0);
    state.responsibility = (joint.colwise() - top).array().exp();
    Vector sum = state.responsibility.rowwise().sum();
    if (model.has_noise) {
      state.noise = (noise - top).array().exp();
      sum += state.noise;
    }
    const Vector row = once_per_group(b, Vector(top.array() + sum.array().log()));
    state.value = block.weights.size() ? row.dot(block.weights) : row.sum();
    const Vector inverse = (sum.array() > 0).select(sum.array().inverse(), 0.0);
    state.responsibility = inverse.asDiagonal() * state.responsibility;
    if (model.has_noise) state.noise.array() *= inverse.array();
    return state;
  }

  // Repeated measures: rows are sorted by group and no group is split between blocks. All rows of a group carry the
  // posterior weights of the group; the gate, which speaks once per group, sees its first row only.
  Index block_length(const std::vector<int>& groups, Index begin) const {
    Index end = std::min(begin + kBlockRows, rows_);
    while (!groups.empty() && end < rows_ &&
           groups[static_cast<std::size_t>(end)] == groups[static_cast<std::size_t>(end - 1)])
      ++end;
    return end - begin;
  }

  // Calls visit(first, count) for every group of a block.
  template <class Visitor>
  void for_each_group(std::size_t b, Visitor&& visit) const {
    if (first_rows_.empty()) return;
    const std::vector<Index>& first = first_rows_[b];
    for (std::size_t g = 0; g < first.size(); ++g)
      visit(first[g], (g + 1 < first.size() ? first[g + 1] : blocks_[b].rows()) - first[g]);
  }

  // Every row of a group gets the sum over the group.
  void pool_groups(std::size_t b, Matrix& densities) const {
    for_each_group(b, [&](Index first, Index count) {
      const Eigen::RowVectorXd sum = densities.middleRows(first, count).colwise().sum();
      densities.middleRows(first, count).rowwise() = sum;
    });
  }

  // Known labels number the experts; memberships of a start do not. Reorders the columns to agree best with the labels.
  void match_labels(Matrix& r) const {
    Matrix agreement = Matrix::Zero(r.cols(), r.cols());  // column of r, label
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      for (std::size_t i = 0; i < blocks_[b].labels.size(); ++i)
        if (const int label = blocks_[b].labels[i]; label >= 0)
          agreement.col(label) += r.row(begins_[b] + static_cast<Index>(i)).transpose();
    if (agreement.isZero(0)) return;
    const std::vector<int> column_of_label = optimal_assignment(-agreement);
    r = r(Eigen::all, column_of_label).eval();
  }

  template <class Rows>
  void agree_within_groups(std::size_t b, Rows& r) const {
    for_each_group(b, [&](Index first, Index count) {
      const Eigen::RowVectorXd mean = r.middleRows(first, count).colwise().mean();
      r.middleRows(first, count).rowwise() = mean;
    });
    const std::vector<int>& labels = blocks_[b].labels;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] >= 0) {
        r.row(static_cast<Index>(i)).setZero();
        r(static_cast<Index>(i), labels[i]) = 1;
      }
  }

  // What counts once per group: the value of its first row, zero for the others.
  template <class Rows>
  Rows once_per_group(std::size_t b, Rows rows) const {
    for_each_group(b, [&](Index first, Index count) { rows.middleRows(first + 1, count - 1).setZero(); });
    return rows;
  }

  // Sums over groups, one row each; without groups the rows themselves.
  Matrix summed_by_group(std::size_t b, Matrix rows) const {
    if (first_rows_.empty()) return rows;
    Matrix sums(static_cast<Index>(first_rows_[b].size()), rows.cols());
    Index g = 0;
    for_each_group(b, [&](Index first, Index count) { sums.row(g++) = rows.middleRows(first, count).colwise().sum(); });
    return sums;
  }

  // The first rows of groups; without groups the rows themselves.
  Matrix first_of_group(std::size_t b, Matrix rows) const {
    if (first_rows_.empty()) return rows;
    return rows(first_rows_[b], Eigen::all);
  }

  // A row whose expert is known can come from no other and is no noise.
  static void exclude_by_label(const Data& block, Matrix& joint, Vector& noise) {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < block.labels.size(); ++i) {
      if (block.labels[i] < 0) continue;
      const auto row = static_cast<Index>(i);
      const double known = joint(row, block.labels[i]);
      joint.row(row).setConstant(kNever);
      joint(row, block.labels[i]) = known;
      if (noise.size()) noise(row) = kNever;
    }
  }

  // E-step. Fills r with case weight times responsibility when given.
  double expectation(const MixtureModel& model, Matrix* r, double* noise_mass) const {
    std::vector<double> values(blocks_.size()), noises(blocks_.size(), 0.0);
    parallel_for(blocks_.size(), threads_, [&](std::size_t b) {
      BlockState state = expectation_block(model, b);
      values[b] = state.value;
      const Vector& w = blocks_[b].weights;
      if (model.has_noise) noises[b] = w.size() ? state.noise.dot(w) : state.noise.sum();
      if (r) {
        if (w.size()) state.responsibility = w.asDiagonal() * state.responsibility;
        r->middleRows(begins_[b], blocks_[b].rows()) = state.responsibility;
      }
    });
    double value = 0, noise = 0;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      value += values[b];
      noise += noises[b];
    }
    if (noise_mass) *noise_mass = noise;
    return value + penalty(model);
  }

  bool constrained() const { return !map_.prototype.constraints.empty(); }

  void improve_gate(const Matrix& r, int steps, MixtureModel& model) const {
    Gate gate = model.gate.dense();
    const Matrix seen = gate_rows(r);
    for (int i = 0; i < steps; ++i)
      if (!gate_->improve(seen, gate)) break;
    model.gate.parameters() = gate.parameters();
  }

  void maximise_weighted(const Matrix& r, int gate_steps, int expert_steps, MixtureModel& model) const {
    improve_gate(r, gate_steps, model);
    if (constrained()) return update_constrained(map_, blocks_, r, expert_steps, model);
    maximise_experts(r, expert_steps, model);
  }

  void maximise_experts(const Matrix& r, int expert_steps, MixtureModel& model) const {
    const int k = model.expert_count();
    const std::vector<Expert> before = model.experts;
    parallel_for(static_cast<std::size_t>(k), threads_, [&](std::size_t j) {
      update_expert(model.experts[j], blocks_, r.col(static_cast<Index>(j)), settings_.sigma_floor, expert_steps);
    });
    if (model.experts.front().responses() > 1 && is_parsimonious(model.experts.front().spec().covariance))
      pool_covariances(before, r.colwise().sum().transpose(), settings_.sigma_floor, model.experts);
    if (model.experts.front().has_sigma() && model.experts.front().spec().variance == VarianceKind::shared)
      pool_sigma(r, model);
  }

  void pool_sigma(const Matrix& r, MixtureModel& model) const {
    ResidualSum total;
    for (int j = 0; j < model.expert_count(); ++j) {
      const ResidualSum part = residual_sum(model.experts[static_cast<std::size_t>(j)], blocks_, r.col(j));
      total.squares += part.squares;
      total.weight += part.weight;
    }
    const double sigma = std::max(settings_.sigma_floor, std::sqrt(total.squares / total.weight));
    for (Expert& expert : model.experts) expert.set_sigma(sigma);
  }

  // Responsibilities as the gate sees them.
  Matrix gate_rows(const Matrix& r) const {
    Matrix once = r;
    for (std::size_t b = 0; b < first_rows_.size(); ++b)
      once.middleRows(begins_[b], blocks_[b].rows()) =
          once_per_group(b, Matrix(r.middleRows(begins_[b], blocks_[b].rows())));
    return once;
  }

  // The gate step of a top-k gate. Its likelihood jumps where another expert enters the selection of a row, so the
  // steps are proposals and the likelihood itself, selection made anew, is the judge: it never falls. One proposal keeps
  // every row's selection (there the likelihood is smooth); the other is the step of the dense gate with its own
  // responsibilities, which sees experts outside of the selection. Where neither helps, the dense gate goes on by itself
  // for a while: its way may lead to a better selection through equal ones.
  void reselect(const Matrix& r, MixtureModel& model) const {
    std::vector<Vector> directions;
    if (model.gate.has_own_scores() && model.gate.spec().top_k > 1)
      directions.push_back(gate_->direction(gate_rows(r), model.gate, true));
    MixtureModel dense = model;
    dense.gate = model.gate.dense();
    Matrix dense_r(rows_, model.expert_count());
    expectation(dense, &dense_r, nullptr);
    directions.push_back(gate_->direction(gate_rows(dense_r), dense.gate, false));
    const double before = expectation(model, nullptr, nullptr);
    const Gate present = model.gate;
    for (double length = 1; length > kShortestReselection; length /= 2) {
      double best = before;
      Gate chosen;
      for (const Vector& direction : directions) {
        if (!direction.allFinite()) continue;
        model.gate = gate_->moved(present, length * direction);
        const double value = expectation(model, nullptr, nullptr);
        if (!(value > best)) continue;
        best = value;
        chosen = model.gate;
      }
      model.gate = best > before ? chosen : present;
      if (best > before) return;
    }
    for (int step = 0; step < kDenseSteps; ++step) {
      if (!gate_->improve(gate_rows(dense_r), dense.gate)) break;
      model.gate.parameters() = dense.gate.parameters();
      if (expectation(model, nullptr, nullptr) > before) return;
      expectation(dense, &dense_r, nullptr);
    }
    model.gate = present;
    if (move_borders(model) && !(expectation(model, nullptr, nullptr) > before)) model.gate = present;
  }

  // Top-1 gates with linear scores: the best borders along lines, experts held fixed (border_search.hpp). False where
  // that does not apply or nothing is better.
  bool move_borders(MixtureModel& model) const {
    Gate& gate = model.gate;
    const bool labelled = std::any_of(blocks_.begin(), blocks_.end(), [](const Data& b) { return !b.labels.empty(); });
    if (gate.spec().top_k != 1 || !gate.is_linear() || !first_rows_.empty() || labelled) return false;
    const Index p = gate.block_size();
    const int k = gate.experts();
    Matrix features(rows_, p), values(rows_, k), free(p, k);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const Data& block = blocks_[b];
      features.middleRows(begins_[b], block.rows()) = gate_->features(b);
      for (int j = 0; j < k; ++j) {
        Vector value = model.experts[static_cast<std::size_t>(j)].log_density(block);
        if (model.has_noise) {
          const double noise = std::log(model.noise_weight) + model.noise_log_density;
          const Vector own = value.array() + std::log1p(-model.noise_weight);
          const Vector top = own.cwiseMax(noise);
          value = top.array() + ((own - top).array().exp() + (noise - top.array()).exp()).log();
        }
        value = value.cwiseMax(kImpossible);
        if (block.weights.size()) value = value.cwiseProduct(block.weights);
        values.block(begins_[b], j, block.rows(), 1) = value;
      }
    }
    if (gate.spec().top_k_rule == TopKRule::slopes) features.col(0).setZero();
    for (Index i = 0; i < p * k; ++i) free(i % p, i / p) = map_.gate[static_cast<std::size_t>(i)] >= 0 ? 1 : 0;
    Matrix theta = Eigen::Map<const Matrix>(gate.parameters().data(), p, k);
    if (!search_borders(features, values, free, theta)) return false;
    gate.parameters().head(p * k) = theta.reshaped();
    return true;
  }

  // Score of the observed-data likelihood and, when asked, its information by Louis' identity (Louis 1982):
  //   H = sum_t [ sum_k r_tk (H_tk + u_tk u_tk') - s_t s_t' ].
  double score_and_information(const MixtureModel& model, Vector& score, Matrix* information) const {
    const int k = model.expert_count();
    const Index size = map_.size;
    std::vector<Vector> scores(blocks_.size());
    std::vector<Matrix> hessians(blocks_.size());
    std::vector<double> values(blocks_.size());
    parallel_for(blocks_.size(), threads_, [&](std::size_t b) {
      const Data& block = blocks_[b];
      BlockState state = expectation_block(model, b);
      values[b] = state.value;
      const Vector row_weight = block.weights.size() ? block.weights : Vector::Ones(block.rows());
      const Matrix row_responsibility = state.responsibility;
      // From here on one row per group (without groups: per row of the data).
      state.gate = first_of_group(b, std::move(state.gate));
      const Matrix r = first_of_group(b, std::move(state.responsibility));
      const Vector w = first_of_group(b, row_weight);
      const Index n = r.rows();
      const Vector mass = r.rowwise().sum();
      std::vector<Matrix> rows;
      for (const Expert& expert : model.experts) rows.push_back(summed_by_group(b, expert_score_rows(expert, block)));
      Vector& s = scores[b] = Vector::Zero(size);
      // Row scores s_t (n x size), needed in full only for the information.
      Matrix each = Matrix::Zero(n, size);
      add_gate_scores(model.gate, b, r - mass.asDiagonal() * state.gate, each);
      for (int j = 0; j < k; ++j) {
        const auto at = static_cast<std::size_t>(j);
        for (Index c = 0; c < rows[at].cols(); ++c)
          if (const int f = map_.experts[at][static_cast<std::size_t>(c)]; f >= 0)
            each.col(f) += r.col(j).cwiseProduct(rows[at].col(c));
      }
      if (model.has_noise) each.col(map_.noise) = state.noise.array() - model.noise_weight;
      s = each.transpose() * w;
      if (!information) return;

      const Index block_size = model.gate.block_size();
      const Matrix none(n, 0);
      const Matrix jacobian =  // the closed form is for linear gates
          block_size > 0 ? first_of_group(b, gate_->features(b)) : none;
      Matrix& h = hessians[b] = symmetric_product(each, -w);
      for (int j = 0; j < k; ++j) {  // sum_t w r_tj u_tj u_tj', u over all free parameters
        const auto at = static_cast<std::size_t>(j);
        Matrix u(n, static_cast<Index>(map_.gate.size()) + rows[at].cols() + 1);  // the columns that are not zero
        std::vector<int> free;
        const auto column = [&](int f) {
          free.push_back(f);
          return u.col(static_cast<Index>(free.size()) - 1);
        };
        for (int l = 0; l < k; ++l)
          for (Index c = 0; c < block_size; ++c) {
            const int f = map_.gate[static_cast<std::size_t>(l * block_size + c)];
            if (f >= 0) column(f) = ((l == j ? 1.0 : 0.0) - state.gate.col(l).array()) * jacobian.col(c).array();
          }
        for (Index c = 0; c < rows[at].cols(); ++c)
          if (const int f = map_.experts[at][static_cast<std::size_t>(c)]; f >= 0) column(f) = rows[at].col(c);
        if (model.has_noise) column(map_.noise).setConstant(-model.noise_weight);
        const Matrix outer = symmetric_product(u.leftCols(static_cast<Index>(free.size())), w.cwiseProduct(r.col(j)));
        for (std::size_t c = 0; c < free.size(); ++c)
          for (std::size_t c2 = 0; c2 < free.size(); ++c2)
            h(free[c], free[c2]) += outer(static_cast<Index>(c), static_cast<Index>(c2));
        const Matrix inner =
            expert_hessian(model.experts[at], block, row_weight.cwiseProduct(row_responsibility.col(j)));
        for (Index c = 0; c < inner.cols(); ++c)
          for (Index c2 = 0; c2 < inner.cols(); ++c2) {
            const int f = map_.experts[at][static_cast<std::size_t>(c)];
            const int f2 = map_.experts[at][static_cast<std::size_t>(c2)];
            if (f >= 0 && f2 >= 0) h(f, f2) += inner(c, c2);
          }
      }
      if (model.has_noise) {
        const double eps = model.noise_weight;
        h(map_.noise, map_.noise) += w.dot(state.noise) * (1 - eps) * (1 - eps) - w.sum() * eps * (1 - eps);
      }
      for (int j = 0; j < k; ++j)  // curvature of the gate's log-weights (linear scores)
        for (int l = 0; l < k; ++l) {
          const Vector weight =
              w.array() * mass.array() * state.gate.col(j).array() * ((j == l ? 1.0 : 0.0) - state.gate.col(l).array());
          const Matrix part = jacobian.transpose() * (weight.asDiagonal() * jacobian);
          for (Index c = 0; c < block_size; ++c)
            for (Index c2 = 0; c2 < block_size; ++c2) {
              const int f = map_.gate[static_cast<std::size_t>(j * block_size + c)];
              const int f2 = map_.gate[static_cast<std::size_t>(l * block_size + c2)];
              if (f >= 0 && f2 >= 0) h(f, f2) -= part(c, c2);
            }
        }
    });
    score = Vector::Zero(size);
    if (information) information->setZero(size, size);
    double value = penalty(model);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      value += values[b];
      score += scores[b];
      if (information) *information -= hessians[b];
    }
    if (settings_.gate_ridge > 0) {
      const Vector free = map_.pack(model);
      for (Index i = 0; i < size; ++i)
        if (map_.penalised[static_cast<std::size_t>(i)]) {
          score(i) -= settings_.gate_ridge * total_weight_ * free(i);
          if (information) (*information)(i, i) += settings_.gate_ridge * total_weight_;
        }
    }
    return value;
  }

  // Adds sum_k c_k d log w_k / d theta to the columns of the free gate parameters; the rows of c sum to 0 over the
  // experts, so what is common to all log-weights drops out and top-k selection needs no further thought.
  void add_gate_scores(const Gate& gate, std::size_t b, const Matrix& c, Matrix& each) const {
    for (GateLevel& level : gate_->levels(gate, b)) {
      level.log_weights = first_of_group(b, std::move(level.log_weights));
      for (Matrix& jacobian : level.jacobians) jacobian = first_of_group(b, std::move(jacobian));
      const auto members = static_cast<Index>(level.experts.size());
      Matrix pooled = Matrix::Zero(c.rows(), members);
      for (Index m = 0; m < members; ++m)
        for (const int expert : level.experts[static_cast<std::size_t>(m)]) pooled.col(m) += c.col(expert);
      const Vector total = pooled.rowwise().sum();
      pooled -= total.asDiagonal() * level.log_weights.array().exp().matrix();
      for (Index m = 0; m < members; ++m) {
        const auto at = static_cast<std::size_t>(m);
        const Matrix& jacobian = level.jacobian(at);
        for (Index column = 0; column < jacobian.cols(); ++column) {
          const auto parameter = static_cast<std::size_t>(level.parameters[at][static_cast<std::size_t>(column)]);
          if (const int f = map_.gate[parameter]; f >= 0)
            each.col(f) += pooled.col(m).cwiseProduct(jacobian.col(column));
        }
      }
    }
  }

  Index rows_;
  int threads_;
  std::vector<Data> blocks_;
  std::vector<Index> begins_;                   // per block: its first row
  std::vector<Index> row_order_;                // with groups: row of the data for every row here
  std::vector<std::vector<Index>> first_rows_;  // with groups, per block: the first row of each group, within the block
  std::optional<BlockedGate> gate_;
};

}  // namespace

std::unique_ptr<EmEngine> make_general_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                              const EngineSettings& settings) {
  return std::make_unique<GeneralEngine>(data, scaling, prototype, settings);
}

}  // namespace clearway::detail
