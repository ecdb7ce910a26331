#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/base/text.hpp"
#include "clearway/fusion/preparation.hpp"

namespace clearway::fusion {

namespace {

using Rows = std::vector<std::int64_t>;

/// Groups in random order that depends on their names and the seed only.
std::vector<const Rows*> shuffled(const std::map<std::string, Rows>& groups, std::uint64_t seed) {
  std::vector<const Rows*> sorted;
  sorted.reserve(groups.size());
  for (const auto& [name, rows] : groups) sorted.push_back(&rows);
  RandomStream random(seed);
  std::vector<const Rows*> order;
  for (const std::size_t i : random.permutation(sorted.size())) order.push_back(sorted[i]);
  return order;
}

/// Gives whole groups to the sides in turn, each up to its share of the samples: a group goes to the first side that more
/// than half of it fits in.
void deal(const std::vector<const Rows*>& groups, const std::vector<std::pair<Rows*, double>>& sides) {
  std::size_t total = 0;
  for (const Rows* rows : groups) total += rows->size();
  std::size_t side = 0, given = 0;
  double end = sides[0].second * static_cast<double>(total);
  for (const Rows* rows : groups) {
    const double middle = static_cast<double>(given) + 0.5 * static_cast<double>(rows->size());
    while (side + 1 < sides.size() && middle >= end + 1e-9 * static_cast<double>(total))
      end += sides[++side].second * static_cast<double>(total);
    sides[side].first->insert(sides[side].first->end(), rows->begin(), rows->end());
    given += rows->size();
  }
}

FusionSplit split_by_column(const FusionSpec& spec, const RawData& raw, std::uint64_t seed) {
  const SplitSpec& rule = spec.split;
  FusionSplit split;
  std::map<std::string, std::string> part_of_group;
  std::map<std::string, Rows> training;
  const auto holds = [](const std::vector<std::string>& values, const std::string& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  };
  for (std::int64_t i = 0; i < raw.samples(); ++i) {
    const std::string& part = raw.parts[static_cast<std::size_t>(i)];
    const std::string& group = raw.groups[static_cast<std::size_t>(i)];
    const bool train = holds(rule.train_values, part), valid = holds(rule.valid_values, part);
    if (!train && !valid && !holds(rule.test_values, part)) {
      std::vector<std::string> known = rule.train_values;
      known.insert(known.end(), rule.valid_values.begin(), rule.valid_values.end());
      known.insert(known.end(), rule.test_values.begin(), rule.test_values.end());
      user_error("{}: split: column '{}': the sample '{}' has {}, which is none of {}", spec.origin, rule.column,
                 raw.ids[static_cast<std::size_t>(i)], quoted_for_message(part), short_list(known));
    }
    const std::string side = train ? "train" : valid ? "valid" : "test";
    const auto [found, fresh] = part_of_group.emplace(group, side);
    if (!fresh && found->second != side)
      user_error("{}: split: the group {} is on two sides, {} and {}", spec.origin, quoted_for_message(group),
                 found->second, side);
    if (train) training[group].push_back(i);
    if (!train) (valid ? split.valid : split.test).push_back(i);
  }
  if (rule.valid_share > 0) {
    deal(shuffled(training, seed), {{&split.valid, rule.valid_share}, {&split.train, 1 - rule.valid_share}});
  } else {
    for (const auto& [name, rows] : training) split.train.insert(split.train.end(), rows.begin(), rows.end());
  }
  return split;
}

}  // namespace

FusionSplit split_samples(const FusionSpec& spec, const RawData& raw, std::uint64_t seed) {
  const SplitSpec& rule = spec.split;
  FusionSplit split;
  if (!rule.column.empty()) {
    if (raw.parts.size() != raw.ids.size())
      user_error("{}: split: the column '{}' was not read: the data have no target", spec.origin, rule.column);
    split = split_by_column(spec, raw, seed);
  } else {
    std::map<std::string, Rows> groups;
    for (std::int64_t i = 0; i < raw.samples(); ++i) groups[raw.groups[static_cast<std::size_t>(i)]].push_back(i);
    deal(shuffled(groups, seed), {{&split.train, rule.train}, {&split.valid, rule.valid}, {&split.test, rule.test}});
  }
  for (Rows* rows : {&split.train, &split.valid, &split.test}) std::sort(rows->begin(), rows->end());
  const auto require = [&](const Rows& rows, double share, const char* side) {
    if (rows.empty() && share > 0)
      user_error("{}: split: no sample is left for {} among {}", spec.origin, side,
                 plural(static_cast<std::size_t>(raw.samples()), "sample"));
  };
  const bool shares = rule.column.empty();
  require(split.train, 1, "train");
  require(split.valid, shares ? rule.valid : rule.valid_share, "valid");
  require(split.test, shares ? rule.test : 0, "test");
  return split;
}

FusionSplit split_samples(const FusionSpec& spec, const RawData& raw) {
  return split_samples(spec, raw, spec.split.seed);
}

}  // namespace clearway::fusion
