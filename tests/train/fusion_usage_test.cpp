// Expert usage against sums over samples, routers, places and experts one by one.
#include "clearway/train/fusion_usage.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/train/tensor_rows.hpp"
#include "fusion_samples.hpp"

namespace clearway::train {
namespace {

using deep::FusionRouter;
using deep::TokenGranularity;
using fusion::TargetKind;
using namespace testing_fusion;  // NOLINT(google-build-using-namespace)

std::shared_ptr<deep::FusionModel> model_of(const deep::FusionOptions& options, const FusionTensors& samples) {
  torch::manual_seed(8);
  const auto model = std::make_shared<deep::FusionModel>(options, samples.shapes(), 1);
  model->eval();
  return model;
}

double entropy(const Vector& p) {
  double out = 0;
  for (const double v : p)
    if (v > 0) out -= v * std::log(v);
  return out;
}

/// What the header promises, from the routings of all rows at once.
FusionLayerUsage by_hand(const deep::FusionRouting& routing, const Matrix& present, const Vector& event,
                         FusionRouter router) {
  const auto rows = routing.weights.size(0), routers = routing.weights.size(1), places = routing.weights.size(2),
             pool = routing.weights.size(3);
  const bool disjoint = router == FusionRouter::disjoint;
  const Eigen::Index experts = disjoint ? routers * pool : pool;
  FusionLayerUsage out;
  out.mass = out.chosen = Matrix::Zero(routers, experts);
  out.top_weight = Vector::Zero(routers);
  out.samples = out.event_rate = Vector::Zero(experts);
  out.presence = Matrix::Zero(experts, present.cols());
  Matrix probabilities = out.mass;
  const torch::Tensor w = routing.weights.to(at::kDouble).contiguous(),
                      q = routing.probabilities.to(at::kDouble).contiguous();
  for (Eigen::Index r = 0; r < routers; ++r) {
    double decisions = 0;
    for (Eigen::Index b = 0; b < rows; ++b) {
      if (router != FusionRouter::joint && present(b, r) == 0) continue;
      for (Eigen::Index p = 0; p < places; ++p) {
        ++decisions;
        double top = 0;
        for (Eigen::Index e = 0; e < pool; ++e) {
          const Eigen::Index expert = disjoint ? r * pool + e : e;
          const Eigen::Index place = ((b * routers + r) * places + p) * pool + e;
          const double weight = w.data_ptr<double>()[place];
          out.mass(r, expert) += weight;
          out.chosen(r, expert) += weight > 0 ? 1 : 0;
          probabilities(r, expert) += q.data_ptr<double>()[place];
          top = std::max(top, weight);
          const double share = weight / static_cast<double>(places);
          out.samples(expert) += share;
          out.event_rate(expert) += share * event(b);
          for (Eigen::Index m = 0; m < present.cols(); ++m) out.presence(expert, m) += share * present(b, m);
        }
        out.top_weight(r) += top;
      }
    }
    out.mass.row(r) /= decisions;
    out.chosen.row(r) /= decisions;
    out.top_weight(r) /= decisions;
    probabilities.row(r) /= probabilities.row(r).sum();
  }
  for (Eigen::Index e = 0; e < experts; ++e) {
    out.event_rate(e) /= out.samples(e);
    out.presence.row(e) /= out.samples(e);
  }
  if (routers > 1) {
    double own = 0;
    for (Eigen::Index r = 0; r < routers; ++r)
      own += entropy(probabilities.row(r).transpose()) / static_cast<double>(routers);
    out.information = (entropy(probabilities.colwise().mean().transpose()) - own) /
                      std::log(static_cast<double>(std::min<Eigen::Index>(routers, experts)));
  }
  const Vector share = out.samples / out.samples.sum();
  out.load_entropy = entropy(share) / std::log(static_cast<double>(experts));
  for (Eigen::Index e = 0; e < experts; ++e)
    if (share(e) < 0.1 / static_cast<double>(experts)) out.dead.push_back(static_cast<int>(e));
  return out;
}

// 600 samples are more than are computed at once. Weights are floats, sums doubles.
TEST(FusionUsage, AgreesWithSumsOneByOne) {
  const fusion::PreparedData data = samples_of(TargetKind::binary, 600);
  const FusionTensors samples(data);
  std::vector<std::int64_t> rows = range(0, 600);
  std::reverse(rows.begin(), rows.end());
  for (const FusionRouter router : {FusionRouter::joint, FusionRouter::per_modality, FusionRouter::disjoint})
    for (const TokenGranularity granularity : {TokenGranularity::sample, TokenGranularity::bin}) {
      deep::FusionOptions options = small_model();
      options.encoder = deep::SeriesEncoder::mtand;
      options.router = router;
      options.granularity = granularity;
      options.layers = 2;
      options.temperature = 0.1;
      const auto model = model_of(options, samples);
      Vector event(600);
      for (std::size_t i = 0; i < 600; ++i)
        event(static_cast<Eigen::Index>(i)) = data.target.values[static_cast<std::size_t>(rows[i])];
      const FusionUsage found = fusion_usage(*model, samples, rows, event);
      std::vector<deep::FusionRouting> layers;
      fusion_outputs(*model, samples, row_tensor(rows), {}, 600,
                     [&](const torch::Tensor&, const deep::FusionResult& result) { layers = result.layers; });
      ASSERT_EQ(found.layers.size(), 2U);
      ASSERT_EQ(layers[0].weights.size(2), granularity == TokenGranularity::bin ? 4 : 1);
      const Matrix present = to_matrix(samples.present().index_select(0, row_tensor(rows)));
      for (std::size_t i = 0; i < 2; ++i) {
        const FusionLayerUsage& own = found.layers[i];
        const FusionLayerUsage wanted = by_hand(layers[i], present, event, router);
        constexpr double kFloat = 1e-5;
        EXPECT_LT((own.mass - wanted.mass).cwiseAbs().maxCoeff(), kFloat);
        EXPECT_LT((own.chosen - wanted.chosen).cwiseAbs().maxCoeff(), 0.01);  // a tie may fall the other way
        EXPECT_LT((own.top_weight - wanted.top_weight).cwiseAbs().maxCoeff(), kFloat);
        EXPECT_LT((own.samples - wanted.samples).cwiseAbs().maxCoeff(), 600 * kFloat);
        EXPECT_NEAR(own.information, wanted.information, kFloat);
        EXPECT_NEAR(own.load_entropy, wanted.load_entropy, kFloat);
        EXPECT_EQ(own.dead, wanted.dead);
        for (Eigen::Index e = 0; e < own.samples.size(); ++e) {
          if (!(own.samples(e) > 1)) continue;
          EXPECT_NEAR(own.event_rate(e), wanted.event_rate(e), 1e-3);
          EXPECT_LT((own.presence.row(e) - wanted.presence.row(e)).cwiseAbs().maxCoeff(), 1e-3);
        }
        for (Eigen::Index r = 0; r < own.mass.rows(); ++r) {
          EXPECT_NEAR(own.mass.row(r).sum(), 1, kFloat);
          EXPECT_NEAR(own.chosen.row(r).sum(), 2, 1e-9);
        }
        const std::vector<std::string> names = router == FusionRouter::joint
                                                   ? std::vector<std::string>{"joint"}
                                                   : std::vector<std::string>{"age", "vitals", "scan"};
        EXPECT_EQ(own.routers, names);
        // A static modality is always there, and a modality's own pool is asked about nothing else.
        for (Eigen::Index e = 0; e < own.samples.size(); ++e) {
          if (own.samples(e) > 0) {
            EXPECT_NEAR(own.presence(e, 0), 1, 1e-9);
          } else {
            EXPECT_TRUE(std::isnan(own.presence(e, 0))) << "nobody asked it";
          }
        }
        if (router == FusionRouter::disjoint)
          for (Eigen::Index e = 4; e < 8; ++e)
            if (own.samples(e) > 0) {
              EXPECT_NEAR(own.presence(e, 1), 1, 1e-9);
            }
      }
      if (router == FusionRouter::disjoint) {
        EXPECT_NEAR(found.layers[0].information, 1, 1e-9);
      }
    }
}

/// Routers that look at nothing: scores are these intercepts alone, R x N.
void set_scores(deep::FusionModel& model, const torch::Tensor& scores) {
  const torch::NoGradGuard off;
  for (const auto& entry : model.named_parameters()) {
    torch::Tensor value = entry.value();
    const std::string& name = entry.key();
    if (name.size() >= 7 && name.substr(name.size() - 7) == "centres") value.zero_();
    if (name.size() >= 10 && name.substr(name.size() - 10) == "intercepts") value.copy_(scores.unsqueeze(1));
  }
}

TEST(FusionUsage, InformationIsZeroForOneMindAndOneForOwnExperts) {
  const fusion::PreparedData data = samples_of(TargetKind::binary, 50);
  const FusionTensors samples(data);
  deep::FusionOptions options = small_model();
  options.gate = deep::FusionGate::softmax;
  options.experts = 6;
  options.top_k = 1;
  const auto model = model_of(options, samples);
  set_scores(*model, at::tensor({0.5, 1.0, 0.0, -1.0, 0.0, 0.2}).expand({3, 6}));
  EXPECT_NEAR(fusion_usage(*model, samples, range(0, 50), {}).layers[0].information, 0, 1e-9);
  set_scores(*model, 200 * at::eye(6).narrow(0, 0, 3));  // e^-200: a number in double, none in float
  const FusionUsage own = fusion_usage(*model, samples, range(0, 50), {});
  EXPECT_NEAR(own.layers[0].information, 1, 1e-9);
  EXPECT_EQ(own.layers[0].dead, (std::vector<int>{3, 4, 5}));
  EXPECT_TRUE(std::isnan(own.layers[0].event_rate(0))) << "no events were given";
  EXPECT_NEAR(own.layers[0].presence(2, 2), 1, 1e-12);
  EXPECT_NE(fusion_usage_text(own).find("3 of 6 experts dead"), std::string::npos) << fusion_usage_text(own);
  const Json json = fusion_usage_json(own, samples.shapes());
  EXPECT_EQ(json["modalities"], Json::array({"age", "vitals", "scan"}));
  EXPECT_TRUE(json["layers"][0]["event_rate"][0].is_null());
}

// A modality that nobody has, and a model without routers.
TEST(FusionUsage, OfWhatNobodyAsked) {
  fusion::PreparedData data = samples_of(TargetKind::binary, 30);
  data.modalities[2].present.assign(30, 0);
  const FusionTensors samples(data);
  const auto model = model_of(small_model(), samples);
  const FusionUsage usage = fusion_usage(*model, samples, range(0, 30), {});
  EXPECT_EQ(usage.layers[0].mass.row(2).sum(), 0);
  EXPECT_EQ(usage.layers[0].top_weight(2), 0);
  EXPECT_TRUE(std::isfinite(usage.layers[0].information));
  EXPECT_LE(usage.layers[0].information, 1);
  deep::FusionOptions plain = small_model();
  plain.method = deep::FusionMethod::concat;
  const auto concat = model_of(plain, samples);
  EXPECT_TRUE(fusion_usage(*concat, samples, range(0, 30), {}).layers.empty());
}

}  // namespace
}  // namespace clearway::train
