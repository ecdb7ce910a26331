// clearway report: what is drawn is what the run folder, predict and diagnose say; and how pages do in a real browser.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "../report/page_text.hpp"
#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;
using test::between;
using test::count_of;

json figures_in(const std::string& page) {
  return json::parse(between(page, "<script type=\"application/json\" id=\"figures\">", "</script>"));
}

const json& figure(const json& figures, const std::string& id) {
  for (const json& one : figures)
    if (one.at("id") == id) return one;
  throw std::runtime_error("no figure " + id);
}

/// The layer of that mark and group (or the first of the mark) in a panel.
const json& layer(const json& panel, const std::string& mark, int group = -2) {
  for (const json& one : panel.at("layers"))
    if (one.at("mark") == mark && (group == -2 || one.at("group") == group)) return one;
  throw std::runtime_error("no layer " + mark);
}

/// Columns of a CSV file without quotes.
std::map<std::string, std::vector<double>> columns_of(const std::string& csv) {
  std::map<std::string, std::vector<double>> columns;
  std::istringstream lines(csv);
  std::string line, cell;
  std::vector<std::string> names;
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    for (std::size_t c = 0; std::getline(cells, cell, ','); ++c)
      if (names.size() <= c)
        names.push_back(cell);
      else
        columns[names[c]].push_back(std::strtod(cell.c_str(), nullptr));
  }
  return columns;
}

/// The numbers in the tables of a page.
std::multiset<double> numbers_in_tables(const std::string& page) {
  std::multiset<double> numbers;
  const std::regex data("<data value=\"([^\"]*)\">");
  const std::string body = between(page, "<main", "</main>");
  for (std::sregex_iterator at(body.begin(), body.end(), data), end; at != end; ++at)
    numbers.insert(std::stod((*at)[1]));
  return numbers;
}

class Report : public testing::Test {
 protected:
  void SetUp() override { place_.write("data.csv", two_experts_csv(300)); }

  void fit(const std::string& options = "--gate-on x1") {
    const Outcome outcome =
        place_.run("fit data.csv --target y --experts-on x1 --experts 2 " + options + " --starts 6 --out run --quiet");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  std::string page(const std::string& words) {
    const Outcome outcome = place_.run("report " + words + " --out - --quiet");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }

  Workplace place_;
};

TEST_F(Report, ClimbsAreThoseOfTheHistory) {
  fit();
  std::map<int, std::pair<std::vector<double>, std::vector<double>>> climbs;
  std::istringstream lines(place_.read("run/history.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const json one = json::parse(line);
    climbs[one.at("start")].first.push_back(one.at("iteration"));
    climbs[one.at("start")].second.push_back(one.at("log_likelihood"));
  }
  const json figures = figures_in(page("run"));
  const json& layers = figure(figures, "likelihood-paths").at("panels").at(0).at("layers");
  ASSERT_EQ(layers.size(), climbs.size());
  for (const json& one : layers) {
    const std::pair drawn{one.at("x").get<std::vector<double>>(), one.at("y").get<std::vector<double>>()};
    EXPECT_TRUE(std::any_of(climbs.begin(), climbs.end(), [&](const auto& climb) { return climb.second == drawn; }));
  }
}

TEST_F(Report, IntervalsAndTablesAreThoseOfTheSummary) {
  fit();
  const json summary = json::parse(place_.read("run/summary.json"));
  const std::string html = page("run");
  const json figures = figures_in(html);
  const json& items = figure(figures, "coefficients").at("items");
  std::size_t drawn = 0;
  for (const json& parameter : summary.at("inference").at("parameters")) {
    if (parameter.at("fixed")) continue;
    ASSERT_LT(drawn, items.size());
    const json& item = items.at(drawn++);
    EXPECT_EQ(item.at("label"), parameter.at("name"));
    EXPECT_EQ(item.at("estimate"), parameter.at("estimate"));
    EXPECT_EQ(item.at("low"), parameter.at("lower"));
    EXPECT_EQ(item.at("high"), parameter.at("upper"));
  }
  EXPECT_EQ(drawn, items.size());
  const std::multiset<double> numbers = numbers_in_tables(html);
  for (const char* key : {"log_likelihood", "aic", "bic", "icl", "df", "n"})
    EXPECT_TRUE(numbers.contains(summary.at(key).get<double>())) << key;
  for (const json& expert : summary.at("experts")) {
    for (const char* key : {"share", "prior", "size", "ratio", "sigma"})
      EXPECT_TRUE(numbers.contains(expert.at(key).get<double>())) << key;
    for (const auto& [name, value] : expert.at("coefficients").items())
      EXPECT_TRUE(numbers.contains(value.get<double>())) << name;
  }
}

// One input: nothing is averaged, so that the curves are what predict says at the same inputs, bands included.
TEST_F(Report, CurvesAreThePredictions) {
  fit();
  const json figures = figures_in(page("run"));
  const json& experts = figure(figures, "experts-over-data").at("panels").at(0);
  const json& gate = figure(figures, "gate-weights").at("panels").at(0);
  const std::vector<double> grid = layer(experts, "line", 0).at("x");
  std::ostringstream csv;
  csv.precision(17);
  csv << "x1\n";
  for (const double x : grid) csv << x << "\n";
  place_.write("grid.csv", csv.str());
  const Outcome outcome = place_.run("predict run grid.csv --interval confidence --out - --quiet");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto predicted = columns_of(outcome.out);
  const auto same = [&](const json& drawn, const std::string& name) {
    const std::vector<double> values = drawn;
    ASSERT_EQ(values.size(), predicted[name].size()) << name;
    // The same formula in blocks of other rows: a few last bits.
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], predicted[name][i], 1e-12 * (1 + std::abs(values[i]))) << name;
  };
  same(layer(experts, "line", -1).at("y"), "mean");
  for (int k = 0; k < 2; ++k) {
    const std::string number = std::to_string(k + 1);
    same(layer(experts, "line", k).at("y"), "mean_" + number);
    same(layer(experts, "band", k).at("low"), "mean_" + number + "_low");
    same(layer(experts, "band", k).at("high"), "mean_" + number + "_high");
    same(layer(gate, "line", k).at("y"), "gate_" + number);
    same(layer(gate, "band", k).at("low"), "gate_" + number + "_low");
    same(layer(gate, "band", k).at("high"), "gate_" + number + "_high");
  }
}

TEST_F(Report, PointsAreTheDiagnosis) {
  fit();
  const json figures = figures_in(page("run"));
  ASSERT_EQ(place_.run("diagnose run data.csv --out rows.csv --map-starts 0 --quiet").code, 0);
  auto rows = columns_of(place_.read("rows.csv"));
  const auto data = columns_of(place_.read("data.csv"));
  const json& points = layer(figure(figures, "experts-over-data").at("panels").at(0), "points");
  EXPECT_EQ(points.at("x").get<std::vector<double>>(), data.at("x1"));
  EXPECT_EQ(points.at("y").get<std::vector<double>>(), data.at("y"));
  const std::vector<double> strength = points.at("strength");
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(points.at("groups")[i].get<int>() + 1, rows["expert"][i]);
    EXPECT_NEAR(strength[i], rows["responsibility"][i], 1e-12);
  }
  const json& residuals = layer(figure(figures, "residuals").at("panels").at(0), "points");
  EXPECT_EQ(residuals.at("y").get<std::vector<double>>(), rows["residual"]);
  EXPECT_EQ(residuals.at("x").get<std::vector<double>>(), rows["mean"]);
  std::vector<double> probability = rows["pit"];
  std::sort(probability.begin(), probability.end());
  EXPECT_EQ(
      figure(figures, "probability-plot").at("panels").at(0).at("layers").at(0).at("x").get<std::vector<double>>(),
      probability);
}

TEST_F(Report, CriteriaAreThoseOfTheSelection) {
  ASSERT_EQ(
      place_.run("select data.csv --formula y~x1 --experts 1:3 --folds 2 --starts 4 --out run --quiet --report").code,
      0);
  const json summary = json::parse(place_.read("run/summary.json"));
  const std::string html = place_.read("run/report.html");
  const json figures = figures_in(html);
  const json& panels = figure(figures, "criteria").at("panels");
  std::vector<double> bic, drawn;
  for (const json& one : summary.at("candidates"))
    if (one.at("excluded").is_null()) bic.push_back(one.at("criteria").at("bic"));
  EXPECT_TRUE(panels.at(0).at("title").get<std::string>().starts_with("BIC"));
  EXPECT_EQ(layer(panels.at(0), "line").at("y").get<std::vector<double>>(), bic);
  std::vector<double> heights;
  for (const json& merge : summary.at("dendrogram").at("merges")) heights.push_back(merge.at("height"));
  const json& merges = figure(figures, "selection-dendrogram").at("merges");
  for (const json& merge : merges) drawn.push_back(merge.at("height"));
  EXPECT_EQ(drawn, heights);
  EXPECT_NO_THROW((void)figure(figures, "experts-over-data"));
}

TEST_F(Report, StudiesAreDrawnAsTheirSummariesSay) {
  ASSERT_EQ(
      place_.run("study rates --preset softmax-gauss --fitted 2 --rows 200,400 --trials 3 --out rates --quiet --report")
          .code,
      0);
  json summary = json::parse(place_.read("rates/summary.json"));
  json figures = figures_in(place_.read("rates/report.html"));
  const json& panels = figure(figures, "errors-2").at("panels");
  ASSERT_EQ(panels.size(), summary.at("lines").size());
  for (std::size_t i = 0; i < panels.size(); ++i) {
    EXPECT_EQ(layer(panels[i], "intervals").at("y"), summary.at("lines")[i].at("median"));
    const json& line = layer(panels[i], "line", 0);
    if (!summary.at("lines")[i].at("slope").is_number()) continue;
    // The fitted line has the slope of the summary on log-log paper, up to rounding.
    const double slope =
        std::log(line.at("y")[1].get<double>() / line.at("y")[0].get<double>()) / std::log(400.0 / 200.0);
    EXPECT_NEAR(slope, summary.at("lines")[i].at("slope").get<double>(), 1e-9);
    EXPECT_EQ(figure(figures, "slopes").at("items")[i].at("estimate"), summary.at("lines")[i].at("slope"));
  }
  ASSERT_EQ(
      place_
          .run(
              "study gridlock --experts 2 --g linear --trials 2 --rows 2000 --limits=false --out lock --quiet --report")
          .code,
      0);
  summary = json::parse(place_.read("lock/summary.json"));
  figures = figures_in(place_.read("lock/report.html"));
  const json& methods = summary.at("cells").at(0).at("methods");
  const json& traces = figure(figures, "error-by-iteration").at("panels").at(0).at("layers");
  for (const json& one : traces) EXPECT_EQ(one.at("y"), methods.at(one.at("name").get<std::string>()).at("trace"));
  EXPECT_EQ(traces.size(), methods.size());
}

TEST_F(Report, SaysWhatIsNotThereAndDrawsTheRest) {
  fit();
  std::filesystem::rename(place_.folder() / "data.csv", place_.folder() / "moved.csv");
  const std::string html = page("run");
  EXPECT_NE(html.find("data.csv) is not there"), std::string::npos);
  const json figures = figures_in(html);
  EXPECT_NO_THROW((void)figure(figures, "coefficients"));
  EXPECT_THROW((void)figure(figures, "residuals"), std::runtime_error);
  EXPECT_NO_THROW((void)figure(figures_in(page("run --data moved.csv")), "residuals"));
}

TEST_F(Report, SeveralRunsAreComparedFirst) {
  fit();
  ASSERT_EQ(place_.run("fit data.csv --target y --experts-on x1 --experts 1 --out other --quiet").code, 0);
  const std::string html = page("run other");
  const std::multiset<double> numbers = numbers_in_tables(html);
  for (const char* run : {"run", "other"})
    EXPECT_TRUE(numbers.contains(json::parse(place_.read(std::string(run) + "/summary.json")).at("bic").get<double>()));
  EXPECT_LT(html.find("Side by side"), html.find("run: The model"));
}

TEST_F(Report, RefusesWhatItCannotDo) {
  fit();
  const auto fails = [&](const std::string& words, int code, const std::string& says) {
    const Outcome outcome = place_.run("report " + words);
    EXPECT_EQ(outcome.code, code) << words;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
  };
  fails("", 2, "run... is missing");
  fails("nowhere --out a.html", 2, "there is no such run folder");
  fails("run", 2, "nothing to write");
  fails("run --figures figures --browser no-such-browser", 1, "there is no such program");
  place_.write("there.html", "mine");
  fails("run --out there.html", 2, "--force replaces it");
  EXPECT_EQ(place_.read("there.html"), "mine");
  const Outcome bare = place_.run("report run --figures figures", "", {{"PATH", "/nonexistent"}});
  EXPECT_EQ(bare.code, 1);
  EXPECT_NE(bare.err.find("apt-get install chromium"), std::string::npos) << bare.err;
  const Outcome fit_without_folder = place_.run("fit data.csv --target y --experts 1 --report");
  EXPECT_EQ(fit_without_folder.code, 2);
  EXPECT_NE(fit_without_folder.err.find("--report needs --out"), std::string::npos);
}

TEST_F(Report, TerminalOnlyWhenAsked) {
  fit();
  EXPECT_EQ(place_.run("report run --out page.html").out, "");
  const Outcome asked = place_.run("report run --terminal always");
  EXPECT_EQ(asked.code, 0);
  EXPECT_NE(asked.out.find("Likelihood paths of the starts"), std::string::npos);
  EXPECT_EQ(asked.out.find('\x1b'), std::string::npos);
}

/// Pages in chromium, where it is.
class Browser : public Report {
 protected:
  void SetUp() override {
    Report::SetUp();
    if (std::system("command -v chromium >/dev/null 2>&1") != 0)
      GTEST_SKIP() << "there is no chromium here (apt-get install chromium)";
  }

  /// The document after its scripts have run; `messages` gets what they wrote to the console.
  std::string opened(const std::string& file, std::string* messages = nullptr) {
    const std::string path = (place_.folder() / file).string();
    const std::string sandbox = std::system("test $(id -u) -eq 0") == 0 ? "--no-sandbox " : "";
    const std::string command = "chromium --headless --disable-gpu " + sandbox + "--user-data-dir='" +
                                (place_.folder() / "profile").string() +
                                "' --enable-logging=stderr --virtual-time-budget=20000 --dump-dom 'file://" + path +
                                "' >'" + path + ".dom' 2>'" + path + ".err'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    if (messages != nullptr) {
      messages->clear();
      std::istringstream lines(place_.read(file + ".err"));
      for (std::string line; std::getline(lines, line);)
        if (line.find("CONSOLE") != std::string::npos) *messages += line + "\n";
    }
    return place_.read(file + ".dom");
  }

  void expect_drawn(const std::string& file) {
    std::string messages;
    const std::string document = opened(file, &messages);
    EXPECT_EQ(messages, "") << file;
    const std::size_t figures = figures_in(place_.read(file)).size();
    EXPECT_GT(figures, 0U);
    // Every figure has a chart, and every chart marks: points, lines, bars or cells, beside its axes.
    std::size_t drawn = 0;
    for (std::size_t at = document.find("<figure "); at != std::string::npos; at = document.find("<figure ", at + 1)) {
      const std::string one = document.substr(at, document.find("</figure>", at) - at);
      const bool marked =
          one.find("<canvas") != std::string::npos || one.find("aria-label=\"dot\"") != std::string::npos ||
          one.find("aria-label=\"line\"") != std::string::npos ||
          one.find("aria-label=\"link\"") != std::string::npos || one.find("aria-label=\"bar\"") != std::string::npos ||
          one.find("aria-label=\"cell\"") != std::string::npos;
      EXPECT_TRUE(marked) << file << ": " << one.substr(0, 200);
      drawn += one.find("class=\"drawn\"") != std::string::npos;
    }
    EXPECT_EQ(drawn, figures) << file;
    EXPECT_EQ(numbers_in_tables(document), numbers_in_tables(place_.read(file)));
    EXPECT_LT(place_.read(file).size(), 700'000U) << file;
  }
};

TEST_F(Browser, FitSelectionAndStudiesAreDrawnWithoutAnError) {
  fit();
  ASSERT_EQ(place_.run("report run --out fit.html").code, 0);
  expect_drawn("fit.html");
  ASSERT_EQ(
      place_.run("select data.csv --formula y~x1+x2 --experts 1:3 --folds 2 --starts 4 --out chosen --quiet --report")
          .code,
      0);
  expect_drawn("chosen/report.html");
  ASSERT_EQ(
      place_.run("study rates --preset softmax-gauss --fitted 2 --rows 200,400 --trials 3 --out rates --quiet --report")
          .code,
      0);
  expect_drawn("rates/report.html");
  ASSERT_EQ(
      place_
          .run(
              "study gridlock --experts 2 --g linear --trials 2 --rows 2000 --limits=false --out lock --quiet --report")
          .code,
      0);
  expect_drawn("lock/report.html");
  ASSERT_EQ(place_.run("report run chosen --out both.html").code, 0);
  expect_drawn("both.html");
}

TEST_F(Browser, ATrainingRunIsDrawn) {
  std::filesystem::create_directory(place_.folder() / "trained");
  place_.write("trained/config.json", R"({"command": "train"})");
  place_.write(
      "trained/metrics.jsonl",
      "{\"step\":10,\"time\":1.0,\"train/loss\":3.5,\"train/learning_rate\":0.001,\"layer0/load0\":0.25,\"layer0/"
      "load1\":0.75,\"layer0/load_entropy\":0.8}\n"
      "{\"step\":20,\"time\":2.0,\"train/loss\":3.0,\"train/learning_rate\":0.002,\"layer0/load0\":0.4,\"layer0/"
      "load1\":0.6,\"layer0/load_entropy\":0.97,\"valid/loss\":3.2}\n");
  place_.write("trained/summary.json",
               R"({"task": "language", "loss": 3.0, "layers": [{"load": [0.45, 0.55], "margin": 0.3}]})");
  place_.write("routing.json", R"({"experts": [[{"token": "<b>", "expert": 1}, {"token": "&", "expert": 0}]]})");
  ASSERT_EQ(place_.run("report trained --routing routing.json --out train.html").code, 0);
  expect_drawn("train.html");
  const json figures = figures_in(place_.read("train.html"));
  EXPECT_EQ(figure(figures, "load-layer-0").at("values"), json::parse("[[0.25, 0.4], [0.75, 0.6]]"));
  EXPECT_EQ(figure(figures, "loss").at("panels").at(0).at("layers").at(0).at("y"), json::parse("[3.5, 3.0]"));
  EXPECT_NE(place_.read("train.html").find("title=\"expert 2\">&lt;b&gt;</span>"), std::string::npos);
}

TEST_F(Browser, FusionIsDrawnAsItsSummarySays) {
  if (place_.run("fuse evaluate none").err.find("needs the program clearway-train") != std::string::npos)
    GTEST_SKIP() << "this build has no clearway-train";
  ASSERT_EQ(place_.run("fuse synthetic data --samples 300 --missing 0.2").code, 0);
  const Outcome trained = place_.run("fuse train data/spec.json --epochs 3 --out fused --report --quiet --threads 1");
  ASSERT_EQ(trained.code, 0) << trained.err;
  expect_drawn("fused/report.html");
  const json summary = json::parse(place_.read("fused/summary.json")).at("test");
  const json figures = figures_in(place_.read("fused/report.html"));
  const json& usage = summary.at("usage").at("layers").at(0);
  EXPECT_EQ(figure(figures, "experts-1").at("values"), usage.at("mass"));
  const json& roc = figure(figures, "roc").at("panels").at(0).at("layers").at(0);
  ASSERT_EQ(roc.at("x").size(), summary.at("curves").at("roc").size());
  for (std::size_t i = 0; i < roc.at("x").size(); ++i) {
    EXPECT_EQ(roc.at("x").at(i), summary.at("curves").at("roc").at(i).at(0));
    EXPECT_EQ(roc.at("y").at(i), summary.at("curves").at("roc").at(i).at(1));
  }
  const json& scores = figure(figures, "scores").at("items");
  ASSERT_EQ(scores.size(), summary.at("scores").size());
  for (std::size_t i = 0; i < scores.size(); ++i)
    EXPECT_EQ(scores.at(i).at("estimate"), summary.at("scores").at(i).at("value"));
  const std::multiset<double> shown = numbers_in_tables(place_.read("fused/report.html"));
  for (const json& entry : summary.at("by_pattern"))
    EXPECT_TRUE(shown.contains(entry.at("share").get<double>())) << entry.dump();

  std::istringstream lines(place_.read("fused/predictions.csv"));
  std::string id;
  std::getline(lines, id);
  std::getline(lines, id);
  id = id.substr(0, id.find(','));
  const Outcome explained = place_.run("fuse predict fused --explain " + id + " --json");
  ASSERT_EQ(explained.code, 0) << explained.err;
  place_.write("explained.json", explained.out);
  ASSERT_EQ(place_.run("report fused --explained explained.json --out explained.html").code, 0);
  expect_drawn("explained.html");
  EXPECT_NE(place_.read("explained.html").find("What each modality changed: " + id), std::string::npos);
  place_.write("wrong.json", "{}");
  const Outcome wrong = place_.run("report fused --explained wrong.json --out wrong.html");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("wrong.json: must be what clearway fuse predict --explain ID --json prints"),
            std::string::npos)
      << wrong.err;

  const Outcome swept = place_.run(
      "fuse sweep data/spec.json --vary method=late,concat --splits 2 --epochs 2 --missing 0:0.4 --out swept --report "
      "--quiet");
  ASSERT_EQ(swept.code, 0) << swept.err;
  expect_drawn("swept/report.html");
  const json rows = json::parse(place_.read("swept/summary.json")).at("rows");
  const json decay = figure(figures_in(place_.read("swept/report.html")), "decay");
  for (std::size_t v = 0; v < rows.size(); ++v)
    EXPECT_EQ(decay.at("panels").at(0).at("layers").at(v).at("y").at(0), rows.at(v).at("cells").at(0).at("mean"));
}

TEST_F(Browser, TablesAreReadWithoutJavaScript) {
  fit();
  std::string html = page("run");
  const std::string rule = "script-src 'unsafe-inline'";
  html.replace(html.find(rule), rule.size(), "script-src 'none'");
  place_.write("off.html", html);
  const std::string document = opened("off.html");
  EXPECT_EQ(document.find("class=\"drawn\""), std::string::npos);
  EXPECT_EQ(numbers_in_tables(document), numbers_in_tables(html));
  EXPECT_GT(numbers_in_tables(document).size(), 50U);
}

TEST_F(Browser, NamesCannotInjectMarkup) {
  const std::string name = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>";
  std::string data = two_experts_csv(200);
  data.replace(data.find("x1"), 2, "\"" + name + "\"");
  place_.write("data.csv", data);
  const Outcome outcome = place_.run(
      {"fit", "data.csv", "--target", "y", "--experts", "2", "--starts", "4", "--out", "run", "--quiet", "--report"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_drawn("run/report.html");
  const std::string document = place_.read("run/report.html.dom");
  EXPECT_EQ(between(document, "<title>", "</title>"), "run: clearway fit");
  EXPECT_EQ(document.find("<img"), std::string::npos);
  EXPECT_EQ(count_of(document, "<script"), 2U + count_of(between(document, "<script>", "</script>"), "<script"));
  // The name is drawn, as text.
  EXPECT_NE(document.find("&lt;img src=x onerror=alert(1)&gt;"), std::string::npos);
}

TEST_F(Browser, PicturesForPapers) {
  fit();
  const Outcome outcome = place_.run("report run --figures figures", "", {{"PATH", std::getenv("PATH")}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string svg = place_.read("figures/experts-over-data.svg");
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_EQ(svg.find("var("), std::string::npos);  // no style sheet goes with it
  EXPECT_NE(svg.find("expert 1"), std::string::npos);
  EXPECT_GE(count_of(svg, "<path"), 300U);  // the rows
  EXPECT_TRUE(place_.read("figures/experts-over-data.png").starts_with("\x89PNG\r\n"));
  EXPECT_EQ(place_.run("report run --figures figures", "", {{"PATH", std::getenv("PATH")}}).code,
            2);  // not without --force
}

}  // namespace
}  // namespace clearway::golden
