// clearway study rates: how fast a mixture of experts is learned, beside what theory says.
//
// The run folder grows while the study runs: config.json first, then one line of trials.csv per fit. Started again with
// the same options the command goes on from there.
#include <filesystem>
#include <optional>

#include "../registry.hpp"
#include "clearway/io/file.hpp"
#include "clearway/stat/study_rates.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

constexpr const char* kTrials = "trials.csv";

/// The options on which the result depends.
Json lasting_config(const Command& command, const Context& context) {
  Json config = run_config(command.name(), context.options);
  for (const char* key : {"threads", "sig_figs"}) config.erase(key);
  return config;
}

void refuse_other_options(const std::string& path, const Json& there, const Json& here) {
  for (const auto& [key, value] : here.items()) {
    const auto found = there.find(key);
    if (found != there.end() && *found == value) continue;
    user_error(
        "{}: the folder holds a run with other options: {} is {} there and {} here; choose another folder, or replace "
        "it "
        "with --force",
        path, key, found == there.end() ? std::string("not given") : found->dump(), value.dump());
  }
}

/// A run folder that a study can be stopped and started again in.
class GrowingRun {
 public:
  GrowingRun(const std::string& path, bool force, const Json& config)
      : trials_path_((std::filesystem::path(path) / kTrials).string()), folder_(take(path, force, config)) {
    if (!std::filesystem::exists(trials_path_)) write_file(trials_path_, rate_trials_header());
    const std::string text = read_file(trials_path_);
    known_ = parse_rate_trials(text, trials_path_);
    if (!text.ends_with('\n')) write_file(trials_path_, text.substr(0, text.rfind('\n') + 1));  // torn last line
    file_.emplace(trials_path_);
  }

  const std::vector<RateTrial>& known() const { return known_; }
  void record(const RateTrial& trial) {
    file_->write(rate_trial_line(trial));
    ++recorded_;
  }
  std::size_t fits() const { return known_.size() + recorded_; }
  void finish(const RateStudy& study, const StudyFiles& files) {
    write_file(trials_path_, rate_trials_csv(study));  // in order: the same bytes however often it was stopped
    folder_.write("summary.txt", files.text);
    folder_.write("summary.json", files.json);
  }

 private:
  RunFolder take(const std::string& path, bool force, const Json& config) const {
    std::error_code none;
    if (!force && std::filesystem::is_regular_file(std::filesystem::path(path) / "config.json", none)) {
      RunFolder folder = RunFolder::open(path);
      refuse_other_options(path, folder.read_json("config.json"), config);
      return folder;
    }
    RunFolder folder = RunFolder::create(path, force);
    std::filesystem::remove(trials_path_, none);
    folder.write_json("config.json", config);
    return folder;
  }

  std::string trials_path_;
  RunFolder folder_;
  std::vector<RateTrial> known_;
  std::optional<AppendingFile> file_;
  std::size_t recorded_ = 0;
};

class StudyRatesCommand final : public StudyCommand<RateStudyOptions> {
 public:
  std::string_view name() const override { return "study rates"; }
  std::string_view summary() const override { return "errors against the number of rows, beside the rates of theory"; }
  std::string_view examples() const override {
    return "clearway study rates --preset list\n"
           "clearway study rates --preset softmax-gauss --fitted 2,3 --rows 1e3:1e5:8 --trials 40 --out run/\n"
           "clearway study rates --gate laplace --expert tanh --true-experts 2 --fitted 2,3 --start truth\n";
  }
  std::string_view description() const override {
    return "Draws data sets of growing size from a known mixture of experts, fits mixtures with the true number of "
           "experts and with more, and compares them with the truth: Voronoi losses, errors of every kind of "
           "parameter, "
           "of the regression function and of the density. Printed are the slope on log-log paper with a bootstrap "
           "interval, the exponent of theory and whether they agree.\n\n"
           "The run folder holds config.json, trials.csv (a line per fit, written at once), summary.txt and "
           "summary.json. A run that was stopped goes on when the same command is given again, and ends in the same "
           "bytes. Fits that do not converge count like the others and are shown. Results do not depend on the number "
           "of threads.";
  }

  ExitCode run(Context& context) override {
    if (options_.preset == "list") {
      for (const RatePreset& preset : rate_presets())
        context.console.print(fmt::format("{:<24}{}\n", preset.name, preset.title));
      return ExitCode::success;
    }
    rate_problem(options_);  // mistakes before the folder is made
    rate_rows(options_.rows);
    std::optional<GrowingRun> folder;
    if (!output_.out.empty()) folder.emplace(output_.out, output_.force, lasting_config(*this, context));
    if (folder && folder->fits() > 0)
      context.console.note(fmt::format("{} fits are there already; going on", folder->fits()));
    RateRecorder record;
    if (folder) record = [&](const RateTrial& trial) { folder->record(trial); };
    try {
      const RateStudy study = run_rate_study(options_, folder ? folder->known() : std::vector<RateTrial>{}, record,
                                             context.console.progress());
      const StudyFiles files{rates_text(study), rates_json(study)};
      if (folder) folder->finish(study, files);
      context.console.print(context.common.json ? files.json : files.text);
    } catch (const Interrupted&) {
      if (folder)
        context.console.note(
            fmt::format("{} fits are kept in {}; the same command goes on from there", folder->fits(), output_.out));
      throw;
    }
    return ExitCode::success;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_rates_command() {
  return std::make_unique<StudyRatesCommand>();
}

}  // namespace clearway::cli
