// clearway study teacher: sparse layers learn from one whose gate is known. The work is in deep/study_teacher.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

class StudyTeacherCommand final : public StudyCommand<TeacherRequest> {
 public:
  std::string_view name() const override { return "study teacher"; }
  std::string_view summary() const override { return "routers that learn from a layer whose gate is known"; }
  std::string_view examples() const override {
    return "clearway study teacher --seeds 5 --out study/\n"
           "clearway study teacher --top-k 1 --students smoe-linear,switch,compete-linear,compete-v2 --seeds 3\n";
  }
  std::string_view description() const override {
    return "Every student learns from two kinds of teachers: one whose experts compete by the norm of their responses, "
           "and\n"
           "one with a softmax of linear scores. Competition should win in the first and lose in the second: a study "
           "that\n"
           "sees only one of them measures something else. Errors are squared errors over the teacher's variance.\n";
  }

  ExitCode run(Context& context) override { return study_teacher(*this, output_, options_, context); }
};

}  // namespace

std::unique_ptr<Command> make_study_teacher_command() {
  return std::make_unique<StudyTeacherCommand>();
}

}  // namespace clearway::cli
