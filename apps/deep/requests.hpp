// What the commands on sparse transformers are asked for: their options, without torch.
//
// `clearway` declares the commands, checks their options and prints their help; what they do is in `clearway-train`, which
// links torch and takes the better part of a second to start. programs.hpp has the functions, one per command: in
// clearway they hand over to clearway-train (hand_over.cpp), there they do the work.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/deep/expert_options.hpp"
#include "clearway/deep/router_options.hpp"
#include "clearway/deep/transformer_options.hpp"
#include "clearway/train/classification_data.hpp"
#include "clearway/train/corpus.hpp"
#include "clearway/train/learning_rate.hpp"
#include "clearway/train/loop_options.hpp"
#include "clearway/train/study_teacher.hpp"
#include "clearway/train/tokenizer.hpp"

namespace clearway::cli {

/// The sparse layers but for their router.
struct SparseLayerFlags {
  std::int64_t experts = 16;
  deep::ExpertActivation activation = deep::ExpertActivation::relu;
  bool bias = true;
  std::int64_t shared_experts = 0;
  double capacity = 0;
  double expert_dropout = 0;
  double jitter = 0;
  deep::ComputeType compute = deep::ComputeType::float32;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("experts", self.experts, OptionInfo{.help = "experts per sparse layer", .minimum = 1});
    field("activation", self.activation, OptionInfo{.help = "what the hidden units of experts do"});
    field("expert-bias", self.bias, OptionInfo{.help = "whether experts have biases"});
    field("shared-experts", self.shared_experts,
          OptionInfo{.help = "experts that every token visits beside the routed ones", .minimum = 0, .off = "0"});
    field("capacity", self.capacity,
          OptionInfo{.help = "an expert takes at most this factor times its fair share of tokens; 0: as many as come",
                     .minimum = 0,
                     .off = "0"});
    field("expert-dropout", self.expert_dropout,
          OptionInfo{
              .help = "chance that a response is dropped while training", .minimum = 0, .maximum = 0.99, .off = "0"});
    field("jitter", self.jitter,
          OptionInfo{.help = "while training the router sees its input times uniform [1 - jitter, 1 + jitter]",
                     .minimum = 0,
                     .maximum = 1,
                     .off = "0",
                     .source = "Fedus et al. 2022: 0.01"});
    field("compute", self.compute, OptionInfo{.help = "number type in which experts multiply; weights stay float32"});
  }
};

enum class TaskKind { language, classify };
inline std::span<const EnumName<TaskKind>> enum_names(TaskKind) {
  static constexpr std::array<EnumName<TaskKind>, 2> names{{
      {TaskKind::language, "language", "predict the next token of a text"},
      {TaskKind::classify, "classify",
       "predict the label of a text, beginning from a trained run (--from) or from nothing"},
  }};
  return names;
}

/// Model, data and training: what a run is made from, kept in its config.json.
struct ModelRequest {
  TaskKind task = TaskKind::language;
  deep::ModelSize size = deep::ModelSize::tiny;
  deep::TransformerOptions model;
  SparseLayerFlags layer;
  deep::RouterOptions router;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("task", self.task, OptionInfo{.help = "what is learned"});
    field("size", self.size, OptionInfo{.help = "a named shape; other options change it"});
    deep::TransformerOptions::visit(self.model, field);
    SparseLayerFlags::visit(self.layer, field);
    deep::RouterOptions::visit(self.router, field);
  }
};

struct RunPlace {
  std::string out;
  bool force = false;
  bool report = false;
  bool resume = false;
  std::string from;
  bool tensorboard = false;
  std::string device = "cpu";
  std::int64_t processes = 1;
  bool expert_parallel = false;
  double process_timeout = 600;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "run folder to write; without it nothing is kept", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
    field("report", self.report,
          OptionInfo{.help = "also draw the run: report.html in its folder, as clearway report writes it"});
    field("resume", self.resume, OptionInfo{.help = "go on with the run in --out where it stopped"});
    field("from", self.from,
          OptionInfo{.help = "begin with the weights of the best step of this run", .metavar = "DIR"});
    field("tensorboard", self.tensorboard, OptionInfo{.help = "also write the metrics as a TensorBoard event file"});
    field("device", self.device, OptionInfo{.help = "cpu, cuda or cuda:N", .metavar = "DEVICE"});
    field("processes", self.processes,
          OptionInfo{.help = "processes on this machine that train together, each on its share of the batch",
                     .minimum = 1,
                     .maximum = 256});
    field("expert-parallel", self.expert_parallel,
          OptionInfo{.help = "every process holds its share of the experts, and tokens travel to them",
                     .source = "Lepikhin et al. 2021"});
    field("process-timeout", self.process_timeout,
          OptionInfo{.help = "seconds after which a process that does not answer counts as lost",
                     .minimum = 0,
                     .above_minimum = true});
  }
};

struct TrainRequest {
  train::CorpusOptions corpus;
  train::ClassificationOptions texts;
  train::TokenizerOptions tokenizer;
  train::Sampling sampling = train::Sampling::windows;
  std::int64_t evaluation_batches = 0;
  ModelRequest model;
  train::LoopOptions loop;
  train::LearningRateOptions rate;
  RunPlace place;

  /// How the text is walked through; the other options are in structs of their own.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("sampling", self.sampling, OptionInfo{.help = "how training text is cut into batches"});
    field("evaluation-batches", self.evaluation_batches,
          OptionInfo{
              .help = "most batches of an evaluation while training; 0: the whole text", .minimum = 0, .off = "0"});
  }
};

struct EvaluateRequest {
  std::string run;
  std::string data;
  std::string which = "best";
  std::int64_t stride = 0;
  bool by_competition = false;
  std::string device = "cpu";

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data,
          OptionInfo{.help = "text, or labelled texts, to measure; default: the run's test data", .metavar = "PATH"});
    field("checkpoint", self.which, OptionInfo{.help = "best or last", .metavar = "WORD"});
    field(
        "stride", self.stride,
        OptionInfo{.help = "tokens between windows; below the context every token sees more before it; 0: the context",
                   .minimum = 0});
    field("by-competition", self.by_competition,
          OptionInfo{.help = "let the experts' responses decide instead of the router (all experts are evaluated)"});
    field("device", self.device, OptionInfo{.help = "cpu, cuda or cuda:N", .metavar = "DEVICE"});
  }
};

struct GenerateRequest {
  std::string run;
  std::string prompt;
  std::int64_t tokens = 200;
  double temperature = 0.8;
  std::int64_t likeliest = 0;
  double nucleus = 1;
  bool show_experts = false;
  bool cache = true;
  std::string which = "best";

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("prompt", self.prompt, OptionInfo{.help = "text to continue", .metavar = "TEXT"});
    field("tokens", self.tokens, OptionInfo{.help = "tokens to add", .minimum = 1});
    field("temperature", self.temperature,
          OptionInfo{.help = "below 1 sharper, above 1 flatter than the model; 0: always the likeliest", .minimum = 0});
    field("likeliest", self.likeliest,
          OptionInfo{.help = "draw among so many likeliest tokens only; 0: all", .minimum = 0, .off = "0"});
    field("nucleus", self.nucleus,
          OptionInfo{.help = "draw among the likeliest tokens that together have this probability",
                     .minimum = 0,
                     .maximum = 1,
                     .above_minimum = true,
                     .off = "1"});
    field("show-experts", self.show_experts,
          OptionInfo{.help = "also print, per sparse layer, the first expert of every token"});
    field(
        "cache", self.cache,
        OptionInfo{.help = "keep keys and values of the tokens read instead of reading them again for every new one"});
    field("checkpoint", self.which, OptionInfo{.help = "best or last", .metavar = "WORD"});
  }
};

enum class Budget { steps, flops, seconds };
inline std::span<const EnumName<Budget>> enum_names(Budget) {
  static constexpr std::array<EnumName<Budget>, 3> names{{
      {Budget::steps, "steps", "the same number of steps for every router"},
      {Budget::flops, "flops", "the same number of expert evaluations: costlier routers get fewer steps"},
      {Budget::seconds, "seconds", "the same CPU time, measured on a short run of each"},
  }};
  return names;
}

struct CollapseRequest {
  TrainRequest train;
  std::vector<std::string> routers = {"smoe", "xmoe", "stable", "dropout", "compete-v2"};
  std::int64_t seeds = 3;
  Budget budget = Budget::steps;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("routers", self.routers,
          OptionInfo{.help = "routers to compare; the first is what the others are compared with", .metavar = "WORD"});
    field("seeds", self.seeds, OptionInfo{.help = "runs per router, with equal seeds for all", .minimum = 1});
    field("budget", self.budget, OptionInfo{.help = "what is equal between routers"});
  }
};

struct TeacherRequest {
  train::TeacherStudyOptions options;
  std::vector<std::string> students = {"smoe-linear", "smoe-mlp", "compete-linear", "compete-mlp", "oracle"};
  std::int64_t seeds = 5;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("students", self.students,
          OptionInfo{.help = "students to compare; the first is what the others are compared with", .metavar = "WORD"});
    field("seeds", self.seeds,
          OptionInfo{.help = "teachers per kind of gate, the same for every student", .minimum = 1});
    train::TeacherStudyOptions::visit(self.options, field);
  }
};

}  // namespace clearway::cli
