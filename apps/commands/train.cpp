// clearway train: a text, or labelled texts, in, a sparse transformer out. The work is in deep/train.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class TrainCommand final : public Command {
 public:
  std::string_view name() const override { return "train"; }
  std::string_view summary() const override { return "train a sparse mixture-of-experts transformer"; }
  std::string_view examples() const override {
    return "clearway train --data corpus.txt --router smoe --experts 16 --top-k 2 --size tiny --steps 3000 --out run/\n"
           "clearway train --data corpus.txt --router compete --experts 16 --steps 3000 --out compete/\n"
           "clearway train --out run/ --resume\n"
           "clearway train --data corpus.txt --batch 8 --processes 2 --expert-parallel --out run/\n"
           "clearway train --task classify --data train.txt --valid-data dev.txt --from run/ --out sentiment/\n";
  }
  std::string_view description() const override {
    return "Trains a decoder-only transformer whose blocks hold sparse mixtures of experts, on one text (cut into 90 "
           "%\n"
           "to learn from, 5 % to choose the best step by and 5 % to measure) or on separate files, and reports bits "
           "per\n"
           "character (or perplexity), tokens per second and, per sparse layer, whether its experts are used. Labelled "
           "texts\n"
           "(--task classify) are never cut: --valid-data and --test-data name those that are held out.\n"
           "\n"
           "The run folder holds config.json, vocabulary.json, metrics.jsonl (one line per --log-every steps) and\n"
           "checkpoints/last and checkpoints/best, each with model.safetensors, optimizer.safetensors and state.json.\n"
           "--resume goes on exactly: stopping and resuming changes no bit of the result on a CPU, with the same "
           "number of\n"
           "--threads. Ctrl-C finishes the step, saves and ends with code 130.\n"
           "\n"
           "--processes 2 starts two processes that share every batch; for several machines, start one process on "
           "each\n"
           "with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set (see docs/distributed.md). With --expert-parallel "
           "each\n"
           "process holds its share of the experts only.\n";
  }

  void options(OptionList& list) override {
    list.group("Data");
    list.add(request_.corpus);
    list.add(request_.texts);
    list.add(request_.tokenizer);
    list.add(request_);
    list.group("Model");
    list.add(request_.model);
    list.group("Training");
    list.add(request_.loop);
    list.add(request_.rate);
    list.group("Run");
    list.add(request_.place);
  }

  ExitCode run(Context& context) override { return train(request_, context); }

 private:
  TrainRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_train_command() {
  return std::make_unique<TrainCommand>();
}

}  // namespace clearway::cli
