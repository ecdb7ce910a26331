// What `clearway fuse` is asked for: options without torch.
#pragma once

#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/deep/fusion_options.hpp"
#include "clearway/train/fusion_options.hpp"

namespace clearway::cli {

struct FuseTrainRequest {
  std::string spec;
  deep::FusionOptions model;
  train::FusionTrainingOptions training;
  std::vector<std::string> modalities;
  double level = 0.9;
  double risk = 0;
  std::string out;
  bool force = false;
  bool resume = false;
  bool report = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("modalities", self.modalities,
          OptionInfo{.help = "modalities to use; default: all of the specification", .metavar = "NAME"});
    field("level", self.level,
          OptionInfo{.help = "coverage that conformal sets and intervals are made for",
                     .minimum = 0.5,
                     .maximum = 0.999,
                     .source = "split conformal prediction, Vovk et al. 2005"});
    field("risk", self.risk,
          OptionInfo{.help = "largest error rate among answers: below it the rest abstains; 0: never abstain",
                     .minimum = 0,
                     .maximum = 0.5,
                     .off = "0"});
    field("out", self.out, OptionInfo{.help = "run folder to write", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
    field("report", self.report,
          OptionInfo{.help = "also draw the run: report.html in its folder, as clearway report writes it"});
    field("resume", self.resume, OptionInfo{.help = "go on with the run in --out where it stopped"});
  }
};

enum class FusePart { test, valid, train, all };
inline std::span<const EnumName<FusePart>> enum_names(FusePart) {
  static constexpr std::array<EnumName<FusePart>, 4> names{{
      {FusePart::test, "test", "samples kept for testing"},
      {FusePart::valid, "valid", "samples that chose the best epoch and calibrate"},
      {FusePart::train, "train", "samples learned from"},
      {FusePart::all, "all", "every sample"},
  }};
  return names;
}

struct FuseEvaluateRequest {
  std::string run;
  std::string data;
  FusePart part = FusePart::test;
  std::string against;
  std::int64_t replicates = 1000;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data,
          OptionInfo{.help = "a specification of other samples with the same modalities; all of them are measured",
                     .metavar = "SPEC"});
    field("part", self.part, OptionInfo{.help = "which samples of the run's own data are measured"});
    field("against", self.against,
          OptionInfo{.help = "another run: differences on the same samples, with intervals", .metavar = "DIR"});
    field("replicates", self.replicates,
          OptionInfo{.help = "bootstrap replicates of intervals; 0: no intervals", .minimum = 0, .off = "0"});
  }
};

struct FusePredictRequest {
  std::string run;
  std::string data;
  std::string out = "-";
  std::vector<std::string> explain;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data,
          OptionInfo{.help = "a specification of the samples; default: the run's own test samples", .metavar = "SPEC"});
    field("out", self.out, OptionInfo{.help = "CSV file to write; - is standard output", .metavar = "FILE"});
    field("explain", self.explain,
          OptionInfo{.help = "explain these samples instead: modalities, experts, and what each modality changed",
                     .metavar = "ID"});
  }
};

struct FuseSweepRequest {
  std::string spec;
  std::vector<std::string> vary = {"missing-policy=zero", "learned", "mask-route"};
  std::string missing = "0:0.6:0.2";
  std::int64_t splits = 3;
  std::int64_t processes = 0;
  deep::FusionOptions model;
  train::FusionTrainingOptions training;
  double level = 0.9;
  std::string out;
  bool force = false;
  bool report = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("vary", self.vary,
          OptionInfo{.help =
                         "options and the values to try, all combinations: gate=softmax,laplace,router=joint,disjoint; "
                         "modalities=a+b tries some modalities alone",
                     .metavar = "NAME=VALUE"});
    field("missing", self.missing,
          OptionInfo{.help = "rates first:last:step at which modalities that are there are taken away at random when "
                             "testing; static ones stay",
                     .metavar = "RATES"});
    field("splits", self.splits,
          OptionInfo{.help = "times the samples are split anew and every variant is trained", .minimum = 1});
    field(
        "processes", self.processes,
        OptionInfo{.help = "runs at the same time, a core each; 0: as many as threads", .minimum = 0, .maximum = 256});
    field("level", self.level,
          OptionInfo{
              .help = "coverage that conformal sets and intervals are made for", .minimum = 0.5, .maximum = 0.999});
    field("out", self.out,
          OptionInfo{.help = "folder of the study; finished runs in it are not repeated", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the study that the folder holds"});
    field("report", self.report,
          OptionInfo{.help = "also draw the run: report.html in its folder, as clearway report writes it"});
  }
};

}  // namespace clearway::cli
