// The options of one struct among those of many in a config.json.
#pragma once

#include <string>
#include <string_view>

#include "clearway/io/json.hpp"

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

}  // namespace clearway::cli
