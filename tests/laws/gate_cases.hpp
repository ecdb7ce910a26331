// The typed list of gates under test. A new gate is one line here.
#pragma once

#include <gtest/gtest.h>

#include <type_traits>

#include "clearway/core/gates/all.hpp"

namespace clearway::laws {

// Settings other than the defaults.
struct WarmSoftmaxGate : SoftmaxGate {
  WarmSoftmaxGate() { temperature = 2.5; }
};
struct ColdSigmoidGate : SigmoidGate {
  ColdSigmoidGate() { temperature = 0.5; }
};
struct SmoothLaplaceGate : LaplaceGate {
  SmoothLaplaceGate() {
    temperature = 0.7;
    smoothing = 0.3;
  }
};
struct DiagonalQuadraticGate : QuadraticGate {
  DiagonalQuadraticGate() { form = QuadraticForm::diagonal; }
};
struct LowRankQuadraticGate : QuadraticGate {
  LowRankQuadraticGate() {
    form = QuadraticForm::low_rank;
    rank = 2;
  }
};
struct MonomialGate : QuadraticGate {
  MonomialGate() {
    linear_term = false;
    temperature = 1.5;
  }
};

struct PlainCosineGate : CosineGate {
  PlainCosineGate() {
    perturbation = 0;
    temperature = 0.4;
    smoothing = 0.1;
  }
};
struct SigmoidActivatedGate : ActivatedGate {
  SigmoidActivatedGate() {
    activation = {.kind = ActivationKind::sigmoid};
    temperature = 0.3;
  }
};

using Gates =
    ::testing::Types<SoftmaxGate, WarmSoftmaxGate, ConstantGate, SigmoidGate, ColdSigmoidGate, LaplaceGate,
                     SmoothLaplaceGate, GaussianGate, QuadraticGate, DiagonalQuadraticGate, LowRankQuadraticGate,
                     MonomialGate, ActivatedGate, SigmoidActivatedGate, CosineGate, PlainCosineGate>;

}  // namespace clearway::laws
