// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/sequential_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace picket::rules::canary {
namespace {

constexpr double kAct = 6.907755278982137;  // ln(1000)

/// Traffic with known error rates, scraped every `step` seconds from one canary pod and `pods - 1`
/// baseline pods.
struct World {
  double rps = 100;
  double share = 0.05;
  double canary_rate = 0.001;
  double baseline_rate = 0.001;
  int baseline_pods = 19;
  double burst = 1;  // mean errors that come together
  int step_s = 5;
  int seconds = 1800;
};

/// Seconds until the test acts, or -1; `requests` gets the canary requests seen until then.
int Rollout(const World& w, TestOptions options, uint64_t seed, double* requests = nullptr) {
  std::mt19937_64 rng(seed);
  SequentialTest test(options);
  auto poisson = [&](double mean) {
    return mean <= 0 ? 0.0 : static_cast<double>(std::poisson_distribution<int>(mean)(rng));
  };
  auto errors = [&](double mean) {
    double n = 0;
    for (double events = poisson(mean / w.burst); events > 0; --events)
      n += w.burst <= 1
               ? 1
               : 1 + static_cast<double>(std::geometric_distribution<int>(1 / w.burst)(rng));
    return n;
  };
  // Ten minutes of baseline alone, as the agent has them when a rollout begins.
  const double each = w.rps * (1 - w.share) * w.step_s / w.baseline_pods;
  for (int i = 0; i < 600 / w.step_s * w.baseline_pods; ++i)
    test.LearnBaseline(std::min(poisson(each), errors(each * w.baseline_rate)));
  double seen = 0;
  for (int t = w.step_s; t <= w.seconds; t += w.step_s) {
    Batch b;
    b.timestamp_ms = t * 1000;
    b.canary_requests = poisson(w.rps * w.share * w.step_s);
    b.canary_errors =
        std::min(b.canary_requests, errors(w.rps * w.share * w.step_s * w.canary_rate));
    b.canary_chunks = 1;
    b.canary_bad_chunks = b.canary_errors > 0 ? 1 : 0;
    for (int pod = 0; pod < w.baseline_pods; ++pod) {
      const double n = poisson(each);
      const double k = std::min(n, errors(each * w.baseline_rate));
      b.baseline_requests += n;
      b.baseline_errors += k;
      b.baseline_chunks += 1;
      b.baseline_bad_chunks += k > 0 ? 1 : 0;
      test.LearnBaseline(k);
    }
    seen += b.canary_requests;
    if (requests != nullptr) *requests = seen;
    test.Add(b);
    if (test.LogE() >= kAct) return t;
  }
  return -1;
}

int FalseAlarms(const World& w, TestOptions options, int rollouts) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  rollouts /= 10;  // the same code, slower by that factor
#endif
  int alarms = 0;
  for (int i = 0; i < rollouts; ++i)
    alarms += Rollout(w, options, 1000 + static_cast<uint64_t>(i)) >= 0;
  return alarms;
}

TEST(SequentialTest, HealthyCanariesAreLeftAlone) {
  // alpha is 1e-3: of 450 healthy half-hour rollouts at three loads 0.45 may act; 4 has probability
  // below 0.5 %.
  int alarms = 0;
  for (const double rps : {10.0, 100.0, 1000.0}) alarms += FalseAlarms({.rps = rps}, {}, 150);
  EXPECT_LE(alarms, 3);
}

TEST(SequentialTest, ASharedIncidentIsNotTheCanarysFault) {
  EXPECT_LE(FalseAlarms({.canary_rate = 0.2, .baseline_rate = 0.2}, {}, 100), 1);
}

TEST(SequentialTest, BurstsOfErrorsAreNotEvidenceInStrictMode) {
  const World w{.burst = 5};
  EXPECT_LE(FalseAlarms(w, {.strict = true}, 100), 1);
  EXPECT_LE(FalseAlarms(w, {}, 100), 1);
}

TEST(SequentialTest, FindsABadCanarySoon) {
  // 0.1 % to 5 % at a 5 % share and 100 requests/s: the anchors' design needs about 23 s and 110
  // canary requests.
  double total = 0;
  double requests_total = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    double requests = 0;
    const int t = Rollout({.canary_rate = 0.05}, {}, i, &requests);
    ASSERT_GE(t, 0);
    total += t;
    requests_total += requests;
  }
  EXPECT_LT(requests_total / 200, 160);
  EXPECT_LT(total / 200, 35);
}

TEST(SequentialTest, FindsAFaultThatComesLate) {
  SequentialTest test;
  Batch b{
      .canary_requests = 25, .baseline_requests = 475, .canary_chunks = 1, .baseline_chunks = 19};
  UnixMs t = 0;
  for (int i = 0; i < 360; ++i) b.timestamp_ms = t += 5000, test.Add(b);
  EXPECT_LT(test.LogE(), 0.1);
  b.canary_errors = 2;
  b.canary_bad_chunks = 1;
  int looks = 0;
  while (test.LogE() < kAct && looks < 100) b.timestamp_ms = t += 5000, test.Add(b), ++looks;
  EXPECT_LT(looks, 10);
}

TEST(SequentialTest, NoTrafficIsNoEvidence) {
  SequentialTest test;
  for (int i = 1; i < 100; ++i)
    test.Add({.timestamp_ms = i * 5000,
              .baseline_requests = 100,
              .baseline_errors = 5,
              .baseline_chunks = 5,
              .baseline_bad_chunks = 3});
  EXPECT_LE(test.LogE(), 1e-9);
  EXPECT_LE(test.LogEOk(), 1e-9);
}

TEST(SequentialTest, ACanaryThatIsFullyDownIsSeenInTwoScrapes) {
  SequentialTest test;
  for (int i = 1; i <= 2; ++i)
    test.Add({.timestamp_ms = i * 5000,
              .canary_requests = 25,
              .canary_errors = 25,
              .baseline_requests = 475,
              .canary_chunks = 1,
              .canary_bad_chunks = 1,
              .baseline_chunks = 19});
  EXPECT_GE(test.LogE(), kAct);
}

TEST(SequentialTest, AGoodCanaryBecomesOk) {
  SequentialTest test;
  for (int i = 1; i <= 400; ++i)
    test.Add({.timestamp_ms = i * 5000,
              .canary_requests = 25,
              .baseline_requests = 475,
              .baseline_errors = i % 2 == 0 ? 1.0 : 0.0,
              .canary_chunks = 1,
              .baseline_chunks = 19,
              .baseline_bad_chunks = i % 2 == 0 ? 1.0 : 0.0});
  EXPECT_GE(test.LogEOk(), kAct);
  EXPECT_LT(test.LogE(), 1);
}

TEST(SequentialTest, ToleratedRatioMovesTheNull) {
  // Twice as bad is tolerated, so it must not act.
  EXPECT_LE(FalseAlarms({.canary_rate = 0.004, .baseline_rate = 0.002}, {.tolerated_ratio = 2}, 60),
            1);
}

}  // namespace
}  // namespace picket::rules::canary
