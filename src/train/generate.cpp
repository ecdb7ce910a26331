#include "clearway/train/generate.hpp"

#include <algorithm>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "text_checks.hpp"

namespace clearway::train {

std::int32_t draw_token(const torch::Tensor& scores, const SamplingOptions& options, RandomStream& random) {
  const torch::Tensor flat = scores.reshape({-1}).to(at::kCPU, at::kDouble).contiguous();
  const double* score = flat.data_ptr<double>();
  std::vector<std::int32_t> order(static_cast<std::size_t>(flat.numel()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return score[a] > score[b]; });
  if (options.temperature == 0) return order.front();
  if (options.likeliest > 0 && static_cast<std::size_t>(options.likeliest) < order.size())
    order.resize(static_cast<std::size_t>(options.likeliest));
  std::vector<double> weight;
  double total = 0;
  for (const std::int32_t id : order) {
    weight.push_back(std::exp((score[id] - score[order.front()]) / options.temperature));
    total += weight.back();
  }
  double kept = 0;
  std::size_t count = 0;
  while (count < weight.size() && (count == 0 || kept < options.nucleus * total)) kept += weight[count++];
  return order[random.categorical(weight.data(), count)];
}

std::int64_t window_begin(std::int64_t count, std::int64_t context) {
  if (count <= context) return 0;
  const std::int64_t step = context - context / 2;
  return (count - context + step - 1) / step * step;
}

TokenIds continue_text(deep::LanguageModel& model, TokenIds beginning, std::int64_t count,
                       const SamplingOptions& options, RandomStream& random,
                       const std::function<bool(std::int32_t)>& each) {
  if (beginning.empty()) user_error("a text to continue must have at least one token");
  const torch::NoGradGuard off;
  const torch::Device device = model.parameters().front().device();
  const std::int64_t context = model.options().context;
  const bool remembers = model.options().memory > 0, caches = options.cache && model.routes_by_token();
  const auto table = [&](std::int64_t first, std::int64_t last) {
    const std::vector<std::int64_t> ids(beginning.begin() + first, beginning.begin() + last);
    return at::from_blob(const_cast<std::int64_t*>(ids.data()), {1, last - first}, at::kLong).clone().to(device);
  };
  deep::KeyValueCache cache;
  deep::StreamMemory memory;
  std::int64_t begin = 0, read = 0;  // the window's first token, and those that cache or memory have read
  TokenIds out;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::int64_t>(beginning.size());
    torch::Tensor features;
    if (remembers) {
      for (std::int64_t last = read; read < size; read = last) {
        last = std::min(size, read + context);
        const torch::Tensor tokens = table(read, last);
        features = caches ? model.features_after(tokens, cache) : model.forward(tokens, 0, &memory).features;
      }
    } else {
      const std::int64_t needed = window_begin(size, context);
      if (needed != begin) cache = {}, read = begin = needed;
      features = caches ? model.features_after(table(read, size), cache) : model.forward(table(begin, size)).features;
      read = size;
    }
    const std::int32_t next = draw_token(model.logits(features.select(1, features.size(1) - 1)), options, random);
    out.push_back(next);
    beginning.push_back(next);
    if (each && !each(next)) break;
  }
  return out;
}

std::string continuation_text(const Tokenizer& tokenizer, std::string_view prompt,
                              std::span<const std::int32_t> beginning, std::span<const std::int32_t> added) {
  TokenIds all(beginning.begin(), beginning.end());
  all.insert(all.end(), added.begin(), added.end());
  const std::string before = tokenizer.decode(beginning), whole = tokenizer.decode(all);
  if (!whole.starts_with(before)) return tokenizer.decode(added);
  std::string out = whole.substr(before.size());
  const bool parted = prompt.empty() || is_white(prompt.back());
  if (parted && before.size() > 0 && !is_white(before.back()) && out.starts_with(' ')) out.erase(0, 1);
  return out;
}

}  // namespace clearway::train
