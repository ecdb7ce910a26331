#include "clearway/io/json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/io/file.hpp"

namespace clearway {

namespace {

constexpr int kDeepest = 64;
/// Doubles count whole numbers without gaps up to here.
constexpr double kLargestWhole = 9007199254740992.0;

/// What a value is, in words.
std::string in_words(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return value.dump();
    case Json::value_t::string:
      return quoted_for_message(value.get_ref<const std::string&>());
    case Json::value_t::array:
      return "a list";
    case Json::value_t::object:
      return "an object";
    default:
      return "something else";
  }
}

/// Line and column (from 1) of a byte of a text.
std::pair<std::size_t, std::size_t> place_of(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const std::size_t start = before.rfind('\n');
  return {line, before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1};
}

/// The reason out of nlohmann's message, which begins with its own name and the place.
std::string reason_of(std::string_view message) {
  const std::size_t colon = message.find(": ");
  return std::string(colon == std::string_view::npos ? message : message.substr(colon + 2));
}

void check_finite(const Json& value, const std::string& where) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    user_error("{} is {}: JSON has no such number", where.empty() ? "the value" : where, value.get<double>());
  if (value.is_object())
    for (const auto& [key, inner] : value.items()) check_finite(inner, where.empty() ? key : where + "." + key);
  if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i) check_finite(value[i], fmt::format("{}[{}]", where, i));
}

}  // namespace

Json json_number(double value, std::string_view what) {
  if (!std::isfinite(value)) user_error("{} is {}: JSON has no such number", what, value);
  return value;
}

Json json_number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json json_numbers(const double* values, std::size_t count, std::string_view what) {
  Json array = Json::array();
  for (std::size_t i = 0; i < count; ++i) array.push_back(json_number(values[i], fmt::format("{}[{}]", what, i)));
  return array;
}

Json parse_json(std::string_view text, const std::string& source) {
  // Keys seen so far in each open object: an array or object that opens pushes a level.
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) user_error("{}: is nested deeper than {} levels", source, kDeepest);
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        keys.emplace_back();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        keys.pop_back();
        break;
      case Json::parse_event_t::key:
        if (const auto& key = parsed.get_ref<const std::string&>(); !keys.back().insert(key).second)
          user_error("{}: the key {} occurs twice in one object", source, quoted_for_message(key));
        break;
      case Json::parse_event_t::value:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    const auto [line, column] = place_of(text, error.byte > 0 ? error.byte - 1 : 0);
    user_error("{}: line {}, column {}: {}", source, line, column, reason_of(error.what()));
  } catch (const Json::out_of_range& error) {  // a number such as 1e999
    user_error("{}: {}", source, reason_of(error.what()));
  }
}

Json read_json(const std::string& path) {
  return parse_json(read_file(path, std::size_t{1} << 30), path == "-" ? "standard input" : path);
}

std::string json_text(const Json& document, int indent) {
  check_finite(document, "");
  try {
    return document.dump(indent) + "\n";
  } catch (const Json::type_error& error) {  // text that is not UTF-8
    user_error("the document cannot be written as JSON: {}", reason_of(error.what()));
  }
}

void write_json(const std::string& path, const Json& document) {
  write_file(path, json_text(document));
}

JsonObject::JsonObject(const Json& value, std::string where) : object_(&value), where_(std::move(where)) {
  detail::require_object(value, where_);
}

const Json& JsonObject::at(const char* key) {
  asked_.emplace_back(key);
  const auto found = object_->find(key);
  if (found != object_->end()) return *found;
  std::vector<std::string> present;
  for (const auto& [name, value] : object_->items()) present.push_back(name);
  const std::string near = nearest_name(key, present);
  user_error("{} is missing{}", where(key), near.empty() ? std::string() : fmt::format(" (there is '{}')", near));
}

double JsonObject::number(const char* key) {
  double value = 0;
  detail::json_to(at(key), where(key), value);
  return value;
}

std::int64_t JsonObject::integer(const char* key, std::int64_t minimum, std::int64_t maximum) {
  std::int64_t value = 0;
  detail::json_to(at(key), where(key), value);
  if (value < minimum) user_error("{} must be at least {}, not {}", where(key), minimum, value);
  if (value > maximum) user_error("{} must be at most {}, not {}", where(key), maximum, value);
  return value;
}

bool JsonObject::boolean(const char* key) {
  bool value = false;
  detail::json_to(at(key), where(key), value);
  return value;
}

std::string JsonObject::text(const char* key) {
  std::string value;
  detail::json_to(at(key), where(key), value);
  return value;
}

std::vector<double> JsonObject::numbers(const char* key) {
  std::vector<double> value;
  detail::json_to(at(key), where(key), value);
  return value;
}

std::vector<double> JsonObject::numbers(const char* key, std::size_t count) {
  auto value = numbers(key);
  if (value.size() != count) user_error("{} must hold {}, not {}", where(key), plural(count, "number"), value.size());
  return value;
}

std::vector<std::string> JsonObject::texts(const char* key) {
  std::vector<std::string> value;
  detail::json_to(at(key), where(key), value);
  return value;
}

JsonObject JsonObject::object(const char* key) {
  return {at(key), where(key)};
}

std::vector<JsonObject> JsonObject::objects(const char* key) {
  const Json& array = at(key);
  if (!array.is_array()) user_error("{} must be a list, not {}", where(key), in_words(array));
  std::vector<JsonObject> objects;
  for (std::size_t i = 0; i < array.size(); ++i) objects.emplace_back(array[i], fmt::format("{}[{}]", where(key), i));
  return objects;
}

void JsonObject::finish() const {
  detail::refuse_unknown_keys(*object_, asked_, where_);
}

namespace detail {

Json json_from(bool value, std::string_view) {
  return value;
}
Json json_from(int value, std::string_view) {
  return value;
}
Json json_from(std::int64_t value, std::string_view) {
  return value;
}
Json json_from(double value, std::string_view name) {
  return json_number(value, name);
}
Json json_from(const std::string& value, std::string_view) {
  return value;
}
Json json_from(const std::vector<int>& value, std::string_view) {
  return value;
}
Json json_from(const std::vector<double>& value, std::string_view name) {
  return json_numbers(value.data(), value.size(), name);
}
Json json_from(const std::vector<std::string>& value, std::string_view) {
  return value;
}

void json_to(const Json& json, const std::string& what, bool& value) {
  if (!json.is_boolean()) user_error("{} must be true or false, not {}", what, in_words(json));
  value = json.get<bool>();
}

void json_to(const Json& json, const std::string& what, std::int64_t& value) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool too_large = json.is_number_unsigned() && json.get<std::uint64_t>() > kLargest;
  if (json.is_number_integer() && !too_large) {
    value = json.get<std::int64_t>();
    return;
  }
  if (json.is_number_float()) {  // 2.0 and 1e6 are whole numbers too
    const double number = json.get<double>();
    if (std::fabs(number) <= kLargestWhole && number == std::floor(number)) {
      value = static_cast<std::int64_t>(number);
      return;
    }
  }
  user_error("{} must be a whole number, not {}", what, in_words(json));
}

void json_to(const Json& json, const std::string& what, int& value) {
  std::int64_t wide = 0;
  json_to(json, what, wide);
  if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max())
    user_error("{} must be a whole number of at most 32 bits, not {}", what, wide);
  value = static_cast<int>(wide);
}

void json_to(const Json& json, const std::string& what, double& value) {
  if (!json.is_number()) user_error("{} must be a number, not {}", what, in_words(json));
  value = json.get<double>();
  if (!std::isfinite(value)) user_error("{} must be a finite number, not {}", what, value);
}

void json_to(const Json& json, const std::string& what, std::string& value) {
  if (!json.is_string()) user_error("{} must be a text, not {}", what, in_words(json));
  value = json.get<std::string>();
}

namespace {

template <class T>
void list_to(const Json& json, const std::string& what, std::vector<T>& value) {
  if (!json.is_array()) user_error("{} must be a list, not {}", what, in_words(json));
  std::vector<T> list(json.size());
  for (std::size_t i = 0; i < list.size(); ++i) json_to(json[i], fmt::format("{}[{}]", what, i), list[i]);
  value = std::move(list);
}

}  // namespace

void json_to(const Json& json, const std::string& what, std::vector<int>& value) {
  list_to(json, what, value);
}
void json_to(const Json& json, const std::string& what, std::vector<double>& value) {
  list_to(json, what, value);
}
void json_to(const Json& json, const std::string& what, std::vector<std::string>& value) {
  list_to(json, what, value);
}

void refuse_unknown_keys(const Json& object, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : object.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      user_error("{}: there is no key {}{}", where, quoted_for_message(key), did_you_mean(key, known));
}

void require_object(const Json& value, const std::string& where) {
  if (!value.is_object()) user_error("{} must be an object, not {}", where, in_words(value));
}

}  // namespace detail

}  // namespace clearway
