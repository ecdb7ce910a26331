#include "config_file.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/file.hpp"

namespace clearway::cli {

namespace {

struct Entry {
  std::string section;  ///< empty: none
  std::string key;
  std::string text;  ///< as it would be typed; lists joined by commas
};

std::string text_of(const nlohmann::json& value, const std::string& path, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (!value.is_array()) user_error("{}: {} must be a word, a number, true, false or a list of them", path, key);
  std::vector<std::string> parts;
  for (const auto& part : value) {
    if (part.is_array()) user_error("{}: {} must be a list without lists inside", path, key);
    parts.push_back(text_of(part, path, key));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

std::vector<Entry> entries_of_json(const std::string& content, const std::string& path) {
  std::vector<Entry> entries;
  try {
    const auto object = nlohmann::json::parse(content);
    if (!object.is_object()) user_error("{} must hold one JSON object", path);
    for (const auto& [key, value] : object.items()) entries.push_back({"", key, text_of(value, path, key)});
  } catch (const nlohmann::json::exception& error) {
    user_error("{} is not valid JSON: {}", path, error.what());
  }
  return entries;
}

std::vector<Entry> entries_of_toml(const std::string& content, const std::string& path) {
  std::vector<Entry> entries;
  try {
    std::istringstream stream(content);
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(stream)) {
      if (item.name == "++" || item.name == "--") continue;  // CLI11's marks for the ends of sections
      entries.push_back(
          {fmt::format("{}", fmt::join(item.parents, ".")), item.name, fmt::format("{}", fmt::join(item.inputs, ","))});
    }
  } catch (const CLI::Error& error) {
    user_error("{} is not valid TOML: {}", path, error.what());
  }
  return entries;
}

}  // namespace

void apply_config_file(const std::string& path, std::string_view command, const std::vector<std::string>& commands,
                       OptionList& list) {
  const std::string content = read_file(path);
  const std::size_t first = content.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && content[first] == '{';

  std::vector<std::string> known;
  for (const Option& option : list.options())
    if (option.name != "config") known.push_back(option.key());

  for (const Entry& entry : is_json ? entries_of_json(content, path) : entries_of_toml(content, path)) {
    std::string section = entry.section;  // [study.gridlock] holds options of "study gridlock"
    std::replace(section.begin(), section.end(), '.', ' ');
    const bool other = std::find(commands.begin(), commands.end(), section) != commands.end();
    if (!section.empty() && section != command) {
      if (other) continue;
      user_error("{}: unknown section {}{}", path, quoted_for_message(entry.section),
                 did_you_mean(entry.section, commands));
    }
    if (entry.key == "clearway") continue;           // the version that wrote a config.json
    if (is_json && entry.key == "labels") continue;  // the names of a classifier's labels, which its data gives again
    if (entry.key == "command") {
      if (entry.text != command)
        user_error("{} holds options of 'clearway {}', not of 'clearway {}'", path, entry.text, command);
      continue;
    }
    const std::string key = snake_case(entry.key);
    if (std::find(known.begin(), known.end(), key) == known.end())
      user_error("{}: unknown key {}{}", path, quoted_for_message(entry.key), did_you_mean(key, known));
    const auto option = std::find_if(list.options().begin(), list.options().end(),
                                     [&](const Option& candidate) { return candidate.key() == key; });
    if (option->given) continue;
    try {
      option->assign(entry.text);
    } catch (const std::invalid_argument& error) {
      user_error("{}: {}", path, error.what());
    }
    option->given = true;
  }
}

}  // namespace clearway::cli
