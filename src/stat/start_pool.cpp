#include "start_pool.hpp"

#include <algorithm>

#include "clearway/base/random.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr std::uint64_t kSubsampleStream = 1;  // the starts themselves have streams from 500 on

}  // namespace

StartRows::StartRows(const Data& data, const FitOptions& options, const Scaling& scaling) : rows_(&data) {
  const Index n = data.rows();
  if (n > options.start_rows) {
    RandomStream stream(static_cast<std::uint64_t>(options.seed), kSubsampleStream);
    std::vector<Index> rows;
    for (std::size_t i :
         stream.sample_without_replacement(static_cast<std::size_t>(n), static_cast<std::size_t>(options.start_rows)))
      rows.push_back(static_cast<Index>(i));
    sample_ = data.subset(rows);
    if (sample_.weights.size() && !(sample_.weights.sum() > 0)) sample_.weights.setOnes();
    rows_ = &sample_;
  }
  standardised_ = scaling.standardised(*rows_, 0, rows_->rows());
}

std::size_t StartPool::grow(std::size_t count, bool already_polished) {
  const std::size_t first = size();
  models.resize(first + count);
  records.resize(first + count);
  polished.resize(first + count, already_polished);
  return first;
}

std::size_t StartPool::add(const MixtureModel& model, StartKind kind) {
  const std::size_t at = grow(1);
  models[at] = model;
  records[at].kind = kind;
  return at;
}

std::vector<std::size_t> StartPool::better_third(std::size_t first, int polished_count, Better better) const {
  std::vector<std::size_t> order;
  for (std::size_t i = first; i < size(); ++i)
    if (records[i].failure.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double one = records[a].short_log_likelihood, other = records[b].short_log_likelihood;
    return better == Better::larger ? one > other : one < other;
  });
  order.resize(std::min(order.size(), std::max(static_cast<std::size_t>(polished_count) + 1, (size() - first) / 3)));
  return order;
}

std::string StartPool::failure(const std::string& otherwise) const {
  std::string why = otherwise;
  for (const StartRecord& record : records)
    if (!record.failure.empty()) why = record.failure;
  return why;
}

}  // namespace clearway::detail
