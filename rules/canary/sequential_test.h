// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/clock.h"

namespace picket::rules::canary {

/// What happened between two looks. A chunk is one scrape of one target; it is bad when it saw any
/// error.
struct Batch {
  UnixMs timestamp_ms = 0;
  double canary_requests = 0;
  double canary_errors = 0;
  double baseline_requests = 0;
  double baseline_errors = 0;
  double canary_chunks = 0;
  double canary_bad_chunks = 0;
  double baseline_chunks = 0;
  double baseline_bad_chunks = 0;
};

/// How much worse a canary may be before it counts as bad.
struct TestOptions {
  double tolerated_ratio = 1.0;  ///< null hypothesis: canary rate <= ratio x baseline rate
  double absolute_limit =
      0.01;  ///< canary rate that is bad by itself while the baseline is below it; 0 = off
  bool strict = false;  ///< chunks only: holds under bursts of errors, needs more requests
};

/// Anytime-valid comparison of two error rates: an e-process that may be looked at after every
/// scrape.
///
/// Three components, averaged: bad chunks given that a chunk was bad, errors given that a request
/// failed (deflated by the overdispersion of the baseline), and the canary's own rate against an
/// absolute limit. Each is a mixture over how much worse the canary might be and over when the
/// fault began (starts every 30 s, weights j^-1.5), so faults late in a rollout are found as well.
/// By Ville's inequality P(LogE() ever >= ln(1/alpha)) <= alpha when the canary is not worse,
/// whatever the common error rate does and however often one looks. Cost: O(34 x starts) per batch,
/// at most 256 starts, 70 KB. Source: anchors of sequential testing: Ville 1939; Robbins 1970;
/// Lindon and Malek, arXiv 2011.03567.
class SequentialTest {
 public:
  explicit SequentialTest(TestOptions options = {});

  void Add(const Batch& batch);
  /// Only the baseline was seen: learns how bursty its errors are.
  void LearnBaseline(double errors_in_chunk);

  /// A new rollout: forgets the evidence, keeps what was learned of the baseline.
  void Restart();

  /// ln of the evidence that the canary is worse. Shape: starts at 0; >= ln(1/alpha) means act.
  double LogE() const { return log_e_; }
  /// The highest LogE so far: a decision once taken stays.
  double PeakLogE() const { return peak_; }
  /// ln of the evidence that the canary is not worse than `ok_ratio` x baseline or stays under the
  /// absolute limit.
  double LogEOk() const { return log_e_ok_; }
  /// Variance over mean of errors in a baseline chunk; 1 when errors are independent or few.
  double Overdispersion() const;

  static constexpr size_t kRatios = 12;
  static constexpr size_t kRates = 10;

 private:
  struct Start {
    std::array<double, kRatios> chunk{};
    std::array<double, kRatios> raw{};
    std::array<double, kRates> absolute{};
  };
  struct Increments;
  Increments Measure(const Batch& batch) const;
  double RawPower() const;
  void Combine();
  void AddOk(const Batch& batch, double raw_power);

  TestOptions options_;
  std::vector<Start> starts_;
  std::vector<double> weights_;  // j^-1.5 / zeta(1.5)
  UnixMs next_start_ms_ = INT64_MIN;
  double log_e_ = 0;
  double peak_ = 0;
  double ok_relative_ = 0;
  double ok_absolute_ = 0;
  double log_e_ok_ = 0;
  // Welford over baseline chunks.
  double cells_ = 0;
  double mean_ = 0;
  double m2_ = 0;
  double baseline_recent_rate_ = 0;  // moving average, for the absolute component
};

}  // namespace picket::rules::canary
