#include "clearway/deep/competition_schedule.hpp"

#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"

namespace clearway::deep {

torch::Tensor competition_schedule(const CompetitionScheduleOptions& options) {
  if (!(options.rate >= 0 && options.rate <= 1))
    user_error("competition-rate must be between 0 and 1, not {}", options.rate);
  if (!(options.warmup >= 0 && options.warmup <= 1))
    user_error("competition-warmup must be between 0 and 1, not {}", options.warmup);
  if (options.layers < 1 || options.steps < 0)
    user_error("competition schedule: {} layers and {} steps make no table", options.layers, options.steps);
  const auto layers = static_cast<std::size_t>(options.layers), steps = static_cast<std::size_t>(options.steps);
  const auto first = static_cast<std::size_t>(std::ceil(options.warmup * static_cast<double>(steps)));

  torch::Tensor table = at::zeros({options.layers, options.steps}, at::kByte);
  auto* cell = table.data_ptr<std::uint8_t>();
  std::vector<std::int64_t> count(steps, 0);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    RandomStream draws(options.seed, layer);
    for (std::size_t step = first; step < steps; ++step)
      if (draws.uniform() < options.rate) {
        cell[layer * steps + step] = 1;
        ++count[step];
      }
  }

  RandomStream moves(options.seed, layers);
  std::vector<std::pair<std::size_t, std::size_t>> moving;  // layer, step
  std::set<std::size_t> room;                               // steps where another layer may compete
  for (std::size_t step = first; step < steps; ++step) {
    if (count[step] < options.most_layers) room.insert(step);
    if (count[step] <= options.most_layers) continue;
    for (const std::size_t layer : moves.permutation(layers)) {
      if (count[step] == options.most_layers) break;
      if (cell[layer * steps + step] == 0) continue;
      cell[layer * steps + step] = 0;
      --count[step];
      moving.emplace_back(layer, step);
    }
  }
  for (const std::size_t which : moves.permutation(moving.size())) {
    const auto [layer, step] = moving[which];
    auto right = room.lower_bound(step);
    auto left = right;
    // Outwards from the step; where both sides are equally near, the later one.
    while (right != room.end() && cell[layer * steps + *right] != 0) ++right;
    bool has_left = false;
    while (left != room.begin()) {
      --left;
      if (cell[layer * steps + *left] == 0) {
        has_left = true;
        break;
      }
    }
    const bool has_right = right != room.end();
    if (!has_left && !has_right) continue;
    const auto target = has_right && (!has_left || *right - step <= step - *left) ? right : left;
    cell[layer * steps + *target] = 1;
    if (++count[*target] == options.most_layers) room.erase(target);
  }
  return table;
}

}  // namespace clearway::deep
