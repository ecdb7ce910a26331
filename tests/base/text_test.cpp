// Words in messages, the table's column lookup, and the text of a progress line.
#include "clearway/base/text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "clearway/base/progress.hpp"
#include "clearway/base/table.hpp"

namespace clearway {
namespace {

TEST(EditDistance, KnownPairs) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // optimal string alignment; the unrestricted distance would be 2
}

RC_GTEST_PROP(EditDistance, IsSymmetricAndZeroOnlyForEqualWords, (const std::string& a, const std::string& b)) {
  RC_ASSERT(edit_distance(a, b) == edit_distance(b, a));
  RC_ASSERT((edit_distance(a, b) == 0) == (a == b));
  RC_ASSERT(edit_distance(a, b) <= std::max(a.size(), b.size()));
  RC_ASSERT(edit_distance(a, b) >= std::max(a.size(), b.size()) - std::min(a.size(), b.size()));
}

RC_GTEST_PROP(EditDistance, OneChangeCostsOne, (const std::string& a)) {
  const auto at = *rc::gen::inRange<std::size_t>(0, a.size() + 1);
  std::string longer = a;
  longer.insert(at, 1, 'x');
  RC_ASSERT(edit_distance(a, longer) == 1u);
}

TEST(Text, Utf8SequencesOfRfc3629) {
  using namespace std::string_literals;
  const std::vector<std::pair<std::string, std::size_t>> cases{{"", 0},
                                                               {"a", 1},
                                                               {"\0"s, 1},
                                                               {"\xC3\xBC", 2},
                                                               {"\xE2\x89\xA2x", 3},
                                                               {"\xF0\xA3\x8E\xB4", 4},
                                                               {"\x80", 0},
                                                               {"\xC0\x80", 0},
                                                               {"\xC3", 0},
                                                               {"\xE0\x9F\xBF", 0},
                                                               {"\xED\xA0\x80", 0},
                                                               {"\xF4\x90\x80\x80", 0},
                                                               {"\xF5\x80\x80\x80", 0},
                                                               {"\xF0\x8F\xBF\xBF", 0},
                                                               {"\xE2\x89 ", 0}};
  for (const auto& [text, length] : cases) EXPECT_EQ(utf8_length(text), length) << text;
}

TEST(Text, PluralsListsAndKeys) {
  EXPECT_EQ(plural(1, "row"), "1 row");
  EXPECT_EQ(plural(0, "row"), "0 rows");
  const std::vector<std::string> names{"a", "b", "c"};
  EXPECT_EQ(short_list(names), "a, b, c");
  EXPECT_EQ(short_list(names, 2), "a, b, ... (3 in all)");
  EXPECT_EQ(snake_case("gate-on"), "gate_on");
  EXPECT_EQ(did_you_mean("bb", names), " (did you mean 'b'?)");
  EXPECT_EQ(did_you_mean("zebra", names), "");
}

TEST(Text, QuotedTextStaysOnOneLine) {
  EXPECT_EQ(quoted_for_message("abc"), "'abc'");
  EXPECT_EQ(quoted_for_message(std::string("a\n\0\x7f", 4)), "'a\\x0a\\x00\\x7f'");
  EXPECT_EQ(quoted_for_message("abcdef", 3), "'abc...'");
}

TEST(Table, LooksUpColumnsAndNamesTheNearest) {
  Table table;
  table.source = "iris.csv";
  table.columns.resize(2);
  table.columns[0].name = "petal";
  table.columns[1].name = "sepal";
  EXPECT_TRUE(table.has_column("sepal"));
  EXPECT_FALSE(table.has_column("leaf"));
  EXPECT_EQ(&table.column("sepal"), &table.columns[1]);
  try {
    (void)table.column("pteal");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "iris.csv: there is no column 'pteal' (did you mean 'petal'?); the columns are petal, sepal");
  }
}

TEST(Progress, TextTellsWhatIsLeft) {
  EXPECT_EQ(progress_text("fit", "polishing", 0.25, 3.0), "fit: polishing  25 %, about 9.0 s left");
  EXPECT_EQ(progress_text("fit", "starts", 0.25, 0.5), "fit: starts  25 %");  // too early to tell
  EXPECT_EQ(progress_text("fit", "starts", 0.01, 50.0), "fit: starts  1 %");  // too little done to tell
  EXPECT_EQ(progress_text("fit", "done", 7.0, 50.0), "fit: done  100 %");     // clamped
  EXPECT_EQ(progress_text("fit", "x", std::nan(""), 50.0), "fit: x  0 %");
}

TEST(Progress, DurationsInWords) {
  EXPECT_EQ(duration_in_words(0.44), "0.4 s");
  EXPECT_EQ(duration_in_words(12.2), "12 s");
  EXPECT_EQ(duration_in_words(59.7), "1 min 0 s");
  EXPECT_EQ(duration_in_words(200), "3 min 20 s");
  EXPECT_EQ(duration_in_words(7500), "2 h 5 min");
  EXPECT_EQ(duration_in_words(-1), "0.0 s");
}

TEST(Progress, NeverModeWritesNothingAndAlwaysModeErasesItself) {
  testing::internal::CaptureStderr();
  {
    ProgressLine quiet("fit", ProgressMode::never);
    quiet.update(0.5, "half");
    EXPECT_FALSE(quiet.drawing());
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  {
    ProgressLine line("fit", ProgressMode::always);
    line.update(0.5, "half");
    line.update(0.6, "too soon to be drawn");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\r\033[Kfit: half  50 %\r\033[K");
}

}  // namespace
}  // namespace clearway
