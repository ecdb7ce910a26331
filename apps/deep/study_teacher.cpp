// clearway study teacher: cells of (teacher, student, seed) and their table.
#include "clearway/train/study_teacher.hpp"

#include <fmt/format.h>

#include "../commands/study.hpp"
#include "clearway/train/paired_difference.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

/// One student under one teacher, over seeds.
struct Row {
  std::string teacher, student;
  std::vector<double> errors, by_competition, agreement;
  double mean = 0, difference = 0, low = 0, high = 0;
  int better = 0;  ///< seeds in which it beats the first student
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void compare(Row& row, const Row& first) {
  row.mean = mean_of(row.errors);
  const std::size_t count = row.errors.size();
  std::vector<double> gaps;
  for (std::size_t i = 0; i < count; ++i) gaps.push_back(row.errors[i] - first.errors[i]);
  for (const double gap : gaps) row.better += gap < 0 ? 1 : 0;
  const train::PairedDifference paired = train::paired_difference(gaps);
  row.difference = paired.mean;
  row.low = count < 2 ? paired.mean : paired.low;
  row.high = count < 2 ? paired.mean : paired.high;
}

StudyFiles files(const std::vector<Row>& rows, std::int64_t seeds) {
  StudyFiles out;
  std::string markdown =
      "| teacher | student | test error | difference to the first [95 %] | better in | by competition | agreement |\n"
      "|---|---|---|---|---|---|---|\n";
  out.text = fmt::format("{:<8} {:<15} {:>8}  {:<30} {:>9}  {:>8}  {:>9}\n", "teacher", "student", "error",
                         "difference to the first [95 %]", "better in", "by comp.", "agreement");
  Json list = Json::array();
  for (const Row& row : rows) {
    const bool first = row.student == rows.front().student;
    const std::string gap = first ? "-" : fmt::format("{:+.4f} [{:+.4f}, {:+.4f}]", row.difference, row.low, row.high);
    const std::string better = first ? "-" : fmt::format("{}/{}", row.better, seeds);
    out.text += fmt::format("{:<8} {:<15} {:>8.4f}  {:<30} {:>9}  {:>8.4f}  {:>9.3f}\n", row.teacher, row.student,
                            row.mean, gap, better, mean_of(row.by_competition), mean_of(row.agreement));
    markdown += fmt::format("| {} | {} | {:.4f} | {} | {} | {:.4f} | {:.3f} |\n", row.teacher, row.student, row.mean,
                            gap, better, mean_of(row.by_competition), mean_of(row.agreement));
    list.push_back({{"teacher", row.teacher},
                    {"student", row.student},
                    {"errors", row.errors},
                    {"by_competition", row.by_competition},
                    {"agreement", row.agreement},
                    {"mean", row.mean},
                    {"difference", row.difference},
                    {"low", row.low},
                    {"high", row.high},
                    {"better", row.better}});
  }
  out.json = json_text({{"rows", list}});
  out.tables = {{"teacher.md", markdown}};
  return out;
}

}  // namespace

ExitCode study_teacher(const Command& command, const RunOutput& output, TeacherRequest& request, Context& context) {
  std::vector<train::Student> students;
  for (const std::string& name : request.students) students.push_back(enum_value<train::Student>("students", name));
  if (students.empty()) user_error("students must name at least one");
  if (request.options.top_k > request.options.experts)
    user_error("top-k must be at most the number of experts, {}, not {}", request.options.experts,
               request.options.top_k);
  prepare_torch(context.common.threads);
  write_study(command, context, output, [&] {
    const auto progress = context.console.progress();
    const double total = 2.0 * static_cast<double>(students.size()) * static_cast<double>(request.seeds);
    double done = 0;
    std::vector<Row> rows;
    for (const train::TeacherGate teacher : {train::TeacherGate::norm, train::TeacherGate::softmax}) {
      const std::size_t first = rows.size();
      for (const train::Student student : students) {
        Row row;
        row.teacher = enum_name(teacher);
        row.student = enum_name(student);
        for (std::int64_t i = 0; i < request.seeds; ++i) {
          progress(done++ / total, fmt::format("{} teacher, {}", row.teacher, row.student));
          const auto cell = train::run_teacher_cell(request.options, teacher, student,
                                                    static_cast<std::uint64_t>(context.common.seed + i));
          row.errors.push_back(cell.by_router);
          row.by_competition.push_back(cell.by_competition);
          row.agreement.push_back(cell.agreement);
        }
        rows.push_back(std::move(row));
        compare(rows.back(), rows[first]);
      }
    }
    return files(rows, request.seeds);
  });
  return ExitCode::success;
}

}  // namespace clearway::cli
