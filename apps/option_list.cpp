#include "option_list.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "clearway/base/text.hpp"

namespace clearway::cli {

namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

/// Text as a number of type T; the whole text must be used. A leading '+' is allowed.
template <class T>
T to_number(std::string_view option, std::string_view text, std::string_view what) {
  std::string_view digits = text;
  if (digits.size() > 1 && digits.front() == '+' && digits[1] != '-') digits.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range)
    user_error("{}: {} is out of range for {}", option, quoted_for_message(text), what);
  if (error != std::errc{} || end != digits.data() + digits.size())
    user_error("{} must be {}, not {}", option, what, quoted_for_message(text));
  return value;
}

template <class T>
T to_value(std::string_view option, std::string_view text);
template <>
int to_value<int>(std::string_view option, std::string_view text) {
  return to_number<int>(option, text, "a whole number");
}
template <>
std::int64_t to_value<std::int64_t>(std::string_view option, std::string_view text) {
  return to_number<std::int64_t>(option, text, "a whole number");
}
template <>
double to_value<double>(std::string_view option, std::string_view text) {
  return to_number<double>(option, text, "a number");
}
template <>
std::string to_value<std::string>(std::string_view, std::string_view text) {
  return std::string(text);
}
template <>
bool to_value<bool>(std::string_view option, std::string_view text) {
  for (const std::string_view yes : {"true", "yes", "on", "1"})
    if (text == yes) return true;
  for (const std::string_view no : {"false", "no", "off", "0"})
    if (text == no) return false;
  user_error("{} must be true or false, not {}", option, quoted_for_message(text));
}

template <class T>
std::string joined(const std::vector<T>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

/// Where the element of a list that begins at `begin` ends: at a comma outside of parentheses, or at the end.
std::size_t end_of_element(std::string_view text, std::size_t begin) {
  int depth = 0;
  for (std::size_t i = begin; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (text[i] == ',' && depth <= 0) return i;
  }
  return text.size();
}

}  // namespace

std::vector<std::string_view> split_list(std::string_view option, std::string_view text) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = end_of_element(text, begin);
    std::string_view part = text.substr(begin, comma - begin);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (part.empty()) user_error("{}: {} has an empty element", option, quoted_for_message(text));
    parts.push_back(part);
    begin = comma + 1;
  }
  return parts;
}

bool Option::is_list() const {
  const OptionTarget& target = targets.front();
  return std::holds_alternative<std::vector<int>*>(target) || std::holds_alternative<std::vector<double>*>(target) ||
         std::holds_alternative<std::vector<std::string>*>(target);
}

std::string Option::key() const {
  return positional ? name.substr(0, name.find('.')) : snake_case(name);
}

std::string Option::value_name() const {
  if (!info.metavar.empty()) return std::string(info.metavar) + (is_list() ? ",..." : "");
  return std::visit(
      Overloaded{[](const bool*) { return "BOOL"; }, [](const int*) { return "N"; },
                 [](const std::int64_t*) { return "N"; }, [](const double*) { return "X"; },
                 [](const std::string*) { return "TEXT"; }, [](const std::vector<int>*) { return "N,..."; },
                 [](const std::vector<double>*) { return "X,..."; },
                 [](const std::vector<std::string>*) { return "NAME,..."; }, [](const EnumField&) { return "WORD"; }},
      targets.front());
}

void Option::assign(std::string_view text) {
  const auto assign_value = [&]<class T>(T* target) { *target = to_value<T>(name, text); };
  const auto assign_list = [&]<class T>(std::vector<T>* target) {
    std::vector<T> values;
    const bool none = !std::is_same_v<T, std::string> && text == "none";  // an empty list of numbers
    if (!none)
      for (const std::string_view part : split_list(name, text)) values.push_back(to_value<T>(name, part));
    *target = std::move(values);
  };
  if (!choices.empty() && !std::holds_alternative<EnumField>(targets.front())) {
    std::vector<std::string> known;
    for (const Choice& choice : choices) known.push_back(choice.name);
    if (std::find(known.begin(), known.end(), text) == known.end())
      user_error("{} must be one of {}, not {}{}", name, fmt::join(known, ", "), quoted_for_message(text),
                 did_you_mean(text, known));
  }
  for (OptionTarget& target : targets) {
    std::visit(Overloaded{[&](bool* p) { assign_value(p); }, [&](int* p) { assign_value(p); },
                          [&](std::int64_t* p) { assign_value(p); }, [&](double* p) { assign_value(p); },
                          [&](std::string* p) { assign_value(p); }, [&](std::vector<int>* p) { assign_list(p); },
                          [&](std::vector<double>* p) { assign_list(p); },
                          [&](std::vector<std::string>* p) { assign_list(p); }, [&](EnumField& f) { f.set(text); }},
               target);
  }
}

void Option::check() const {
  const detail::CheckVisitor visitor;
  for (const OptionTarget& target : targets)
    std::visit(Overloaded{[](const EnumField&) {}, [&](const auto* p) { visitor(name, *p, info); }}, target);
}

std::string Option::text() const {
  return std::visit(Overloaded{[](const bool* p) { return std::string(*p ? "true" : "false"); },
                               [](const std::string* p) { return *p; }, [](const EnumField& f) { return f.get(); },
                               []<class T>(const std::vector<T>* p) { return joined(*p); },
                               [](const auto* p) { return fmt::format("{}", *p); }},
                    targets.front());
}

void Option::assign_words(const std::vector<std::string>& words) {
  for (const OptionTarget& target : targets) *std::get<std::vector<std::string>*>(target) = words;
}

nlohmann::ordered_json Option::json() const {
  return std::visit(Overloaded{[](const EnumField& f) { return nlohmann::ordered_json(f.get()); },
                               [](const auto* p) { return nlohmann::ordered_json(*p); }},
                    targets.front());
}

void OptionList::add_target(std::string_view name, OptionTarget target, const OptionInfo& info,
                            std::vector<Choice> choices) {
  if (Option* known = find(name)) {
    known->targets.push_back(std::move(target));
    known->group = group_;  // the later group names it: common options stay together
    return;
  }
  Option option{.name = std::string(name), .group = group_, .info = info, .choices = std::move(choices)};
  option.targets.push_back(std::move(target));
  option.default_text = option.text();
  options_.push_back(std::move(option));
}

void OptionList::regroup(std::string_view group, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    Option* option = find(name);
    if (option == nullptr) throw std::logic_error(fmt::format("no option '{}' to put under '{}'", name, group));
    option->group = group;
  }
}

void OptionList::argument(std::string_view name, std::string& target, std::string_view help, bool required) {
  argument(name, target, help, {}, required);
}

void OptionList::argument(std::string_view name, std::string& target, std::string_view help,
                          std::vector<Choice> choices, bool required) {
  Option option{.name = std::string(name), .group = "Arguments", .info = {.help = help}, .choices = std::move(choices)};
  option.targets.push_back(&target);
  option.positional = true;
  option.required = required;
  options_.push_back(std::move(option));
}

void OptionList::arguments(std::string_view name, std::vector<std::string>& target, std::string_view help) {
  Option option{.name = std::string(name), .group = "Arguments", .info = {.help = help}};
  option.targets.push_back(&target);
  option.positional = true;
  option.required = true;
  options_.push_back(std::move(option));
}

Option* OptionList::find(std::string_view name) {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

const Option* OptionList::find(std::string_view name) const {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

bool OptionList::given(std::string_view name) const {
  const Option* option = find(name);
  return option != nullptr && option->given;
}

std::vector<std::string> OptionList::names() const {
  std::vector<std::string> names;
  for (const Option& option : options_)
    if (!option.positional) names.push_back(option.name);
  return names;
}

std::vector<std::string> OptionList::groups() const {
  std::vector<std::string> groups;
  for (const Option& option : options_)
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  return groups;
}

nlohmann::ordered_json OptionList::json() const {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const Option& option : options_) object[option.key()] = option.json();
  return object;
}

}  // namespace clearway::cli
