// Messages of option checks, names of enums, and nearest names.
#include "clearway/base/options.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>

namespace clearway {
namespace {

enum class Colour { red, green_blue };
std::span<const EnumName<Colour>> enum_names(Colour) {
  static constexpr std::array<EnumName<Colour>, 2> names{{{Colour::red, "red"}, {Colour::green_blue, "green-blue"}}};
  return names;
}

struct PaintOptions {
  int coats = 2;
  double thickness = 0.5;
  std::int64_t seed = 1;
  bool glossy = true;
  std::string name = "wall";
  Colour colour = Colour::red;
  std::vector<double> mix{0.5, 0.5};
  std::vector<int> layers{1};

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("coats", self.coats, OptionInfo{.help = "number of coats", .minimum = 1, .maximum = 9});
    field("thickness", self.thickness, OptionInfo{.help = "in mm", .minimum = 0, .above_minimum = true});
    field("seed", self.seed, OptionInfo{.help = "seed", .minimum = 0});
    field("glossy", self.glossy, OptionInfo{.help = "shine"});
    field("name", self.name, OptionInfo{.help = "name"});
    field("colour", self.colour, OptionInfo{.help = "colour"});
    field("mix", self.mix, OptionInfo{.help = "parts", .minimum = 0, .maximum = 1});
    field("layers", self.layers, OptionInfo{.help = "layers", .minimum = 1});
  }
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no exception";
}

std::string check(const std::function<void(PaintOptions&)>& change) {
  PaintOptions options;
  change(options);
  return message_of([&] { check_options(options); });
}

TEST(Options, ChecksNameOptionValueAndRule) {
  EXPECT_EQ(check([](PaintOptions&) {}), "no exception");
  EXPECT_EQ(check([](PaintOptions& o) { o.coats = 0; }), "coats must be at least 1, not 0");
  EXPECT_EQ(check([](PaintOptions& o) { o.coats = 10; }), "coats must be at most 9, not 10");
  EXPECT_EQ(check([](PaintOptions& o) { o.thickness = 0; }), "thickness must be above 0, not 0");
  EXPECT_EQ(check([](PaintOptions& o) { o.thickness = std::numeric_limits<double>::quiet_NaN(); }),
            "thickness must be a finite number, not nan");
  EXPECT_EQ(check([](PaintOptions& o) { o.thickness = std::numeric_limits<double>::infinity(); }),
            "thickness must be a finite number, not inf");
  EXPECT_EQ(check([](PaintOptions& o) { o.seed = -7; }), "seed must be at least 0, not -7");
  EXPECT_EQ(check([](PaintOptions& o) { o.mix = {0.5, 1.5}; }), "mix must be at most 1, not 1.5");
  EXPECT_EQ(check([](PaintOptions& o) { o.layers = {2, 0}; }), "layers must be at least 1, not 0");
  // The first wrong one in order is named.
  EXPECT_EQ(check([](PaintOptions& o) { o.layers = {0}, o.coats = -1; }), "coats must be at least 1, not -1");
}

TEST(Options, EnumNamesRoundTrip) {
  for (const auto& entry : enum_names(Colour{}))
    EXPECT_EQ(enum_value<Colour>("colour", enum_name(entry.value)), entry.value);
  EXPECT_EQ(enum_name(static_cast<Colour>(17)), "?");
  EXPECT_EQ(message_of([] { enum_value<Colour>("colour", "green_blue"); }),
            "colour must be one of red, green-blue, not 'green_blue' (did you mean 'green-blue'?)");
  EXPECT_EQ(message_of([] { enum_value<Colour>("colour", "violet"); }),
            "colour must be one of red, green-blue, not 'violet'");
}

TEST(NearestName, FindsSlipsOnly) {
  const std::vector<std::string> known{"experts", "expert", "gate", "target", "x1"};
  EXPECT_EQ(nearest_name("exprets", known), "experts");
  EXPECT_EQ(nearest_name("gaet", known), "gate");
  EXPECT_EQ(nearest_name("trget", known), "target");
  EXPECT_EQ(nearest_name("x2", known), "x1");
  EXPECT_EQ(nearest_name("X1", known), "x1");
  EXPECT_EQ(nearest_name("EXPERT", known), "expert");  // case counts for nothing, however long the word
  EXPECT_EQ(nearest_name("banana", known), "");
  EXPECT_EQ(nearest_name("", known), "");
  EXPECT_EQ(nearest_name("q", known), "");
  EXPECT_EQ(nearest_name("gate", {}), "");
}

}  // namespace
}  // namespace clearway
