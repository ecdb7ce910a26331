// JSON with the silences taken out: nlohmann's library writes NaN as null, keeps the last of two equal keys and ignores
// misspelt ones; here all three are errors that name the place.
//
// Keys are the names of options in snake_case. Doubles come back bit for bit.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/base/text.hpp"

namespace clearway {

using Json = nlohmann::ordered_json;  ///< keys keep the order in which they were written

/// A finite number. Throws std::invalid_argument naming `what` for NaN and infinity.
Json json_number(double value, std::string_view what);
/// A finite number, or an explicit null for NaN and infinity: for results that may be absent.
Json json_number_or_null(double value);
/// An array of finite numbers.
Json json_numbers(const double* values, std::size_t count, std::string_view what);

/// Parses one JSON document; `source` names it in messages ("config.json: line 3, column 7: ..."). Two equal keys in
/// one object, more than 64 levels, bytes behind the end: std::invalid_argument.
Json parse_json(std::string_view text, const std::string& source);
/// Reads and parses a file; "-" is standard input.
Json read_json(const std::string& path);
/// The text of a document, ending in a line feed; indented by 2, or on one line for indent < 0. Throws when a number is
/// not finite, naming the key: such values must be written by json_number_or_null().
std::string json_text(const Json& document, int indent = 2);
/// Writes a document to a file that appears only when complete; "-" is standard output.
void write_json(const std::string& path, const Json& document);

/// Reads one object key by key and knows what was not asked for. `where` begins every message, for instance
/// "model.json: experts[2]". All functions throw std::invalid_argument.
class JsonObject {
 public:
  JsonObject(const Json& value, std::string where);

  bool has(const char* key) const { return object_->contains(key); }
  /// The value of a key that must be there.
  const Json& at(const char* key);
  double number(const char* key);
  std::int64_t integer(const char* key, std::int64_t minimum, std::int64_t maximum);
  bool boolean(const char* key);
  std::string text(const char* key);
  std::vector<double> numbers(const char* key);
  /// `count` numbers exactly.
  std::vector<double> numbers(const char* key, std::size_t count);
  std::vector<std::string> texts(const char* key);
  /// The object under a key.
  JsonObject object(const char* key);
  /// The objects of the array under a key.
  std::vector<JsonObject> objects(const char* key);
  /// The enum value whose name is the text under a key.
  template <NamedEnum E>
  E choice(const char* key) {
    return enum_value<E>(where(key), text(key));
  }

  /// Refuses keys that were never asked for, with the nearest known one.
  void finish() const;

  /// "where: key", for messages.
  std::string where(const char* key) const { return where_ + ": " + key; }
  const std::string& where() const { return where_; }

 private:
  const Json* object_;
  std::string where_;
  std::vector<std::string> asked_;
};

namespace detail {

Json json_from(bool value, std::string_view);
Json json_from(int value, std::string_view);
Json json_from(std::int64_t value, std::string_view);
Json json_from(double value, std::string_view name);
Json json_from(const std::string& value, std::string_view);
Json json_from(const std::vector<int>& value, std::string_view);
Json json_from(const std::vector<double>& value, std::string_view name);
Json json_from(const std::vector<std::string>& value, std::string_view);
template <NamedEnum E>
Json json_from(E value, std::string_view) {
  return std::string(enum_name(value));
}

/// A list of enum values: their names, joined by commas.
template <NamedEnum E>
Json json_from(const std::vector<E>& value, std::string_view) {
  std::string text;
  for (const E entry : value) text += (text.empty() ? "" : ",") + std::string(enum_name(entry));
  return text;
}

void json_to(const Json& json, const std::string& what, bool& value);
void json_to(const Json& json, const std::string& what, int& value);
void json_to(const Json& json, const std::string& what, std::int64_t& value);
void json_to(const Json& json, const std::string& what, double& value);
void json_to(const Json& json, const std::string& what, std::string& value);
void json_to(const Json& json, const std::string& what, std::vector<int>& value);
void json_to(const Json& json, const std::string& what, std::vector<double>& value);
void json_to(const Json& json, const std::string& what, std::vector<std::string>& value);
template <NamedEnum E>
void json_to(const Json& json, const std::string& what, E& value) {
  std::string name;
  json_to(json, what, name);
  value = enum_value<E>(what, name);
}

template <NamedEnum E>
void json_to(const Json& json, const std::string& what, std::vector<E>& value) {
  std::string names;
  json_to(json, what, names);
  value.clear();
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t comma = std::min(names.find(',', begin), names.size());
    value.push_back(enum_value<E>(what, std::string_view(names).substr(begin, comma - begin)));
    begin = comma + 1;
  }
}

/// Lets options that hold a list of words bring their other fields into line with it.
template <class Options>
void settle(Options& options) {
  if constexpr (requires { options.settle(); }) options.settle();
}

/// Throws for keys of `object` that are not in `known`.
void refuse_unknown_keys(const Json& object, const std::vector<std::string>& known, const std::string& where);
void require_object(const Json& value, const std::string& where);

}  // namespace detail

/// Every option of a struct with visit() under its key.
template <class Options>
Json options_to_json(const Options& options) {
  Json object = Json::object();
  Options::visit(options, [&](std::string_view name, const auto& value, const OptionInfo&) {
    object[snake_case(name)] = detail::json_from(value, name);
  });
  return object;
}

/// Sets the options whose keys are there; the others keep their values. An unknown key, a wrong type or a number
/// outside of its range: std::invalid_argument beginning with `where`.
template <class Options>
void options_from_json(const Json& object, Options& options, const std::string& where) {
  detail::require_object(object, where);
  std::vector<std::string> known;
  Options changed = options;
  Options::visit(changed, [&](std::string_view name, auto& value, const OptionInfo& info) {
    const std::string key = snake_case(name);
    known.push_back(key);
    const auto found = object.find(key);
    if (found == object.end()) return;
    detail::json_to(*found, where + ": " + key, value);
    detail::CheckVisitor{}(where + ": " + key, value, info);
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (requires { requires NamedEnum<typename Value::value_type>; }) detail::settle(changed);
  });
  detail::refuse_unknown_keys(object, known, where);
  options = std::move(changed);
}

}  // namespace clearway
