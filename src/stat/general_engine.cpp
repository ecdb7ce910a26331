// The general engine: every gate, every expert. Rows are worked on in blocks that stay in cache; sums of blocks are added
// in block order, so results do not depend on the number of threads.
#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "clearway/base/parallel.hpp"
#include "em_engine.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;
constexpr Index kBlockRows = 512;
constexpr Index kParallelRows = 8192;  // fewer rows are not worth a thread

class GeneralEngine final : public EmEngine {
 public:
  GeneralEngine(const Data& data, const Scaling& scaling, const MixtureModel& prototype, const EngineSettings& settings)
      : EmEngine(prototype, settings, data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows())),
        rows_(data.rows()),
        threads_(data.rows() >= kParallelRows ? settings.threads : 1) {
    const Gate& gate = prototype.gate;
    for (Index begin = 0; begin < rows_; begin += kBlockRows) {
      const Index n = std::min(kBlockRows, rows_ - begin);
      Data block = scaling.standardised(data, begin, n);
      if (gate.is_linear()) features_.push_back(gate.features(block.gate_inputs) / gate.spec().temperature);
      blocks_.push_back(std::move(block));
    }
  }

  double step(MixtureModel& model) override {
    Matrix r(rows_, model.expert_count());  // case weight times responsibility
    double noise_mass = 0;
    const double value = expectation(model, &r, &noise_mass);
    maximise_weighted(r, 1, 1, model);
    if (model.has_noise) model.noise_weight = std::clamp(noise_mass / total_weight_, 1e-12, 1 - 1e-12);
    return value;
  }

  void maximise(const Matrix& responsibilities, int gate_steps, MixtureModel& model) override {
    Matrix r = responsibilities;
    Index at = 0;
    for (const Data& block : blocks_) {
      if (block.weights.size())
        r.middleRows(at, block.rows()) = block.weights.asDiagonal() * r.middleRows(at, block.rows()).eval();
      at += block.rows();
    }
    maximise_weighted(r, gate_steps, 8, model);
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

  Matrix gate_scores(const MixtureModel& model, std::size_t b) const {
    if (features_.empty()) return model.gate.scores(blocks_[b].gate_inputs);
    const Index size = model.gate.block_size();
    return features_[b] * Eigen::Map<const Matrix>(model.gate.parameters().data(), size, model.gate.experts());
  }

  Matrix gate_log_weights(const MixtureModel& model, std::size_t b) const {
    Matrix t = gate_scores(model, b);
    t.colwise() -= t.rowwise().maxCoeff().eval();
    t.colwise() -= t.array().exp().rowwise().sum().log().matrix().eval();
    return t;
  }

  BlockState expectation_block(const MixtureModel& model, std::size_t b) const {
    const Data& block = blocks_[b];
    const int k = model.expert_count();
    BlockState state;
    Matrix joint = gate_log_weights(model, b);
    state.gate = joint.array().exp();
    for (int j = 0; j < k; ++j) joint.col(j) += model.experts[static_cast<std::size_t>(j)].log_density(block);
    double noise = 0;
    if (model.has_noise) {
      joint.array() += std::log1p(-model.noise_weight);
      noise = std::log(model.noise_weight) + model.noise_log_density;
    }
    Vector top = joint.rowwise().maxCoeff();
    if (model.has_noise) top = top.cwiseMax(noise);
    top = top.array().isFinite().select(top, 0.0);
    state.responsibility = (joint.colwise() - top).array().exp();
    Vector sum = state.responsibility.rowwise().sum();
    if (model.has_noise) {
      state.noise = (noise - top.array()).exp();
      sum += state.noise;
    }
    const Vector row = top.array() + sum.array().log();
    state.value = block.weights.size() ? row.dot(block.weights) : row.sum();
    const Vector inverse = (sum.array() > 0).select(sum.array().inverse(), 0.0);
    state.responsibility = inverse.asDiagonal() * state.responsibility;
    if (model.has_noise) state.noise.array() *= inverse.array();
    return state;
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
        r->middleRows(static_cast<Index>(b) * kBlockRows, blocks_[b].rows()) = state.responsibility;
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

  void maximise_weighted(const Matrix& r, int gate_steps, int expert_steps, MixtureModel& model) const {
    for (int i = 0; i < gate_steps; ++i)
      if (!gate_step(r, model)) break;
    const int k = model.expert_count();
    parallel_for(static_cast<std::size_t>(k), threads_, [&](std::size_t j) {
      update_expert(model.experts[j], blocks_, r.col(static_cast<Index>(j)), settings_.sigma_floor, expert_steps);
    });
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

  // sum_t sum_k r_tk log gate_k(x_t), penalised.
  double gate_objective(const Matrix& r, const MixtureModel& model) const {
    double value = 0;
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      value += gate_log_weights(model, b)
                   .cwiseProduct(r.middleRows(static_cast<Index>(b) * kBlockRows, blocks_[b].rows()))
                   .sum();
    return value + penalty(model);
  }

  // One Fisher-scoring step for the gate, damped until its objective does not fall. Returns whether it moved.
  bool gate_step(const Matrix& r, MixtureModel& model) const {
    const int k = model.gate.experts();
    const Index size = model.gate.block_size();
    if (k == 1 || size == 0) return false;
    Index free = 0;
    for (int i : map_.gate) free += i >= 0;
    std::vector<Vector> gradients(blocks_.size());
    std::vector<Matrix> informations(blocks_.size());
    std::vector<double> values(blocks_.size());
    parallel_for(blocks_.size(), threads_, [&](std::size_t b) {
      const auto rb = r.middleRows(static_cast<Index>(b) * kBlockRows, blocks_[b].rows());
      const Matrix logw = gate_log_weights(model, b);
      values[b] = logw.cwiseProduct(rb).sum();
      const Matrix p = logw.array().exp();
      const Vector mass = rb.rowwise().sum();
      Vector& g = gradients[b] = Vector::Zero(size * k);
      Matrix& h = informations[b] = Matrix::Zero(size * k, size * k);
      std::vector<Matrix> jacobian;
      if (features_.empty())
        for (int j = 0; j < k; ++j) jacobian.push_back(model.gate.score_jacobian(blocks_[b].gate_inputs, j));
      const auto block_jacobian = [&](int j) -> const Matrix& {
        return features_.empty() ? jacobian[static_cast<std::size_t>(j)] : features_[b];
      };
      for (int j = 0; j < k; ++j) {
        const Matrix& left = block_jacobian(j);
        g.segment(j * size, size) = left.transpose() * (rb.col(j) - mass.cwiseProduct(p.col(j)));
        for (int l = j; l < k; ++l) {
          const Vector w = mass.array() * p.col(j).array() * ((j == l ? 1.0 : 0.0) - p.col(l).array());
          h.block(j * size, l * size, size, size).noalias() = left.transpose() * (w.asDiagonal() * block_jacobian(l));
        }
      }
    });
    Vector full_gradient = Vector::Zero(size * k);
    Matrix full = Matrix::Zero(size * k, size * k);
    double before = penalty(model);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      full_gradient += gradients[b];
      full += informations[b];
      before += values[b];
    }
    Vector gradient(free);
    Matrix information(free, free);
    Vector current(free);
    for (std::size_t i = 0; i < map_.gate.size(); ++i) {
      if (map_.gate[i] < 0) continue;
      const auto ii = static_cast<Index>(i);
      gradient(map_.gate[i]) = full_gradient(ii);
      current(map_.gate[i]) = model.gate.parameters()(ii);
      for (std::size_t j = i; j < map_.gate.size(); ++j)
        if (map_.gate[j] >= 0) {
          const auto jj = static_cast<Index>(j);
          // Only blocks on and above the diagonal were filled.
          const double value = full(ii, jj);
          information(map_.gate[i], map_.gate[j]) = information(map_.gate[j], map_.gate[i]) = value;
        }
    }
    if (settings_.gate_ridge > 0)
      for (Index i = 0; i < free; ++i)
        if (map_.penalised[static_cast<std::size_t>(i)]) {
          gradient(i) -= settings_.gate_ridge * total_weight_ * current(i);
          information(i, i) += settings_.gate_ridge * total_weight_;
        }
    information.diagonal().array() += 1e-10 * information.trace() / static_cast<double>(free) + 1e-12;
    double damping = 0;
    const Vector old = model.gate.parameters();
    for (int attempt = 0; attempt < 12; ++attempt) {
      Matrix damped = information;
      damped.diagonal() += damping * information.diagonal();
      const Vector step = solve_semidefinite(damped, gradient);
      if (step.allFinite()) {
        for (std::size_t i = 0; i < map_.gate.size(); ++i)
          if (map_.gate[i] >= 0)
            model.gate.parameters()(static_cast<Index>(i)) = current(map_.gate[i]) + step(map_.gate[i]);
        if (gate_objective(r, model) >= before) return true;
      }
      damping = damping == 0 ? 1e-2 : damping * 8;
    }
    model.gate.parameters() = old;
    return false;
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
      const BlockState state = expectation_block(model, b);
      values[b] = state.value;
      const Index n = block.rows();
      const Vector w = block.weights.size() ? block.weights : Vector::Ones(n);
      const Matrix& r = state.responsibility;
      const Vector mass = r.rowwise().sum();
      std::vector<Matrix> jacobian(static_cast<std::size_t>(k)), rows(static_cast<std::size_t>(k));
      for (int j = 0; j < k; ++j) {
        const auto at = static_cast<std::size_t>(j);
        jacobian[at] = features_.empty() ? model.gate.score_jacobian(block.gate_inputs, j) : features_[b];
        rows[at] = expert_score_rows(model.experts[at], block);
      }
      Vector& s = scores[b] = Vector::Zero(size);
      // Row scores s_t (n x size), needed in full only for the information.
      Matrix each = Matrix::Zero(n, size);
      const Index block_size = model.gate.block_size();
      for (int j = 0; j < k; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const Vector gate_weight = r.col(j) - mass.cwiseProduct(state.gate.col(j));
        for (Index c = 0; c < block_size; ++c) {
          const int f = map_.gate[static_cast<std::size_t>(j * block_size + c)];
          if (f >= 0) each.col(f) += gate_weight.cwiseProduct(jacobian[at].col(c));
        }
        for (Index c = 0; c < rows[at].cols(); ++c)
          each.col(map_.experts[at][static_cast<std::size_t>(c)]) += r.col(j).cwiseProduct(rows[at].col(c));
      }
      if (model.has_noise) each.col(map_.noise) = state.noise.array() - model.noise_weight;
      s = each.transpose() * w;
      if (!information) return;

      Matrix& h = hessians[b] = -(each.transpose() * (w.asDiagonal() * each));
      for (int j = 0; j < k; ++j) {  // sum_t w r_tj u_tj u_tj', u over all free parameters
        const auto at = static_cast<std::size_t>(j);
        Matrix u = Matrix::Zero(n, size);
        for (int l = 0; l < k; ++l)
          for (Index c = 0; c < block_size; ++c) {
            const int f = map_.gate[static_cast<std::size_t>(l * block_size + c)];
            if (f >= 0)
              u.col(f) = ((l == j ? 1.0 : 0.0) - state.gate.col(l).array()) *
                         jacobian[static_cast<std::size_t>(l)].col(c).array();
          }
        for (Index c = 0; c < rows[at].cols(); ++c)
          u.col(map_.experts[at][static_cast<std::size_t>(c)]) += rows[at].col(c);
        if (model.has_noise) u.col(map_.noise).setConstant(-model.noise_weight);
        const Vector weight = w.cwiseProduct(r.col(j));
        h.noalias() += u.transpose() * (weight.asDiagonal() * u);
        const Matrix inner = expert_hessian(model.experts[at], block, weight);
        for (Index c = 0; c < inner.cols(); ++c)
          for (Index c2 = 0; c2 < inner.cols(); ++c2)
            h(map_.experts[at][static_cast<std::size_t>(c)], map_.experts[at][static_cast<std::size_t>(c2)]) +=
                inner(c, c2);
      }
      if (model.has_noise) {
        const double eps = model.noise_weight;
        h(map_.noise, map_.noise) += w.dot(state.noise) * (1 - eps) * (1 - eps) - w.sum() * eps * (1 - eps);
      }
      for (int j = 0; j < k; ++j)  // curvature of the gate's log-weights (linear scores)
        for (int l = 0; l < k; ++l) {
          const Vector weight =
              w.array() * mass.array() * state.gate.col(j).array() * ((j == l ? 1.0 : 0.0) - state.gate.col(l).array());
          const Matrix part = jacobian[static_cast<std::size_t>(j)].transpose() *
                              (weight.asDiagonal() * jacobian[static_cast<std::size_t>(l)]);
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

  Index rows_;
  int threads_;
  std::vector<Data> blocks_;
  std::vector<Matrix> features_;  // per block, divided by the temperature; empty for gates that are not linear
};

}  // namespace

std::unique_ptr<EmEngine> make_general_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                              const EngineSettings& settings) {
  return std::make_unique<GeneralEngine>(data, scaling, prototype, settings);
}

}  // namespace clearway::detail
