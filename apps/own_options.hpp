// What a config.json says: the options of one struct among those of many, the seed.
#pragma once

#include <string>
#include <string_view>

#include "clearway/base/errors.hpp"
#include "clearway/io/json.hpp"
#include "command.hpp"

namespace clearway::cli {

/// Sets the options of a struct whose keys are in `config`, and leaves other keys alone.
template <class Options>
void options_from_config(const Json& config, Options& options, const std::string& where) {
  Json own = Json::object();
  Options::visit(options, [&](std::string_view name, const auto&, const OptionInfo&) {
    const std::string key = snake_case(name);
    if (const auto found = config.find(key); found != config.end()) own[key] = *found;
  });
  options_from_json(own, options, where);
}

/// The seed of a run that is resumed, from its config.json. Throws std::invalid_argument when another one was asked for.
inline std::int64_t seed_of_resumed(const Json& config, const Context& context) {
  const std::int64_t own = config.value("seed", context.common.seed);
  if (context.options.given("seed") && context.common.seed != own)
    user_error("--seed cannot change when a run is resumed: it is {}, not {}; leave it out", own, context.common.seed);
  return own;
}

}  // namespace clearway::cli
