// How good predictions of several classes (one of them is true) or of several labels (any number of them are) are.
//
//   macro      the mean over labels of the label's own score, each against the rest
//   micro      all n x L entries as rows of one event
//   weighted   the mean over labels weighted by how often each is true
//
// Labels are n x L matrices of 0 and 1; one_hot() makes them of classes. Errors as in binary_scores.hpp.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "clearway/core/binary_scores.hpp"
#include "clearway/core/types.hpp"

namespace clearway {

/// n x count: 1 in the column of each row's class, else 0.
Matrix one_hot(std::span<const int> classes, int count);

/// A score per label and its mean over those labels that have one.
struct LabelScores {
  std::vector<std::optional<double>> per_label;  ///< empty where a label has no rows of a class that the score needs
  std::optional<double> macro;                   ///< empty where no label has a score
  int left_out = 0;                              ///< labels that have none
};
LabelScores label_auroc(const ConstMatrixRef& score, const ConstMatrixRef& target);
LabelScores label_average_precision(const ConstMatrixRef& score, const ConstMatrixRef& target);
std::optional<double> micro_auroc(const ConstMatrixRef& score, const ConstMatrixRef& target);
std::optional<double> micro_average_precision(const ConstMatrixRef& score, const ConstMatrixRef& target);

/// 1 where score >= the label's threshold, else 0: n x L, L -> n x L.
Matrix at_thresholds(const ConstMatrixRef& score, const ConstVectorRef& thresholds);

/// F1 of decided labels. A label that is never true and never called has F1 0 and takes part in the macro mean.
struct LabelF1 {
  Vector per_label;
  double macro = 0;
  double micro = 0;     ///< for one_hot() classes: the accuracy
  double weighted = 0;  ///< 0 where no label is ever true
};
LabelF1 label_f1(const ConstMatrixRef& predicted, const ConstMatrixRef& target);
/// Share of rows all of whose labels are right.
double subset_accuracy(const ConstMatrixRef& predicted, const ConstMatrixRef& target);

/// The class of the largest entry per row, the first of equals.
std::vector<int> top_class(const ConstMatrixRef& score);
double accuracy(const ConstMatrixRef& score, std::span<const int> classes);
/// -mean log p_y, p held above 2^-52. Rows of `probability` are in [0, 1]; their sum may miss 1 by 1e-4.
double multiclass_log_loss(const ConstMatrixRef& probability, std::span<const int> classes);
/// mean over rows of sum_c (p_c - 1{y = c})^2, in [0, 2]: twice brier() for two classes.
double multiclass_brier(const ConstMatrixRef& probability, std::span<const int> classes);
/// Calibration error of the largest probability as the probability that the top class is right (Guo et al. 2017), on
/// bins of equal mass.
CalibrationError top_class_calibration_error(const ConstMatrixRef& probability, std::span<const int> classes,
                                             int bins = 10);

}  // namespace clearway
