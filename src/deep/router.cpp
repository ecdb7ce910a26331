#include "clearway/deep/router.hpp"

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/top_k.hpp"

namespace clearway::deep {

std::shared_ptr<Router> make_router(const RouterOptions& options, const ExpertOptions& experts, int, int, std::int64_t,
                                    std::int64_t) {
  if (options.top_k < 1 || options.top_k > experts.experts)
    user_error("top-k must be between 1 and the number of experts, {}, not {}", experts.experts, options.top_k);
  switch (options.router) {
    case RouterKind::smoe:
      return std::make_shared<TopKRouter>(options, experts);
    default:
      user_error("router '{}' is not there yet", enum_name(options.router));
  }
}

}  // namespace clearway::deep
