// Uses what the component core offers, and nothing of the floors above it.
#include <cstdio>

#include "clearway/base/random.hpp"
#include "clearway/core/types.hpp"

int main() {
  clearway::RandomStream random(1);
  clearway::Matrix x(100, 2);
  for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = random.uniform();
  std::printf("mean of 200 uniform numbers: %.3f\n", x.mean());
  return x.mean() > 0 && x.mean() < 1 ? 0 : 1;
}
