// SPDX-License-Identifier: Apache-2.0
// Request bodies of both protocols: built, held as templates, split and translated.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "exporters/remote_write/series_book.h"

namespace picket::exporters::remote_write {

/// Types of spool records. On disk: never renumber.
enum RecordType : uint16_t { kRecordV1 = 1, kRecordV2 = 2, kRecordV1Metadata = 3 };

/// A request under construction.
/// Source: prometheus remote.proto (prometheus.WriteRequest) and io.prometheus.write.v2.Request.
/// Cost: a sample costs one copy a label in v1 and one table look-up a label text in v2; no hash,
/// no allocation once warm.
class RequestBuilder {
 public:
  explicit RequestBuilder(bool v2) : v2_(v2) { Clear(); }

  bool v2() const { return v2_; }
  uint32_t samples() const { return samples_; }
  size_t bytes() const { return symbols_.size() + series_.size(); }
  /// Of the series so far.
  size_t series_bytes() const { return series_.size(); }
  bool empty() const { return samples_ == 0; }

  /// A sample from its value on: 8 bytes, then a tag and the varint of the time. Writes 20 bytes,
  /// the content of which is good up to what it returns.
  struct SampleTail {
    explicit SampleTail(UnixMs timestamp_ms);
    size_t size() const { return sizeof(double) + time_size; }
    char* Write(char* p, double value) const {
      std::memcpy(p, &value, sizeof value);
      std::memcpy(p + sizeof value, time, sizeof time);
      return p + size();
    }
    static constexpr size_t kMostBytes = 20;
    char time[12] = {};
    size_t time_size;
  };
  /// Adds a series with one sample. Returns where its value lies, counted from the first series.
  /// v1 takes its labels from what the book keeps for the wire.
  size_t Add(const SeriesBook& book, SeriesBook::Series series, const SampleTail& tail,
             double value);

  /// The whole request. `first_series` is where the positions Add gave start. Valid until the next
  /// change.
  std::string_view Finish(size_t* first_series = nullptr);
  void Clear();

 private:
  uint32_t Local(const SeriesBook& book, Symbol s);
  size_t AddV1(const SeriesBook& book, SeriesBook::Series series, const SampleTail& tail,
               double value);
  size_t AddV2(const SeriesBook& book, SeriesBook::Series series, const SampleTail& tail,
               double value);

  bool v2_;
  size_t length_width_ = 2;  // of the last series; the next one's is mostly the same
  std::string symbols_, series_;
  std::string refs_;  // working memory, stays as large as it had to be
  std::vector<uint64_t>
      local_;  // by symbol: epoch in the upper half, index in this request in the lower
  uint64_t epoch_ = 0;
  uint32_t next_local_ = 0;
  uint32_t samples_ = 0;
};

/// Copies in whole steps, for short texts: reads and writes up to kCopyStep bytes too many.
constexpr size_t kCopyStep = 16;
inline void CopyInSteps(char* to, const char* from, size_t size) {
  std::memcpy(to, from, kCopyStep);
  if (size <= kCopyStep) return;
  std::memcpy(to + kCopyStep, from + kCopyStep, kCopyStep);
  for (size_t i = 2 * kCopyStep; i < size; i += kCopyStep) std::memcpy(to + i, from + i, kCopyStep);
}

/// One Snappy block in a buffer of this thread, valid until the next call on it.
std::string_view Compress(std::string_view bytes);
Result<std::string> Uncompress(std::string_view block);

/// A WriteRequest with metadata only.
std::string EncodeMetadata(std::span<const std::shared_ptr<const MetricMetadata>> families);

/// A request in two halves of its series, each whole in itself. Bytes are uncompressed. Errors:
/// kInvalidArgument for a single series, kCorrupt.
Result<std::vector<std::pair<std::string, uint32_t>>> SplitRequest(uint16_t type,
                                                                   std::string_view request);

/// A v2 request as v1: texts instead of symbols, metadata left out. Errors: kCorrupt.
Result<std::string> TranslateToV1(std::string_view request);

}  // namespace picket::exporters::remote_write
