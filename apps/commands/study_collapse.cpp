// clearway study collapse: routers side by side on one text with equal budgets. The work is in deep/study_collapse.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class StudyCollapseCommand final : public Command {
 public:
  std::string_view name() const override { return "study collapse"; }
  std::string_view summary() const override { return "routers side by side: quality, cost and collapse"; }
  std::string_view examples() const override {
    return "clearway study collapse --data corpus.txt --routers smoe,xmoe,stable,dropout,compete --seeds 3 --out "
           "study/\n"
           "clearway study collapse --data corpus.txt --routers smoe,compete-v2 --budget flops --steps 1000 --out "
           "study/\n";
  }
  std::string_view description() const override {
    return "Trains every router with every seed on the same batches from the same initial weights, and tabulates test\n"
           "bits per character (mean and spread over seeds, difference to the first router paired by seed, with its\n"
           "interval), expert evaluations per token, and what tells a collapse: load entropy, dead experts, router\n"
           "entropy, similarity of experts, agreement of router and competition. Says so where a difference is within\n"
           "the noise. Finished runs are in the folder and are not repeated; an interrupted study goes on.\n";
  }

  void options(OptionList& list) override {
    list.group("Study");
    list.add(request_);
    list.group("Data");
    list.add(request_.train.corpus);
    list.add(request_.train.tokenizer);
    list.add(request_.train);
    list.group("Model");
    list.add(request_.train.model);
    list.group("Training");
    list.add(request_.train.loop);
    list.add(request_.train.rate);
    list.group("Run");
    list.add(request_.train.place);
  }

  ExitCode run(Context& context) override { return study_collapse(request_, context); }

 private:
  CollapseRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_study_collapse_command() {
  return std::make_unique<StudyCollapseCommand>();
}

}  // namespace clearway::cli
