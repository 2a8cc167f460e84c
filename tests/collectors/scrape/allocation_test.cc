// SPDX-License-Identifier: Apache-2.0
// In steady state a scrape allocates nothing, from the body to the row.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "collectors/scrape/cache.h"
#include "tests/collectors/scrape/fake_intake.h"

namespace {
std::atomic<uint64_t> allocations{0};
}

// The address sanitizer has operators of its own, which do not go with half a set of ours.
#ifndef __SANITIZE_ADDRESS__
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t align) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t a = static_cast<size_t>(align);
  if (void* p = std::aligned_alloc(a, (size + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace picket::collectors::scrape {
namespace {

std::string Body(int turn, bool churn) {
  std::string body;
  for (int i = 0; i < 500; ++i) {
    if (i % 10 == 0) body += "# TYPE m" + std::to_string(i / 10) + " gauge\n";
    if (churn && turn % 2 == 0 && i == 250) continue;
    body += "m" + std::to_string(i / 10) + "{a=\"" + std::to_string(i % 10) + "\"} ";
    body += i % 3 == 0   ? "1"
            : i % 3 == 1 ? std::to_string(turn * i)
                         : std::to_string(turn * 1.123456789012345e-7 * i);
    body += i % 50 == 7 ? " " + std::to_string(1'700'000'000'000 + turn * 1000) + "\n" : "\n";
  }
  return body;
}

uint64_t AllocationsOfScrapes(bool churn, Format format) {
  FakeIntake intake;
  PlainResolver resolver(intake);
  SeriesCache cache({});
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  uint64_t total = 0;
  for (int turn = 1; turn <= 20; ++turn) {
    std::string body = Body(turn, churn);
    if (format == Format::kOpenMetrics) body += "# EOF\n";
    const uint64_t before = allocations.load();
    EXPECT_TRUE(cache.Scan(body, format, resolver, scratch, counts));
    EXPECT_NE(cache.row().series.size() + cache.timed().size(), 0u);
    cache.Commit(resolver);
    if (turn > 4) total += allocations.load() - before;
  }
  EXPECT_EQ(counts.scraped, churn ? 499u : 500u);
  return total;
}

TEST(Allocations, NoneInSteadyState) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "allocations are not counted under the address sanitizer";
#endif
  EXPECT_EQ(AllocationsOfScrapes(false, Format::kText), 0u);
  EXPECT_EQ(AllocationsOfScrapes(false, Format::kOpenMetrics), 0u);
}

TEST(Allocations, FewWhenSeriesComeAndGo) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "allocations are not counted under the address sanitizer";
#endif
  EXPECT_GT(AllocationsOfScrapes(true, Format::kText), 0u);  // the counter counts
  EXPECT_LT(AllocationsOfScrapes(true, Format::kText), 16u * 30);
}

}  // namespace
}  // namespace picket::collectors::scrape
