// The options of one command as a list without types: what the command line, config files, JSON, help, man page and
// completion iterate over. It is filled by the visit() of options structs (clearway/base/options.hpp):
//
//     OptionList list;
//     list.group("Model");
//     list.add(fit_options_);                          // every field of the struct becomes one option
//     list.argument("data.csv", path_, "the table");   // a positional argument
//
// The list keeps pointers into the structs, so they must outlive it. Two fields of the same name are one option that
// sets both (FitOptions::seed and the common --seed).
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway::cli {

/// An enum field with its type erased.
struct EnumField {
  std::function<void(std::string_view name)> set;
  std::function<std::string()> get;
};

/// A list of words that each are the name of an enum value.
template <class T>
inline constexpr bool kIsEnumList = false;
template <NamedEnum E>
inline constexpr bool kIsEnumList<std::vector<E>> = true;

/// "a, b,c" as {"a", "b", "c"}; commas inside parentheses do not separate. Empty text is an empty list, an empty element a
/// mistake of the user.
std::vector<std::string_view> split_list(std::string_view option, std::string_view text);

/// Where an option's value lives.
using OptionTarget = std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::vector<int>*,
                                  std::vector<double>*, std::vector<std::string>*, EnumField>;

/// One value of an option that takes one of a few words.
struct Choice {
  std::string name;
  std::string help;
};

/// One option or positional argument.
struct Option {
  std::string name;  ///< kebab-case, without dashes
  std::string group;
  OptionInfo info;
  std::vector<OptionTarget> targets = {};  ///< all are set together; the first is the one that is read
  std::vector<Choice> choices = {};        ///< for enums
  std::string default_text = {};           ///< as it would be typed; lists are joined by commas
  bool positional = false;
  bool required = false;  ///< positional arguments only
  bool given = false;     ///< set on the command line or by the config file

  bool is_flag() const { return std::holds_alternative<bool*>(targets.front()); }
  bool is_list() const;
  /// The key in JSON and config files: '_' for '-'; of a positional argument, the part before the first '.'.
  std::string key() const;
  /// The name of the value in help: the metavar, or one that follows from the type ("N", "X", "TEXT", "WORD").
  std::string value_name() const;
  /// Sets every target. Throws std::invalid_argument naming the option, the text and the rule.
  void assign(std::string_view text);
  /// Sets a list of words to these, as they are.
  void assign_words(const std::vector<std::string>& words);
  /// Checks the present value of a number (or list of numbers) against its rule. Throws std::invalid_argument.
  void check() const;
  /// The present value as it would be typed.
  std::string text() const;
  /// The present value for JSON.
  nlohmann::ordered_json json() const;
};

class OptionList {
 public:
  /// Options added from now on belong to this group (a heading in help).
  void group(std::string name) { group_ = std::move(name); }

  /// Adds every field of an options struct.
  template <class Options>
  void add(Options& options) {
    Options::visit(options, [this, owner = &options](std::string_view name, auto& field, const OptionInfo& info) {
      using Field = std::remove_cvref_t<decltype(field)>;
      if constexpr (NamedEnum<Field>) {
        Field* target = &field;
        const std::string option(name);
        add_target(name,
                   EnumField{[target, option](std::string_view text) { *target = enum_value<Field>(option, text); },
                             [target] { return std::string(enum_name(*target)); }},
                   info, choices_of<Field>());
      } else if constexpr (kIsEnumList<Field>) {
        using Value = typename Field::value_type;
        Field* target = &field;
        const std::string option(name);
        const auto set = [target, owner, option](std::string_view text) {
          Field values;
          for (const std::string_view part : split_list(option, text))
            values.push_back(enum_value<Value>(option, part));
          *target = std::move(values);
          if constexpr (requires { owner->settle(); }) owner->settle();
        };
        const auto get = [target] {
          std::string text;
          for (const Value value : *target) {
            if (!text.empty()) text += ',';
            text += enum_name(value);
          }
          return text;
        };
        add_target(name, EnumField{set, get}, info, choices_of<Value>());
      } else {
        add_target(name, &field, info, {});
      }
    });
  }

  /// Moves options of one struct to another heading of help. Throws std::logic_error for a name that is not there.
  void regroup(std::string_view group, const std::vector<std::string_view>& names);

  /// Adds a positional argument. `name` is how help shows it.
  void argument(std::string_view name, std::string& target, std::string_view help, bool required = true);
  /// A positional argument that is one of a few words.
  void argument(std::string_view name, std::string& target, std::string_view help, std::vector<Choice> choices,
                bool required = true);

  /// A positional argument that takes all words: one or more.
  void arguments(std::string_view name, std::vector<std::string>& target, std::string_view help);

  /// The option of that name, or null.
  Option* find(std::string_view name);
  const Option* find(std::string_view name) const;
  /// True when the user set the option (command line or config file).
  bool given(std::string_view name) const;

  std::vector<Option>& options() { return options_; }
  const std::vector<Option>& options() const { return options_; }
  /// Names of the options (positional arguments left out), for "did you mean".
  std::vector<std::string> names() const;

  /// The headings in the order of their first option.
  std::vector<std::string> groups() const;

  /// The effective values under their keys.
  nlohmann::ordered_json json() const;

 private:
  template <NamedEnum E>
  static std::vector<Choice> choices_of() {
    std::vector<Choice> choices;
    for (const auto& entry : std::span<const EnumName<E>>(enum_names(E{})))
      choices.push_back({std::string(entry.name), std::string(entry.help)});
    return choices;
  }
  void add_target(std::string_view name, OptionTarget target, const OptionInfo& info, std::vector<Choice> choices);

  std::string group_ = "Options";
  std::vector<Option> options_;
};

}  // namespace clearway::cli
