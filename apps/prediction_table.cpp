#include "prediction_table.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::cli {

namespace {

/// Collects columns over the rows of the file; the model has seen those of `rows` only, the others become NA.
class TableBuilder {
 public:
  TableBuilder(std::size_t table_rows, std::vector<std::size_t> rows) : rows_(std::move(rows)) {
    table_.source = "predictions";
    table_.rows = table_rows;
  }

  /// `values` holds one number per row of `rows` (all rows that the model has seen by default).
  void numbers(std::string name, const Vector& values) { numbers(std::move(name), values, rows_); }
  void numbers(std::string name, const Vector& values, const std::vector<std::size_t>& rows) {
    Column column;
    column.name = std::move(name);
    column.numbers.assign(table_.rows, std::nan(""));
    for (std::size_t i = 0; i < rows.size(); ++i) column.numbers[rows[i]] = values[static_cast<Eigen::Index>(i)];
    for (std::size_t t = 0; t < table_.rows; ++t)
      if (std::isnan(column.numbers[t])) column.missing.push_back(t);
    table_.columns.push_back(std::move(column));
  }
  /// A column of words, given as numbers of `levels` (which need not be sorted for writing).
  void words(std::string name, const std::vector<int>& codes, const std::vector<std::string>& levels) {
    Column column;
    column.name = std::move(name);
    column.is_text = true;
    column.levels = levels;
    column.codes.assign(table_.rows, -1);
    for (std::size_t i = 0; i < rows_.size(); ++i) column.codes[rows_[i]] = codes[i];
    for (std::size_t t = 0; t < table_.rows; ++t)
      if (column.codes[t] < 0) column.missing.push_back(t);
    table_.columns.push_back(std::move(column));
  }
  void add(Column column) { table_.columns.push_back(std::move(column)); }
  const std::vector<std::size_t>& rows() const { return rows_; }
  Table finish() { return std::move(table_); }

 private:
  Table table_;
  std::vector<std::size_t> rows_;
};

/// Columns "stem", or one per response: "stem_<response>"; the stem of classes is "probability".
void add_means(TableBuilder& table, const Matrix& mean, const std::string& number, const Design& design) {
  const bool classes = design.recipe.expert == ExpertKind::multinomial;
  const std::string stem = (classes ? "probability" : "mean") + number;
  for (Eigen::Index j = 0; j < mean.cols(); ++j) {
    const std::string& response = design.response_names[static_cast<std::size_t>(j)];
    table.numbers(mean.cols() == 1 && !classes ? stem : fmt::format("{}_{}", stem, response), mean.col(j));
  }
}

/// Density and responsibilities of the rows whose response is there.
void add_posterior(TableBuilder& table, const MixtureModel& model, const Design& design) {
  std::vector<Eigen::Index> seen;
  std::vector<std::size_t> rows;
  for (Eigen::Index t = 0; t < design.data.rows(); ++t) {
    if (!design.data.response.row(t).array().isFinite().all()) continue;
    seen.push_back(t);
    rows.push_back(table.rows()[static_cast<std::size_t>(t)]);
  }
  const Data data = design.data.subset(seen);
  const Matrix joint = model.joint_log_density(data);
  const Matrix responsibilities = model.responsibilities(data);
  Vector log_density(joint.rows());
  for (Eigen::Index t = 0; t < joint.rows(); ++t) {
    const double largest = joint.row(t).maxCoeff();
    log_density[t] = largest + std::log((joint.row(t).array() - largest).exp().sum());
  }
  table.numbers("log_density", log_density, rows);
  for (Eigen::Index k = 0; k < joint.cols(); ++k) {
    const bool noise = k == model.expert_count();
    table.numbers(noise ? "responsibility_noise" : fmt::format("responsibility_{}", k + 1), responsibilities.col(k),
                  rows);
  }
}

}  // namespace

bool has_quantiles(const MixtureModel& model) {
  return model.experts.front().spec().kind != ExpertKind::multinomial && model.experts.front().responses() == 1;
}

Table prediction_table(PredictionInputs inputs) {
  const MixtureModel& model = inputs.saved.model;
  const Design& design = inputs.design;
  const Data& data = design.data;
  TableBuilder table(design.table_rows, design.kept_rows());
  for (Column& column : inputs.kept) table.add(std::move(column));

  const Matrix mean = model.mean(data);
  add_means(table, mean, "", design);
  if (design.recipe.expert == ExpertKind::multinomial) {
    std::vector<int> best(static_cast<std::size_t>(mean.rows()));
    for (Eigen::Index t = 0; t < mean.rows(); ++t) {
      Eigen::Index most = 0;
      mean.row(t).maxCoeff(&most);
      best[static_cast<std::size_t>(t)] = static_cast<int>(most);
    }
    table.words("class", best, design.response_names);
  }
  for (const double probability : inputs.quantiles)
    table.numbers(fmt::format("q{}", probability), model.quantile(data, probability));

  const std::vector<int> best = model.most_likely_expert(data);
  Vector expert(static_cast<Eigen::Index>(best.size()));
  for (std::size_t t = 0; t < best.size(); ++t) expert[static_cast<Eigen::Index>(t)] = best[t] + 1;
  table.numbers("expert", expert);
  Matrix weights = model.gate.log_weights(data.gate_inputs).array().exp();
  // An expert that a top-k gate leaves out has weight 0; exp(-inf) of a packet of numbers is a little more.
  weights = (weights.array() < 1e-300).select(0.0, weights);
  for (int k = 0; k < model.expert_count(); ++k) table.numbers(fmt::format("gate_{}", k + 1), weights.col(k));
  for (int k = 0; k < model.expert_count(); ++k)
    add_means(table, model.experts[static_cast<std::size_t>(k)].mean(data.expert_inputs, data.trials, data.offset),
              fmt::format("_{}", k + 1), design);
  if (design.has_response) add_posterior(table, model, design);
  return table.finish();
}

}  // namespace clearway::cli
