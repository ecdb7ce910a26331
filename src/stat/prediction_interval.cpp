#include "clearway/stat/prediction_interval.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "inference_parameters.hpp"
#include "probability.hpp"

namespace clearway {
namespace {

using detail::IntervalScale;
using Eigen::Index;
constexpr Index kBlockRows = 512;

// Means are probabilities, positive (counts, times, amounts), or any real number.
IntervalScale mean_scale(const Expert& expert) {
  switch (response_kind(expert.spec().kind)) {
    case ResponseKind::zero_one:
    case ResponseKind::classes:
    case ResponseKind::unit:
      return IntervalScale::logit;
    case ResponseKind::real:
      return IntervalScale::identity;
    default:
      return IntervalScale::log;
  }
}

Data rows_of(const Data& data, Index begin, Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), begin);
  return data.subset(rows);
}

// Standard normals, directions x simulations, the same for every block.
Matrix normals(Index directions, const UncertaintyOptions& options) {
  Matrix z(directions, options.simultaneous ? options.simulations : 0);
  RandomStream stream(options.seed, 0);
  for (Index s = 0; s < z.cols(); ++s)
    for (Index j = 0; j < directions; ++j) z(j, s) = stream.normal();
  return z;
}

// Everything of one kind: columns that are functions of a model and a block of rows, each with its scale.
class Columns {
 public:
  using Function = std::function<Matrix(const MixtureModel&, Index begin, Index count)>;

  Columns(const DeltaMethod& delta, const MixtureModel& model, Index rows, Function function,
          const UncertaintyOptions& options)
      : delta_(delta), model_(model), rows_(rows), function_(std::move(function)), options_(options) {}

  UncertainValues run(const std::vector<IntervalScale>& scales) const {
    const auto columns = static_cast<Index>(scales.size());
    UncertainValues result;
    for (Matrix* part : {&result.values, &result.errors, &result.lower, &result.upper}) part->resize(rows_, columns);
    const Matrix z = normals(delta_.directions(), options_);
    Matrix largest = Matrix::Zero(z.cols(), columns);
    std::mutex lock;
    const Index blocks = (rows_ + kBlockRows - 1) / kBlockRows;
    parallel_for(static_cast<std::size_t>(blocks), options_.threads, [&](std::size_t b) {
      const Index begin = static_cast<Index>(b) * kBlockRows, count = std::min(kBlockRows, rows_ - begin);
      const auto flat = [&](const MixtureModel& model) -> Vector { return function_(model, begin, count).reshaped(); };
      result.values.middleRows(begin, count) = function_(model_, begin, count);
      const Matrix derivatives = delta_.derivatives(flat);  // (count * columns) x directions, column after column
      const Vector errors = derivatives.rowwise().norm();
      result.errors.middleRows(begin, count) = errors.reshaped(count, columns);
      if (z.cols() == 0) return;
      Matrix top(z.cols(), columns);
      for (Index c = 0; c < columns; ++c) {
        const Vector own = errors.segment(c * count, count);
        const Vector inverse = own.unaryExpr([](double error) { return error > 0 ? 1 / error : 0.0; });
        const Matrix deviations = inverse.asDiagonal() * (derivatives.middleRows(c * count, count) * z);
        top.col(c) = deviations.cwiseAbs().colwise().maxCoeff().transpose();
      }
      const std::lock_guard guard(lock);  // a maximum does not depend on the order
      largest = largest.cwiseMax(top);
    });
    result.critical = Vector::Constant(columns, detail::normal_quantile(0.5 + 0.5 * options_.level));
    for (Index c = 0; c < columns && z.cols() > 0; ++c) {
      Vector sorted = largest.col(c);
      std::sort(sorted.data(), sorted.data() + sorted.size());
      const auto rank = static_cast<Index>(std::ceil(options_.level * static_cast<double>(sorted.size())));
      result.critical(c) = sorted(std::clamp<Index>(rank - 1, 0, sorted.size() - 1));
    }
    for (Index c = 0; c < columns; ++c)
      for (Index t = 0; t < rows_; ++t) limits(result, t, c, scales[static_cast<std::size_t>(c)]);
    return result;
  }

 private:
  static void limits(UncertainValues& result, Index t, Index c, IntervalScale scale) {
    const double value = result.values(t, c), error = result.errors(t, c);
    const bool open = scale == IntervalScale::log     ? value > 0
                      : scale == IntervalScale::logit ? value > 0 && value < 1
                                                      : true;
    if (!(error > 0) || !open) {
      result.lower(t, c) = result.upper(t, c) = value;
      return;
    }
    std::tie(result.lower(t, c), result.upper(t, c)) = detail::interval(value, error, result.critical(c), scale);
  }

  const DeltaMethod& delta_;
  const MixtureModel& model_;
  Index rows_;
  Function function_;
  const UncertaintyOptions& options_;
};

UncertainValues columns_of(const UncertainValues& all, Index first, Index count) {
  return {all.values.middleCols(first, count), all.errors.middleCols(first, count), all.lower.middleCols(first, count),
          all.upper.middleCols(first, count), all.critical.segment(first, count)};
}

void check(const UncertaintyOptions& options) {
  if (!(options.level > 0 && options.level < 1))
    user_error("the level of an interval must lie between 0 and 1, not {}", options.level);
  if (options.simultaneous && options.simulations < 100)
    user_error("a band needs at least 100 simulations, not {}", options.simulations);
}

}  // namespace

PredictionUncertainty prediction_uncertainty(const MixtureModel& model, const Matrix& covariance, const Data& inputs,
                                             const UncertaintyOptions& options) {
  check(options);
  const DeltaMethod delta(model, covariance);
  const Index n = inputs.rows(), k = model.expert_count();
  std::vector<Data> blocks;
  for (Index begin = 0; begin < n; begin += kBlockRows)
    blocks.push_back(rows_of(inputs, begin, std::min(kBlockRows, n - begin)));
  const Matrix probe = model.experts.front().mean(inputs.expert_inputs.topRows(std::min<Index>(n, 1)),
                                                  inputs.trials.head(std::min<Index>(inputs.trials.size(), 1)),
                                                  inputs.offset.head(std::min<Index>(inputs.offset.size(), 1)));
  const Index m = probe.cols();
  const auto function = [&](const MixtureModel& at, Index begin, Index count) {
    const Data& block = blocks[static_cast<std::size_t>(begin / kBlockRows)];
    Matrix values(count, m + k + k * m);
    values.middleCols(m, k) = at.gate.log_weights(block.gate_inputs).array().exp();
    values.leftCols(m).setZero();
    for (Index j = 0; j < k; ++j) {
      const Matrix mean = at.experts[static_cast<std::size_t>(j)].mean(block.expert_inputs, block.trials, block.offset);
      values.middleCols(m + k + j * m, m) = mean;
      values.leftCols(m) += values.col(m + j).asDiagonal() * mean;
    }
    return values;
  };
  std::vector<IntervalScale> scales;
  const auto add = [&](Index count, IntervalScale scale) {
    scales.insert(scales.end(), static_cast<std::size_t>(count), scale);
  };
  // The mixture's own mean: the scale of its experts where they agree.
  IntervalScale common = mean_scale(model.experts.front());
  for (const Expert& expert : model.experts)
    if (mean_scale(expert) != common) common = IntervalScale::identity;
  add(m, common);
  add(k, IntervalScale::logit);
  for (const Expert& expert : model.experts) add(m, mean_scale(expert));
  const UncertainValues all = Columns(delta, model, n, function, options).run(scales);
  PredictionUncertainty result{columns_of(all, 0, m), columns_of(all, m, k), {}};
  for (Index j = 0; j < k; ++j) result.experts.push_back(columns_of(all, m + k + j * m, m));
  return result;
}

UncertainValues marginal_effect(const MixtureModel& model, const Matrix& covariance, const Data& raised,
                                const Data& lowered, double step, const UncertaintyOptions& options) {
  check(options);
  if (!(step > 0)) user_error("the step of a marginal effect must be positive, not {}", step);
  const DeltaMethod delta(model, covariance);
  const Index n = raised.rows();
  std::vector<std::pair<Data, Data>> blocks;
  for (Index begin = 0; begin < n; begin += kBlockRows) {
    const Index count = std::min(kBlockRows, n - begin);
    blocks.emplace_back(rows_of(raised, begin, count), rows_of(lowered, begin, count));
  }
  const auto function = [&](const MixtureModel& at, Index begin, Index) -> Matrix {
    const auto& [up, down] = blocks[static_cast<std::size_t>(begin / kBlockRows)];
    return (at.mean(up) - at.mean(down)) / (2 * step);
  };
  const Index columns = n > 0 ? function(model, 0, 0).cols() : 1;
  return Columns(delta, model, n, function, options)
      .run(std::vector<IntervalScale>(static_cast<std::size_t>(columns), IntervalScale::identity));
}

}  // namespace clearway
