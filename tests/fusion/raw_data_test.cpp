// Reading samples: every format, every quirk that hospitals' files have, and the law that the order of rows is nothing.
#include "clearway/fusion/raw_data.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "clearway/fusion/row_scanner.hpp"
#include "clearway/io/npy.hpp"
#include "fusion/data_folder.hpp"

namespace clearway::fusion {
namespace {

using testing_io::message_of;
using Names = std::vector<std::string>;
using Numbers = std::vector<double>;
const double kNone = std::numeric_limits<double>::quiet_NaN();

void expect_numbers(const Numbers& actual, const Numbers& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(actual[i])) << i;
    else
      EXPECT_DOUBLE_EQ(actual[i], expected[i]) << i;
  }
}

constexpr const char* kStaysSpec = R"({
  "sources": {
    "records": {"format": "long", "path": "set/*.txt", "id": "file", "time": "Time"},
    "outcomes": {"format": "wide", "path": "outcomes.csv", "id": "RecordID"}},
  "time": {"unit": "hh:mm", "horizon": 10, "grid": 5},
  "target": {"source": "outcomes", "column": "death"},
  "modalities": [
    {"name": "static", "kind": "static", "source": "records", "at": 0, "columns": ["Age", "Sex", "Weight"],
     "categories": ["Sex"], "missing_values": [-1]},
    {"name": "vitals", "kind": "irregular", "source": "records", "columns": ["HR", "Temp", "Weight"],
     "range": {"Temp": [25, 44]}, "missing_values": [-1]}]})";

// Stays with every quirk of the PhysioNet sets, and some that other exports have.

void write_stays(DataFolder& data) {
  data.file("set/101.txt",
            "Time,Parameter,Value\r\n"
            "00:00,RecordID,101\r\n"
            "00:00,Age,54\r\n"
            "00:00,Sex,-1\r\n"  // missing
            "00:00,Weight,80\r\n"
            "00:30,HR,70\r\n"
            "01:00,,5\r\n"  // no parameter (set c)
            "01:00,HR,75\r\n"
            "01:00,HR,71\r\n"  // the same time again
            "01:00,Temp,36.5\r\n"
            "\r\n"
            "02:00,Temp,-17.8\r\n"  // out of range
            "03:00,HR,\r\n"         // empty
            "04:00,HR,NA\r\n"
            "10:00,HR,90\r\n"  // at the horizon
            "10:01,HR,99\r\n"  // after it
            "05:00,Temp,-1\r\n");
  data.file("set/102.txt",
            "\"Time\",\"Parameter\",\"Value\"\n\"00:00\",\"Age\",\"61\"\n\"00:00\",\"Sex\",\"F\"\n"
            "00:00,\"Note \"\"x\"\", y\",1\n");
  data.file("set/103.txt", "Time,Parameter,Value\n00:00,Age,70\n00:00,Sex,M\n07:00,Temp, 37 \n06:30,Weight,+70.5");
  data.file("set/104.txt", "Time,Parameter,Value\n00:00,Age,80\n");  // no outcome
  data.file("set/105.txt", "Time,Parameter,Value\n00:00,Age,80\n");  // unknown to the outcomes
  data.file("outcomes.csv", "RecordID,death\n103,1\n101,0\n104,NA\n102,0\n");
  data.spec(kStaysSpec);
}

TEST(RawData, EveryQuirkOfAStayIsReadOrCounted) {
  DataFolder data;
  write_stays(data);
  const RawData raw = data.read();
  EXPECT_EQ(raw.ids, (Names{"103", "101", "102"}));
  EXPECT_EQ(raw.groups, raw.ids);
  expect_numbers(raw.target.values, {1, 0, 0});
  EXPECT_EQ(raw.target.classes, (Names{"0", "1"}));

  const RawModality& fixed = raw.modalities[0];
  EXPECT_EQ(fixed.levels[1], (Names{"F", "M"}));
  EXPECT_EQ(fixed.offsets, (std::vector<std::int64_t>{0, 1, 2, 3}));
  expect_numbers(fixed.values, {70, 1, kNone, 54, kNone, 80, 61, 0, kNone});  // the weight of 103 is not of time 0

  const RawModality& vitals = raw.modalities[1];
  EXPECT_EQ(vitals.offsets, (std::vector<std::int64_t>{0, 2, 7, 7}));
  expect_numbers(vitals.times, {0.65, 0.7, 0, 0.05, 0.1, 0.1, 1});
  expect_numbers(vitals.values, {kNone, kNone, 70.5,   // 103
                                 kNone, 37,    kNone,  //
                                 kNone, kNone, 80,     // 101
                                 70,    kNone, kNone,  //
                                 71,    36.5,  kNone,  // twice at 01:00
                                 75,    kNone, kNone,  //
                                 90,    kNone, kNone});

  const SourceReport& records = raw.report.sources[0];
  EXPECT_EQ(records.files, 5u);
  EXPECT_EQ(records.rows, 15u + 3u + 4u + 1u + 1u);
  EXPECT_EQ(records.parameters, 7u);  // RecordID, Age, Sex, Weight, HR, Temp and the note
  EXPECT_EQ(records.rows_without_parameter, 1u);
  EXPECT_EQ(records.rows_of_other_parameters, 2u);
  EXPECT_EQ(records.rows_of_other_samples, 2u);
  EXPECT_EQ(raw.report.samples_without_outcome, 1u);
  const ModalityReport& counts = raw.report.modalities[1];
  EXPECT_EQ(counts.observations, 8u);
  EXPECT_EQ(counts.missing, 3u);
  EXPECT_EQ(counts.outside_range, 1u);
  EXPECT_EQ(counts.after_horizon, 1u);
  EXPECT_EQ(raw.report.notes(),
            (Names{"1 sample without outcome left out", "source 'records': 1 rows without parameter skipped",
                   "source 'records': 2 observations of samples that are not in the target's source left out",
                   "source 'records': 2 rows of parameters that no modality names left out",
                   "modality 'vitals': 1 values outside their range left out",
                   "modality 'vitals': 1 values after the horizon left out"}));
}

TEST(RawData, ForPredictionAbsentParametersAreNamed) {
  DataFolder data;
  data.spec(R"({
    "sources": {"obs": {"format": "long", "path": "obs.csv", "id": "id", "time": "Time"}},
    "time": {"horizon": 24},
    "modalities": [{"name": "vitals", "kind": "irregular", "source": "obs", "columns": ["HR", "SysBP", "Temp"]}]})");
  data.file("obs.csv", "id,Time,Parameter,Value\n1,1,HR,80\n1,1,SystBP,120\n2,1,SystBP,110\n2,2,Urine,5\n");
  // Nothing to compare by: an error while training, a warning while predicting.
  EXPECT_EQ(data.error(),
            "spec.json: modalities: 'vitals': columns: no row of the source 'obs' has the parameter 'SysBP' (did you "
            "mean 'SystBP'?)");
  EXPECT_EQ(data.read(true).report.warnings(),
            Names{"source 'obs': no row has the parameters 'SysBP' (did you mean 'SystBP'?), 'Temp', which the model "
                  "uses, and 3 rows have parameters that no modality names"});
  // A name that is used is no slip of the pen of another.
  data.file("obs.csv", "id,Time,Parameter,Value\n1,1,HR,80\n1,1,SysBP,120\n");
  EXPECT_EQ(data.read(true).report.warnings(),
            Names{"source 'obs': no row has the parameter 'Temp', which the model uses"});
  data.file("obs.csv", "id,Time,Parameter,Value\n1,1,HR,80\n1,1,SysBP,120\n1,1,Temp,37\n");
  EXPECT_EQ(data.read(true).report.warnings(), Names{});
}

TEST(RawData, ForPredictionSamplesWithoutOutcomeStay) {
  DataFolder data;
  write_stays(data);
  const RawData raw = data.read(true);
  EXPECT_EQ(raw.ids, (Names{"103", "101", "104", "102"}));
  expect_numbers(raw.target.values, {1, 0, kNone, 0});
  // Nor need the column be there, nor every parameter.
  data.file("outcomes.csv", "RecordID\n105\n104\n");
  const RawData unlabelled = data.read(true);
  EXPECT_EQ(unlabelled.ids, (Names{"105", "104"}));
  expect_numbers(unlabelled.target.values, {kNone, kNone});
  // Without any target samples are those of the records, in order.
  Json json = parse_json(kStaysSpec, "spec");
  json.erase("target");
  data.spec(json.dump());
  EXPECT_EQ(data.read(true).ids, (Names{"101", "102", "103", "104", "105"}));
}

TEST(RawData, MistakesNameFileLineAndColumn) {
  DataFolder data;
  write_stays(data);
  const auto with = [&](const std::string& rows) {
    data.file("set/103.txt", "Time,Parameter,Value\n" + rows);
    return data.error();
  };
  EXPECT_EQ(with("00:00,Age,70\n1:00,HR,fast\n"),
            "set/103.txt: line 3, column 3 ('Value'): 'fast' is not a number; if it is a category, name it among the "
            "modality's categories");
  EXPECT_EQ(with("00:00,Age,inf\n"),
            "set/103.txt: line 2, column 3 ('Value'): 'inf' is not a number; if it is a category, name it among the "
            "modality's categories");
  EXPECT_EQ(with("noon,HR,1\n"), "set/103.txt: line 2, column 1 ('Time'): 'noon' is not a time in the unit hh:mm");
  EXPECT_EQ(with("00:00,Age\n"), "set/103.txt: line 2 has 2 cells, expected 3 as in the first row");
  EXPECT_EQ(with("00:00,Age,\"7\n"), "set/103.txt: line 2, column 3: the quoted cell that begins here is never closed");
  EXPECT_EQ(with("00:00,\"Age\"x,7\n"), "set/103.txt: line 2, column 2: text after the closing quotation mark");
  data.file("set/103.txt", "");
  EXPECT_EQ(data.error(), "set/103.txt: is empty");
  data.file("set/103.txt", "time,Parameter,Value\n");
  EXPECT_EQ(
      data.error(),
      "set/103.txt: time: there is no column 'Time' (did you mean 'time'?); the columns are time, Parameter, Value");
  data.file("set/103.txt", "Time,Parameter,Value\n");
  data.file("outcomes.csv", "RecordID,death\n101,0\n103,1\n101,1\n");
  EXPECT_EQ(data.error(), "outcomes.csv: line 4: a second row of the sample '101'");
  data.file("outcomes.csv", "RecordID,death\n101,0\n103,1\n102,2\n");
  EXPECT_EQ(data.error(), "spec.json: target: column 'death' has 3 classes, 0, 1, 2; the kind binary has two");
  data.file("outcomes.csv", "RecordID,death\n101,no\n103,yes\n102,no\n");
  EXPECT_EQ(data.error(),
            "spec.json: target: column 'death' has the classes no, yes; say which is 1 with the key positive");
  data.file("outcomes.csv", "RecordID,death\n101,1\n103,1\n");
  EXPECT_EQ(data.error(), "spec.json: target: column 'death' has one class only, '1'");
  data.file("outcomes.csv", "RecordID,death\n101,0\n103,1\n");
  Json json = parse_json(kStaysSpec, "spec");
  json["modalities"][1]["columns"] = {"HR", "Temp", "Weight", "Temperature"};
  data.spec(json.dump());
  EXPECT_EQ(data.error(),
            "spec.json: modalities: 'vitals': columns: no row of the source 'records' has the parameter 'Temperature'");
}

TEST(RawData, WideSeriesTextsAndPatterns) {
  DataFolder data;
  data.file("rows.csv",
            "patient,visit,when,a1,a2,b,memo,sex,label\n"
            "7,1,2020-01-01T06:00,1,,5,\"two\nlines\",f,x\n"
            "8,1,2020-01-01T00:00,3,4,6,,m,y\n");
  data.file("walk.csv",
            "who;t;ax;ay\n7_1;2020-01-01 05:00;9;9\n8_1;2020-01-01T12:00:00Z;1;NA\n"
            "7_1;2020-01-01T18:00+06:00;2;3\n8_1;2020-01-02;7;7\n");
  data.spec(R"({
    "sources": {"rows": {"format": "wide", "path": "rows.csv", "id": ["patient", "visit"]},
                "walk": {"format": "wide", "path": "walk.csv", "id": "who", "time": "t"}},
    "time": {"unit": "iso-8601", "horizon": 12, "index": "when"},
    "target": {"source": "rows", "column": "label", "positive": "x"},
    "split": {"by": "patient"},
    "modalities": [
      {"name": "numbers", "kind": "static", "source": "rows", "columns": ["a*", "sex"], "categories": "sex"},
      {"name": "memo", "kind": "text", "source": "rows", "columns": "memo"},
      {"name": "walk", "kind": "irregular", "source": "walk", "columns": "*"}]})");
  const RawData raw = data.read();
  EXPECT_EQ(raw.ids, (Names{"7_1", "8_1"}));
  EXPECT_EQ(raw.groups, (Names{"7", "8"}));
  EXPECT_EQ(raw.target.classes, (Names{"y", "x"}));
  expect_numbers(raw.target.values, {1, 0});
  EXPECT_EQ(raw.modalities[0].features, (Names{"a1", "a2", "sex"}));
  expect_numbers(raw.modalities[0].values, {1, kNone, 0, 3, 4, 1});
  EXPECT_EQ(raw.modalities[1].texts, (Names{"two\nlines"}));
  EXPECT_EQ(raw.modalities[1].offsets, (std::vector<std::int64_t>{0, 1, 1}));
  // 05:00 is before 06:00, the index of 7_1; 18:00+06:00 is 12:00; 8_1 at 12 h is at the horizon and 24 h after it.
  EXPECT_EQ(raw.modalities[2].features, (Names{"ax", "ay"}));
  expect_numbers(raw.modalities[2].times, {0.5, 1});
  expect_numbers(raw.modalities[2].values, {2, 3, 1, kNone});
  EXPECT_EQ(raw.report.modalities[2].before_index, 2u);
  EXPECT_EQ(raw.report.modalities[2].after_horizon, 2u);
}

TEST(RawData, WideMistakesNameThePlace) {
  DataFolder data;
  const std::string spec = R"({
    "sources": {"rows": {"format": "wide", "path": "rows.csv", "id": "id"},
                "more": {"format": "wide", "path": "more.csv", "id": "id"}},
    "target": {"source": "rows", "column": "y", "kind": "multi-class"},
    "modalities": [{"name": "m", "kind": "static", "source": "more", "columns": ["u", "v"]}]})";
  data.spec(spec);
  data.file("rows.csv", "id,y\n1,a\n2,b\n");
  data.file("more.csv", "id,u,w\n1,1,1\n");
  EXPECT_EQ(data.error(), "spec.json: modalities: 'm': columns: there is no column 'v' in more.csv");
  data.file("more.csv", "id,u,v\n1,1,1\n2,x,1\n");
  EXPECT_EQ(data.error(),
            "more.csv: line 3, column 2 ('u'): 'x' is not a number; if the column holds categories, name it among the "
            "modality's categories");
  data.file("more.csv", "id,u,v\n1,1,1\n1,2,1\n");
  EXPECT_EQ(data.error(),
            "more.csv: line 3: a second row of the sample '1'; the modality 'm' of the kind static takes one");
  data.file("more.csv", "id,u,v\n1,1,1\n2,2,1\n");
  data.file("rows.csv", "id,y\n1,3\n2,90071992547409930\n");
  EXPECT_EQ(data.error(),
            "rows.csv: line 3, column 2 ('y'): 90071992547409936 is too large to name a sample or class: numbers "
            "beyond 2^53 run into each other");
  data.file("rows.csv", "id,y\n1,a\n2,b\n");
  data.file("more.csv", "id,u,v\n1,1,1\n,2,1\n");
  EXPECT_EQ(data.error(), "more.csv: line 3, column 1 ('id'): the id is missing");
}

TEST(RawData, ArraysByRowsFileAndInOrder) {
  DataFolder data;
  data.file("y.csv", "id,age,gain\n1,1.5,0\n2,,1\n3,2.5,2\n");
  data.file("rows.csv", "id,hour\n3,1\n1,4\n3,2\n");
  write_npy(data.path() + "/events.npy", {{3, 2}, std::vector<double>{1, 2, 3, 4, 5, kNone}});
  write_npy(data.path() + "/waves.npy", {{2, 2, 1}, std::vector<float>{1, 2, 3, 4}});
  data.spec(R"({
    "sources": {"y": {"format": "wide", "path": "y.csv", "id": "id"},
                "events": {"format": "npy", "path": "events.npy", "rows": "rows.csv", "id": "id", "time": "hour"},
                "waves": {"format": "npy", "path": "waves.npy"}},
    "time": {"horizon": 4},
    "target": {"source": "y", "column": ["age", "gain"], "kind": "regression"},
    "modalities": [
      {"name": "e", "kind": "embedding-series", "source": "events", "dim": 2},
      {"name": "w", "kind": "regular", "source": "waves"}]})");
  const RawData raw = data.read();
  EXPECT_EQ(raw.ids, (Names{"1", "3"}));  // 2 has no age
  expect_numbers(raw.target.values, {1.5, 0, 2.5, 2});
  EXPECT_EQ(raw.modalities[0].features, (Names{"e0", "e1"}));
  expect_numbers(raw.modalities[0].times, {1, 0.25, 0.5});
  expect_numbers(raw.modalities[0].values, {3, 4, 1, 2, 5, kNone});
  expect_numbers(raw.modalities[1].times, {0.25, 0.75, 0.25, 0.75});
  expect_numbers(raw.modalities[1].values, {1, 2, 3, 4});
  write_npy(data.path() + "/waves.npy", {{3, 2, 1}, std::vector<float>{1, 2, 3, 4, 5, 6}});
  EXPECT_EQ(data.error(),
            "waves.npy: has 3 rows, but there are 2 samples; without the key rows they must be the same samples in the "
            "same order");
}

TEST(RawData, TimesOfEveryUnit) {
  double value = 0;
  const auto time = [&](std::string_view cell, TimeUnit unit) { return read_time(cell, unit, value) ? value : kNone; };
  EXPECT_DOUBLE_EQ(time("07:30", TimeUnit::clock), 7.5);
  EXPECT_DOUBLE_EQ(time("131:06:36", TimeUnit::clock), 131.11);
  EXPECT_DOUBLE_EQ(time("-01:15", TimeUnit::clock), -1.25);
  EXPECT_DOUBLE_EQ(time(" 1.5e1 ", TimeUnit::days), 15);
  EXPECT_DOUBLE_EQ(time("1970-01-02", TimeUnit::iso), 24);
  EXPECT_DOUBLE_EQ(time("2000-03-01T00:00:00Z", TimeUnit::iso), 951868800.0 / 3600);  // date -ud 2000-03-01 +%s
  EXPECT_DOUBLE_EQ(time("2000-03-01 01:30:00.5+0130", TimeUnit::iso), (951868800.0 + 0.5) / 3600);
  for (const char* bad : {"7", "07:60", "07:5", "07:00:61", "07:00x", "", ":30", "07-30"})
    EXPECT_TRUE(std::isnan(time(bad, TimeUnit::clock))) << bad;
  for (const char* bad : {"2000-02-30", "2000-13-01", "2000-1-1", "2000-01-01T25:00", "2000-01-01T10:00+", "now"})
    EXPECT_TRUE(std::isnan(time(bad, TimeUnit::iso))) << bad;
}

TEST(RawData, CanonicalNamesOfNumbersAndTexts) {
  EXPECT_EQ(canonical_name(" 007 "), "7");
  EXPECT_EQ(canonical_name("7.0"), "7");
  EXPECT_EQ(canonical_name("-0"), "0");
  EXPECT_EQ(canonical_name("1DmNV9"), "1DmNV9");
  EXPECT_EQ(canonical_name("90071992547409930"), "90071992547409930");  // would not survive as a double
}

TEST(RawData, IdsAreNamesNotNumbers) {
  EXPECT_EQ(canonical_id(" 007 "), "007");
  EXPECT_EQ(canonical_id("7.00"), "7");
  EXPECT_EQ(canonical_id("7.5"), "7.5");
  EXPECT_EQ(canonical_id("1e3"), "1e3");
  EXPECT_EQ(canonical_id("-0"), "-0");
  EXPECT_EQ(canonical_id(".0"), ".0");
  EXPECT_EQ(canonical_id("2."), "2");
  EXPECT_EQ(canonical_id("90071992547409930.0"), "90071992547409930");
}

// Ids that are the same number are not the same sample; a table that went through floats still meets its series.
TEST(RawData, IdsThatAreTheSameNumberStayApart) {
  DataFolder data;
  data.file("records.csv", "id,t,what,value\n007,1,HR,70\n7,1,HR,80\n1e3,1,HR,90\n1000,1,HR,100\n17,1,HR,60\n");
  data.file("outcomes.csv", "id,death\n007,1\n7,0\n1e3,1\n1000,0\n17.0,0\n");
  data.spec(R"({
    "sources": {
      "records": {"format": "long", "path": "records.csv", "id": "id", "time": "t", "parameter": "what", "value": "value"},
      "outcomes": {"format": "wide", "path": "outcomes.csv", "id": "id"}},
    "time": {"unit": "hours", "horizon": 10, "grid": 5},
    "target": {"source": "outcomes", "column": "death"},
    "modalities": [{"name": "vitals", "kind": "irregular", "source": "records", "columns": ["HR"]}]})");
  const RawData raw = data.read();
  EXPECT_EQ(raw.ids, (Names{"007", "7", "1e3", "1000", "17"}));
  expect_numbers(raw.modalities.front().values, {70, 80, 90, 100, 60});
}

RC_GTEST_PROP(RawDataLaws, OrderOfRowsDoesNotMatter, ()) {
  struct Row {
    int id, minute, feature, value;
  };
  const auto rows = *rc::gen::container<std::vector<Row>>(rc::gen::construct<Row>(
      rc::gen::inRange(0, 4), rc::gen::inRange(0, 200), rc::gen::inRange(0, 3), rc::gen::inRange(-3, 4)));
  const auto order = [&] {
    std::vector<std::size_t> all(rows.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    std::vector<std::size_t> shuffled;
    while (!all.empty()) {
      const auto at = *rc::gen::inRange<std::size_t>(0, all.size());
      shuffled.push_back(all[at]);
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return shuffled;
  }();
  DataFolder data;
  data.file("y.csv", "id,y\n0,0\n1,1\n2,0\n");
  data.spec(R"({
    "sources": {"long": {"format": "long", "path": "long.csv", "id": "id", "time": "t"},
                "y": {"format": "wide", "path": "y.csv", "id": "id"}},
    "time": {"unit": "minutes", "horizon": 150},
    "target": {"source": "y", "column": "y"},
    "modalities": [
      {"name": "s", "kind": "irregular", "source": "long", "columns": ["f0", "f1"], "missing_values": [-3]},
      {"name": "c", "kind": "static", "source": "long", "columns": ["f1", "f2"], "categories": ["f2"]}]})");
  const auto text = [&](bool shuffled) {
    std::string all = "id,t,Parameter,Value\n9,0,f0,0\n9,0,f1,0\n9,0,f2,0\n";
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[shuffled ? order[i] : i];
      all += fmt::format("{},{},f{},{}\n", row.id, row.minute, row.feature, row.value);
    }
    return all;
  };
  data.file("long.csv", text(false));
  const RawData a = data.read();
  data.file("long.csv", text(true));
  const RawData b = data.read();
  for (std::size_t m = 0; m < 2; ++m) {
    RC_ASSERT(a.modalities[m].offsets == b.modalities[m].offsets);
    RC_ASSERT(a.modalities[m].times == b.modalities[m].times);
    RC_ASSERT(a.modalities[m].levels == b.modalities[m].levels);
    const Numbers &x = a.modalities[m].values, &y = b.modalities[m].values;
    RC_ASSERT(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i) RC_ASSERT(x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])));
  }
  // And nothing is lost: every row of a known sample within the horizon is there once, or is a marker.
  std::size_t expected = 0;
  for (const Row& row : rows) expected += row.id < 3 && row.minute <= 150 && row.feature < 2 && row.value != -3;
  RC_ASSERT(a.report.modalities[0].observations == expected);
}

}  // namespace
}  // namespace clearway::fusion
