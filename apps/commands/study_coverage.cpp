// clearway study coverage: do the intervals hold what they promise?
//
// The run folder grows while the study runs: config.json first, then one line of replications.jsonl per data set. Started
// again with the same options the command goes on from there.
#include "clearway/stat/study_coverage.hpp"

#include <filesystem>
#include <optional>

#include "../registry.hpp"
#include "clearway/io/file.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

namespace fs = std::filesystem;
constexpr const char* kReplications = "replications.jsonl";

Json to_json(const CoverageReplication& replication) {
  return Json{{"design", replication.design},       {"replication", replication.replication},
              {"converged", replication.converged}, {"observed", replication.observed},
              {"sandwich", replication.sandwich},   {"failure", replication.failure}};
}

CoverageReplication from_json(const Json& line, const std::string& where) {
  JsonObject object(line, where);
  CoverageReplication replication;
  replication.design = static_cast<int>(object.integer("design", 0, 1000));
  replication.replication = static_cast<int>(object.integer("replication", 0, 100000000));
  replication.converged = object.boolean("converged");
  replication.observed = object.text("observed");
  replication.sandwich = object.text("sandwich");
  replication.failure = object.text("failure");
  object.finish();
  return replication;
}

/// The options on which a replication depends; more replications than before are no other study.
Json lasting_config(const Command& command, const Context& context) {
  Json config = run_config(command.name(), context.options);
  for (const char* key : {"threads", "sig_figs", "replications"}) config.erase(key);
  return config;
}

/// A folder in which the study can be stopped and started again.
class GrowingRun {
 public:
  GrowingRun(const std::string& path, bool force, const Json& config)
      : lines_((fs::path(path) / kReplications).string()) {
    std::error_code none;
    if (!force && fs::is_regular_file(fs::path(path) / "config.json", none)) {
      folder_.emplace(RunFolder::open(path));
      Json there = folder_->read_json("config.json");
      for (const auto& [key, value] : config.items())
        if (!there.contains(key) || there[key] != value)
          user_error("{}: the folder holds a run with another {}; choose another folder, or replace it with --force",
                     path, key);
      if (fs::exists(lines_, none)) read_known();
    } else {
      folder_.emplace(RunFolder::create(path, force));
      fs::remove(lines_, none);
      folder_->write_json("config.json", config);
    }
    file_.emplace(lines_);
  }

  const std::vector<CoverageReplication>& known() const { return known_; }
  void record(const CoverageReplication& replication) { file_->write(json_text(to_json(replication), -1)); }
  void finish(const StudyFiles& files) const {
    folder_->write("summary.txt", files.text);
    folder_->write("summary.json", files.json);
    for (const auto& [name, text] : files.tables) write_file((fs::path(folder_->path()) / name).string(), text);
  }

 private:
  void read_known() {
    std::string text = read_file(lines_);
    if (!text.empty() && text.back() != '\n') {  // a torn last line
      text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
      write_file(lines_, text);
    }
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      const std::string where = fmt::format("{}: line {}", lines_, ++number);
      known_.push_back(from_json(parse_json(text.substr(begin, end - begin), where), where));
      begin = end + 1;
    }
  }

  std::string lines_;
  std::optional<RunFolder> folder_;
  std::vector<CoverageReplication> known_;
  std::optional<AppendingFile> file_;
};

class StudyCoverageCommand final : public StudyCommand<CoverageOptions> {
 public:
  std::string_view name() const override { return "study coverage"; }
  std::string_view summary() const override { return "how often confidence intervals hold the truth"; }
  std::string_view examples() const override {
    return "clearway study coverage --out coverage/\n"
           "clearway study coverage --design gauss_k3_d2 --rows 1000 --replications 1000\n"
           "clearway study coverage --noise t5 --design gauss_k2_d1,gauss_k3_d2 --out misspecified/\n";
  }
  std::string_view description() const override {
    return "Draws data sets from a known mixture of linear experts, fits each from the data alone and counts how often "
           "Wald intervals, from the observed information and from the sandwich, hold the true parameters. With "
           "--noise "
           "t5 the noise is Student t and the fit assumes Gaussian noise: the target is then the limit of the "
           "estimate, "
           "taken from one fit to --pseudo-rows rows, and only the sandwich should cover.\n\n"
           "The run folder holds config.json, replications.jsonl (a line per data set, written at once), summary.txt, "
           "summary.json and coverage.md. A run that was stopped goes on when the same command is given again, also "
           "with more --replications. Fits that fail and intervals that are withheld are counted and shown. Results do "
           "not depend on the number of threads.";
  }

  ExitCode run(Context& context) override {
    std::optional<GrowingRun> folder;
    if (!output_.out.empty()) folder.emplace(output_.out, output_.force, lasting_config(*this, context));
    const CoverageStudy study = run_coverage_study(
        options_, folder ? folder->known() : std::vector<CoverageReplication>{},
        [&](const CoverageReplication& replication) {
          if (folder) folder->record(replication);
        },
        context.console.progress());
    const StudyFiles files{coverage_text(study), coverage_json(study), {{"coverage.md", coverage_markdown(study)}}};
    if (folder) folder->finish(files);
    context.console.print(context.common.json ? files.json : files.text);
    return ExitCode::success;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_coverage_command() {
  return std::make_unique<StudyCoverageCommand>();
}

}  // namespace clearway::cli
