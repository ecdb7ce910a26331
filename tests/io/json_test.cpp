// JSON without silences: values come back bit for bit, and every mistake is named.
#include "clearway/io/json.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "clearway/io/file.hpp"
#include "temporary_folder.hpp"

namespace clearway {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

enum class Pace { slow, very_fast };
std::span<const EnumName<Pace>> enum_names(Pace) {
  static constexpr std::array<EnumName<Pace>, 2> names{{{Pace::slow, "slow"}, {Pace::very_fast, "very-fast"}}};
  return names;
}

struct TripOptions {
  int days = 3;
  std::int64_t seed = 1;
  double budget_share = 0.5;
  bool by_train = true;
  std::string goal = "sea";
  Pace pace = Pace::slow;
  std::vector<int> stops{1, 2};
  std::vector<double> weights{0.25};
  std::vector<std::string> friends{"a"};

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("days", self.days, OptionInfo{.help = "days", .minimum = 1});
    field("seed", self.seed, OptionInfo{.help = "seed"});
    field("budget-share", self.budget_share, OptionInfo{.help = "share", .minimum = 0, .maximum = 1});
    field("by-train", self.by_train, OptionInfo{.help = "train"});
    field("goal", self.goal, OptionInfo{.help = "goal"});
    field("pace", self.pace, OptionInfo{.help = "pace"});
    field("stops", self.stops, OptionInfo{.help = "stops", .minimum = 0});
    field("weights", self.weights, OptionInfo{.help = "weights"});
    field("friends", self.friends, OptionInfo{.help = "friends"});
  }
};

std::string error_of(const char* text) {
  TripOptions options;
  return message_of([&] { options_from_json(parse_json(text, "c.json"), options, "c.json"); });
}

RC_GTEST_PROP(Json, OptionsComeBackEqual,
              (int days, std::int64_t seed, bool by_train, const std::vector<int>& raw_stops,
               const std::vector<double>& weights)) {
  TripOptions options;
  options.days = std::max(1, days);
  options.seed = seed;
  options.by_train = by_train;
  options.pace = by_train ? Pace::very_fast : Pace::slow;
  options.goal = std::to_string(days) + " \"é\"\n";
  options.stops.clear();
  for (const int s : raw_stops) options.stops.push_back(s & 0xFFFF);
  options.weights = weights;
  options.friends = {options.goal, ""};
  TripOptions back;
  options_from_json(parse_json(json_text(options_to_json(options)), "c.json"), back, "c.json");
  RC_ASSERT(options_to_json(back) == options_to_json(options));
  RC_ASSERT(back.weights == options.weights);
}

RC_GTEST_PROP(Json, DoublesComeBackBitForBit, (std::uint64_t bits)) {
  const auto value = std::bit_cast<double>(bits);
  RC_PRE(std::isfinite(value));
  const auto back = parse_json(json_text(Json{{"x", value}}), "t")["x"].get<double>();
  RC_ASSERT(std::bit_cast<std::uint64_t>(back) == bits);
}

TEST(Json, OptionsThatAreAbsentKeepTheirValues) {
  TripOptions options;
  options.days = 9;
  options_from_json(parse_json(R"({"budget_share": 1, "pace": "very-fast"})", "c.json"), options, "c.json");
  EXPECT_EQ(options.days, 9);
  EXPECT_EQ(options.budget_share, 1.0);
  EXPECT_EQ(options.pace, Pace::very_fast);
  EXPECT_EQ(error_of(R"({"days": 2.0})"), "no exception");  // a whole number, however it is written
}

TEST(Json, MistakesInOptionsAreNamed) {
  EXPECT_EQ(error_of(R"({"dyas": 2})"), "c.json: there is no key 'dyas' (did you mean 'days'?)");
  EXPECT_EQ(error_of(R"({"budget-share": 1})"),
            "c.json: there is no key 'budget-share' (did you mean 'budget_share'?)");
  EXPECT_EQ(error_of(R"({"days": "two"})"), "c.json: days must be a whole number, not 'two'");
  EXPECT_EQ(error_of(R"({"days": 2.5})"), "c.json: days must be a whole number, not 2.5");
  EXPECT_EQ(error_of(R"({"days": 5000000000})"),
            "c.json: days must be a whole number of at most 32 bits, not 5000000000");
  EXPECT_EQ(error_of(R"({"seed": 18446744073709551615})"),
            "c.json: seed must be a whole number, not 18446744073709551615");
  EXPECT_EQ(error_of(R"({"days": 0})"), "c.json: days must be at least 1, not 0");
  EXPECT_EQ(error_of(R"({"budget_share": null})"), "c.json: budget_share must be a number, not null");
  EXPECT_EQ(error_of(R"({"budget_share": 1.5})"), "c.json: budget_share must be at most 1, not 1.5");
  EXPECT_EQ(error_of(R"({"by_train": 1})"), "c.json: by_train must be true or false, not 1");
  EXPECT_EQ(error_of(R"({"goal": {}})"), "c.json: goal must be a text, not an object");
  EXPECT_EQ(error_of(R"({"pace": "fast"})"), "c.json: pace must be one of slow, very-fast, not 'fast'");
  EXPECT_EQ(error_of(R"({"stops": 1})"), "c.json: stops must be a list, not 1");
  EXPECT_EQ(error_of(R"({"stops": [1, "x"]})"), "c.json: stops[1] must be a whole number, not 'x'");
  EXPECT_EQ(error_of(R"({"stops": [1, -1]})"), "c.json: stops must be at least 0, not -1");
  EXPECT_EQ(error_of(R"([1])"), "c.json must be an object, not a list");
  // A mistake changes nothing, not even options before it.
  TripOptions options;
  EXPECT_THROW(options_from_json(parse_json(R"({"days": 7, "stop": []})", "c"), options, "c"), std::invalid_argument);
  EXPECT_EQ(options.days, 3);
}

std::string parse_error_of(const std::string& text) {
  return message_of([&] { (void)parse_json(text, "c.json"); });
}

TEST(Json, BrokenTextIsNamedByLineAndColumn) {
  EXPECT_EQ(parse_error_of("{\n  \"a\": 1,\n  \"b\": x\n}").substr(0, 26), "c.json: line 3, column 8: ");
  EXPECT_EQ(parse_error_of("").substr(0, 26), "c.json: line 1, column 1: ");
  EXPECT_EQ(parse_error_of("{} {}").substr(0, 26), "c.json: line 1, column 4: ");
  EXPECT_EQ(parse_error_of(R"({"a": 1, "b": {"a": 2}, "a": 3})"), "c.json: the key 'a' occurs twice in one object");
  EXPECT_EQ(parse_error_of(R"([{"a": 1}, {"a": 1}])"), "no exception");
  EXPECT_EQ(parse_error_of(std::string(100, '[')), "c.json: is nested deeper than 64 levels");
  EXPECT_NE(parse_error_of("[1e999]").find("c.json: "), std::string::npos);
  EXPECT_NE(parse_error_of("[NaN]").find("line 1, column 2"), std::string::npos);
}

TEST(Json, NumbersThatAreNoneAreNeverWrittenSilently) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(message_of([&] {
              (void)json_text(Json{{"a", {{"b", {1.0, nan}}}}});
            }),
            "a.b[1] is nan: JSON has no such number");
  EXPECT_EQ(message_of([&] { (void)json_text(Json(infinity)); }), "the value is inf: JSON has no such number");
  EXPECT_EQ(message_of([&] { (void)json_number(nan, "bic"); }), "bic is nan: JSON has no such number");
  EXPECT_EQ(message_of([&] { (void)json_numbers(&infinity, 1, "slopes"); }),
            "slopes[0] is inf: JSON has no such number");
  TripOptions options;
  options.budget_share = nan;
  EXPECT_EQ(message_of([&] { (void)options_to_json(options); }), "budget-share is nan: JSON has no such number");
  EXPECT_EQ(json_text(Json{{"a", json_number_or_null(nan)}}, -1), "{\"a\":null}\n");
  EXPECT_EQ(json_text(Json{{"a", json_number_or_null(0.1)}}, -1), "{\"a\":0.1}\n");
  EXPECT_NE(message_of([&] { (void)json_text(Json("\xFF")); }).find("cannot be written as JSON"), std::string::npos);
}

TEST(Json, ObjectsAreReadStrictly) {
  const Json document = parse_json(
      R"({"name": "n", "size": 3, "ok": true, "x": 0.5, "v": [1, 2], "w": ["a"], "inner": {"k": 1}, "list": [{}, {"z": 2}]})",
      "m.json");
  JsonObject object(document, "m.json");
  EXPECT_EQ(object.text("name"), "n");
  EXPECT_EQ(object.integer("size", 1, 5), 3);
  EXPECT_TRUE(object.boolean("ok"));
  EXPECT_EQ(object.number("x"), 0.5);
  EXPECT_EQ(object.numbers("v", 2), (std::vector<double>{1, 2}));
  EXPECT_EQ(object.texts("w"), (std::vector<std::string>{"a"}));
  EXPECT_EQ(object.object("inner").integer("k", 0, 9), 1);
  EXPECT_EQ(message_of([&] { object.finish(); }), "m.json: there is no key 'list'");
  EXPECT_EQ(object.objects("list")[1].number("z"), 2);
  EXPECT_NO_THROW(object.finish());
  EXPECT_EQ(message_of([&] { (void)object.number("sizes"); }), "m.json: sizes is missing (there is 'size')");
  EXPECT_EQ(message_of([&] { (void)object.number("elephants"); }), "m.json: elephants is missing");
  EXPECT_EQ(message_of([&] { (void)object.integer("size", 4, 5); }), "m.json: size must be at least 4, not 3");
  EXPECT_EQ(message_of([&] { (void)object.integer("size", 1, 2); }), "m.json: size must be at most 2, not 3");
  EXPECT_EQ(message_of([&] { (void)object.numbers("v", 3); }), "m.json: v must hold 3 numbers, not 2");
  EXPECT_EQ(message_of([&] { (void)object.numbers("w"); }), "m.json: w[0] must be a number, not 'a'");
  EXPECT_EQ(message_of([&] { (void)object.object("v"); }), "m.json: v must be an object, not a list");
  EXPECT_EQ(message_of([&] { (void)object.objects("v"); }), "m.json: v[0] must be an object, not 1");
  EXPECT_EQ(message_of([&] { (void)object.objects("x"); }), "m.json: x must be a list, not 0.5");
  EXPECT_EQ(message_of([&] { (void)object.choice<Pace>("name"); }),
            "m.json: name must be one of slow, very-fast, not 'n'");
}

TEST(Json, Files) {
  const TemporaryFolder folder;
  write_json(folder / "a.json", Json{{"b", 1}});
  EXPECT_EQ(read_file(folder / "a.json"), "{\n  \"b\": 1\n}\n");
  EXPECT_EQ(read_json(folder / "a.json")["b"], 1);
  EXPECT_EQ(message_of([&] { (void)read_json(folder / "c.json"); }), folder / "c.json" + ": there is no such file");
}

}  // namespace
}  // namespace clearway
