// What must hold for every fusion model: all of it learns, samples do not see each other, and what an absent modality
// holds cannot matter.
#include "clearway/deep/fusion_model.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/autograd.h>

#include <cmath>
#include <limits>

#include "clearway/train/tensors.hpp"

namespace clearway::deep {
namespace {

using fusion::ModalityKind;
using fusion::ModalityShape;

double largest(const torch::Tensor& a) {
  return a.abs().max().item<double>();
}

const std::vector<ModalityShape>& every_kind() {
  static const std::vector<ModalityShape> shapes = {
      {"age", ModalityKind::fixed, 3, 0},
      {"vitals", ModalityKind::irregular, 4, 28},
      {"wave", ModalityKind::regular, 2, 14},
      {"scan", ModalityKind::embedding, 5, 0},
      {"notes", ModalityKind::embedding_series, 3, 21},
      {"text", ModalityKind::text, 6, 0},
  };
  return shapes;
}

FusionOptions small() {
  FusionOptions options;
  options.dimension = 8;
  options.bins = 4;
  options.time_dimension = 8;
  options.time_heads = 2;
  options.heads = 2;
  options.experts = 4;
  options.expert_hidden = 8;
  options.router_dimension = 4;
  options.head_hidden = 8;
  options.dropout = 0;
  options.modality_dropout = 0;
  return options;
}

FusionBatch random_batch(const std::vector<ModalityShape>& shapes, std::int64_t rows, std::int64_t places = 9) {
  FusionBatch batch;
  for (const ModalityShape& shape : shapes) {
    ModalityBatch one;
    const bool series = is_series(shape.kind);
    std::vector<std::int64_t> size = {rows, shape.features};
    if (series) size.insert(size.begin() + 1, places);
    one.mask = at::rand(size).lt(0.6).to(at::kFloat);
    if (!series && shape.kind != ModalityKind::fixed) one.mask = at::ones(size);
    one.values = at::randn(size) * one.mask;
    if (series) {
      one.times = shape.kind == ModalityKind::regular ? at::linspace(0, 1, places) : at::rand({rows, places});
      one.summary = at::randn({rows, shape.summaries});
    }
    batch.modalities.push_back(one);
  }
  batch.present = at::rand({rows, static_cast<std::int64_t>(shapes.size())}).lt(0.6).to(at::kFloat);
  if (rows > 1) batch.present.select(0, 1).zero_();  // nobody there at all
  return batch;
}

/// Some samples of a batch.
FusionBatch rows_of(const FusionBatch& batch, std::int64_t first, std::int64_t count) {
  FusionBatch out;
  const auto some = [&](const torch::Tensor& a) { return a.defined() ? a.narrow(0, first, count) : a; };
  for (const ModalityBatch& one : batch.modalities)
    out.modalities.push_back({some(one.values), some(one.mask),
                              one.times.defined() && one.times.dim() == 2 ? some(one.times) : one.times,
                              some(one.summary)});
  out.present = some(batch.present);
  return out;
}

constexpr std::array kMethods = {FusionMethod::moe,    FusionMethod::dense,           FusionMethod::late,
                                 FusionMethod::concat, FusionMethod::cross_attention, FusionMethod::tensor,
                                 FusionMethod::linear};
constexpr std::array kEncoders = {SeriesEncoder::summary, SeriesEncoder::mtand, SeriesEncoder::imputation,
                                  SeriesEncoder::utde, SeriesEncoder::both};
constexpr std::array kPolicies = {MissingPolicy::zero, MissingPolicy::learned, MissingPolicy::mask_route,
                                  MissingPolicy::bank, MissingPolicy::impute};

/// All methods with all encoders and policies that go together.
template <class Run>
void for_all_models(const Run& run) {
  for (const auto method : kMethods)
    for (const auto encoder : kEncoders)
      for (const auto missing : kPolicies) {
        if (method == FusionMethod::linear && missing != MissingPolicy::zero) continue;
        FusionOptions options = small();
        options.method = method;
        options.encoder = encoder;
        options.missing = missing;
        SCOPED_TRACE(fmt::format("{} {} {}", enum_name(method), enum_name(encoder), enum_name(missing)));
        torch::manual_seed(1);
        run(options);
      }
}

/// A model with every number moved off its start, and an imputation that was learned.
std::shared_ptr<FusionModel> some_model(const FusionOptions& options, const std::vector<ModalityShape>& shapes) {
  auto model = std::make_shared<FusionModel>(options, shapes, 2);
  const torch::NoGradGuard off;
  for (torch::Tensor& a : model->parameters()) a.add_(0.05 * at::randn_like(a));
  if (options.missing == MissingPolicy::impute) {
    model->eval();
    const FusionBatch batch = random_batch(shapes, 40);
    model->fit_imputation(model->tokens(batch), batch.present);
  }
  return model;
}

void every_parameter_learns(const FusionOptions& options) {
  const auto model = some_model(options, every_kind());
  model->train();
  const FusionResult result = model->forward(random_batch(every_kind(), 64));
  torch::Tensor loss = (result.output * at::randn_like(result.output)).sum();
  if (result.auxiliary_loss.defined()) loss = loss + result.auxiliary_loss;
  loss.backward();
  for (const auto& item : model->named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    EXPECT_GT(largest(item.value().grad()), 0) << item.key();
    // Every router by itself: the released code left them out.
    for (const char* name : {"mixture.centres", "mixture.projection", "mixture.log_temperature"}) {
      if (!item.key().ends_with(name)) continue;
      const torch::Tensor own = item.value().grad().reshape({item.value().size(0), -1});
      EXPECT_TRUE(own.ne(0).any(1).all().item<bool>()) << item.key();
    }
  }
}

TEST(FusionModel, EveryRouterAndEveryOtherParameterLearns) {
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality, FusionRouter::disjoint})
    for (const auto gate : {FusionGate::softmax, FusionGate::laplace, FusionGate::gaussian})
      for (const std::int64_t k : {1, 2}) {
        torch::manual_seed(2);
        FusionOptions options = small();
        options.router = router;
        options.gate = gate;
        options.top_k = k;
        options.layers = 2;
        SCOPED_TRACE(fmt::format("{} {} {}", enum_name(router), enum_name(gate), k));
        every_parameter_learns(options);
      }
  for_all_models([](const FusionOptions& options) { every_parameter_learns(options); });
}

// The whole gradient of a model with all parts in double against differences along one direction: error about step^2.
TEST(FusionModel, GradientEqualsFiniteDifferences) {
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality, FusionRouter::disjoint}) {
    torch::manual_seed(3);
    FusionOptions options = small();
    options.encoder = SeriesEncoder::both;
    options.router = router;
    options.top_k = 4;  // so that no choice can change within the step
    const auto model = some_model(options, every_kind());
    model->to(at::kDouble);
    model->eval();
    const FusionBatch batch = random_batch(every_kind(), 6);
    const torch::Tensor weights = at::randn({6, 2}, at::kDouble);
    const auto value = [&] { return (model->forward(batch).output * weights).sum(); };
    std::vector<torch::Tensor> parameters = model->parameters(), direction;
    const auto gradients = torch::autograd::grad({value()}, parameters);
    double slope = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      direction.push_back(at::randn_like(parameters[i]));
      slope += (gradients[i] * direction[i]).sum().item<double>();
    }
    constexpr double kStep = 1e-7;
    const torch::NoGradGuard off;
    const auto at_step = [&](double step) {
      for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].add_(step * direction[i]);
      const double out = value().item<double>();
      for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].sub_(step * direction[i]);
      return out;
    };
    // Rounding of the values (1e-15 of about 10) over the step leaves 1e-7.
    EXPECT_NEAR((at_step(kStep) - at_step(-kStep)) / (2 * kStep), slope, 1e-5 * (1 + std::abs(slope)));
  }
}

TEST(FusionModel, WhatAbsentModalitiesHoldCannotMatter) {
  for_all_models([](const FusionOptions& options) {
    const auto model = some_model(options, every_kind());
    model->eval();
    const FusionBatch batch = random_batch(every_kind(), 12);
    FusionBatch poisoned = batch;
    for (std::size_t m = 0; m < poisoned.modalities.size(); ++m) {
      const torch::Tensor absent = batch.present.select(1, static_cast<std::int64_t>(m)).eq(0);
      const auto poison = [&](torch::Tensor& a, double with) {
        if (!a.defined() || a.size(0) != 12) return;
        std::vector<std::int64_t> shape(static_cast<std::size_t>(a.dim()), 1);
        shape[0] = 12;
        a = a.masked_fill(absent.view(shape), with);
      };
      ModalityBatch& one = poisoned.modalities[m];
      poison(one.values, std::numeric_limits<double>::quiet_NaN());
      poison(one.mask, 1);
      poison(one.times, 0.7);
      poison(one.summary, 1e30);
    }
    const FusionResult clean = model->forward(batch), other = model->forward(poisoned);
    EXPECT_TRUE(clean.output.isfinite().all().item<bool>());
    EXPECT_TRUE(at::equal(clean.output, other.output));
    for (std::size_t i = 0; i < clean.layers.size(); ++i)
      EXPECT_TRUE(at::equal(clean.layers[i].weights, other.layers[i].weights));
    if (options.method == FusionMethod::linear) return;
    const torch::Tensor tokens = model->tokens(poisoned);
    EXPECT_TRUE(at::equal(tokens, model->tokens(batch)));
    EXPECT_EQ(largest(tokens * batch.present.eq(0).unsqueeze(2)), 0);
  });
}

TEST(FusionModel, SamplesAreAnsweredTheSameAloneAndTogether) {
  const torch::NoGradGuard off;
  for_all_models([](const FusionOptions& options) {
    const bool all = options.missing == MissingPolicy::zero || options.encoder == SeriesEncoder::both;
    if (!all) return;
    for (const auto granularity : {TokenGranularity::sample, TokenGranularity::bin, TokenGranularity::flat}) {
      FusionOptions own = options;
      own.granularity = granularity;
      own.noise = 1;  // which is drawn while training only
      const auto model = some_model(own, every_kind());
      model->eval();
      const FusionBatch batch = random_batch(every_kind(), 64);
      const torch::Tensor together = model->forward(batch).output;
      EXPECT_TRUE(at::equal(together, model->forward(batch).output));
      const double tolerance = 1e-5 * std::max(1.0, largest(together));  // products of six modalities grow
      for (std::int64_t i = 0; i < 64; i += 9)
        EXPECT_LT(largest(model->forward(rows_of(batch, i, 1)).output - together.narrow(0, i, 1)), tolerance);
      // Other samples, the same place.
      FusionBatch mixed = random_batch(every_kind(), 64);
      const auto keep = [](const torch::Tensor& into, const torch::Tensor& from) {
        if (into.defined() && into.size(0) == 64) into.select(0, 5).copy_(from.select(0, 5));
      };
      for (std::size_t m = 0; m < mixed.modalities.size(); ++m) {
        keep(mixed.modalities[m].values, batch.modalities[m].values);
        keep(mixed.modalities[m].mask, batch.modalities[m].mask);
        keep(mixed.modalities[m].times, batch.modalities[m].times);
        keep(mixed.modalities[m].summary, batch.modalities[m].summary);
      }
      keep(mixed.present, batch.present);
      EXPECT_LT(largest(model->forward(mixed).output.select(0, 5) - together.select(0, 5)), tolerance);
      if (own.method != FusionMethod::moe) break;
    }
  });
}

// With the same numbers for every modality and a head that adds them up alike, the order of modalities is nothing.
TEST(FusionModel, TiedModalitiesCanChangePlaces) {
  const torch::NoGradGuard off;
  const std::vector<ModalityShape> shapes(3, {"vitals", ModalityKind::irregular, 4, 28});
  for (const auto method : {FusionMethod::moe, FusionMethod::dense, FusionMethod::late, FusionMethod::cross_attention,
                            FusionMethod::tensor})
    for (const auto router : {FusionRouter::per_modality, FusionRouter::disjoint})
      for (const auto missing : {MissingPolicy::zero, MissingPolicy::mask_route, MissingPolicy::learned}) {
        torch::manual_seed(4);
        FusionOptions options = small();
        options.method = method;
        options.router = router;
        options.missing = missing;
        options.encoder = SeriesEncoder::utde;
        options.mask = false;
        const auto model = some_model(options, shapes);
        model->eval();
        const auto named = model->named_parameters();
        const auto width = options.dimension;
        for (const auto& item : named) {
          const std::string& name = item.key();
          torch::Tensor a = item.value();
          const auto ends = [&](const char* tail) { return name.ends_with(tail); };
          if (name.starts_with("encoder0."))
            for (const char* other : {"encoder1.", "encoder2."}) named[other + name.substr(9)].copy_(a);
          else if (name.starts_with("encoder") || name.starts_with("position"))
            continue;
          else if (ends("mixture.w2") || ends("mixture.b2") || ends("head.linear_weight") ||
                   ends("head.hidden_weight")) {
            if (method == FusionMethod::tensor) continue;
            for (const std::int64_t m : {1, 2})  // columns of one modality after the other
              a.narrow(-1, m * width, width).copy_(a.narrow(-1, 0, width));
            if (router == FusionRouter::disjoint && (ends("w2") || ends("b2"))) {
              const auto each = a.size(0) / 3;
              for (const std::int64_t m : {1, 2}) a.narrow(0, m * each, each).copy_(a.narrow(0, 0, each));
            }
          } else if (ends("mixture.w1") || ends("mixture.b1")) {
            for (std::int64_t m = 1; m < a.size(0); ++m) a[m].copy_(a[0]);
          } else if (!name.starts_with("head.") && !ends("late_bias")) {
            for (std::int64_t m = 1; m < a.size(0); ++m) a[m].copy_(a[0]);
          }
        }
        const FusionBatch batch = random_batch(shapes, 10);
        FusionBatch turned;
        for (const std::size_t m : {2, 0, 1}) turned.modalities.push_back(batch.modalities[m]);
        turned.present = batch.present.index_select(1, at::tensor({2, 0, 1}, at::kLong));
        const FusionResult a = model->forward(batch), b = model->forward(turned);
        SCOPED_TRACE(fmt::format("{} {} {}", enum_name(method), enum_name(router), enum_name(missing)));
        EXPECT_LT(largest(a.output - b.output), 1e-5);
        EXPECT_GT(largest(a.output - a.output.mean(0, true)), 1e-3);
      }
}

// Static modalities stay, the last one stays, others go with the chance: a binomial share within 5 standard deviations.
TEST(FusionModel, ModalityDropoutLeavesStaticAndLastOnes) {
  torch::manual_seed(5);
  const torch::NoGradGuard off;
  FusionOptions options = small();
  options.missing = MissingPolicy::mask_route;  // whose weights tell who was there
  options.modality_dropout = 0.7;
  FusionModel model(options, every_kind(), 1);
  constexpr std::int64_t kRows = 4000;
  FusionBatch batch = random_batch(every_kind(), kRows);
  const auto asked = [&] { return model.forward(batch).layers.at(0).weights.sum({2, 3}).gt(0.5).to(at::kFloat); };
  model.train();
  const torch::Tensor kept = asked();
  EXPECT_TRUE(kept.le(batch.present).all().item<bool>());
  EXPECT_TRUE(at::equal(kept.select(1, 0), batch.present.select(1, 0)));
  EXPECT_TRUE(at::equal(kept.sum(1).gt(0), batch.present.sum(1).gt(0)));
  // Where the static one is there nobody else can be the last.
  const torch::Tensor with_static = batch.present * batch.present.narrow(1, 0, 1);
  const torch::Tensor others = with_static.narrow(1, 1, 5);
  const double count = others.sum().item<double>();
  const double share = (kept.narrow(1, 1, 5) * others).sum().item<double>() / count;
  EXPECT_NEAR(share, 0.3, 5 * std::sqrt(0.3 * 0.7 / count));
  model.eval();
  EXPECT_TRUE(at::equal(asked(), batch.present));
}

// The ridge solution is where the gradient of squared errors plus penalty vanishes, with nothing of the modality itself.
TEST(FusionModel, ImputationSolvesItsRidgeRegression) {
  torch::manual_seed(6);
  const torch::NoGradGuard off;
  FusionOptions options = small();
  options.missing = MissingPolicy::impute;
  FusionModel model(options, every_kind(), 1);
  model.to(at::kDouble);
  const std::int64_t rows = 300, count = 6, width = 8;
  const torch::Tensor present = at::rand({rows, count}, at::kDouble).lt(0.7).to(at::kDouble);
  torch::Tensor tokens = at::randn({rows, count, width}, at::kDouble);
  tokens.select(1, 2).copy_(2 * tokens.select(1, 0) * present.select(1, 0).unsqueeze(1) - 1);
  tokens = tokens * present.unsqueeze(2);
  model.fit_imputation(tokens, present);
  const torch::Tensor learned = model.named_buffers()["imputation"];
  for (std::int64_t m = 0; m < count; ++m) {
    const torch::Tensor there = present.select(1, m).unsqueeze(1);
    torch::Tensor x = at::cat({tokens.reshape({rows, -1}), present, at::ones({rows, 1}, at::kDouble)}, 1);
    x.narrow(1, m * width, width).zero_();
    x.narrow(1, count * width + m, 1).zero_();
    const torch::Tensor errors = (at::mm(x, learned[m]) - tokens.select(1, m)) * there;
    const double penalty = 0.01 * (there.sum().item<double>() + 1);
    EXPECT_LT(largest(at::mm(x.t(), errors) + penalty * learned[m]), 1e-8);
  }
  // What was known exactly is found but for the shrinkage of about the penalty over the sum of squares, 0.01 / 0.7.
  const torch::Tensor found = learned[2].narrow(0, 0, width);
  EXPECT_LT(largest(found - 2 * at::eye(width, at::kDouble)), 0.1);
}

TEST(FusionModel, SavesAndLoadsToTheLastBit) {
  const torch::NoGradGuard off;
  for (const auto missing : {MissingPolicy::bank, MissingPolicy::impute, MissingPolicy::learned}) {
    torch::manual_seed(7);
    FusionOptions options = small();
    options.encoder = SeriesEncoder::both;
    options.missing = missing;
    const auto model = some_model(options, every_kind());
    FusionModel other(options, every_kind(), 2);
    model->eval();
    other.eval();
    const FusionBatch batch = random_batch(every_kind(), 20);
    const torch::Tensor wanted = model->forward(batch).output;
    EXPECT_FALSE(at::equal(wanted, other.forward(batch).output));
    train::load_into(other, train::module_tensors(*model), "test");
    EXPECT_TRUE(at::equal(wanted, other.forward(batch).output));
  }
}

// Sets of more than ten modalities have no table; twelve work all the same.
TEST(FusionModel, TheBankOfManyModalitiesIsANetwork) {
  torch::manual_seed(8);
  const std::vector<ModalityShape> shapes(12, {"scan", ModalityKind::embedding, 5, 0});
  FusionOptions options = small();
  options.missing = MissingPolicy::bank;
  const auto model = some_model(options, shapes);
  model->train();
  const torch::Tensor output = model->forward(random_batch(shapes, 30)).output;
  (output * at::randn_like(output)).sum().backward();
  for (const auto& item : model->named_parameters()) EXPECT_GT(largest(item.value().grad()), 0) << item.key();
}

// A tensor over samples, heads, bins, places and 2 F channels would take 8 x 8 x 48 x 1000 x 128 x 4 bytes = 1.6 GB.
TEST(FusionModel, AThousandPlacesTakeLittleMemory) {
  torch::manual_seed(9);
  const std::vector<ModalityShape> shapes = {{"vitals", ModalityKind::irregular, 64, 448}};
  FusionOptions options = small();
  options.encoder = SeriesEncoder::both;
  options.time_dimension = 64;
  options.time_heads = 8;
  options.bins = 48;
  FusionModel model(options, shapes, 1);
  const FusionBatch batch = random_batch(shapes, 8, 1000);
  const auto peak = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;  // MB
  };
  const long before = peak();
  model.forward(batch).output.sum().backward();
  EXPECT_LT(peak() - before, 400);
}

struct BadOptions {
  const char* message;
  void (*change)(FusionOptions&);
};

TEST(FusionModel, RefusesOptionsThatDoNotFitTogether) {
  for (const BadOptions& bad : {
           BadOptions{"heads must divide the dimension: 3 does not divide 8",
                      [](FusionOptions& o) {
                        o.heads = 3;
                        o.encoder = SeriesEncoder::mtand;
                      }},
           BadOptions{"time-heads must divide the time-dimension: 3 does not divide 8",
                      [](FusionOptions& o) {
                        o.time_heads = 3;
                        o.encoder = SeriesEncoder::utde;
                      }},
           BadOptions{"top-k must be at most the number of experts, 4, not 5", [](FusionOptions& o) { o.top_k = 5; }},
           BadOptions{"load 0.1 needs noise above 0", [](FusionOptions& o) { o.load = 0.1; }},
           BadOptions{"entropy must be 0 with disjoint routers",
                      [](FusionOptions& o) {
                        o.entropy = 0.1;
                        o.router = FusionRouter::disjoint;
                      }},
           BadOptions{"method linear has no tokens",
                      [](FusionOptions& o) {
                        o.method = FusionMethod::linear;
                        o.missing = MissingPolicy::learned;
                      }},
       }) {
    FusionOptions options = small();
    bad.change(options);
    try {
      FusionModel(options, every_kind(), 1);
      ADD_FAILURE() << bad.message;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(bad.message), std::string::npos) << e.what();
    }
  }
}

TEST(FusionModel, RefusesBatchesOfAnotherShape) {
  FusionModel model(small(), every_kind(), 1);
  FusionBatch batch = random_batch(every_kind(), 4);
  batch.modalities[1].summary = at::zeros({4, 3});
  EXPECT_THROW(model.forward(batch), std::invalid_argument);
  batch = random_batch(every_kind(), 4);
  batch.modalities.pop_back();
  EXPECT_THROW(model.forward(batch), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::deep
