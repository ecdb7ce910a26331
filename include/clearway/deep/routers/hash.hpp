// Hash layer (Roller et al. 2021, arXiv 2106.04426): a fixed balanced random table from token id to k experts.
//
//   experts of id v = table(v, 1..K),   w = 1 / K,   nothing is learned, no loss
//
// In each column of the table every expert has the same number of ids, give or take one; a row has no expert twice.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class HashRouter : public Router {
 public:
  /// The table is drawn from torch's generator. Throws std::invalid_argument without a vocabulary.
  HashRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t vocabulary);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

 private:
  std::int64_t experts_;
  torch::Tensor table_;  // buffer: V x K
};

/// Throws std::invalid_argument unless there is one id per token, each in 0..vocabulary-1.
void check_token_ids(const RoutingRequest& request, std::int64_t vocabulary, const char* router);

}  // namespace clearway::deep
