#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "config_file.hpp"

namespace clearway::cli {

namespace {

/// The name CLI11 knows an option by: "--name", or "argument-I" (no dashes: positional) for positional I.
std::string parser_name(const OptionList& list, const Option& option) {
  if (!option.positional) return "--" + option.name;
  return fmt::format("argument-{}", &option - list.options().data());
}

void declare(const OptionList& list, CLI::App& app) {
  for (const Option& option : list.options()) {
    const std::string name = parser_name(list, option);
    CLI::Option* declared = option.is_flag() ? app.add_flag(name) : app.add_option(name);
    declared->multi_option_policy(option.is_list() ? CLI::MultiOptionPolicy::TakeAll
                                                   : CLI::MultiOptionPolicy::TakeLast);
    if (option.positional && option.is_list()) declared->expected(-1);
  }
  app.set_help_flag();
  app.add_flag("-h,--help");
  app.allow_extras();
}

/// The text given for an option on this level of the command line; false when it was not given.
bool given_text(const CLI::App& app, const std::string& name, std::string& text) {
  const CLI::Option* option = app.get_option(name);
  if (option->count() == 0) return false;
  const std::vector<std::string> results = option->results();
  const bool all = option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  text = all ? fmt::format("{}", fmt::join(results, ",")) : results.back();
  return true;
}

/// Refuses what no option or argument took. `root` adds the options that stand before the command.
void refuse_unknown(const std::vector<std::string>& unknown, const OptionList& list) {
  if (unknown.empty()) return;
  const auto is_option = [](const std::string& word) { return word.size() > 1 && word.front() == '-'; };
  const auto option = std::find_if(unknown.begin(), unknown.end(), is_option);
  if (option == unknown.end()) user_error("unexpected argument {}", quoted_for_message(unknown.front()));
  std::vector<std::string> known = {"--help"};
  for (const std::string& name : list.names()) known.push_back("--" + name);
  const std::string word = option->substr(0, option->find('='));
  user_error("unknown option {}{}", quoted_for_message(word), did_you_mean(word, known));
}

/// Takes the values from the command line: those after the command win over those before it.
void assign(OptionList& list, const CLI::App& root, const CLI::App& app) {
  const OptionList& names = list;
  for (Option& option : list.options()) {
    const std::string name = parser_name(names, option);
    std::string text;
    const bool before = root.get_option_no_throw(name) != nullptr && given_text(root, name, text);
    option.given = given_text(app, name, text) || before;
    if (!option.given) continue;
    if (!option.is_flag() && !option.positional && text.starts_with("--"))
      user_error("option --{} needs a value, not {}", option.name, quoted_for_message(text));
    if (option.positional && option.is_list())
      option.assign_words(app.get_option(name)->results());  // file names may hold commas
    else
      option.assign(text);
  }
}

/// The words with the two that name a command ("study gridlock") as one ("study-gridlock"), behind "help" too.
std::vector<std::string> with_names_joined(std::vector<std::string> words, const std::vector<std::string>& names) {
  const auto is_name = [&](const std::string& word) {
    return std::find(names.begin(), names.end(), word) != names.end();
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (is_name(words[i]) && words[i] != "help") break;
    if (i + 1 == words.size() || !is_name(words[i] + ' ' + words[i + 1])) continue;
    words[i] += '-' + words[i + 1];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    break;
  }
  return words;
}

/// Says which second words there are when only the first word of a command, or a wrong second one, was given.
void refuse_half_name(const std::vector<std::string>& unknown, const std::vector<std::string>& names) {
  std::vector<std::string> second;
  for (const std::string& name : names)
    if (name.starts_with(unknown.front() + ' ')) second.push_back(name.substr(unknown.front().size() + 1));
  if (second.empty()) return;
  const bool given = unknown.size() > 1 && !unknown[1].starts_with('-');
  user_error("{} needs one of {}{}", unknown.front(), fmt::join(second, ", "),
             given ? fmt::format(", not {}{}", quoted_for_message(unknown[1]), did_you_mean(unknown[1], second)) : "");
}

}  // namespace

OptionList options_of(Command& command, CommonOptions& common) {
  OptionList list;
  command.options(list);
  list.group("Common options");
  list.add(common);
  return list;
}

Invocation parse_command_line(const std::vector<std::string>& words,
                              const std::vector<std::unique_ptr<Command>>& commands, CommonOptions& common,
                              std::string& who) {
  CLI::App root;
  OptionList before;
  before.add(common);
  declare(before, root);
  root.add_flag("--version");
  root.require_subcommand(0, 1);  // the first name is the command; the same word later is an argument

  std::vector<std::string> names;
  std::vector<OptionList> lists;
  std::vector<CLI::App*> apps;
  for (const auto& command : commands) {
    if (!command->hidden()) names.emplace_back(command->name());
    lists.push_back(options_of(*command, common));
    apps.push_back(root.add_subcommand(command->file_name()));
    declare(lists.back(), *apps.back());
  }

  try {
    std::vector<std::string> reversed = with_names_joined(words, names);
    std::reverse(reversed.begin(), reversed.end());  // CLI11 takes words from the back
    root.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch&) {  // only the last word can lack its value
    for (std::size_t i = 0; i < apps.size(); ++i)
      if (apps[i]->parsed()) who = fmt::format("clearway {}", commands[i]->name());
    user_error("option {} needs a value", words.back().substr(0, words.back().find('=')));
  } catch (const CLI::ParseError& error) {
    user_error("{}", error.what());
  }

  Invocation invocation;
  std::size_t chosen = 0;
  while (chosen < apps.size() && !apps[chosen]->parsed()) ++chosen;
  invocation.version = root.count("--version") > 0;
  invocation.help = root.count("--help") > 0;
  if (chosen == apps.size()) {
    if (invocation.help || invocation.version) return invocation;
    const std::vector<std::string> unknown = root.remaining();
    if (!unknown.empty()) refuse_half_name(unknown, names);
    if (!unknown.empty() && !unknown.front().starts_with('-'))
      user_error("unknown command {}{}; see clearway --help", quoted_for_message(unknown.front()),
                 did_you_mean(unknown.front(), names));
    refuse_unknown(unknown, before);
    return invocation;
  }

  CLI::App& app = *apps[chosen];
  invocation.command = commands[chosen].get();
  who = fmt::format("clearway {}", invocation.command->name());
  invocation.help = invocation.help || app.count("--help") > 0;
  OptionList& list = lists[chosen];
  if (!invocation.help && !invocation.version) {
    refuse_unknown(root.remaining(), before);
    refuse_unknown(app.remaining(), list);
    assign(list, root, app);
    if (!common.config.empty()) apply_config_file(common.config, invocation.command->name(), names, list);
    for (const Option& option : list.options()) {
      if (option.required && !option.given)
        user_error("{} is missing; usage: clearway {} {} [options]", option.name, invocation.command->name(),
                   option.name);
      option.check();
    }
  }
  invocation.options = std::move(list);
  return invocation;
}

}  // namespace clearway::cli
