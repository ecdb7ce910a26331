// The declaration of a data set: what it says, and what every mistake is answered with.
#include "clearway/fusion/spec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::fusion {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

Json good_spec() {
  return parse_json(R"({
    "note": "anything",
    "sources": {
      "records": {"format": "long", "path": "set/*.txt", "id": "file", "time": "Time"},
      "outcomes": {"format": "wide", "path": "outcomes.csv", "id": ["clinic", "patient"]}},
    "time": {"unit": "hh:mm", "horizon": 48, "grid": 24},
    "target": {"source": "outcomes", "column": "death", "kind": "binary"},
    "split": {"by": "patient", "train": 0.6, "valid": 0.2, "test": 0.2, "seed": 5},
    "modalities": [
      {"name": "fixed", "kind": "static", "source": "records", "at": 0, "columns": ["Age", "Sex"],
       "categories": "Sex", "missing_values": [-1]},
      {"name": "labs", "kind": "irregular", "source": "records", "columns": ["K", "Na", "pH"], "winsorise": 0.01,
       "transform": {"K": "log1p"}, "range": {"pH": [6.5, 8], "Na": [null, 200]}},
      {"name": "scan", "kind": "embedding", "source": "outcomes", "columns": ["v8..v11", "w*"]}],
    "fusion": {"experts": 4}, "train": {"epochs": 3}})",
                    "spec.json");
}

std::string error_of(const Json& json) {
  return message_of([&] { (void)spec_from_json(json, "spec.json"); });
}
/// The error of the good spec after a JSON merge patch (RFC 7396).
std::string error_with(const std::string& patch) {
  Json json = good_spec();
  json.merge_patch(parse_json(patch, "patch"));
  return error_of(json);
}
/// The same with a patch of one modality.
std::string error_with_modality(std::size_t i, const std::string& patch) {
  Json json = good_spec();
  json["modalities"][i].merge_patch(parse_json(patch, "patch"));
  return error_of(json);
}

TEST(FusionSpec, SaysWhatTheFileSays) {
  const FusionSpec spec = spec_from_json(good_spec(), "spec.json", "/data");
  ASSERT_EQ(spec.sources.size(), 2u);
  EXPECT_EQ(spec.sources[0].format, SourceFormat::long_table);
  EXPECT_EQ(spec.sources[0].path, std::vector<std::string>{"set/*.txt"});
  EXPECT_EQ(spec.sources[0].parameter, "Parameter");
  EXPECT_EQ(spec.sources[1].id, (std::vector<std::string>{"clinic", "patient"}));
  EXPECT_EQ(spec.time.unit, TimeUnit::clock);
  EXPECT_EQ(spec.target->column, std::vector<std::string>{"death"});
  EXPECT_EQ(spec.split.valid, 0.2);
  EXPECT_EQ(spec.split.seed, 5u);
  ASSERT_EQ(spec.modalities.size(), 3u);
  EXPECT_EQ(spec.modalities[0].at, 0.0);
  EXPECT_TRUE(spec.modalities[0].is_category("Sex"));
  EXPECT_FALSE(spec.modalities[0].is_category("Age"));
  EXPECT_EQ(spec.modalities[1].transform_of("K"), Transform::log1p);
  EXPECT_EQ(spec.modalities[1].transform_of("Na"), Transform::none);
  EXPECT_EQ(spec.modalities[1].ranges.at("pH"), std::pair(6.5, 8.0));
  EXPECT_TRUE(std::isinf(spec.modalities[1].ranges.at("Na").first));
  EXPECT_EQ(spec.grid_of(spec.modalities[1]), 24);
  EXPECT_EQ(spec.grid_of(spec.modalities[0]), 0);
  EXPECT_EQ(spec.modalities[2].columns, (std::vector<std::string>{"v8", "v9", "v10", "v11", "w*"}));
  EXPECT_EQ(spec.fusion["experts"], 4);
  EXPECT_EQ(spec.train["epochs"], 3);
}

TEST(FusionSpec, WrittenAndReadBackIsEqual) {
  const FusionSpec spec = spec_from_json(good_spec(), "spec.json", "/data");
  const Json written = to_json(spec);
  EXPECT_EQ(written["sources"]["records"]["path"][0], "/data/set/*.txt");
  EXPECT_EQ(json_text(to_json(spec_from_json(written, "again", "/elsewhere"))), json_text(written));
  Json by_column = good_spec();
  by_column["split"] = parse_json(
      R"({"by": "patient", "column": "part", "train": ["a", "b"], "test": "c", "valid_share": 0.1})", "split");
  const Json again = to_json(spec_from_json(by_column, "spec.json"));
  EXPECT_EQ(again["split"]["train"], (Json{"a", "b"}));
  EXPECT_EQ(json_text(to_json(spec_from_json(again, "again"))), json_text(again));
}

TEST(FusionSpec, MistakesAreNamedWithTheNearestKey) {
  EXPECT_EQ(error_with(R"({"modalties": []})"), "spec.json: there is no key 'modalties' (did you mean 'modalities'?)");
  EXPECT_EQ(error_with(R"({"modalities": null})"), "spec.json: modalities is missing");
  EXPECT_EQ(error_with(R"({"sources": {"records": {"forma": "long"}}})"),
            "spec.json: sources: records: there is no key 'forma' (did you mean 'format'?)");
  EXPECT_EQ(error_with(R"({"sources": {"records": {"format": "lang"}}})"),
            "spec.json: sources: records: format must be one of long, wide, npy, not 'lang' (did you mean 'long'?)");
  EXPECT_EQ(error_with(R"({"sources": {"records": {"path": null}}})"), "spec.json: sources: records: path is missing");
  EXPECT_EQ(error_with(R"({"sources": {"outcomes": {"id": null}}})"), "spec.json: sources: outcomes: id is missing");
  EXPECT_EQ(error_with(R"({"time": {"unit": "hour"}})"),
            "spec.json: time: unit must be one of seconds, minutes, hours, days, hh:mm, iso-8601, not 'hour' (did you "
            "mean 'hours'?)");
  EXPECT_EQ(error_with(R"({"time": {"horizon": "two days"}})"),
            "spec.json: time: horizon must be a number, not 'two days'");
  EXPECT_EQ(error_with(R"({"time": {"grid": 2.5}})"), "spec.json: time: grid must be a whole number, not 2.5");
  EXPECT_EQ(error_with(R"({"time": {"horizon": null}})"),
            "spec.json: time: horizon must be given, above 0, for series");
  EXPECT_EQ(error_with(R"({"time": {"unit": "iso-8601"}})"),
            "spec.json: time: index must be 'first' or a column for the unit iso-8601");
  EXPECT_EQ(error_with(R"({"target": {"source": "outcome"}})"),
            "spec.json: target: source: there is no source 'outcome' (did you mean 'outcomes'?); there are records, "
            "outcomes");
  EXPECT_EQ(error_with(R"({"target": {"source": "records"}})"),
            "spec.json: target: source: 'records' must be of the format wide");
  EXPECT_EQ(error_with(R"({"target": {"column": ["a", "b"]}})"),
            "spec.json: target: column must name one column for the kind binary");
  Json told = good_spec();  // what is predicted, as a feature
  told["modalities"][2]["columns"] = {"v8", "death"};
  EXPECT_EQ(error_of(told),
            "spec.json: modalities[2] ('scan'): columns: 'death' is the target's column: a prediction cannot come from "
            "what is predicted");
  EXPECT_EQ(error_with(R"({"split": {"train": 0.7}})"),
            "spec.json: split: train, valid and test must sum to 1, not 0.7 + 0.2 + 0.2 = 1.1");
  EXPECT_EQ(error_with(R"({"split": {"train": 1.7}})"), "spec.json: split: train must be a share from 0 to 1, not 1.7");
  EXPECT_EQ(error_with(R"({"split": {"sede": 1}})"), "spec.json: split: there is no key 'sede' (did you mean 'seed'?)");
}

TEST(FusionSpec, MistakesInModalitiesAreNamed) {
  EXPECT_EQ(error_with_modality(1, R"({"name": "fixed"})"), "spec.json: modalities[1]: name: 'fixed' is named twice");
  EXPECT_EQ(error_with_modality(1, R"({"kind": "iregular"})"),
            "spec.json: modalities[1]: kind must be one of static, irregular, regular, embedding, embedding-series, "
            "text, not 'iregular' (did you mean 'irregular'?)");
  EXPECT_EQ(error_with_modality(1, R"({"winsorize": 0.1})"),
            "spec.json: modalities[1]: there is no key 'winsorize' (did you mean 'winsorise'?)");
  EXPECT_EQ(error_with_modality(1, R"({"winsorise": 0.5})"),
            "spec.json: modalities[1]: winsorise must be at most 0.25, not 0.5");
  EXPECT_EQ(error_with_modality(1, R"({"range": {"PH": [6, 8]}})"),
            "spec.json: modalities[1]: range: 'PH' is not among its columns (did you mean 'pH'?)");
  EXPECT_EQ(error_with_modality(1, R"({"range": {"pH": [9, 8]}})"),
            "spec.json: modalities[1]: range: pH: 9 is above 8");
  EXPECT_EQ(error_with_modality(1, R"({"range": {"pH": 7}})"),
            "spec.json: modalities[1]: range: pH must be a list of two, the smallest and the largest value; null where "
            "there is none");
  EXPECT_EQ(error_with_modality(1, R"({"transform": "log"})"),
            "spec.json: modalities[1]: transform must be one of none, log1p, sqrt, asinh, not 'log'");
  EXPECT_EQ(error_with_modality(1, R"({"columns": ["K", "Na", "K", "pH"]})"),
            "spec.json: modalities[1]: columns: 'K' is named twice");
  EXPECT_EQ(error_with_modality(1, R"({"columns": ["K", "*", "pH"]})"),
            "spec.json: modalities[1] ('labs'): columns: '*': patterns are for wide sources; a long source needs the "
            "names of its parameters");
  EXPECT_EQ(
      error_with_modality(2, R"({"columns": "v1..w9"})"),
      "spec.json: modalities[2]: columns: 'v1..w9' must be one name with a first and a last number, as in t0..t99");
  EXPECT_EQ(error_with_modality(2, R"({"kind": "irregular"})"),
            "spec.json: modalities[2] ('scan'): its source 'outcomes' has no time column");
  EXPECT_EQ(error_with_modality(2, R"({"at": 3})"),
            "spec.json: modalities[2] ('scan'): at is for the kind static from a long source");
  EXPECT_EQ(error_with_modality(1, R"({"max_length": 3})"),
            "spec.json: modalities[1] ('labs'): max_length is for series without a grid");
  EXPECT_EQ(error_with_modality(2, R"({"source": "record"})"),
            "spec.json: modalities[2] ('scan'): source: there is no source 'record' (did you mean 'records'?); there "
            "are records, outcomes");
}

TEST(FusionSpec, EveryKeyIsInTheDocumentation) {
  const std::string page = read_file(CLEARWAY_SOURCE "/docs/fusion-data.md");
  const auto check = [&](std::string_view name, const auto&, const OptionInfo&) {
    EXPECT_NE(page.find("`" + snake_case(name) + "`"), std::string::npos) << name;
  };
  const SourceSpec source;
  SourceSpec::visit(source, check);
  const TimeSpec time;
  TimeSpec::visit(time, check);
  const TargetSpec target;
  TargetSpec::visit(target, check);
  const ModalitySpec modality;
  ModalitySpec::visit(modality, check);
}

TEST(FusionSpec, FilesAreFoundByPatternInOrder) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder / "set");
  for (const char* name : {"b.txt", "a.txt", "c.csv"}) write_file(folder / (std::string("set/") + name), "x\n");
  const FusionSpec spec = spec_from_json(good_spec(), "spec.json", folder.path());
  EXPECT_EQ(files_of(spec, spec.sources[0]), (std::vector<std::string>{folder / "set/a.txt", folder / "set/b.txt"}));
  EXPECT_EQ(message_of([&] { (void)files_of(spec, spec.sources[1]); }),
            "spec.json: sources: outcomes: " + (folder / "outcomes.csv") + ": there is no such file");
  SourceSpec other = spec.sources[0];
  other.path = {"set/*.psv"};
  EXPECT_EQ(message_of([&] { (void)files_of(spec, other); }),
            "spec.json: sources: records: no file is called " + (folder / "set/*.psv"));
  other.path = {"set"};
  EXPECT_EQ(message_of([&] { (void)files_of(spec, other); }),
            "spec.json: sources: records: " + (folder / "set") + " is a folder; its files are set/*");
}

}  // namespace
}  // namespace clearway::fusion
