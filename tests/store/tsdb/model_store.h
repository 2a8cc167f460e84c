// SPDX-License-Identifier: Apache-2.0
// What the tests share: a store in a folder of its own, and the naive memory that it is compared
// with.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "store/tsdb/tsdb.h"

namespace picket::store::tsdb {

/// A folder that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "picket-tsdb-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Bits, so that NaNs compare.
using NaiveSamples = std::map<UnixMs, uint64_t>;
/// Series by their printed labels.
using NaiveStore = std::map<std::string, NaiveSamples>;

inline Matcher Eq(std::string name, std::string value) {
  return Matcher::Equal(std::move(name), std::move(value));
}
inline Matcher Make(Matcher::Type type, std::string name, std::string value) {
  auto m = Matcher::Make(type, std::move(name), std::move(value));
  EXPECT_TRUE(m.has_value());
  return *m;
}
inline Matcher Everything() { return Make(Matcher::Type::kRegex, "__name__", ".+"); }

/// What a selection says, checking its promises on the way.
inline NaiveStore Read(const Querier& store, std::span<const Matcher> matchers, UnixMs min_ms,
                       UnixMs max_ms) {
  NaiveStore out;
  auto set = store.Select(matchers, min_ms, max_ms);
  EXPECT_TRUE(set.has_value());
  for (const SeriesColumns& c : (*set)->series()) {
    EXPECT_EQ(c.times_ms.size(), c.values.size());
    EXPECT_FALSE(c.times_ms.empty());
    NaiveSamples& samples = out[c.labels->ToString()];
    EXPECT_TRUE(samples.empty()) << "a series twice in one answer";
    for (size_t i = 0; i < c.times_ms.size(); ++i) {
      if (i > 0) {
        EXPECT_LT(c.times_ms[i - 1], c.times_ms[i]);
      }
      EXPECT_GE(c.times_ms[i], min_ms);
      EXPECT_LE(c.times_ms[i], max_ms);
      samples[c.times_ms[i]] = std::bit_cast<uint64_t>(c.values[i]);
    }
  }
  return out;
}

inline NaiveStore ReadAll(const Querier& store) {
  const Matcher all[] = {Everything()};
  return Read(store, all, INT64_MIN / 2, INT64_MAX / 2);
}

/// The part of a naive store that a query with this range must give.
inline NaiveStore Cut(const NaiveStore& store, UnixMs min_ms, UnixMs max_ms) {
  NaiveStore out;
  for (const auto& [labels, samples] : store)
    for (const auto& [ms, bits] : samples)
      if (ms >= min_ms && ms <= max_ms) out[labels][ms] = bits;
  return out;
}

/// Says where two stores differ first; empty when they are equal.
inline std::string Difference(const NaiveStore& want, const NaiveStore& have) {
  for (const auto& [labels, samples] : want) {
    const auto it = have.find(labels);
    if (it == have.end()) return "missing series " + labels;
    for (const auto& [ms, bits] : samples) {
      const auto at = it->second.find(ms);
      if (at == it->second.end()) return labels + " has no sample at " + std::to_string(ms);
      if (at->second != bits)
        return labels + " at " + std::to_string(ms) + ": " +
               std::to_string(std::bit_cast<double>(at->second)) + " instead of " +
               std::to_string(std::bit_cast<double>(bits));
    }
    if (it->second.size() != samples.size()) return labels + " has samples that were never written";
  }
  if (have.size() != want.size()) return "series that were never written";
  return {};
}

inline std::unique_ptr<Tsdb> OpenStore(const std::string& dir, const Clock& clock,
                                       TsdbConfig config = {}) {
  TsdbOptions options;
  options.data_dir = dir;
  options.config = config;
  options.clock = &clock;
  auto store = Tsdb::Open(std::move(options));
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().ToString());
  return store ? *std::move(store) : nullptr;
}

}  // namespace picket::store::tsdb
