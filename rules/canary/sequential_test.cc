// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/sequential_test.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace picket::rules::canary {
namespace {

constexpr std::array<double, SequentialTest::kRatios> kRatioGrid = {1.5, 2,  3,  5,   8,   12,
                                                                    20,  35, 60, 100, 200, 500};
constexpr double kZeta = 2.6123753486854883;  // zeta(1.5): the start weights add up to one
constexpr size_t kMaxStarts = 256;
constexpr UnixMs kStartEveryMs = 30'000;
constexpr double kOverdispersed = 1.15;  // below it the estimate is noise
constexpr double kErrorsToLearn = 20;    // baseline errors before its burstiness is known
constexpr double kOkRatio = 2.0;         // "ok" rejects a canary this many times worse

// P(the canary's | something failed) when its rate is r times the baseline's and its share of
// requests is w.
double Theta(double w, double r) { return w * r / (w * r + 1 - w); }

double LogSumExp(const double* values, size_t n) {
  const double top = *std::max_element(values, values + n);
  if (top == -std::numeric_limits<double>::infinity()) return top;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::exp(values[i] - top);
  return top + std::log(sum);
}

template <size_t N>
double LogMean(const std::array<double, N>& values) {
  return LogSumExp(values.data(), N) - std::log(static_cast<double>(N));
}

// k * ln(ratio) that is 0 for k = 0 whatever the ratio.
double Term(double count, double ratio) { return count == 0 ? 0 : count * std::log(ratio); }

std::array<double, SequentialTest::kRates> RateGrid(double limit) {
  // From 1.5 times the limit to 90 %, evenly in the logarithm.
  std::array<double, SequentialTest::kRates> rates{};
  const double low = std::min(1.5 * limit, 0.9);
  for (size_t i = 0; i < rates.size(); ++i) {
    const double x = static_cast<double>(i) / static_cast<double>(rates.size() - 1);
    rates[i] = low * std::pow(0.9 / low, x);
  }
  return rates;
}

}  // namespace

struct SequentialTest::Increments {
  std::array<double, kRatios> chunk{};
  std::array<double, kRatios> raw{};
  std::array<double, kRates> absolute{};
};

SequentialTest::SequentialTest(TestOptions options) : options_(options) {}

double SequentialTest::Overdispersion() const {
  if (cells_ < 2 || mean_ <= 0) return 1;
  return (m2_ / (cells_ - 1)) / mean_;
}

// Evidence from single errors counts in full only once the baseline has shown that its errors come
// one by one. The power of a likelihood ratio below 1 keeps its expectation below 1 (Jensen), so
// deflation cannot invalidate the test.
double SequentialTest::RawPower() const {
  const double phi = Overdispersion();
  if (cells_ * mean_ < kErrorsToLearn) return 1 / (3 * std::max(1.0, phi));
  return phi < kOverdispersed ? 1 : 1 / (3 * phi);
}

void SequentialTest::LearnBaseline(double errors_in_chunk) {
  cells_ += 1;
  const double delta = errors_in_chunk - mean_;
  mean_ += delta / cells_;
  m2_ += delta * (errors_in_chunk - mean_);
}

SequentialTest::Increments SequentialTest::Measure(const Batch& b) const {
  Increments inc;
  const double requests = b.canary_requests + b.baseline_requests;
  const double chunks = b.canary_chunks + b.baseline_chunks;
  const double power = RawPower();
  const bool both = b.canary_requests > 0 && b.baseline_requests > 0;
  if (both) {
    const double w = b.canary_requests / requests;
    // A bad chunk is a concave function of its requests, so the larger of both shares bounds the
    // null from above.
    const double w_chunk = std::max(b.canary_chunks / chunks, w);
    for (size_t i = 0; i < kRatios; ++i) {
      const double r = kRatioGrid[i] * options_.tolerated_ratio;
      const double raw0 = Theta(w, options_.tolerated_ratio);
      const double raw1 = Theta(w, r);
      inc.raw[i] = power * (Term(b.canary_errors, raw1 / raw0) +
                            Term(b.baseline_errors, (1 - raw1) / (1 - raw0)));
      if (w_chunk >= 1) continue;
      const double c0 = Theta(w_chunk, options_.tolerated_ratio);
      const double c1 = Theta(w_chunk, r);
      inc.chunk[i] =
          Term(b.canary_bad_chunks, c1 / c0) + Term(b.baseline_bad_chunks, (1 - c1) / (1 - c0));
    }
  }
  // A shared incident is not the canary's fault: the absolute limit rests while the baseline is
  // near it.
  const double limit = options_.absolute_limit;
  const double baseline_rate =
      b.baseline_requests > 0 ? b.baseline_errors / b.baseline_requests : 0;
  if (limit > 0 && limit < 0.9 && std::max(baseline_rate, baseline_recent_rate_) <= limit / 2) {
    const auto rates = RateGrid(limit);
    const double good = std::max(0.0, b.canary_requests - b.canary_errors);
    for (size_t i = 0; i < kRates; ++i)
      inc.absolute[i] = power * (Term(b.canary_errors, rates[i] / limit) +
                                 Term(good, (1 - rates[i]) / (1 - limit)));
  }
  return inc;
}

void SequentialTest::AddOk(const Batch& b, double power) {
  // The reverse test: null "the canary is kOkRatio times worse", alternative "it is like the
  // baseline".
  if (b.canary_requests > 0 && b.baseline_requests > 0) {
    const double w = b.canary_requests / (b.canary_requests + b.baseline_requests);
    const double t0 = Theta(w, kOkRatio * options_.tolerated_ratio);
    const double t1 = Theta(w, 1);
    ok_relative_ +=
        power * (Term(b.canary_errors, t1 / t0) + Term(b.baseline_errors, (1 - t1) / (1 - t0)));
  }
  const double limit = options_.absolute_limit;
  if (limit > 0 && limit < 0.9) {
    const double good = std::max(0.0, b.canary_requests - b.canary_errors);
    const double rate = limit / 5;
    ok_absolute_ +=
        power * (Term(b.canary_errors, rate / limit) + Term(good, (1 - rate) / (1 - limit)));
  }
  const double both[2] = {ok_relative_, limit > 0 ? ok_absolute_ : ok_relative_};
  log_e_ok_ = LogSumExp(both, 2) - std::log(2.0);
}

void SequentialTest::Add(const Batch& batch) {
  if (batch.timestamp_ms >= next_start_ms_ && starts_.size() < kMaxStarts) {
    starts_.emplace_back();
    const auto j = static_cast<double>(starts_.size());
    weights_.push_back(std::pow(j, -1.5) / kZeta);
    next_start_ms_ = batch.timestamp_ms + kStartEveryMs;
  }
  const Increments inc = Measure(batch);
  for (Start& s : starts_) {
    for (size_t i = 0; i < kRatios; ++i) s.chunk[i] += inc.chunk[i];
    for (size_t i = 0; i < kRatios; ++i) s.raw[i] += inc.raw[i];
    for (size_t i = 0; i < kRates; ++i) s.absolute[i] += inc.absolute[i];
  }
  AddOk(batch, RawPower());
  // What is predictable for the next batch: the baseline's rate so far, weighted to the recent
  // past.
  if (batch.baseline_requests > 0) {
    const double rate = batch.baseline_errors / batch.baseline_requests;
    baseline_recent_rate_ += 0.05 * (rate - baseline_recent_rate_);
  }
  Combine();
}

void SequentialTest::Restart() {
  starts_.clear();
  weights_.clear();
  next_start_ms_ = INT64_MIN;
  log_e_ = peak_ = ok_relative_ = ok_absolute_ = log_e_ok_ = 0;
}

void SequentialTest::Combine() {
  // Starts that have not begun count as evidence 1.
  double begun = 0;
  std::vector<double> terms;
  terms.reserve(starts_.size() + 1);
  for (size_t j = 0; j < starts_.size(); ++j) {
    begun += weights_[j];
    const Start& s = starts_[j];
    double log_e = LogMean(s.chunk);
    if (!options_.strict) {
      double parts[3] = {log_e, LogMean(s.raw), LogMean(s.absolute)};
      const size_t n = options_.absolute_limit > 0 ? 3 : 2;
      log_e = LogSumExp(parts, n) - std::log(static_cast<double>(n));
    }
    terms.push_back(std::log(weights_[j]) + log_e);
  }
  if (begun < 1) terms.push_back(std::log(1 - begun));
  log_e_ = LogSumExp(terms.data(), terms.size());
  peak_ = std::max(peak_, log_e_);
}

}  // namespace picket::rules::canary
