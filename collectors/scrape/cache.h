// SPDX-License-Identifier: Apache-2.0
// The sequence-predictive scrape cache: the previous body predicts the next one.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/scrape/line_pack.h"
#include "collectors/scrape/parser.h"
#include "core/base/result.h"
#include "core/model/metrics.h"

namespace picket::collectors::scrape {

/// Turns a series as exposed into a held series of the intake. Asked once, when a line is first
/// seen.
class SeriesResolver {
 public:
  enum class Kind : uint8_t {
    kKept,
    kDropped,  ///< a relabel rule said so
    kRefused,  ///< no room for new series now; asked again some scrapes later
  };
  struct Answer {
    Kind kind = Kind::kDropped;
    SeriesId id = kNoSeries;
  };
  virtual ~SeriesResolver() = default;
  /// `type` is what the latest TYPE line said; bounds of histograms and summaries are brought into
  /// canonical form by it. Errors: fail the whole scrape (limits of labels, invalid names).
  virtual Result<Answer> Resolve(const RawSeries& series, MetricType type,
                                 std::shared_ptr<const MetricMetadata> metadata) = 0;
  /// The series has left and its staleness marker, where it gets one, has been written.
  virtual void Release(SeriesId id) = 0;
};

/// What one scrape held.
struct ScrapeCounts {
  uint64_t scraped = 0;       ///< sample lines
  uint64_t kept = 0;          ///< after relabelling, duplicates included
  uint64_t added = 0;         ///< series not in the previous scrape
  uint64_t duplicates = 0;    ///< second samples of a series
  uint64_t refused = 0;       ///< samples of series the intake had no room for
  uint64_t out_of_order = 0;  ///< timed samples older than their series' latest
};

/// Remembers the lines of one target in the order of its latest good scrape: the text before each
/// value, the series it became, and the value's text. A line that comes where it is expected costs
/// one comparison and, if its value changed, reading a number: no hash, no allocation, no label
/// work. Anything unexpected is looked for a few lines ahead, then by hash, then resolved as new,
/// and the order is rewritten so that the next scrape is predicted again.
///
/// Use: Scan, then Append the row() and timed(), then Commit. After a failed Scan, StaleRow() ends
/// what was there. Shape: a series not visited by a scan is in the row as StaleNan, once; `layout`
/// as SampleRow wants it. Threads: one at a time. Source: our own; see README.md.
class SeriesCache {
 public:
  struct Options {
    bool honor_timestamps = true;
    bool track_timestamps_staleness = false;
    uint64_t sample_limit = 0;  ///< 0: none
  };

  using Entry = LineEntry;

  /// Working memory of scans that do not go as predicted. Shared by targets scanned in turn.
  struct Scratch;

  explicit SeriesCache(Options options);
  ~SeriesCache();
  SeriesCache(SeriesCache&&) noexcept;

  /// Series the owner adds to every row after the scraped ones (`up` and its like). Ids are held by
  /// the owner.
  void SetTail(std::span<const SeriesId> ids);
  void SetOptions(Options options) { options_ = options; }
  /// The resolver's rules have changed: the next scan asks it about every line again. Series that
  /// are then no longer asked for vanish as others do.
  void ResolveAgain() { resolve_again_ = true; }

  /// Reads a body. On success row() and timed() are what to append. On failure the cache is as
  /// before. Errors: a bad line with its place, a limit; `counts` then says how far it came.
  Status Scan(std::string_view body, Format format, SeriesResolver& resolver, Scratch& scratch,
              ScrapeCounts& counts);

  struct Row {
    uint64_t layout = 0;
    std::span<const SeriesId> series;
    std::span<double> values;  ///< the last ones are the tail's, to be filled in by the owner
    std::span<double> tail;
  };
  /// The row of the latest good scan, vanished series included. Valid until Commit or the next
  /// call.
  Row row();
  std::span<const TimedSample> timed() const { return timed_; }
  /// After the row was appended: vanished series are released and the next row is without them.
  void Commit(SeriesResolver& resolver);

  /// All held series as StaleNan, and the tail. The second time in a row: only the tail.
  Row StaleRow();
  /// Releases everything that is held; the cache is empty then. Write StaleRow before, if wanted.
  void Clear(SeriesResolver& resolver);

  size_t series() const { return row_count_; }
  size_t entries() const { return lines_.size(); }
  /// Bytes held between scrapes.
  size_t memory() const;

 private:
  friend class Rewriter;

  const char* FastScan(const char* p, const char* end, size_t& index, size_t& slot);
  void RememberValue(LinePack::Line& line, const char* first, const char* next);
  const char* OtherValue(size_t index, const char* start, const char* value, size_t slot,
                         size_t other);
  void CommitTimed();
  uint64_t NextLayout() { return ++layouts_; }

  Options options_;
  Parser parser_;
  Format format_ = Format::kText;
  LinePack lines_;
  // Entries of kind kRow; their ids and values come first in the arrays below.
  size_t row_count_ = 0;
  std::vector<SeriesId> ids_;  // row_count_ series, then the tail
  std::vector<double> values_;
  size_t tail_ = 0;
  uint64_t layouts_ = 0;
  uint64_t layout_ = 0;       // of ids_
  uint64_t tail_layout_ = 0;  // of the tail alone
  bool resolve_again_ = false;
  bool stale_ = false;     // the series' staleness markers have been written
  uint64_t refusals_ = 0;  // scans with refused series, to ask again now and then
  ScrapeCounts counts_;    // of the latest good scan, which a fully predicted one repeats

  struct TimedEntry {
    uint32_t index;  // in lines_
    UnixMs timestamp_ms;
  };
  std::vector<TimedSample> timed_;
  std::vector<TimedEntry> timed_entries_;
  uint64_t out_of_order_ = 0;
  bool repeats_ = false;  // a series has several timed samples in a body

  // Of the latest scan, when series vanished; empty otherwise.
  std::vector<SeriesId> gone_;  // to be released at Commit
  size_t gone_stale_ = 0;       // of these, the first ones get a staleness marker
  std::vector<SeriesId> stale_ids_;
  std::vector<double> stale_values_;
  uint64_t stale_layout_ = 0;
};

/// Open-addressing set of series ids, kept between uses.
class SeriesSetScratch {
 public:
  void Clear(size_t expected);
  /// True if it was not there.
  bool Insert(SeriesId id);

 private:
  void Grow();
  std::vector<SeriesId> slots_;
  size_t used_ = 0;
};

struct SeriesCache::Scratch {
  std::string text;          // of all entries
  std::vector<Entry> order;  // the previous body
  std::vector<Entry> next;   // this one
  LinePack::Scratch pack;
  std::vector<SeriesId> ids;
  std::vector<double> values;
  std::vector<uint8_t> visited;
  std::vector<uint32_t> table;
  std::vector<SeriesId> added;
  SeriesSetScratch seen;
};

}  // namespace picket::collectors::scrape
