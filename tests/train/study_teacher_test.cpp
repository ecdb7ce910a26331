// Teacher and student: the right gate wins in both directions.
#include "clearway/train/study_teacher.hpp"

#include <gtest/gtest.h>

namespace clearway::train {
namespace {

TEST(StudyTeacher, TheGateOfTheTeacherWinsInBothDirections) {
  // Two seeds and fewer steps than the study takes; the margins of the study are a quarter and more.
  const TeacherStudyOptions options{.steps = 1200, .batch = 128};
  for (const std::uint64_t seed : {1, 2}) {
    const auto error = [&](TeacherGate teacher, Student student) {
      return run_teacher_cell(options, teacher, student, seed).by_router;
    };
    EXPECT_LT(error(TeacherGate::norm, Student::oracle), error(TeacherGate::norm, Student::smoe_linear));
    EXPECT_GT(error(TeacherGate::softmax, Student::oracle), error(TeacherGate::softmax, Student::smoe_linear));
  }
}

TEST(StudyTeacher, DistillationTransfersTheWinnersWhereTheTaskCannot) {
  // Top-1 with weight 1: a plain router learns from the balance loss alone, one that distils from the winners, too.
  const TeacherStudyOptions options{.top_k = 1, .steps = 1000, .batch = 128};
  for (const std::uint64_t seed : {1, 2}) {
    const TeacherCell plain = run_teacher_cell(options, TeacherGate::norm, Student::smoe_linear, seed);
    const TeacherCell distilled = run_teacher_cell(options, TeacherGate::norm, Student::compete_linear, seed);
    EXPECT_LT(distilled.by_router, 0.9 * plain.by_router);
    // The router names the strongest expert, and the network can be routed by its responses: neither is true of a plain
    // layer.
    EXPECT_GT(distilled.agreement, 0.4);
    EXPECT_LT(plain.agreement, 0.25);
    EXPECT_LT(distilled.by_competition, 0.9 * plain.by_competition);
  }
}

TEST(StudyTeacher, SameSeedSameNumbersAndHonestCounts) {
  const TeacherStudyOptions options{.steps = 40, .batch = 32, .test_rows = 256};
  const TeacherCell a = run_teacher_cell(options, TeacherGate::norm, Student::compete_mlp, 5);
  const TeacherCell b = run_teacher_cell(options, TeacherGate::norm, Student::compete_mlp, 5);
  EXPECT_EQ(a.by_router, b.by_router);
  EXPECT_EQ(a.by_competition, b.by_competition);
  EXPECT_NE(a.by_router, run_teacher_cell(options, TeacherGate::norm, Student::compete_mlp, 6).by_router);
  // Between K and N: 2 in router steps, 8 in competition steps.
  EXPECT_GT(a.evaluations, 2);
  EXPECT_LT(a.evaluations, 8);
  const TeacherCell oracle = run_teacher_cell(options, TeacherGate::norm, Student::oracle, 5);
  EXPECT_EQ(oracle.evaluations, 8);
  EXPECT_EQ(oracle.by_router, oracle.by_competition);
  const TeacherCell smoe = run_teacher_cell(options, TeacherGate::softmax, Student::smoe_linear, 5);
  EXPECT_EQ(smoe.evaluations, 2);
  EXPECT_LT(smoe.by_router, 1.5);
  EXPECT_THROW(run_teacher_cell({.top_k = 9}, TeacherGate::norm, Student::oracle, 1), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::train
