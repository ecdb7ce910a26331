// Teacher and student: a sparse layer learns from another of its own shape, whose gate is known.
//
// Where the teacher routes by the norm of its experts' responses, competition is the right model; where it routes by a
// softmax of linear scores, a linear router is. A comparison of routers that does not see both directions measures
// something else. (The well-specified setting of the theory in arXiv 2402.02526 and 2505.13380.)
//
//   y = sum_{i in TopK(s)} w_i E_i(x),  x standard normal, no noise;  E_i of one hidden layer with ReLU
//   norm teacher     s = |E_i(x)|,   w = softmax(s over TopK)
//   softmax teacher  s = a_i' x,     w = softmax(s over TopK)
//
// With top-k 1 the weight of the winner is 1, and a linear router learns from the balance loss alone: there the study
// shows what distillation transfers.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::train {

enum class TeacherGate { norm, softmax };
inline std::span<const EnumName<TeacherGate>> enum_names(TeacherGate) {
  static constexpr std::array<EnumName<TeacherGate>, 2> names{{
      {TeacherGate::norm, "norm", "the teacher's experts compete by the norm of their responses"},
      {TeacherGate::softmax, "softmax", "the teacher routes by a softmax of linear scores"},
  }};
  return names;
}

enum class Student { smoe_linear, smoe_mlp, switch_top1, compete_linear, compete_mlp, compete_v2, oracle };
inline std::span<const EnumName<Student>> enum_names(Student) {
  static constexpr std::array<EnumName<Student>, 7> names{{
      {Student::smoe_linear, "smoe-linear", "top-k of a linear router"},
      {Student::smoe_mlp, "smoe-mlp", "top-k of a router with one hidden layer"},
      {Student::switch_top1, "switch", "top-1 of a linear router, weighted by its probability"},
      {Student::compete_linear, "compete-linear", "competition in half of the steps, distilled into a linear router"},
      {Student::compete_mlp, "compete-mlp", "the same with a router of one hidden layer"},
      {Student::compete_v2, "compete-v2", "competition as published in its second version, linear router"},
      {Student::oracle, "oracle", "competition by norm in training and in the test"},
  }};
  return names;
}

/// Size and length of one run.
struct TeacherStudyOptions {
  std::int64_t inputs = 8;
  std::int64_t experts = 8;
  std::int64_t hidden = 16;
  std::int64_t top_k = 2;
  std::int64_t steps = 2500;
  std::int64_t batch = 256;  ///< new rows in every step
  std::int64_t test_rows = 8192;
  double learning_rate = 5e-3;    ///< of Adam, falling to a tenth along a cosine
  double competition_rate = 0.5;  ///< of the competing students
  double distillation_weight = 0.1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("inputs", self.inputs, OptionInfo{.help = "inputs, also outputs", .minimum = 1});
    field("experts", self.experts, OptionInfo{.help = "experts of teacher and student", .minimum = 2});
    field("hidden", self.hidden, OptionInfo{.help = "hidden units of an expert", .minimum = 1});
    field("top-k", self.top_k, OptionInfo{.help = "experts per row", .minimum = 1});
    field("steps", self.steps, OptionInfo{.help = "Adam steps", .minimum = 1});
    field("batch", self.batch, OptionInfo{.help = "new rows per step", .minimum = 1});
    field("test-rows", self.test_rows, OptionInfo{.help = "rows of the test", .minimum = 2});
    field("learning-rate", self.learning_rate,
          OptionInfo{.help = "of Adam, falling to a tenth along a cosine", .minimum = 0, .above_minimum = true});
    field("competition-rate", self.competition_rate,
          OptionInfo{.help = "share of steps in which the competing students compete", .minimum = 0, .maximum = 1});
    field("distillation-weight", self.distillation_weight,
          OptionInfo{.help = "coefficient of the distillation by KL", .minimum = 0, .off = "0"});
  }
};

/// What one student reached. Errors are squared errors over the teacher's variance: 1 is a constant, 0 is perfect.
struct TeacherCell {
  double by_router = 0;       ///< routed as deployed; for oracle the same as by_competition
  double by_competition = 0;  ///< the same network, routed by its responses: the policy's affinities, or norms
  double agreement = 0;       ///< share of rows on which router and responses name the same first expert
  double evaluations = 0;     ///< expert evaluations per row of training
};

/// Trains one student on one teacher. The same seed gives the same teacher, batches and test for every student; torch's
/// generator is seeded on the way. Throws std::invalid_argument for shapes that make no layer.
TeacherCell run_teacher_cell(const TeacherStudyOptions& options, TeacherGate teacher, Student student,
                             std::uint64_t seed);

}  // namespace clearway::train
