// clearway report: a run, or several, to look at.
#include "../report/run_report.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "../registry.hpp"
#include "../report/pictures.hpp"
#include "../run_output.hpp"
#include "build_information.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/file.hpp"
#include "clearway/report/terminal.hpp"

namespace clearway::cli {

namespace {

enum class TerminalView { automatic, always, never };
inline std::span<const EnumName<TerminalView>> enum_names(TerminalView) {
  static constexpr std::array<EnumName<TerminalView>, 3> names{{
      {TerminalView::automatic, "auto", "where standard output is a terminal"},
      {TerminalView::always, "always", "also in pipes"},
      {TerminalView::never, "never", "no figures in the terminal"},
  }};
  return names;
}

struct ReportFiles {
  std::string out;
  std::string figures;
  bool force = false;
  TerminalView terminal = TerminalView::automatic;
  std::string browser;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out,
          OptionInfo{.help = "the page to write, one HTML file; - is standard output", .metavar = "FILE"});
    field("figures", self.figures,
          OptionInfo{.help = "folder for every figure as SVG and PNG; needs chromium", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace files that are there"});
    field("terminal", self.terminal, OptionInfo{.help = "when to draw the most useful figures in the terminal"});
    field("browser", self.browser,
          OptionInfo{.help = "program that draws the figures; default: chromium from the PATH", .metavar = "PROGRAM"});
  }
};

/// What a terminal shows, the first few that are there.
constexpr std::array<std::string_view, 12> kInTerminal{"compared-loss", "loss",       "likelihood-paths",   "criteria",
                                                       "coefficients",  "final-load", "error-by-iteration", "slopes",
                                                       "scores",        "without",    "training-loss",      "decay"};
constexpr std::size_t kMostInTerminal = 3;

int terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return std::min<int>(size.ws_col, 120);
  return 80;
}

class ReportCommand final : public Command {
 public:
  std::string_view name() const override { return "report"; }
  std::string_view summary() const override { return "draw a run, or several side by side, as one page to look at"; }
  std::string_view examples() const override {
    return "clearway report run/ --out report.html\n"
           "clearway report run1/ run2/ --out compared.html\n"
           "clearway report run/ --figures figures/\n"
           "clearway report run/ --terminal always\n";
  }
  std::string_view description() const override {
    return "Writes one HTML file with tables and figures of a run folder: of clearway fit and select the experts over "
           "the data, gate weights, residuals, intervals, climbs of all starts, criteria; of train curves and routing; "
           "of studies errors with their slopes. Of several runs a comparison comes first. The file loads nothing from "
           "anywhere; without JavaScript its tables are there.\n"
           "\n"
           "Every number is that of the run folder, or computed from the model there and the table that it was fitted "
           "to; where that table is not to be found, the page says so.\n"
           "\n"
           "--figures writes every figure as SVG and PNG, drawn by chromium. In a terminal the most useful figures are "
           "drawn in characters. The commands that make run folders write the page themselves with --report.\n";
  }

  void options(OptionList& list) override {
    list.arguments("run...", runs_, "run folders");
    list.group("Report");
    list.add(options_);
    list.group("Output");
    list.add(files_);
  }

  ExitCode run(Context& context) override {
    const bool terminal = files_.terminal == TerminalView::always ||
                          (files_.terminal == TerminalView::automatic && ::isatty(STDOUT_FILENO) == 1 &&
                           files_.out != "-" && !context.console.quiet());
    if (files_.out.empty() && files_.figures.empty() && !terminal)
      user_error("nothing to write: give --out FILE, --figures DIR or --terminal always");
    refuse_present(files_.out, files_.force);
    std::vector<ReportedRun> runs;
    runs.reserve(runs_.size());
    for (const std::string& path : runs_) runs.push_back(open_run(path));
    name_apart(runs);
    const report::Page page = report_page(runs, options_);
    if (terminal) print_figures(context, page);
    const std::string html = report::html_page(page, fmt::format("Clearway {}", kVersion));
    if (files_.out == "-")
      context.console.print(html);
    else if (!files_.out.empty())
      write_file(files_.out, html);
    if (!files_.figures.empty()) {
      const auto names = write_pictures(html, files_.figures, files_.browser, files_.force);
      context.console.note(fmt::format("{} in {}", plural(names.size(), "file"), files_.figures));
    }
    return ExitCode::success;
  }

 private:
  /// Folders of the same name are told apart by their paths.
  static void name_apart(std::vector<ReportedRun>& runs) {
    std::vector<std::string> names;
    names.reserve(runs.size());
    for (const ReportedRun& run : runs) names.push_back(run.name);
    for (ReportedRun& run : runs)
      if (std::count(names.begin(), names.end(), run.name) > 1) run.name = run.folder.path();
  }

  static void print_figures(const Context& context, const report::Page& page) {
    const report::TerminalStyle style{.width = terminal_width(), .colour = context.console.color_output()};
    std::size_t shown = 0;
    const std::vector<report::Figure> figures = report::figures_of(page);
    for (const std::string_view id : kInTerminal) {
      const auto found = std::find_if(figures.begin(), figures.end(), [&](const auto& one) { return one.id == id; });
      if (found == figures.end() || ++shown > kMostInTerminal) continue;
      context.console.print(fmt::format("{}{}", shown > 1 ? "\n" : "", report::terminal_text(*found, style)));
    }
    if (shown == 0) context.console.note("this run has no figure for a terminal; --out writes the page");
  }

  std::vector<std::string> runs_;
  ReportOptions options_;
  ReportFiles files_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() {
  return std::make_unique<ReportCommand>();
}

}  // namespace clearway::cli
